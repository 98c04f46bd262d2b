"""An objective over traces, with what the fit and the choice of traces leave open.

A draw has one member's parameters and traces drawn anew (`resampled.py`). The same traces are drawn
for all policies, and so a difference between them has the interval of a paired comparison.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from causalsys.query.draws import Estimate, interval_of
from causalsys.simulate.distance import Codes, Values
from causalsys.simulate.objective import Objective
from causalsys.simulate.resampled import resampled

if TYPE_CHECKING:
    import pandas as pd


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
    objective: Objective, frames: Iterable[pd.DataFrame], *, trace: Codes, seed: int = 0
) -> Scored:
    """Score rows.

    Args:
        objective: What is asked for.
        frames: The rows under each member's parameters.
        trace: The number of each row's trace, from 0, `[row]`.
        seed: Fixes the traces that are drawn.
    """
    each = [resampled(objective, frame, trace, seed=seed) for frame in frames]
    draws = np.stack([found.draws for found in each], axis=-1)
    turn = np.arange(len(draws)) % len(each)
    return Scored(each[0].value, draws[np.arange(len(draws)), turn], len(each))


def by_trace(objective: Objective, values: Values, *, trace: Codes) -> Values:
    """The objective over the rows of each trace, `[trace]`."""
    if objective.quantile is None:
        found: Values = np.bincount(trace, values) / np.bincount(trace)
        return found
    order = np.argsort(trace, kind="stable")
    parts = np.split(values[order], np.flatnonzero(np.diff(trace[order])) + 1)
    return np.array([np.quantile(part, objective.quantile) for part in parts])
