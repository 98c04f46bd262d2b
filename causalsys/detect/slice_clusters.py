"""Slices by clusters: groups of alike rows, each described by a conjunction that fits it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from causalsys.detect.slice_columns import Columns
from causalsys.detect.slice_conditions import Conditions
from causalsys.detect.slice_tree import Encoded, encode, paths

_COUNTS = (2, 3, 4, 6, 8)
"""Rows are parted into so many clusters: how many there are is not known."""
_FITS = 0.7
"""A conjunction describes a cluster if their Jaccard index is at least this."""
_ROWS = 5000
"""Clusters are sought among at most so many rows."""


def by_clusters(
    columns: Columns, errors: NDArray[np.float64], *, most: int, least: int, seed: int
) -> tuple[list[Conditions], int]:
    """Conjunctions that describe the clusters whose mean error is above that of all rows.

    Args:
        columns: The columns of the rows that are searched.
        errors: `[row]`.
        most: Most conjuncts.
        least: Fewest rows.
        seed: Of the starts.

    Returns:
        The conjunctions, and how many such clusters no conjunction describes.
    """
    from sklearn.cluster import KMeans

    encoded = encode(columns, errors, least=least)
    matrix = encoded.matrix
    if not matrix.shape[1]:
        return [], 0
    spread = matrix.std(axis=0)
    scaled = (matrix - matrix.mean(axis=0)) / np.where(spread > 0, spread, 1)
    chosen = np.random.default_rng(seed).permutation(len(scaled))[:_ROWS]
    kinds = len(np.unique(scaled[chosen], axis=0))
    found: list[Conditions] = []
    unnamed = 0
    for count in _COUNTS:
        if count > kinds:
            break
        means = KMeans(count, n_init=2, random_state=seed % 2**32).fit(scaled[chosen])
        label = means.predict(scaled)
        for each in range(count):
            member = label == each
            if member.sum() < least or errors[member].mean() <= errors.mean():
                continue
            told = _described(member, encoded, columns, most=most, least=least)
            unnamed += told is None
            found += [] if told is None else [told]
    return list(dict.fromkeys(found)), unnamed


def _described(
    member: NDArray[np.bool_], encoded: Encoded, columns: Columns, *, most: int, least: int
) -> Conditions | None:
    """The path of a small tree whose rows are most nearly the cluster's."""
    from sklearn.tree import DecisionTreeClassifier

    tree: Any = DecisionTreeClassifier(max_depth=most, min_samples_leaf=least, random_state=0)
    tree.fit(encoded.matrix, member)
    best, fit = None, _FITS
    for _, conditions in paths(tree.tree_, encoded, columns):
        if not 0 < len(conditions) <= most:
            continue
        held = columns.hold(conditions)
        index = (held & member).sum() / max(1, (held | member).sum())
        if index >= fit:
            best, fit = conditions, index
    return best


__all__ = ["by_clusters"]
