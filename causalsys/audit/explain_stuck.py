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
from causalsys.audit.explain_regression import chosen, crossed, curve, folds_of
from causalsys.audit.subject import Period
from causalsys.scm.supports import Categorical

if TYPE_CHECKING:
    import pandas as pd

Bools = NDArray[np.bool_]
_ATOM = 0.1
"""From this share of rows on, one value of a continuous column is stuck."""
_CANDIDATES = 50
_BEFORE = 0.02
"""It had at most this share of the rows before."""


def stuck(columns: Columns, before: Period, after: Period) -> dict[str, Bools]:
    """The read columns that show one value, or none, as they did not before: in which rows."""
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
            found[name] = (new == value) | np.isnan(new)
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
    """A column given the others and the target, by the law before: its own law times the target's.

    Candidates come from the law given the other columns, and one is taken with the likelihood of
    the target under it (sampling importance resampling: Rubin, 1987): what bends the target may
    leave two values likely, and their mean not.
    """
    others = [columns.features(frame, known) for frame in (before.rows, rows)]
    own = columns.features(before.rows, (name,))[:, 0]
    left, mean = _law(others[0], own, others[1], random)
    candidates = mean[:, None] + random.choice(left, (len(mean), _CANDIDATES))
    candidates = np.clip(candidates, own.min(), own.max())
    truth = columns.linked(before.truth)
    old = np.column_stack([others[0], own])
    new = np.column_stack([np.repeat(others[1], _CANDIDATES, axis=0), candidates.ravel()])
    noise, told = _law(old, truth, new, random)
    rest = columns.linked(after.truth)[:, None] - told.reshape(candidates.shape)
    likely = smooth(noise)(rest)
    weight = np.exp(likely - likely.max(1, keepdims=True)).cumsum(1)
    at = (weight < random.random((len(weight), 1)) * weight[:, -1:]).sum(1)
    found: Floats = candidates[np.arange(len(at)), np.minimum(at, _CANDIDATES - 1)]
    return np.exp(found) if name in columns.logs else found


def _law(
    features: Floats, value: Floats, others: Floats, random: np.random.Generator
) -> tuple[Floats, Floats]:
    """What a mean leaves of the rows it did not see, and the means of other rows."""
    folds = folds_of(len(value), random)
    family = chosen(features, value, folds=folds)
    own, _ = crossed(features, value, features[:0], folds=folds, family=family)
    fit = curve(features, value, weight=np.ones(len(value)), family=family)
    return value - own, fit(others)


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
