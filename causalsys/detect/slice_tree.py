"""Slices by decision tree: the paths to the nodes of a small tree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causalsys.detect.slice_columns import Columns, readable, searched
from causalsys.detect.slice_conditions import Condition, Conditions, joined


@dataclass(frozen=True)
class Encoded:
    """Columns as a tree reads them.

    Attributes:
        matrix: `[row, feature]`: numbers (missing ones at their median), and 0 or 1 for each
            level and for "missing".
        names: The column of each feature of numbers; None where the feature is 0 or 1.
        ones: What a feature of 0 or 1 says where it is 1.
    """

    matrix: NDArray[np.float64]
    names: tuple[str | None, ...]
    ones: tuple[Condition | None, ...]


def encode(columns: Columns, errors: NDArray[np.float64], *, least: int) -> Encoded:
    """Numbers as they are, levels and gaps as 0 or 1."""
    parts: list[NDArray[np.float64]] = []
    names: list[str | None] = []
    ones: list[Condition | None] = []

    def add(values: NDArray[Any], *, name: str | None = None, one: Condition | None = None) -> None:
        parts.append(np.asarray(values, dtype=np.float64))
        names.append(name)
        ones.append(one)

    for name, values in columns.numbers.items():
        gone = np.isnan(values)
        if gone.all():
            continue
        add(np.where(gone, np.median(values[~gone]), values), name=name)
        if gone.sum() >= least:
            add(gone, one=Condition(name, missing=True))
    for name, (levels, codes) in columns.levels.items():
        for code in searched(codes, errors, least=least):
            add(codes == code, one=Condition(name, levels=(levels[code],)))
        if (codes < 0).sum() >= least and name not in columns.numbers:
            add(codes < 0, one=Condition(name, missing=True))
    matrix = np.stack(parts, axis=1) if parts else np.zeros((len(errors), 0))
    return Encoded(matrix, tuple(names), tuple(ones))


def by_tree(
    columns: Columns, errors: NDArray[np.float64], *, most: int, least: int
) -> list[Conditions]:
    """The nodes whose mean error is above that of all rows.

    Args:
        columns: The columns of the rows that are searched.
        errors: `[row]`.
        most: Most conjuncts.
        least: Fewest rows.
    """
    from sklearn.tree import DecisionTreeRegressor

    encoded = encode(columns, errors, least=least)
    if not encoded.matrix.shape[1]:
        return []
    tree = DecisionTreeRegressor(max_depth=most + 1, min_samples_leaf=least, random_state=0)
    tree.fit(encoded.matrix, errors)
    means = tree.tree_.value[:, 0, 0]
    found = [
        conditions
        for node, conditions in paths(tree.tree_, encoded, columns)
        if means[node] > means[0] and 0 < len(conditions) <= most
    ]
    return list(dict.fromkeys(found))


def paths(tree: Any, encoded: Encoded, columns: Columns) -> list[tuple[int, Conditions]]:
    """What leads to each node but the root; "not this level" is left out of the words.

    Leaving it out makes a node's conjunction hold in more rows than the node has. Slices are
    judged by the rows in which their conjunction holds.
    """
    found: list[tuple[int, Conditions]] = []
    waiting: list[tuple[int, tuple[Condition, ...]]] = [(0, ())]
    while waiting:
        node, atoms = waiting.pop()
        if node:
            found.append((node, joined(atoms)))
        feature = int(tree.feature[node])
        if feature < 0:
            continue
        cut = float(tree.threshold[node])
        name, one = encoded.names[feature], encoded.ones[feature]
        left: tuple[Condition, ...] = ()
        right: tuple[Condition, ...] = (one,) if one is not None else ()
        if name is not None:
            cut = readable(columns.numbers[name], cut)
            left, right = (Condition(name, high=cut),), (Condition(name, low=cut),)
        waiting.append((int(tree.children_left[node]), (*atoms, *left)))
        waiting.append((int(tree.children_right[node]), (*atoms, *right)))
    return found


__all__ = ["Encoded", "by_tree", "encode", "paths"]
