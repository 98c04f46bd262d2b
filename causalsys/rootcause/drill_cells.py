"""Rows of two periods, grouped once into cells: one cell for each combination of values seen.

All that follows (baseline, search, tests) works on sums over cells, so its cost does not grow with
the rows, and no row is looked at twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from causalsys.errors import DataError, MissingColumnError

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
MISSING = "missing"
"""The level of rows whose dimension has no value."""


@dataclass(frozen=True)
class Period:
    """The rows of one period, and their sums over cells.

    Attributes:
        cell: The cell of each row.
        value: The measure of each row: a sum over the row's requests.
        weight: The requests of each row; one where no column tells.
        rows: Rows in each cell.
        weights: Requests in each cell.
        values: Sum of the measure in each cell.
        dropped: Rows left out because they had no value or no weight.
    """

    cell: Codes
    value: Floats
    weight: Floats
    rows: Floats
    weights: Floats
    values: Floats
    dropped: int

    def sums(self, each: Floats) -> Floats:
        """What a number per row adds up to in each cell."""
        return summed(self.cell, each, len(self.rows))

    def residuals(self, expected: Floats) -> Floats:
        """Each row's measure less what its cell makes expected, `[row]`."""
        return self.value - self.weight * expected[self.cell]


@dataclass(frozen=True)
class Cells:
    """Two periods over the same cells.

    Attributes:
        dimensions: The dimensions' names.
        levels: The values of each dimension, in order of name, missing ones last.
        codes: The level of each cell in each dimension, `[dimension, cell]`.
        before: The normal period.
        after: The incident.
    """

    dimensions: tuple[str, ...]
    levels: tuple[tuple[object, ...], ...]
    codes: Codes
    before: Period
    after: Period


def read_cells(
    before: pd.DataFrame,
    after: pd.DataFrame,
    *,
    dimensions: Sequence[str],
    value: str,
    weight: str | None,
) -> Cells:
    """Group the rows of two tables into cells.

    Raises:
        MissingColumnError: A column is not in one of the tables.
        DataError: No rows with a value; or values that are no finite numbers; weights below zero.
    """
    names = tuple(dimensions)
    for title, frame in (("before", before), ("after", after)):
        _check(title, frame, [*names, value, *([] if weight is None else [weight])])
    both = (("before", before), ("after", after))
    kept = [_kept(frame, value, weight, title) for title, frame in both]
    tables = [frame[keep] for (_, frame), (_, _, keep) in zip(both, kept, strict=True)]
    coded = [_factorised([table[name] for table in tables]) for name in names]
    cell, codes = _joined(
        np.stack([code for code, _ in coded]), [len(levels) for _, levels in coded]
    )
    first, count = len(kept[0][0]), codes.shape[1]
    periods = [
        _period(place, values, weights, count, len(keep) - len(values))
        for place, (values, weights, keep) in zip((cell[:first], cell[first:]), kept, strict=True)
    ]
    return Cells(names, tuple(levels for _, levels in coded), codes, *periods)


def summed(group: Codes, each: Floats, size: int) -> Floats:
    """What a number adds up to in each group."""
    return np.bincount(group, each, size).astype(np.float64, copy=False)


def grouped(codes: Codes, sizes: Sequence[int]) -> tuple[Codes, Codes]:
    """Number the combinations of several codes: of each place its group, and one place of each."""
    import pandas as pd

    key = np.zeros(codes.shape[1], dtype=np.int64)
    room = 1
    for row, size in zip(codes, sizes, strict=True):
        if room * size > 2**62:
            key, room = _compressed(key)
        key, room = key * size + row, room * size
    found, distinct = pd.factorize(key, sort=True)
    place = np.empty(len(distinct), dtype=np.int64)
    place[found[::-1]] = np.arange(len(key) - 1, -1, -1)
    return found.astype(np.int64), place


def _compressed(key: Codes) -> tuple[Codes, int]:
    import pandas as pd

    found, distinct = pd.factorize(key, sort=True)
    return found.astype(np.int64), len(distinct)


def _joined(codes: Codes, sizes: Sequence[int]) -> tuple[Codes, Codes]:
    cell, place = grouped(codes, sizes)
    return cell, codes[:, place]


def _check(title: str, frame: pd.DataFrame, names: Sequence[str]) -> None:
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        raise DataError(title, found=f"a {type(frame).__name__}", mend="Give a pandas table.")
    for name in names:
        if name not in frame.columns:
            raise MissingColumnError(
                name, found=f"no such column in `{title}`", mend="Add it, or leave the name out."
            )


def _kept(
    frame: pd.DataFrame, value: str, weight: str | None, title: str
) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    values = _numbers(frame, value, title)
    weights = np.ones(len(values)) if weight is None else _numbers(frame, weight, title)
    if (weights < 0).any():
        raise DataError(weight or "", found="a weight below zero", mend="Give counts of requests.")
    keep = ~np.isnan(values) & (weights > 0)
    if not keep.any():
        raise DataError(title, found=f"no row with a {value}", mend="Give rows of both periods.")
    return values[keep], weights[keep], keep


def _numbers(frame: pd.DataFrame, name: str, title: str) -> Floats:
    try:
        found = frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise DataError(
            name, found=f"values in `{title}` that are no numbers", mend="Convert the column."
        ) from error
    if np.isinf(found).any():
        raise DataError(name, found=f"an infinite value in `{title}`", mend="Drop such rows.")
    return found


def _factorised(columns: Sequence[pd.Series]) -> tuple[Codes, tuple[object, ...]]:
    """Codes over both periods, levels in order of name; no value is a level of its own."""
    import pandas as pd

    whole = pd.concat([column.astype(object) for column in columns], ignore_index=True)
    found, distinct = pd.factorize(whole, use_na_sentinel=True)
    names = [str(each) for each in distinct]
    order = sorted(range(len(names)), key=lambda i: (names[i], type(distinct[i]).__name__))
    levels: list[object] = [distinct[i] for i in order]
    rank = np.empty(len(order) + 1, dtype=np.int64)
    rank[order] = np.arange(len(order))
    rank[-1] = len(order)
    if (found < 0).any():
        levels.append(None)
    return rank[found], tuple(levels)


def _period(cell: Codes, value: Floats, weight: Floats, count: int, dropped: int) -> Period:
    return Period(
        cell,
        value,
        weight,
        summed(cell, np.ones(len(cell)), count),
        summed(cell, weight, count),
        summed(cell, value, count),
        dropped,
    )
