"""The language of slices: short conjunctions over columns, as plain data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from causalsys.errors import DataError, EvidenceError, UnknownNameError

if TYPE_CHECKING:
    import pandas as pd

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Condition:
    """What one column must be: in an interval, one of some levels, or missing.

    A missing value fulfils no condition but `missing`.

    Attributes:
        column: The column.
        low: The value lies above it; None without such an end.
        high: The value is at most this; None without such an end.
        levels: The value is one of these; None for an interval.
        missing: The value is missing.

    Example:
        >>> print(Condition("load", low=2.0, high=5.0), Condition("host", levels=("b",)), sep=", ")
        2 < load <= 5, host = b
    """

    column: str
    low: float | None = None
    high: float | None = None
    levels: tuple[object, ...] | None = None
    missing: bool = False

    def holds(self, rows: pd.DataFrame) -> Mask:
        """Which rows fulfil it, `[row]`.

        Raises:
            UnknownNameError: The rows lack the column.
            EvidenceError: An interval is asked of a column that holds no numbers.
        """
        if self.column not in rows.columns:
            raise UnknownNameError.among(self.column, map(str, rows.columns), where="the rows")
        column = rows[self.column]
        if self.missing:
            return np.asarray(column.isna(), dtype=bool)
        if self.levels is not None:
            return np.asarray(column.isin(list(self.levels)), dtype=bool)
        try:
            values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        except (TypeError, ValueError):
            raise EvidenceError(
                self.column,
                found="values that are no numbers, where the slice has an interval",
                mend="Give the column in the form in which the slice was found.",
            ) from None
        held = ~np.isnan(values)
        if self.low is not None:
            held &= values > self.low
        if self.high is not None:
            held &= values <= self.high
        return held

    def atoms(self) -> tuple[Condition, ...]:
        """Its ends, each as a condition of its own."""
        if self.low is None or self.high is None:
            return (self,)
        return Condition(self.column, low=self.low), Condition(self.column, high=self.high)

    def __str__(self) -> str:
        name = self.column
        if self.missing:
            return f"{name} is missing"
        if self.levels is not None:
            told = ", ".join(map(str, self.levels))
            return f"{name} = {told}" if len(self.levels) == 1 else f"{name} in {{{told}}}"
        if self.low is None:
            return f"{name} <= {_number(self.high)}"
        if self.high is None:
            return f"{name} > {_number(self.low)}"
        return f"{_number(self.low)} < {name} <= {_number(self.high)}"


Conditions = tuple[Condition, ...]


def all_hold(conditions: Iterable[Condition], rows: pd.DataFrame) -> Mask:
    """Which rows fulfil all of them, `[row]`; every row, where there are none.

    Raises:
        DataError: The rows are no frame.
    """
    import pandas as pd

    if not isinstance(rows, pd.DataFrame):
        raise DataError(
            "rows", found=f"a {type(rows).__name__}", mend="Give a pandas DataFrame of columns."
        )
    held = np.ones(len(rows), dtype=bool)
    for each in conditions:
        held &= each.holds(rows)
    return held


def joined(atoms: Iterable[Condition]) -> Conditions:
    """Conditions with one interval a column, in the order of their columns' names."""
    ends: dict[str, tuple[float | None, float | None]] = {}
    others: list[Condition] = []
    for each in atoms:
        if each.missing or each.levels is not None:
            others.append(each)
            continue
        low, high = ends.get(each.column, (None, None))
        low = each.low if low is None or (each.low is not None and each.low > low) else low
        high = each.high if high is None or (each.high is not None and each.high < high) else high
        ends[each.column] = (low, high)
    told = {each.column for each in others if each.levels is not None}
    both = [
        *dict.fromkeys(others),
        # A level says all that an interval could.
        *(Condition(name, low, high) for name, (low, high) in ends.items() if name not in told),
    ]
    return tuple(sorted(both, key=lambda each: (each.column, each.missing)))


def worded(conditions: Conditions) -> str:
    """Conditions in one line."""
    return " and ".join(map(str, conditions)) or "all rows"


def between(low: float, high: float) -> float:
    """The shortest number in `[low, high)`, so that a threshold can be read.

    Example:
        >>> between(60.93121, 61.08837)
        61.0
    """
    middle = (low + high) / 2
    for digits in range(1, 16):
        short = float(f"{middle:.{digits}g}")
        if low <= short < high:
            return short
    return low


def _number(value: float | None) -> str:
    """A threshold with all the digits it has: a rounded one would name other rows."""
    if value is None:
        return ""
    text = repr(float(value))
    return text.removesuffix(".0")


__all__ = ["Condition", "Conditions", "Mask", "all_hold", "between", "joined", "worded"]
