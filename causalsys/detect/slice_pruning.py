"""From many candidates to few: shorter conjunctions, and no two with nearly the same rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from causalsys.detect.slice_columns import Columns
from causalsys.detect.slice_conditions import Conditions, Mask, joined
from causalsys.detect.slice_significance import contrast

_CLEARLY = 3.0
"""An end of a conjunction stays if the rows it shuts out are better by so many standard
errors: it was chosen among many to look so."""
_SAME = 0.9
"""Of two slices with this Jaccard index the one over fewer columns is told."""
_WITHIN = 0.95
"""A slice lies within another if so much of it does."""


@dataclass(frozen=True)
class Candidate:
    """A conjunction that may be a slice.

    Attributes:
        conditions: The conjunction.
        held: Its rows in the half that is searched.
        clear: How clearly its error is above the rest's there, in standard errors.
        methods: Which searches found it.
        aliases: Conjunctions over other columns with nearly the same rows.
    """

    conditions: Conditions
    held: Mask
    clear: float
    methods: tuple[str, ...]
    aliases: tuple[Conditions, ...] = ()

    @property
    def columns(self) -> frozenset[str]:
        """The columns that it is about."""
        return frozenset(each.column for each in self.conditions)


def candidates(
    found: Iterable[tuple[str, Conditions]],
    columns: Columns,
    errors: NDArray[np.float64],
    *,
    least: int,
) -> list[Candidate]:
    """Shortened conjunctions with enough rows in and out, the clearest first.

    Args:
        found: The method and the conjunction.
        columns: The columns of the rows that were searched.
        errors: Of those rows.
        least: Fewest rows.
    """
    known: dict[Conditions, Candidate] = {}
    for method, conditions in found:
        short = _shortened(conditions, columns, errors)
        if short in known:
            one = known[short]
            known[short] = replace(one, methods=tuple(sorted({*one.methods, method})))
            continue
        held = columns.hold(short)
        if not short or held.sum() < least or (~held).sum() < least:
            continue
        clear = contrast(errors, held).clear
        if clear > 0:
            known[short] = Candidate(short, held, clear, (method,))
    return sorted(known.values(), key=lambda c: (-c.clear, len(c.conditions), str(c)))


def _shortened(conditions: Conditions, columns: Columns, errors: NDArray[np.float64]) -> Conditions:
    """Without the ends that shut out no clearly better rows, the least clear dropped first."""
    atoms = [atom for each in conditions for atom in each.atoms()]
    while len(atoms) > 1:
        whole = columns.hold(atoms)
        gains = []
        for at in range(len(atoms)):
            shut = columns.hold(atoms[:at] + atoms[at + 1 :]) & ~whole
            gains.append(contrast(errors, whole, shut).clear if shut.sum() > 1 else -np.inf)
        worst = int(np.argmin(gains))
        if gains[worst] >= _CLEARLY:
            break
        del atoms[worst]
    return joined(atoms)


def apart(
    found: list[Candidate],
    errors: NDArray[np.float64],
    *,
    alike: float,
    across: bool,
) -> list[Candidate]:
    """Leave out what says again what a clearer slice says.

    Args:
        found: The clearest first.
        errors: Of the rows that were searched.
        alike: Slices with this Jaccard index of rows are one.
        across: Whether that holds of slices over different columns too (those become aliases),
            and whether a slice is left out that is worse only where it meets a clearer one on a
            column of both. Slices whose causes are asked for are kept apart.
    """
    kept: list[Candidate] = []
    for each in found:
        twin = next((at for at, one in enumerate(kept) if _twins(one, each, alike, across)), None)
        if twin is None:
            kept.append(each)
            continue
        one = kept[twin]
        if each.columns < one.columns and _alike(one, each) >= _SAME:
            kept[twin] = replace(each, methods=tuple(sorted({*one.methods, *each.methods})))
            continue
        new = (each.conditions,) if not each.columns & one.columns else ()
        methods = tuple(sorted({*one.methods, *(each.methods if not new else ())}))
        kept[twin] = replace(one, aliases=(*one.aliases, *new), methods=methods)
    told = [one for one in kept if not any(_says_all(other, one, errors) for other in kept)]
    if not across:
        return told or kept
    clear: list[Candidate] = []
    for one in told or kept:
        if not any(_explains(other, one, errors) for other in clear):
            clear.append(one)
    return clear


def _twins(one: Candidate, other: Candidate, alike: float, across: bool) -> bool:
    if not across and not (one.columns <= other.columns or other.columns <= one.columns):
        return False
    return _alike(one, other) >= alike


def _alike(one: Candidate, other: Candidate) -> float:
    """The Jaccard index of their rows."""
    return float((one.held & other.held).sum() / (one.held | other.held).sum())


def _says_all(one: Candidate, other: Candidate, errors: NDArray[np.float64]) -> bool:
    """Whether `other` is `one` made wider or narrower to no purpose.

    Wider: beyond `one` its rows are no worse than rows outside both. Narrower: its rows are no
    worse than the rest of `one`. Only where one is about the other's columns and more: a slice
    over other columns may be the cause of both.
    """
    if one is other:
        return False
    both = one.held & other.held
    if one.columns >= other.columns and both.sum() >= _WITHIN * one.held.sum():
        beyond, outside = other.held & ~one.held, ~(one.held | other.held)
        return contrast(errors, beyond, outside).clear < _CLEARLY
    if one.columns <= other.columns and both.sum() >= _WITHIN * other.held.sum():
        rest = one.held & ~other.held
        return contrast(errors, both, rest).clear < _CLEARLY
    return False


def _explains(one: Candidate, other: Candidate, errors: NDArray[np.float64]) -> bool:
    """Whether `other` is worse only where it meets a clearer slice on one of its own columns."""
    if not one.columns & other.columns:
        return False
    beyond, outside = other.held & ~one.held, ~(one.held | other.held)
    return beyond.sum() < 2 or contrast(errors, beyond, outside).clear < _CLEARLY


__all__ = ["Candidate", "apart", "candidates"]
