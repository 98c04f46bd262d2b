"""An objective over traces, with what the fit and the choice of traces leave open.

A draw has one member's parameters, and weights of traces from a Bayesian bootstrap (Rubin, 1981):
the steps of a trace are not independent, so whole traces are drawn. The same weights serve all
policies, and so a difference between them has the interval of a paired comparison.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causalsys.query.draws import Estimate, interval_of
from causalsys.simulate.objective import Objective

Values = NDArray[np.float64]
_DRAWS = 200


@dataclass(frozen=True)
class Scored:
    """An objective's draws.

    Attributes:
        estimate: Its value for the best estimate of the parameters, all traces alike.
        draws: `[draw]`.
        members: How many members took turns in them.
    """

    estimate: float
    draws: Values
    members: int

    def interval(self, level: float = 0.9) -> Estimate:
        """The estimate with its interval."""
        low, high = interval_of(self.draws[:, None], level, self.members)[0]
        return Estimate(self.estimate, float(low), float(high), level)

    def minus(self, other: Scored) -> Scored:
        """The difference, draw by draw."""
        return Scored(
            self.estimate - other.estimate,
            self.draws - other.draws,
            max(self.members, other.members),
        )


def scored(
    objective: Objective, values: Sequence[Values], *, trace: NDArray[np.int64], seed: int = 0
) -> Scored:
    """Score rows.

    Args:
        objective: How rows' values are summed up.
        values: The rows' values for each member, `[row]`; or one number each.
        trace: The number of each row's trace, from 0, `[row]`.
        seed: Fixes the traces that are drawn.
    """
    first, members = objective.summed_up(values[0]), len(values)
    if values[0].ndim == 0:
        return Scored(first, np.array([float(value) for value in values]), members)
    rng = np.random.default_rng(seed)
    weights = rng.exponential(size=(_DRAWS, int(trace.max()) + 1))
    turn = np.arange(_DRAWS) % members
    if objective.quantile is None:
        count = np.bincount(trace)
        sums = np.stack([np.bincount(trace, value) for value in values])
        draws = (weights * sums[turn]).sum(1) / (weights * count).sum(1)
        return Scored(first, draws, members)
    draws = np.empty(_DRAWS)
    for member, value in enumerate(values):
        order = np.argsort(value)
        for draw in np.flatnonzero(turn == member):
            reached = np.cumsum(weights[draw][trace[order]])
            at = np.searchsorted(reached, objective.quantile * reached[-1])
            draws[draw] = value[order[min(int(at), len(order) - 1)]]
    return Scored(first, draws, members)


def by_trace(objective: Objective, values: Values, *, trace: NDArray[np.int64]) -> Values:
    """The objective over the rows of each trace, `[trace]`."""
    if objective.quantile is None:
        found: Values = np.bincount(trace, values) / np.bincount(trace)
        return found
    order = np.argsort(trace, kind="stable")
    parts = np.split(values[order], np.flatnonzero(np.diff(trace[order])) + 1)
    return np.array([np.quantile(part, objective.quantile) for part in parts])
