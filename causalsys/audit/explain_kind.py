"""Which kind of change the target's law went through, and whether there was one at all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from causalsys.audit.explain_columns import Columns
from causalsys.audit.explain_group import Judged
from causalsys.audit.explain_regression import FOLDS, chosen, crossed, folds_of
from causalsys.audit.subject import Period

Floats = NDArray[np.float64]
_NATS = 8.0
"""What held-out rows must gain for a change, once the doubt of the old law is counted: by chance
unchanged laws gained at most 6 on generated systems."""
_ERRORS = 3.0
"""By how many standard errors a richer law must beat a simpler one."""
_NEARLY_ALL = 0.9
_SIMPLER = 4.0
"""Nats that a law that moved for all rows must gain over one that moved at some levels only, the
doubt of the old law being counted; and it must be this share of what there is to gain:"""
_BEYOND = 0.01
_TOLD = 4.0
"""From this many standard errors an effect of the target says something of its labels."""


def changed(judged: Judged, *, old_rows: float) -> str:
    """What happened to the target's law: "as before", "wider", "moved", "group" or "levels".

    Args:
        judged: The rival laws.
        old_rows: How many rows before the old law is known by, at the features after. The fewer,
            the less a gain means: a difference of two samples has the error of both.
    """
    base = judged.scores["as before"]
    worth = old_rows / (old_rows + len(base))
    wider, moved, group = (judged.best(name) for name in ("wider", "moved", "group"))
    best, name = wider, "wider"
    if _beats(moved, best, nats=4.0 / worth):
        best, name = moved, "moved"
    if _beats(group, best) and _beats(group, wider) and _beats(group, moved):
        # Nearly all rows are no group: the law moved for all, and a few rows look as before.
        best, name = group, "group" if judged.share < _NEARLY_ALL else "moved"
    if worth * float((best - base).sum()) < _NATS:
        return "as before"
    return "levels" if name in ("wider", "moved") and _at_levels(judged, worth) else name


def _at_levels(judged: Judged, worth: float) -> bool:
    """Whether some levels of a declared class follow another law, and the others that before."""
    levels, moved = judged.levels, judged.best("moved")
    if levels is None or levels.probabilities.mean() >= _NEARLY_ALL:
        return False
    gain = float((moved - judged.scores["as before"]).sum())
    lost = float((moved - levels.score).sum())
    return _beats(levels.score, judged.best("wider")) and lost < max(
        _SIMPLER / worth, _BEYOND * gain
    )


def _beats(richer: Floats, simpler: Floats, *, nats: float = _NATS) -> bool:
    gain = richer - simpler
    error = float(gain.std()) * np.sqrt(len(gain))
    return float(gain.sum()) > max(nats, _ERRORS * error)


def labels_wrong(
    columns: Columns,
    before: Period,
    after: Period,
    left: tuple[Floats, Floats],
    random: np.random.Generator,
) -> bool | None:
    """Whether effects of the target ignore what its labels show: then the labels are wrong.

    A label that is recorded wrong does not reach the target's effects, so their slope on what the
    target's causes leave of it falls by the factor of the variances; a noise of the mechanism
    itself reaches them, and the slope stays.

    Returns:
        None where no effect is logged, or none tells.
    """
    votes = []
    for name in columns.effects:
        slopes = [
            _slope(columns, each, name, rest, random)
            for each, rest in zip((before, after), left, strict=True)
        ]
        (old, old_error), (new, new_error) = slopes
        faded = old * float(left[0].var() / max(left[1].var(), 1e-300))
        apart, error = old - faded, float(np.hypot(old_error, new_error))
        if abs(old) > _TOLD * old_error and abs(apart) > _TOLD * error:
            # Nearer to the slope that faded than to the one that stayed.
            votes.append(abs(new - faded) < abs(new - old))
    return bool(np.mean(votes) > 0.5) if votes else None


def _slope(
    columns: Columns, rows: Period, name: str, left: Floats, random: np.random.Generator
) -> tuple[float, float]:
    """The slope of an effect on what is left of the target, and its standard error."""
    features = columns.features(rows.rows, columns.every)
    value = columns.features(rows.rows, (name,))[:, 0]
    folds = folds_of(len(value), random)
    family = chosen(features, value, folds=folds, trees=False)
    told, _ = crossed(features, value, features[:0], folds=folds, family=family)
    rest, centred = value - told, left - left.mean()
    square = max(float(centred @ centred), 1e-300)
    slope = float(centred @ rest) / square
    error = float(np.sqrt(((centred * (rest - slope * centred)) ** 2).sum())) / square
    return slope, error


def rows_needed() -> int:
    """The fewest rows of a period: each fold must fit something."""
    return 10 * FOLDS


__all__ = ["changed", "labels_wrong", "rows_needed"]
