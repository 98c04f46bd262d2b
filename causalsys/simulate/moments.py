"""Counts, sums and their products over traces, of one column in several worlds at once.

The steps of a trace are not independent, so the uncertainty of a mean over all steps is that of
traces drawn anew: a mean is the ratio of two totals over traces, and its variance follows from
their squares and products (Cochran, Sampling Techniques, 3rd ed., 1977, section 2.11). Worlds are
simulated from the same traces, so a difference between two of them is known better than either:
their products are kept, too.

All is kept as exact sums over traces, so that merging is exact. What varies within traces and what
varies between them are kept apart, as Chan, Golub and LeVeque do (1979): squares of the distance
to the trace's own mean do not lose digits where the mean is large.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from causalsys.simulate.exact import ExactSums

Values = NDArray[np.float64]


@dataclass(frozen=True)
class ByTrace:
    """A column's count, sum and squares about the mean, of each trace, `[trace]`."""

    count: Values
    total: Values
    within: Values

    @classmethod
    def of(cls, values: Values, *, lengths: NDArray[np.int64]) -> ByTrace:
        """Of some whole traces.

        Args:
            values: `[row]`, rows of a trace adjacent; NaN where there is none.
            lengths: How many rows each trace has, `[trace]`.
        """
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        gone = np.isnan(values)
        if not gone.any():
            count, told = lengths.astype(np.float64), values
        else:
            count = np.add.reduceat((~gone).astype(np.float64), starts)
            told = np.where(gone, 0.0, values)
        total = np.add.reduceat(told, starts)
        mean = np.divide(total, count, out=np.zeros_like(total), where=count > 0)
        apart = told - np.repeat(mean, lengths)
        apart[gone] = 0.0
        return cls(count, total, np.add.reduceat(apart * apart, starts))


@dataclass(frozen=True)
class Moments:
    """Moments of a column in several worlds.

    Attributes:
        worlds: How many worlds there are.
        traces: How many traces were seen.
        sums: Over traces, of `z = (n, S)`, which are the count and the sum of a trace in each
            world; of the products of `z`; of the squares within traces; and of `S²/n`.
    """

    worlds: int
    traces: int
    sums: ExactSums

    @classmethod
    def of(cls, seen: Sequence[ByTrace]) -> Moments:
        """Moments of some whole traces, from what was seen of them in each world."""
        n, s = (np.stack([getattr(each, part) for each in seen], 1) for part in ("count", "total"))
        z = np.concatenate([n, s], axis=1)
        first, second = np.triu_indices(z.shape[1])
        mean = np.divide(s, n, out=np.zeros_like(s), where=n > 0)
        # S²/n is S times the mean as it was rounded, and S times what rounding left.
        product, lost = _product(n, mean)
        left = np.divide(s - product - lost, n, out=np.zeros_like(s), where=n > 0)
        parts = [
            (z,),
            _product(z[:, first], z[:, second]),
            (np.stack([each.within for each in seen], axis=1),),
            (*_product(s, mean), s * left),
        ]
        sums = [ExactSums.of(np.concatenate(part)) for part in parts]
        return cls(len(seen), len(z), ExactSums.side_by_side(sums))

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.worlds, self.traces + other.traces, self.sums + other.sums)

    def count(self, world: int) -> int:
        """How many values there were."""
        return int(self._z[world])

    def mean(self, world: int) -> float:
        """Their mean; NaN where there are none."""
        found = self._mean(world)
        return float("nan") if found is None else float(found)

    def std(self, world: int) -> float:
        """Their standard deviation over rows, dividing by their number less one."""
        count = self.count(world)
        if count < 2:
            return float("nan")
        total = self._z[self.worlds + world]
        within, between = self._squares
        squares = within[world] + between[world] - total * total / count
        return float(max(squares, Fraction(0)) / (count - 1)) ** 0.5

    def standard_error(self, world: int, *, base: int | None = None) -> float:
        """The standard error of a mean, or of its difference to that of `base`.

        Traces are taken as independent draws, steps are not. NaN where there is but one trace.
        """
        if self.traces < 2 or not self.count(world) or (base is not None and not self.count(base)):
            return float("nan")
        variance = self._covariance(world, world)
        if base is not None:
            variance += self._covariance(base, base) - 2 * self._covariance(world, base)
        scale = Fraction(self.traces, self.traces - 1)
        return float(max(variance * scale, Fraction(0))) ** 0.5

    def _mean(self, world: int) -> Fraction | None:
        count = self._z[world]
        return self._z[self.worlds + world] / count if count else None

    def _covariance(self, one: int, other: int) -> Fraction:
        """Of two means: the sum over traces of `(S_a - m_a n_a)(S_b - m_b n_b) / N_a N_b`."""
        a, b, worlds, product = self._mean(one), self._mean(other), self.worlds, self._products
        assert a is not None
        assert b is not None
        found = (
            product(worlds + one, worlds + other)
            - a * product(one, worlds + other)
            - b * product(other, worlds + one)
            + a * b * product(one, other)
        )
        return found / (self._z[one] * self._z[other])

    @cached_property
    def _all(self) -> list[Fraction]:
        return self.sums.fractions()

    @property
    def _z(self) -> list[Fraction]:
        return self._all[: 2 * self.worlds]

    @property
    def _squares(self) -> tuple[list[Fraction], list[Fraction]]:
        worlds = self.worlds
        return self._all[-2 * worlds : -worlds], self._all[-worlds:]

    def _products(self, one: int, other: int) -> Fraction:
        size, (low, high) = 2 * self.worlds, sorted((one, other))
        return self._all[size + low * size - low * (low - 1) // 2 + high - low]


def _product(a: Values, b: Values) -> tuple[Values, Values]:
    """A product, and what rounding lost of it (T. J. Dekker, Numer. Math. 18, 1971)."""
    product = a * b
    (high_a, low_a), (high_b, low_b) = _halves(a), _halves(b)
    lost = low_a * low_b - (((product - high_a * high_b) - low_a * high_b) - high_a * low_b)
    return product, lost


def _halves(a: Values) -> tuple[Values, Values]:
    """Two numbers of half the digits, whose sum it is."""
    high = a * 134217729.0
    high = high - (high - a)
    return high, a - high
