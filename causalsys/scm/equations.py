"""Small functions for use in equations and transitions, over tensors shaped `[..., row]`."""

from __future__ import annotations

import torch
from torch import Tensor


def pick(vector: Tensor, index: Tensor) -> Tensor:
    """The element of each row's vector that `index` names.

    Args:
        vector: Shaped `[..., row, size]`.
        index: Whole numbers from 0 to size - 1, shaped `[..., row]`.

    Returns:
        Shaped `[..., row]`, in the unit of `vector`.

    Example:
        >>> import torch
        >>> pick(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([1, 0]))
        tensor([2., 3.])
    """
    shape = _shared(vector, index)
    position = index.long().expand(shape).unsqueeze(-1)
    return vector.expand(*shape, vector.shape[-1]).gather(-1, position).squeeze(-1)


def add_at(vector: Tensor, index: Tensor, amount: Tensor) -> Tensor:
    """Each row's vector with `amount` added to the element that `index` names.

    Args:
        vector: Shaped `[..., row, size]`.
        index: Whole numbers from 0 to size - 1, shaped `[..., row]`.
        amount: Shaped `[..., row]`, in the unit of `vector`.

    Example:
        >>> import torch
        >>> add_at(torch.zeros(2, 2), torch.tensor([1, 0]), torch.tensor([5.0, 7.0]))
        tensor([[0., 5.],
                [7., 0.]])
    """
    shape = _shared(vector, index, amount)
    position = index.long().expand(shape).unsqueeze(-1)
    added = amount.to(vector.dtype).expand(shape).unsqueeze(-1)
    return vector.expand(*shape, vector.shape[-1]).scatter_add(-1, position, added)


def _shared(vector: Tensor, *scalars: Tensor) -> tuple[int, ...]:
    """The common shape `[..., row]` of a vector's rows and the scalars beside it."""
    rows = tuple(vector.shape[:-1])
    shapes = [tuple(scalar.shape) for scalar in scalars]
    if all(shape == rows for shape in shapes):  # As nearly always, and torch takes its time.
        return rows
    return tuple(torch.broadcast_shapes(rows, *shapes))
