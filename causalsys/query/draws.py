"""Draws of one quantity, and what is told of them: means with intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causalsys.errors import NotIdentifiedError, QueryError
from causalsys.identify.verdict import Verdict

_FEW = 40
"""With fewer draws their quantiles are too coarse, and Student's t takes their place."""


@dataclass(frozen=True)
class Estimate:
    """A number with its interval.

    Attributes:
        value: The mean.
        low: The lower end.
        high: The upper end.
        level: The interval's level.
    """

    value: float
    low: float
    high: float
    level: float

    def __str__(self) -> str:
        return f"{self.value:.4g} [{self.low:.4g}, {self.high:.4g}]"


@dataclass(frozen=True)
class Draws:
    """Draws of one quantity.

    Attributes:
        values: `[sample, row]`, or `[sample, row, size]` for a vector.
        unit: The quantity's unit.
        members: How many parameter sets the samples take turns with; 0 if each has its own.
        paired: Of a difference between worlds, what carries it row by row. Where nothing does, its
            mean and average are known and nothing else of it is.
    """

    values: NDArray[np.float64]
    unit: str = ""
    members: int = 0
    paired: Verdict | None = None

    def mean(self) -> NDArray[np.float64]:
        """The mean of each row, `[row]`."""
        return self.values.mean(axis=0)

    def interval(self, level: float = 0.9) -> NDArray[np.float64]:
        """The central interval of each row, `[row, 2]` (vectors `[row, size, 2]`).

        Raises:
            QueryError: The level is not between 0 and 1.
            NotIdentifiedError: It is a difference of which only the mean is identified.
        """
        if self.paired is not None and not self.paired.answerable:
            raise NotIdentifiedError(
                "interval",
                found=f"a difference row by row. {self.paired}".rstrip("."),
                mend="Read its mean or average, which need no pairs.",
            )
        return interval_of(self.values, level, self.members)

    def average(self, level: float = 0.9) -> Estimate:
        """The mean over all rows, with the interval of that mean over samples."""
        means = self.values.reshape(len(self.values), -1).mean(axis=1)
        low, high = interval_of(means[:, None], level, self.members)[0]
        return Estimate(float(means.mean()), float(low), float(high), level)


def interval_of(values: NDArray[np.float64], level: float, members: int = 0) -> NDArray[np.float64]:
    """The central interval over draws `[sample, ...]`, as `[..., 2]`.

    Sample `s` has the parameters of member `s % members`, so that of parameters there are never
    more draws than members. Where they are few, their part of the spread is Student's.
    """
    if not isinstance(level, int | float) or not 0 < level < 1:
        raise QueryError("level", found=repr(level), mend="Give a number between 0 and 1.")
    tail = (1 - level) / 2
    count = len(values)
    if count == 1:
        return np.stack([values[0], values[0]], axis=-1)
    own = members if members > 1 and 2 * members <= count else count
    if own < _FEW:
        from scipy.stats import t

        # One member is the estimate itself and does not vary, so there is a degree of freedom
        # less; and their mean is as uncertain as a mean of so many.
        degrees, wider = max(own - 2, 1), np.sqrt(1 + 1 / own)
        if own == count:
            mean = values.mean(axis=0)
            reach = wider * t.ppf(1 - tail, degrees) * values.std(axis=0, ddof=1)
            return np.stack([mean - reach, mean + reach], axis=-1)
        law = wider * t.ppf((np.arange(count) + 0.5) / count, degrees)
        values = _spread(values, own, law)
    return np.moveaxis(np.quantile(values, [tail, 1 - tail], axis=0), 0, -1)


def _spread(
    values: NDArray[np.float64], members: int, law: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The draws, what tells their members apart being drawn from a law instead.

    The variance between members is what their means' exceeds that of their own draws (a random
    effect, by analysis of variance).

    Args:
        values: `[sample, ...]`.
        members: How many members there are.
        law: As many values as there are samples, in units of the deviation between members.
    """
    member = np.arange(len(values)) % members
    each = [values[member == m] for m in range(members)]
    means = np.stack([part.mean(axis=0) for part in each])
    within = np.mean([part.var(axis=0, ddof=1) / len(part) for part in each], axis=0)
    total = means.var(axis=0, ddof=1)
    between = np.clip(total - within, 0, None)
    share = between / np.where(total > 0, total, 1)
    order = np.random.default_rng(0).permutation(len(values))
    law = law[order].reshape(-1, *[1] * (values.ndim - 1))
    moved = values - share * (means - means.mean(axis=0))[member] + np.sqrt(between) * law
    whole = bool((values == np.rint(values)).all())
    return np.rint(moved) if whole else moved
