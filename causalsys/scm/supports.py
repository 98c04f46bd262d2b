"""Supports: the set of values a variable can take, with its unit.

A support is plain data. It is checked against the data before anything is fitted, and it
decides which mechanisms may produce the variable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from causalsys.errors import DeclarationError

Level = str | int | bool


@dataclass(frozen=True)
class Support:
    """The values a variable can take.

    Attributes:
        unit: The unit, as shown to people ("ms", "Mbit/s"); empty when there is none.
        size: The length of a vector-valued variable, or None for a scalar.
    """

    unit: str = ""
    size: int | None = None

    name: ClassVar[str] = "value"
    discrete: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not isinstance(self.unit, str):
            raise DeclarationError(
                type(self).__name__,
                found=f"the unit {self.unit!r}",
                mend='Give the unit as text, for example Positive("ms").',
            )
        size = self.size
        if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 1):
            raise DeclarationError(
                type(self).__name__,
                found=f"the size {size!r}",
                mend="Give a vector's length as a whole number of at least 1, or leave it out.",
            )

    def outside(self, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which of `values` (any shape, NaN free) are not in the support; same shape."""
        return ~np.isfinite(values)

    def __str__(self) -> str:
        vector = f", vector of {self.size}" if self.size else ""
        return f"{self.name}{f' [{self.unit}]' if self.unit else ''}{vector}"


@dataclass(frozen=True)
class Real(Support):
    """Any finite real number."""

    name: ClassVar[str] = "real"


@dataclass(frozen=True)
class Positive(Support):
    """A finite real number of at least zero: durations, sizes, rates."""

    name: ClassVar[str] = "positive"

    def outside(self, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        return ~(np.isfinite(values) & (values >= 0))


@dataclass(frozen=True)
class Fraction(Support):
    """A real number from 0 to 1: utilisation, hit rate, loss."""

    name: ClassVar[str] = "fraction"

    def outside(self, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        return ~((values >= 0) & (values <= 1))


@dataclass(frozen=True)
class Count(Support):
    """A whole number of at least zero: requests, errors, retries."""

    name: ClassVar[str] = "count"
    discrete: ClassVar[bool] = True

    def outside(self, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        return ~(np.isfinite(values) & (values >= 0) & (values == np.floor(values)))


@dataclass(frozen=True, init=False)
class Categorical(Support):
    """One of finitely many named levels.

    Args:
        levels: How many levels (they are then named 0, 1, ...), or their names; None takes
            the levels that occur in the training data.

    Example:
        >>> str(Categorical(["off", "everysec", "always"]))
        'categorical (off, everysec, always)'
        >>> Categorical(3).levels
        (0, 1, 2)
    """

    levels: tuple[Level, ...] | None = None

    name: ClassVar[str] = "categorical"
    discrete: ClassVar[bool] = True

    def __init__(
        self,
        levels: int | Sequence[Level] | None = None,
        unit: str = "",
        *,
        size: int | None = None,
    ) -> None:
        object.__setattr__(self, "unit", unit)
        object.__setattr__(self, "size", size)
        object.__setattr__(self, "levels", _named(levels))
        self.__post_init__()

    @property
    def cardinality(self) -> int:
        """How many levels there are; 0 while they are still to be read from data."""
        return len(self.levels or ())

    def outside(self, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which codes do not name a level."""
        return ~((values >= 0) & (values < self.cardinality) & (values == np.floor(values)))

    def __str__(self) -> str:
        shown = list(map(str, self.levels or ()))
        listed = ", ".join(shown if len(shown) <= 6 else [*shown[:5], "...", shown[-1]])
        vector = f", vector of {self.size}" if self.size else ""
        return f"{self.name} ({listed or 'levels from data'}){vector}"


@dataclass(frozen=True, init=False)
class Boolean(Categorical):
    """True or false."""

    name: ClassVar[str] = "boolean"

    def __init__(self, unit: str = "", *, size: int | None = None) -> None:
        super().__init__((False, True), unit, size=size)

    def __str__(self) -> str:
        return self.name + (f", vector of {self.size}" if self.size else "")


def _named(levels: int | Sequence[Level] | None) -> tuple[Level, ...] | None:
    if levels is None:
        return None
    if isinstance(levels, int) and not isinstance(levels, bool):
        named: tuple[Level, ...] = tuple(range(levels))
    elif isinstance(levels, Sequence) and not isinstance(levels, str):
        named = tuple(levels)
    else:
        named = ()
    if len(named) < 2 or len(set(map(str, named))) < len(named):
        raise DeclarationError(
            "Categorical",
            found=f"the levels {levels!r}",
            mend="Give at least two different levels: Categorical(8) or Categorical(['a', 'b']).",
        )
    if not all(isinstance(level, str | int) for level in named):
        raise DeclarationError(
            "Categorical",
            found=f"levels that are neither text nor whole numbers: {levels!r}",
            mend="Name the levels by text, whole numbers or booleans.",
        )
    return named
