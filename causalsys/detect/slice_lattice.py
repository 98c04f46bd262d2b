"""Slices by lattice: SliceLine's enumeration with size and error pruning.

Sagadeeva and Boehm (SIGMOD 2021), in the `sliceline` library. The library slices by equality of
codes. Here a column of numbers comes in as one feature per cut, "at most" or "above", so that a
conjunction of two of them is an interval and no threshold is bound to a grid of bins.
"""

from __future__ import annotations

from math import log2

import numpy as np
from numpy.typing import NDArray

from causalsys.detect.slice_columns import Columns, cuts, searched
from causalsys.detect.slice_conditions import Condition, Conditions, joined

_ALPHA = 0.95
"""SliceLine's weight of the error against the size; the paper's experiments use .95."""
_TOP = 40
"""So many slices are taken: half lines nest, and many of the best are nearly the same rows."""
_WIDE = 32
"""So many predicates are searched, those of the most telling features: pairs of them are joined
in pairs, so that time and memory grow with the fourth power."""
_BITS = 52.0
"""The library numbers a slice by the product of its features' levels, in a float: more than
2^53 of them and different slices get one number. Features beyond are left out, least telling
first."""

Feature = tuple[float, NDArray[np.int64], dict[int, Condition]]
"""How much it tells of the error (share of variance), its codes, and what each code means."""


def by_lattice(
    columns: Columns, errors: NDArray[np.float64], *, most: int, least: int
) -> list[Conditions]:
    """The conjunctions with the largest scores.

    Args:
        columns: The columns of the rows that are searched.
        errors: `[row]`.
        most: Most conjuncts.
        least: Fewest rows.
    """
    from sliceline import Slicefinder

    features = _fitting(_features(columns, errors, least))
    if not features:
        return []
    # The score is of errors that are not negative, and relative to their mean.
    above = errors - min(0.0, float(errors.min()))
    if not above.mean() > 0:
        return []
    codes = np.stack([each[1] for each in features], axis=1)
    finder = Slicefinder(alpha=_ALPHA, k=_TOP, max_l=most, min_sup=least, verbose=False)
    finder.fit(codes, above)
    found = []
    for row in finder.top_slices_:
        held = [(at, int(code)) for at, code in enumerate(row) if code is not None]
        if held and all(code in features[at][2] for at, code in held):
            found.append(joined(features[at][2][code] for at, code in held))
    return list(dict.fromkeys(each for each in found if len(each) <= most))


def _features(columns: Columns, errors: NDArray[np.float64], least: int) -> list[Feature]:
    found: list[Feature] = []
    for name, values in columns.numbers.items():
        for cut in cuts(values, errors, least=least):
            codes = np.where(np.isnan(values), 2, values > cut).astype(np.int64)
            told = {
                0: Condition(name, high=cut),
                1: Condition(name, low=cut),
                2: Condition(name, missing=True),
            }
            found.append((_told(codes, errors), codes, told))
    for name, (levels, codes) in columns.levels.items():
        kept = searched(codes, errors, least=least)
        if not len(kept):
            continue
        place = np.full(len(levels) + 1, len(kept), dtype=np.int64)
        place[kept] = np.arange(len(kept))
        place[-1] = len(kept) + 1
        told = {at: Condition(name, levels=(levels[code],)) for at, code in enumerate(kept)}
        told[len(kept) + 1] = Condition(name, missing=True)
        found.append((_told(place[codes], errors), place[codes], told))
    return found


def _fitting(features: list[Feature]) -> list[Feature]:
    """The most telling features that can be searched, all of whose slices can be told apart."""
    kept: list[Feature] = []
    bits, wide = 0.0, 0
    for each in sorted(features, key=lambda feature: -feature[0]):
        levels = len(np.unique(each[1]))
        more = log2(levels + 1)
        if bits + more <= _BITS and (wide + levels <= _WIDE or not kept):
            kept.append(each)
            bits, wide = bits + more, wide + levels
    return kept


def _told(codes: NDArray[np.int64], errors: NDArray[np.float64]) -> float:
    """The share of the errors' variance that lies between the codes."""
    counts = np.bincount(codes)
    means = np.bincount(codes, weights=errors) / np.maximum(counts, 1)
    spread = float(errors.var())
    return float(np.average((means - errors.mean()) ** 2, weights=counts) / spread) if spread else 0


__all__ = ["by_lattice"]
