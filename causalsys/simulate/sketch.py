"""`Sketch`: quantiles of a stream of numbers, each within a thousandth of its value.

Numbers are counted in buckets whose ends are a thousandth apart, so any quantile is known to that
accuracy however many numbers there were, and two sketches merge by adding counts: exactly, in any
order. This is DDSketch (C. Masson, J. E. Rim, H. K. Lee, VLDB 2019, 12(12)) with its linearly
interpolated map: the bucket of a double is the head of its bits, sign and exponent and the first
nine bits of the fraction, so finding it is one shift, and no logarithm that another machine rounds
differently. Zero has a bucket of its own; negative numbers are counted by their magnitudes.

No bucket is ever collapsed into its neighbour, which would make the result depend on the order of
merging. Buckets are few anyway: 512 for each doubling, 10,000 from a microsecond to a second.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_HEAD = 9
_SHIFT = 52 - _HEAD
ACCURACY = 2.0 ** -(_HEAD + 1)
"""The greatest relative error of a quantile."""


@dataclass(frozen=True)
class Counts:
    """How many magnitudes fell into each of a run of buckets.

    Attributes:
        first: The first bucket.
        counts: `[bucket]`.
    """

    first: int
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, magnitudes: NDArray[np.float64]) -> Counts:
        """Positive numbers, counted."""
        if not len(magnitudes):
            return cls(0, np.zeros(0, dtype=np.int64))
        buckets = magnitudes.view(np.int64) >> _SHIFT
        first = int(buckets.min())
        return cls(first, np.bincount(buckets - first).astype(np.int64))

    def __add__(self, other: Counts) -> Counts:
        if not len(other.counts):
            return self
        if not len(self.counts):
            return other
        first = min(self.first, other.first)
        last = max(self.first + len(self.counts), other.first + len(other.counts))
        counts = np.zeros(last - first, dtype=np.int64)
        for each in (self, other):
            start = each.first - first
            counts[start : start + len(each.counts)] += each.counts
        return Counts(first, counts)

    def middles(self) -> NDArray[np.float64]:
        """For each bucket the number that is relatively nearest to both of its ends."""
        ends = np.arange(self.first, self.first + len(self.counts) + 1, dtype=np.int64) << _SHIFT
        low, high = ends[:-1].view(np.float64), ends[1:].view(np.float64)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            # 2 · low · high / (low + high), without products that overflow.
            middle = np.where(low > 0, 2 * low / (1 + low / high), high / 2)
        return np.where(np.isfinite(middle), middle, low)


@dataclass(frozen=True)
class Sketch:
    """Numbers, counted in buckets of their magnitudes.

    Attributes:
        above: Positive ones.
        below: Negative ones, by magnitude.
        zeros: How many were zero.
        least: The least of all; infinity where there are none.
        greatest: The greatest of all.

    Example:
        >>> latency = np.random.default_rng(0).lognormal(3, 1, size=100_000)
        >>> halves = Sketch.of(latency[:50_000]) + Sketch.of(latency[50_000:])
        >>> bool(abs(halves.quantile(0.99) / np.quantile(latency, 0.99) - 1) < 0.001)
        True
    """

    above: Counts
    below: Counts
    zeros: int
    least: float
    greatest: float

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> Sketch:
        """A sketch of finite numbers, `[row]`."""
        values = np.ascontiguousarray(values, dtype=np.float64)
        if not len(values):
            return cls(Counts.of(values), Counts.of(values), 0, np.inf, -np.inf)
        least, greatest = float(values.min()), float(values.max())
        if least > 0:
            return cls(Counts.of(values), Counts.of(values[:0]), 0, least, greatest)
        above, below = values[values > 0], -values[values < 0]
        zeros = len(values) - len(above) - len(below)
        return cls(Counts.of(above), Counts.of(below), zeros, least, greatest)

    def __add__(self, other: Sketch) -> Sketch:
        return Sketch(
            self.above + other.above,
            self.below + other.below,
            self.zeros + other.zeros,
            min(self.least, other.least),
            max(self.greatest, other.greatest),
        )

    @property
    def count(self) -> int:
        """How many numbers it has seen."""
        return int(self.above.counts.sum() + self.below.counts.sum()) + self.zeros

    def quantile(self, share: float) -> float:
        """A quantile, as `numpy.quantile` defines it, of what was seen.

        Args:
            share: From 0, the least, to 1, the greatest; those two are exact.

        Returns:
            Within `ACCURACY` of the value, relatively; where it lies between two numbers of
            different sign, within `ACCURACY` of the larger magnitude. NaN where nothing was seen.
        """
        count = self.count
        if not count:
            return float("nan")
        rank = share * (count - 1)
        low = int(rank)
        first, second = self._ranked(np.array([low, min(low + 1, count - 1)]), count)
        return float(first + (second - first) * (rank - low))

    def _ranked(self, ranks: NDArray[np.int64], count: int) -> NDArray[np.float64]:
        """The values of these ranks, from 0."""
        values = np.concatenate([-self.below.middles()[::-1], [0.0], self.above.middles()])
        counts = np.concatenate([self.below.counts[::-1], [self.zeros], self.above.counts])
        found = values[np.searchsorted(np.cumsum(counts), ranks, side="right")]
        found = np.clip(found, self.least, self.greatest)
        found[ranks == 0], found[ranks == count - 1] = self.least, self.greatest
        return found
