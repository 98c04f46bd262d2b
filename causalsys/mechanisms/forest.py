"""Regression trees as tensors, evaluated for all members, trees and rows at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causalsys.mechanisms.base import State

_AT_ONCE = 300_000
"""Rows are taken in pieces of about this many (member, tree, row) triples, to stay in the cache."""


def stack(forests: Sequence[Sequence[NDArray[Any]]]) -> dict[str, Tensor]:
    """Trees as scikit-learn's arrays of nodes, one list to a member, as tensors.

    Returns:
        `tree.feature`, `tree.threshold`, `tree.value` `[member, tree, node]` and `tree.child`
        `[member, tree, node, 2]`, padded; a leaf is its own child. `tree.depth` `[1]` is that
        of the deepest tree.
    """
    members, trees = len(forests), max(map(len, forests))
    nodes = max((len(tree) for forest in forests for tree in forest), default=1)
    feature = np.zeros((members, trees, nodes), dtype=np.int64)
    threshold = np.zeros((members, trees, nodes))
    value = np.zeros((members, trees, nodes))
    child = np.tile(np.arange(nodes)[:, None], (members, trees, 1, 2))
    depth = 0
    for member, forest in enumerate(forests):
        for index, tree in enumerate(forest):
            at = (member, index, slice(len(tree)))
            leaf = tree["is_leaf"].astype(bool)
            value[at] = np.where(leaf, tree["value"], 0.0)
            feature[at] = np.where(leaf, 0, tree["feature_idx"])
            threshold[at] = np.where(leaf, 0.0, tree["num_threshold"])
            own = np.arange(len(tree))
            child[(*at, 0)] = np.where(leaf, own, tree["left"])
            child[(*at, 1)] = np.where(leaf, own, tree["right"])
            depth = max(depth, int(tree["depth"].max()))
    return {
        "tree.feature": torch.from_numpy(feature),
        "tree.threshold": torch.from_numpy(threshold),
        "tree.value": torch.from_numpy(value),
        "tree.child": torch.from_numpy(child),
        "tree.depth": torch.tensor([depth]),
    }


def evaluate(design: Tensor, state: State) -> Tensor:
    """The sum of each member's trees, `[..., member, row]`.

    Args:
        design: `[..., member or 1, row, column]`.
        state: What `stack` gave.
    """
    feature = state["tree.feature"]
    members, trees, _nodes = feature.shape
    members = max(members, design.shape[-3])
    design = design.expand(*design.shape[:-3], members, *design.shape[-2:])
    shape = design.shape[:-1]
    if not trees:
        return design.new_zeros(shape)
    # [member, every row, column], whatever other axes there are.
    flat = design.movedim(-3, 0).reshape(members, -1, design.shape[-1])
    pieces = flat.split(max(_AT_ONCE // (members * trees), 1), dim=1)
    total = torch.cat([_walk(piece.contiguous(), state) for piece in pieces], dim=1)
    return total.reshape(members, *shape[:-2], shape[-1]).movedim(0, -2)


def _walk(design: Tensor, state: State) -> Tensor:
    """The sum of the trees at `[member, row, column]`, shaped `[member, row]`."""
    feature = state["tree.feature"]
    members, rows, columns = design.shape
    own, trees, nodes = feature.shape
    flat = design.flatten()
    feature, child = feature.flatten(), state["tree.child"].flatten()
    threshold, value = state["tree.threshold"].flatten(), state["tree.value"].flatten()
    # Every tree begins at its own root; positions count through all the members' nodes.
    root = torch.arange(own * trees, device=design.device).reshape(own, trees, 1) * nodes
    root = root.expand(members, trees, rows).flatten()
    row = torch.arange(members * rows, device=design.device).reshape(members, 1, rows) * columns
    row = row.expand(members, trees, rows).flatten()
    node = torch.zeros_like(root)
    for _ in range(int(state["tree.depth"])):
        at = root + node
        right = flat.take(row + feature.take(at)) > threshold.take(at)
        node = child.take(2 * at + right)
    return value.take(root + node).reshape(members, trees, rows).sum(1)
