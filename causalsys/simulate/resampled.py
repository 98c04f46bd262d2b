"""A metric over traces, with what the choice of traces leaves open.

Traces are drawn anew by a Bayesian bootstrap (Rubin, 1981): each gets an exponential weight, since
the steps of one are not independent. It works on sums and counts per trace, so that what it costs
does not grow with draws times rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from causalsys.query.draws import Estimate
from causalsys.simulate.distance import Codes, Rows, Values, below
from causalsys.simulate.objective import Objective

if TYPE_CHECKING:
    import pandas as pd

_DRAWS = 400
_GRID = 401
"""Values around a quantile between which its draws are told apart."""
_REACH = 4.0
"""How far around a quantile they lie, in log odds."""
_GROUPS = 20


@dataclass(frozen=True)
class Resampled:
    """A metric with its draws.

    Attributes:
        value: Over all traces alike.
        draws: Over traces drawn anew, `[draw]`.
    """

    value: float
    draws: Values

    @property
    def noise(self) -> float:
        """The standard error that the choice of traces brings."""
        return float(self.draws.std())

    def interval(self, level: float) -> Estimate:
        """The value with its interval."""
        low, high = np.quantile(self.draws, [(1 - level) / 2, (1 + level) / 2])
        return Estimate(self.value, float(low), float(high), level)


def resampled(metric: Objective, frame: pd.DataFrame, trace: Codes, *, seed: int = 0) -> Resampled:
    """A metric of a frame, and over its traces drawn anew.

    Args:
        metric: What is asked for.
        frame: The rows.
        trace: The number of each row's trace, from 0, `[row]`.
        seed: Fixes the draws.
    """
    values = metric.by_row(frame)
    if values.ndim == 0:
        return _in_groups(metric, frame, trace, float(values), seed=seed)
    value = metric.summed_up(values)
    traces = int(trace.max()) + 1
    weights = np.random.default_rng(seed).exponential(size=(_DRAWS, traces))
    if metric.quantile is None:
        draws = (weights @ np.bincount(trace, values)) / (weights @ np.bincount(trace))
        return Resampled(value, draws)
    if metric.quantile == 1:
        # Weights of zero are rare in a Bayesian bootstrap, so the plain one serves a maximum.
        most = np.full(traces, -np.inf)
        np.maximum.at(most, trace, values)
        drawn = np.random.default_rng(seed).integers(0, traces, (_DRAWS, traces))
        return Resampled(value, most[drawn].max(1))
    return Resampled(value, _quantiles(values, trace, metric.quantile, weights))


def _quantiles(values: Values, trace: Codes, level: float, weights: Values) -> Values:
    odds = np.log(level / (1 - level)) + np.linspace(-_REACH, _REACH, _GRID)
    edges = np.unique(np.quantile(values, [*(1 / (1 + np.exp(-odds))), 1.0]))
    counts = below(Rows(values, trace), edges)
    reached = weights @ counts
    at = (reached >= level * (weights @ np.bincount(trace))[:, None]).argmax(1)
    return np.asarray(edges[at])


def _in_groups(
    metric: Objective, frame: pd.DataFrame, trace: Codes, value: float, *, seed: int
) -> Resampled:
    """A number of a whole frame: pseudo-values of groups of traces, drawn anew as traces are.

    A jackknife's pseudo-values stand for independent ones (Shao and Tu, 1995, section 1.2). The
    same groups are drawn for every frame, so that differences between frames are paired.
    """
    traces = int(trace.max()) + 1
    groups = min(_GROUPS, traces)
    rng = np.random.default_rng(seed)
    if groups < 2:
        return Resampled(value, np.full(_DRAWS, value))
    group = rng.permutation(traces) % groups
    without = np.array([float(metric.by_row(frame[group[trace] != g])) for g in range(groups)])
    pseudo = groups * value - (groups - 1) * without
    weights = rng.exponential(size=(_DRAWS, groups))
    drawn = (weights / weights.sum(axis=1, keepdims=True)) @ (pseudo - pseudo.mean())
    # Weights that are drawn scatter a little less than a mean of so many groups does.
    return Resampled(value, value + drawn * np.sqrt((groups + 1) / (groups - 1)))


__all__ = ["Resampled", "resampled"]
