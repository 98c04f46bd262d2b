"""Sums without rounding, so that it does not matter in which order they were made.

A floating-point sum depends on its order, and so on how rows were cut into batches and on who
finished first. These sums are kept as whole numbers, wide enough for every double: a number is
cut into three parts of 32 bits, and each part is added at its place. Merging adds whole numbers,
so it is exact, and the result is rounded once, at the end.

Method: R. M. Neal, Fast exact summation using small and large superaccumulators, arXiv 1505.05571
(2015), section 3, with places of 32 bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

_BITS = 32
_LOWEST = -1088
"""Two to this power is the unit of the lowest place: below the least double, 2 to the -1074."""
_PLACES = 67
"""From there to above the greatest double, 2 to the 1024."""


@dataclass(frozen=True)
class ExactSums:
    """Several sums.

    Attributes:
        places: `[sum, place]`, int64. Each addition adds less than 2 to the 32 to a place, so
            two billion additions fit.
    """

    places: NDArray[np.int64]

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> ExactSums:
        """The sum of each column.

        Args:
            values: `[row, sum]`, finite.

        Example:
            >>> ExactSums.of(np.array([[1e300], [1.0], [-1e300]])).floats()
            array([1.])
        """
        count = values.shape[1]
        places = np.zeros((count, _PLACES), dtype=np.int64)
        _, exponent = np.frexp(values)
        top = (exponent.astype(np.int64) - 1 - _LOWEST) // _BITS
        column = np.broadcast_to(np.arange(count), values.shape)
        # `ldexp` in two halves: the power itself may be no double, though the result is.
        shift = -(top * _BITS + _LOWEST)
        rest = np.ldexp(np.ldexp(values, shift // 2), shift - shift // 2)
        for down in range(3):
            part = np.trunc(rest)
            np.add.at(places, (column, np.maximum(top - down, 0)), part.astype(np.int64))
            rest = (rest - part) * 2.0**_BITS
        return cls(places)

    @classmethod
    def side_by_side(cls, sums: Sequence[ExactSums]) -> ExactSums:
        """Several sums as one."""
        return cls(np.concatenate([each.places for each in sums]))

    def __add__(self, other: ExactSums) -> ExactSums:
        return ExactSums(self.places + other.places)

    def fractions(self) -> list[Fraction]:
        """The sums, without rounding."""
        unit = Fraction(1, 2**-_LOWEST)
        return [
            sum(int(part) << (_BITS * place) for place, part in enumerate(row) if part) * unit
            for row in self.places
        ]

    def floats(self) -> NDArray[np.float64]:
        """The sums, each rounded once."""
        return np.array([float(each) for each in self.fractions()])
