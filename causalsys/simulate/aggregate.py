"""`Aggregates`: what is kept of rows that are too many to keep.

For each column and policy: moments, by row and by trace, and a sketch of its quantiles; for
categories, how many rows had each level. Aggregates of some traces and of others add up to those
of all, exactly: counts are whole numbers and sums are not rounded, so the numbers do not depend on
how the traces were cut into batches, nor on which of them was done first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from causalsys.errors import QueryError, UnknownNameError
from causalsys.identify.verdict import Verdict
from causalsys.simulate.moments import Moments
from causalsys.simulate.objective import split_goal
from causalsys.simulate.sketch import Sketch

if TYPE_CHECKING:
    import pandas as pd

RECORDED = "recorded"
"""The world that was, beside those under the policies."""


@dataclass(frozen=True)
class Numbers:
    """A column of numbers.

    Attributes:
        worlds: Where it was looked at; in all others it is as it was recorded.
        moments: Its moments in each.
        sketches: Its quantiles in each.
    """

    worlds: tuple[str, ...]
    moments: Moments
    sketches: tuple[Sketch, ...]

    def __add__(self, other: Numbers) -> Numbers:
        sketches = tuple(a + b for a, b in zip(self.sketches, other.sketches, strict=True))
        return Numbers(self.worlds, self.moments + other.moments, sketches)

    def at(self, world: str) -> int:
        """Which of its worlds stands for `world`."""
        return self.worlds.index(world if world in self.worlds else RECORDED)


@dataclass(frozen=True)
class Levels:
    """A column of categories.

    Attributes:
        worlds: Where it was looked at; in all others it is as it was recorded.
        levels: The levels.
        counts: How many rows had each, `[world, level]`.
    """

    worlds: tuple[str, ...]
    levels: tuple[object, ...]
    counts: NDArray[np.int64]

    def __add__(self, other: Levels) -> Levels:
        return replace(self, counts=self.counts + other.counts)

    def at(self, world: str) -> int:
        """Which of its worlds stands for `world`."""
        return self.worlds.index(world if world in self.worlds else RECORDED)


@dataclass(frozen=True, repr=False)
class Aggregates:
    """What is kept of simulated traces. Aggregates of different traces add up: `first + second`.

    A policy may be left out: then the number is that of the traces as they were recorded.

    Attributes:
        policies: The policies' names, in the order given.
        traces: How many traces there were.
        rows: How many rows.
        numbers: Columns of numbers, and objectives, by name.
        levels: Columns of categories, by name.
        goals: For each objective the column that it is had from, and the quantile; None for the
            mean.
        verdicts: Of each variable that changed: whether the data carry it, and on what terms.
    """

    policies: tuple[str, ...]
    traces: int
    rows: int
    numbers: Mapping[str, Numbers]
    levels: Mapping[str, Levels]
    goals: Mapping[str, tuple[str, float | None]] = field(default_factory=dict)
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)

    def __add__(self, other: Aggregates) -> Aggregates:
        if (self.policies, *_names(self)) != (other.policies, *_names(other)):
            raise QueryError(
                "aggregates",
                found="aggregates of other policies or columns",
                mend="Add those of the same model, policies and objectives.",
            )
        return replace(
            self,
            traces=self.traces + other.traces,
            rows=self.rows + other.rows,
            numbers={name: each + other.numbers[name] for name, each in self.numbers.items()},
            levels={name: each + other.levels[name] for name, each in self.levels.items()},
        )

    def mean(self, name: str, policy: str | None = None) -> float:
        """The mean over all rows of a column, or of an objective's values."""
        column = self._numbers(name)
        return column.moments.mean(column.at(self._world(policy)))

    def std(self, name: str, policy: str | None = None) -> float:
        """The standard deviation over rows."""
        column = self._numbers(name)
        return column.moments.std(column.at(self._world(policy)))

    def quantile(self, name: str, share: float, policy: str | None = None) -> float:
        """A quantile over all rows, within a thousandth of its value; see `Sketch.quantile`."""
        if not 0 <= share <= 1:
            raise QueryError("share", found=repr(share), mend="Give a number from 0 to 1.")
        column = self._numbers(name)
        return column.sketches[column.at(self._world(policy))].quantile(share)

    def score(self, goal: str, policy: str | None = None) -> float:
        """An objective that was asked for, or one that a column gives, such as "p99 latency"."""
        name, share = self._goal(goal)
        return self.mean(name, policy) if share is None else self.quantile(name, share, policy)

    def interval(
        self, name: str, policy: str | None = None, *, base: str | None = None, level: float = 0.9
    ) -> tuple[float, float]:
        """Where the mean would lie, had other traces of the same kind been recorded.

        Args:
            name: A column, or an objective that is a mean.
            policy: The policy.
            base: With a policy's name, or "recorded", the interval is that of the difference to
                it, trace by trace.
            level: The interval's probability.

        Returns:
            Its ends: Student's, the traces being the independent units. The fit's own
            uncertainty is not in it.
        """
        from scipy.special import stdtrit

        if not 0 < level < 1:
            raise QueryError("level", found=repr(level), mend="Give a number between 0 and 1.")
        goal, share = self.goals.get(name, (name, None))
        if share is not None:
            raise QueryError(
                name, found="a quantile", mend="Ask for the interval of a mean, or of a share."
            )
        column, world = self._numbers(goal), self._world(policy)
        at, other = column.at(world), None if base is None else column.at(self._world(base))
        middle = column.moments.mean(at)
        if other is not None:
            middle -= column.moments.mean(other)
        error = column.moments.standard_error(at, base=other)
        half = error * float(stdtrit(max(self.traces - 1, 1), (1 + level) / 2))
        return middle - half, middle + half

    def shares(self, name: str, policy: str | None = None) -> pd.Series:
        """The share of rows that had each level of a category."""
        import pandas as pd

        if name not in self.levels:
            raise UnknownNameError.among(name, self.levels, where="the categories")
        column = self.levels[name]
        counts = column.counts[column.at(self._world(policy))]
        return pd.Series(counts / max(counts.sum(), 1), index=list(column.levels), name=name)

    def to_frame(self) -> pd.DataFrame:
        """One row for each policy, and one for what was recorded; means, and the objectives."""
        import pandas as pd

        worlds = [RECORDED, *self.policies]
        found = {f"mean {name}": [self.mean(name, w) for w in worlds] for name in self.numbers}
        found |= {
            goal: [self.score(goal, w) for w in worlds]
            for goal, (_, share) in self.goals.items()
            if share is not None
        }
        return pd.DataFrame(found, index=worlds)

    def __repr__(self) -> str:
        under = ", ".join(self.policies)
        return f"<Aggregates of {self.traces:,} traces, {self.rows:,} steps, under {under}>"

    def _world(self, policy: str | None) -> str:
        if policy is None or policy == RECORDED:
            return RECORDED
        if policy not in self.policies:
            known = [RECORDED, *self.policies]
            raise UnknownNameError.among(policy, known, where="the simulated policies")
        return policy

    def _numbers(self, name: str) -> Numbers:
        name = self.goals[name][0] if name in self.goals else name
        if name not in self.numbers:
            known = [*self.numbers, *self.goals]
            raise UnknownNameError.among(name, known, where="the columns of numbers")
        return self.numbers[name]

    def _goal(self, goal: str) -> tuple[str, float | None]:
        return self.goals[goal] if goal in self.goals else split_goal(goal, list(self.numbers))


def _names(found: Aggregates) -> Sequence[object]:
    return list(found.numbers), list(found.levels), dict(found.goals)
