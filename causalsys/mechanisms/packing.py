"""Between a state's named tensors and the rows of parameters that an optimiser moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from math import prod

import torch
from torch import Tensor


def pack(state: Mapping[str, Tensor], names: Sequence[str]) -> Tensor:
    """The tensors `names`, each `[member, ...]`, as `[member, parameter]`."""
    return torch.cat([state[name].flatten(1) for name in names], dim=-1)


def unpack(points: Tensor, state: Mapping[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
    """The inverse: `state` with the tensors `names` taken from `points`, `[member, parameter]`.

    There may be more or fewer points than `state` has members.
    """
    shapes = [state[name].shape[1:] for name in names]
    sizes = [prod(shape) for shape in shapes]
    ends = list(accumulate(sizes))
    found = dict(state)
    for name, shape, size, end in zip(names, shapes, sizes, ends, strict=True):
        found[name] = points[:, end - size : end].unflatten(-1, shape or (1,))
    return found
