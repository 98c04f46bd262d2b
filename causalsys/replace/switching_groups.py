"""Groups of rows that are alike: the hidden class, as far as the inputs show it.

Many partitions by extremely randomised trees (Geurts, Ernst and Wehenkel, Machine Learning 63,
2006), each of few groups. A tree is grown to tell apart both the target and the inputs, since a
class whose mechanism is no different yet may switch later.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from causalsys.detect.loss import Values
from causalsys.replace.switching_filter import Index

if TYPE_CHECKING:
    from sklearn.ensemble import ExtraTreesRegressor

_LEAST_ROWS = 8
_COLUMNS = 0.7
"""The share of the inputs among which a split is sought."""
_SAMPLE = 0.7
"""The share of the rows that a partition is grown on."""
_FAR = 4.0
"""Standard deviations beyond which an input counts as that far: one odd row makes no group."""


@dataclass(frozen=True)
class Groups:
    """Partitions of the rows.

    Attributes:
        forest: The trees: one partition each.
        most: The most nodes that a tree has; a group is numbered by its node.
    """

    forest: ExtraTreesRegressor
    most: int

    def of(self, inputs: Values) -> Index:
        """The group of each row in each partition, `[row, partition]`."""
        found: Index = self.forest.apply(inputs).astype(np.intp)
        return found


def grow(
    inputs: Values,
    line: Values,
    weight: Values,
    *,
    partitions: int,
    groups: int,
    shown: int,
    likeness: float,
    seed: int,
) -> Groups:
    """Partitions grown on labelled rows.

    Args:
        inputs: `[row, input]`.
        line: The target, on the scale of its levels, `[row]`.
        weight: Of each row, `[row]`.
        partitions: How many.
        groups: The most that each has.
        shown: How many of the inputs, from the first, show the hidden class: those that it acts
            on. The others, such as the hour, only help to tell the target apart.
        likeness: How much telling an input apart counts beside telling the target apart.
        seed: Fixes them.
    """
    from sklearn.ensemble import ExtraTreesRegressor

    told = [_standard(line)[:, None]]
    if likeness:
        told.append(likeness * np.clip(_standard(inputs[:, :shown]), -_FAR, _FAR))
    forest = ExtraTreesRegressor(
        partitions,
        min_samples_leaf=min(_LEAST_ROWS, max(len(line) // 4, 1)),
        max_leaf_nodes=groups,
        max_features=_COLUMNS,
        bootstrap=True,
        max_samples=_SAMPLE,
        random_state=seed,
    )
    both = np.hstack(told)
    forest.fit(inputs, both if both.shape[1] > 1 else both[:, 0], sample_weight=weight)
    return Groups(forest, max(tree.tree_.node_count for tree in forest.estimators_))


def _standard(values: Values) -> Values:
    spread = values.std(0)
    found: Values = (values - values.mean(0)) / np.where(spread > 0, spread, 1.0)
    return found


__all__ = ["Groups", "grow"]
