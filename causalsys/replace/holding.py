"""Do the intervals still hold? An exact test on rows whose truth has come in.

Of `n` held-out rows the interval was set to cover the `k` nearest, so on `m` rows that are
exchangeable with them the number that it covers follows a beta-binomial law with parameters `k` and
`n + 1 - k`, whatever the model and the data are (Vovk, ACML 2012, proposition 2a; for the number of
rows Marques F., 2023). Too few of them is an alarm with a stated rate.
"""

from __future__ import annotations

from dataclasses import dataclass

from causalsys.detect.conformal_given import rank_of
from causalsys.detect.loss import Values


@dataclass(frozen=True)
class Holding:
    """Whether intervals hold.

    Attributes:
        share: The share of truths inside.
        level: What it should be.
        rows: How many truths there are.
        held_out: On how many rows the intervals were calibrated; 0 if they were not.
        p_value: How probable as few as these are while nothing has changed.
        false_alarms: The rate at which `alarm` is false.
    """

    share: float
    level: float
    rows: int
    held_out: int
    p_value: float
    false_alarms: float

    @property
    def alarm(self) -> bool:
        """Whether the intervals can no longer be trusted."""
        return self.p_value <= self.false_alarms

    def __str__(self) -> str:
        told = "The intervals do not hold" if self.alarm else "The intervals hold"
        return (
            f"{told}: {self.share:.1%} of {self.rows} truths inside, for {self.level:.0%} "
            f"(p = {self.p_value:.2g}; alarm at {self.false_alarms:g})."
        )


def holding(
    truth: Values, bounds: Values, *, level: float, held_out: int, false_alarms: float
) -> Holding:
    """Test intervals against truths.

    Args:
        truth: `[row]`.
        bounds: The ends of the intervals, `[row, 2]`.
        level: What they should cover.
        held_out: On how many rows they were calibrated; without any the law is binomial.
        false_alarms: The rate of false alarms.

    Example:
        >>> import numpy as np
        >>> bounds = np.tile([-1.0, 1.0], (100, 1))
        >>> truth = np.linspace(-2, 2, 100)
        >>> found = holding(truth, bounds, level=0.9, held_out=99, false_alarms=0.01)
        >>> found.share, found.alarm
        (0.5, True)
    """
    from scipy.stats import betabinom, binom

    inside = int(((bounds[:, 0] <= truth) & (truth <= bounds[:, 1])).sum())
    if held_out:
        rank = min(rank_of(held_out, level), held_out)
        p_value = betabinom.cdf(inside, len(truth), rank, held_out + 1 - rank)
    else:
        p_value = binom.cdf(inside, len(truth), level)
    share = inside / len(truth)
    return Holding(share, level, len(truth), held_out, float(p_value), false_alarms)


__all__ = ["Holding", "holding"]
