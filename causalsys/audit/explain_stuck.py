"""Columns that the predictor reads and that got stuck, at a value or at nothing.

A stuck column's true value still drives the target. It is drawn anew given everything else in the
row, the target included, by the law of the rows before; the loss of the predictions from what is
drawn is what the loss would have been, had the column been recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from causalsys.audit.explain_columns import Columns, Floats
from causalsys.audit.explain_group import smooth
from causalsys.audit.explain_regression import chosen, crossed, folds_of
from causalsys.audit.subject import Period
from causalsys.scm.supports import Categorical

if TYPE_CHECKING:
    import pandas as pd

Bools = NDArray[np.bool_]
_ATOM = 0.1
"""From this share of rows on, one value of a continuous column is stuck."""
_BEFORE = 0.02
"""It had at most this share of the rows before."""


def stuck(columns: Columns, before: Period, after: Period) -> dict[str, Bools]:
    """The read columns that show one value, or none, as they did not before: which rows, `[row]`."""
    found = {}
    supports = columns.subject.fitted.schema.supports
    for name in columns.read:
        if isinstance(supports[name], Categorical):
            continue
        old, new = (each.rows[name].to_numpy(dtype=float) for each in (before, after))
        if np.isnan(new).mean() >= _ATOM > _BEFORE >= np.isnan(old).mean():
            found[name] = np.isnan(new)
            continue
        values, counts = np.unique(new[~np.isnan(new)], return_counts=True)
        if not len(values):
            continue
        value = values[counts.argmax()]
        if (new == value).mean() >= _ATOM and (old == value).mean() <= _BEFORE:
            found[name] = new == value
    return found


def recorded(
    columns: Columns,
    before: Period,
    after: Period,
    where: Mapping[str, Bools],
    random: np.random.Generator,
) -> tuple[Period, dict[str, Bools]]:
    """The period after as it would have been with every column recorded.

    Args:
        columns: What the columns are.
        before: The rows before.
        after: The rows after.
        where: Which rows of which columns are stuck.
        random: Draws what was not recorded.

    Returns:
        The period, and those of the columns that are stuck: a column that truly has this value is
        left, for the target follows it.
    """
    lost = {
        name: rows
        for name, rows in where.items()
        if not _true(columns, before, after, name, rows, random)
    }
    if not lost:
        return after, {}
    rows = after.rows.copy()
    known = [name for name in columns.every if name not in lost]
    for name, mask in lost.items():
        rows[name] = rows[name].astype(float)
        rows.loc[mask, name] = _drawn(columns, before, rows, after, known, name, random)[mask]
        known.append(name)
    prediction = columns.subject.predictor.predict(rows)
    return Period(
        rows, after.truth, prediction, columns.subject.loss(after.truth, prediction)
    ), lost


def _drawn(
    columns: Columns,
    before: Period,
    rows: pd.DataFrame,
    after: Period,
    known: list[str],
    name: str,
    random: np.random.Generator,
) -> Floats:
    """A column given the others and the target, by the law before."""
    both = [
        np.column_stack([columns.features(frame, known), columns.linked(truth)])
        for frame, truth in ((before.rows, before.truth), (rows, after.truth))
    ]
    value = before.rows[name].to_numpy(dtype=float)
    good = ~np.isnan(value)
    folds = folds_of(int(good.sum()), random)
    family = chosen(both[0][good], value[good], folds=folds)
    own, told = crossed(both[0][good], value[good], both[1], folds=folds, family=family)
    drawn = told + random.choice(value[good] - own, len(told))
    found: Floats = np.clip(drawn, value[good].min(), value[good].max())
    return found


def _true(
    columns: Columns,
    before: Period,
    after: Period,
    name: str,
    rows: Bools,
    random: np.random.Generator,
) -> bool:
    """Whether the target follows the value that is shown: likelier with it than without it."""
    if bool(after.rows.loc[rows, name].isna().any()):
        return False
    values = columns.linked(before.truth), columns.linked(after.truth)[rows]
    likely = []
    whole = [n for n in columns.every if not after.rows[n].isna().any()]
    for names in (whole, [n for n in whole if n != name]):
        old, new = (columns.features(each.rows, names) for each in (before, after))
        folds = folds_of(len(old), random)
        family = chosen(old, values[0], folds=folds, trees=False)
        own, told = crossed(old, values[0], new[rows], folds=folds, family=family)
        likely.append(float(smooth(values[0] - own)(values[1] - told).sum()))
    return likely[0] > likely[1] + 3.0


__all__ = ["recorded", "stuck"]
