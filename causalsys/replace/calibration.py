"""Intervals that hold on rows the model was not fitted to: conformalised quantiles.

With `low` and `high` the predictive quantiles of a row, the score of a held-out row is how far the
truth lies outside them, in widths: `max(low - y, y - high) / (high - low)`. The interval is moved
out (or in) by the score's quantile at `level (1 + 1/n)`, and then covers at least `level` of the
rows that are exchangeable with the held-out ones, whatever the model (Romano, Patterson and
Candès, NeurIPS 2019, theorem 1; the score in widths: Sesia and Candès, Stat 2020, "CQR-r"). Unlike
a band around a point (`causalsys.detect.conformal`), it follows a law with several modes.
"""

from __future__ import annotations

import numpy as np

from causalsys.detect.conformal_given import rank_of
from causalsys.detect.loss import Values

_TINY = 1e-300


def margin(truth: Values, bounds: Values, *, level: float) -> float:
    """By how many widths an interval moves out on either side; negative where it moves in.

    Args:
        truth: The held-out truths, `[row]`.
        bounds: Their predictive quantiles, `[row, 2]`.
        level: The share of rows to cover.

    Example:
        >>> import numpy as np
        >>> bounds = np.tile([-1.0, 1.0], (99, 1))
        >>> margin(np.linspace(-2.0, 2.0, 99), bounds, level=0.9)
        0.418...
    """
    width = np.maximum(bounds[:, 1] - bounds[:, 0], _TINY)
    score = np.maximum(bounds[:, 0] - truth, truth - bounds[:, 1]) / width
    rank = rank_of(len(score), level)
    # Too few rows for this level: the widest that they have shown.
    return float(np.sort(score)[min(rank, len(score)) - 1])


def moved(bounds: Values, by: float) -> Values:
    """The interval after calibration, `[row, 2]`; one that would turn inside out is its middle."""
    width = bounds[:, 1] - bounds[:, 0]
    low, high = bounds[:, 0] - by * width, bounds[:, 1] + by * width
    middle = bounds.mean(1)
    crossed = low > high
    found: Values = np.stack(
        [np.where(crossed, middle, low), np.where(crossed, middle, high)], axis=1
    )
    return found


__all__ = ["margin", "moved"]
