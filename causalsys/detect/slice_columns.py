"""What may be sliced: columns, read once, with the cuts that a search tries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from causalsys.detect.slice_conditions import Condition, Mask, between
from causalsys.errors import EvidenceError, UnknownNameError
from causalsys.query.asked import listed

if TYPE_CHECKING:
    import pandas as pd

LARGEST = 1e30
"""Beyond what is measured; the single precision of trees ends at 3e38."""
_FEW = 8
"""A whole number with at most so many values is a code too: each value is a level."""
_LEVELS = 30
"""At most so many levels of a column are searched, those with the largest errors."""
_LEAVES = 4
"""A column of numbers is cut where a tree on it alone, of so many leaves, would cut it."""


@dataclass(frozen=True)
class Columns:
    """Columns ready for a search.

    Attributes:
        numbers: The columns of numbers, `[row]` each, NaN where missing.
        levels: The columns of levels: the levels, and each row's code (-1 where missing).
        notes: Which columns were left out, and why.
    """

    numbers: dict[str, NDArray[np.float64]]
    levels: dict[str, tuple[tuple[object, ...], NDArray[np.int64]]]
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The columns, each once."""
        return tuple(dict.fromkeys([*self.numbers, *self.levels]))

    def part(self, at: NDArray[np.int64]) -> Columns:
        """The same columns of some rows."""
        return Columns(
            {name: values[at] for name, values in self.numbers.items()},
            {name: (levels, codes[at]) for name, (levels, codes) in self.levels.items()},
            self.notes,
        )

    def holds(self, condition: Condition) -> Mask:
        """Which rows fulfil a condition, `[row]`."""
        name = condition.column
        if condition.missing:
            return (
                np.isnan(self.numbers[name]) if name in self.numbers else self.levels[name][1] < 0
            )
        if condition.levels is not None:
            levels, codes = self.levels[name]
            return np.isin(codes, [levels.index(each) for each in condition.levels])
        values = self.numbers[name]
        held = ~np.isnan(values)
        held &= values > (-np.inf if condition.low is None else condition.low)
        held &= values <= (np.inf if condition.high is None else condition.high)
        return held

    def hold(self, conditions: Sequence[Condition]) -> Mask:
        """Which rows fulfil all of them, `[row]`."""
        rows = next(iter(self.numbers.values())) if self.numbers else None
        count = len(rows) if rows is not None else len(next(iter(self.levels.values()))[1])
        held = np.ones(count, dtype=bool)
        for each in conditions:
            held &= self.holds(each)
        return held


def columns_of(rows: pd.DataFrame, names: Sequence[str] | None, *, least: int) -> Columns:
    """Read the columns that can be sliced.

    Args:
        rows: The frame.
        names: The columns; all that can be sliced without it.
        least: A level with fewer rows is no slice.

    Raises:
        UnknownNameError: A column that is named is not there.
        EvidenceError: A column that is named cannot be sliced, or none can.
    """
    asked = list(rows.columns if names is None else listed(names, "columns"))
    numbers: dict[str, NDArray[np.float64]] = {}
    levels: dict[str, tuple[tuple[object, ...], NDArray[np.int64]]] = {}
    notes = []
    for name in asked:
        if name not in rows.columns:
            raise UnknownNameError.among(name, map(str, rows.columns), where="the rows")
        why = _read(rows[name], str(name), numbers, levels, least)
        if why and names is not None and "constant" not in why:
            raise EvidenceError(str(name), found=why, mend="Leave it out of `columns`.")
        if why:
            notes.append(f"{name} is left out: {why}.")
    if not numbers and not levels:
        raise EvidenceError(
            "columns",
            found="none that can be sliced" + (f" ({notes[0]})" if notes else ""),
            mend="Give a column of numbers or of levels that takes more than one value.",
        )
    return Columns(numbers, levels, tuple(notes))


def _read(
    column: pd.Series,
    name: str,
    numbers: dict[str, NDArray[np.float64]],
    levels: dict[str, tuple[tuple[object, ...], NDArray[np.int64]]],
    least: int,
) -> str:
    """Put a column where it belongs; else say why it cannot be sliced."""
    import pandas as pd

    kind = pd.api.types
    number = kind.is_numeric_dtype(column) and not kind.is_bool_dtype(column)
    if number and not kind.is_complex_dtype(column):
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        if np.isinf(values).any():
            return "it has infinite values"
        if np.nanmax(np.abs(values), initial=0.0) > LARGEST:
            return f"it has values beyond {LARGEST:g}; use a larger unit"
        seen = np.unique(values[~np.isnan(values)])
        if len(seen) + bool(np.isnan(values).any()) < 2:
            return "it is constant"
        numbers[name] = values
        if len(seen) <= _FEW and np.array_equal(seen, np.round(seen)):
            codes = np.where(np.isnan(values), -1, np.searchsorted(seen, values))
            levels[name] = (tuple(int(each) for each in seen), codes.astype(np.int64))
        return ""
    if kind.is_datetime64_any_dtype(column) or kind.is_timedelta64_dtype(column):
        return "it holds times; make a number or a level of them, such as the month"
    return _read_levels(column, name, levels, least)


def _read_levels(
    column: pd.Series,
    name: str,
    levels: dict[str, tuple[tuple[object, ...], NDArray[np.int64]]],
    least: int,
) -> str:
    import pandas as pd

    try:
        # By appearance: levels of mixed kinds have no order.
        codes, found = pd.factorize(column, use_na_sentinel=True)
    except TypeError:
        return f"it holds values that cannot be compared, such as {type(column.iloc[0]).__name__}"
    if len(found) + bool((codes < 0).any()) < 2:
        return "it is constant"
    if np.bincount(codes + 1).max() < least:
        return "no level of it has enough rows"
    plain = tuple(each.item() if isinstance(each, np.generic) else each for each in found)
    levels[name] = (plain, codes.astype(np.int64))
    return ""


def cuts(
    values: NDArray[np.float64], errors: NDArray[np.float64], *, least: int
) -> tuple[float, ...]:
    """Where a column of numbers is cut: where a tree on it alone would.

    A few cuts at the right places do what many at fixed quantiles would, and leave a lattice
    small: half lines at each of them make every interval.
    """
    from sklearn.tree import DecisionTreeRegressor

    told = ~np.isnan(values)
    if told.sum() < 2 * least:
        return ()
    x, y = values[told], errors[told]
    tree = DecisionTreeRegressor(max_leaf_nodes=_LEAVES, min_samples_leaf=least, random_state=0)
    tree.fit(x[:, None], y)
    inner = tree.tree_.feature >= 0
    ordered = np.unique(x)
    return tuple(sorted({_readable(ordered, each) for each in tree.tree_.threshold[inner]}))


def _readable(ordered: NDArray[np.float64], cut: float) -> float:
    """The shortest number that parts the same values."""
    at = int(np.searchsorted(ordered, cut, side="right"))
    if not 0 < at < len(ordered):
        return float(cut)
    return between(float(ordered[at - 1]), float(ordered[at]))


def readable(values: NDArray[np.float64], cut: float) -> float:
    """The shortest threshold that parts a column's values as `cut` does."""
    return _readable(np.unique(values[~np.isnan(values)]), cut)


def searched(
    codes: NDArray[np.int64], errors: NDArray[np.float64], *, least: int
) -> NDArray[np.int64]:
    """The levels worth a search: with enough rows, and of too many those with most error."""
    told = codes >= 0
    counts = np.bincount(codes[told])
    sums = np.bincount(codes[told], weights=errors[told])
    enough = np.flatnonzero(counts >= least)
    order = np.argsort(-(sums[enough] / counts[enough]), kind="stable")
    return enough[order][:_LEVELS]


__all__ = ["Columns", "columns_of", "cuts", "readable", "searched"]
