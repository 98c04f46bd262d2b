"""Calling a user's function on tensors, and checking what comes back."""

from __future__ import annotations

import inspect
from collections.abc import Sequence

import torch
from torch import Tensor

from causalsys.errors import QueryError
from causalsys.scm.supports import Boolean, Categorical, Support
from causalsys.scm.variables import Function


def call(
    function: Function,
    arguments: Sequence[Tensor],
    *,
    name: str,
    support: Support,
    supports: Sequence[Support],
) -> Tensor:
    """Evaluate an equation or a transition.

    Args:
        function: The user's function.
        arguments: Its parents, shaped `[..., row]` (vectors `[..., row, size]`).
        name: The variable it gives, for messages.
        support: That variable's support.
        supports: The arguments' supports; booleans are handed over as booleans.

    Returns:
        Values with the arguments' common shape: float64, or codes for a category.

    Raises:
        QueryError: The function failed, or gave the wrong shape, or NaN.
    """
    given = [as_given(value, kind) for value, kind in zip(arguments, supports, strict=True)]
    try:
        result = function(*given)
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        raise QueryError(
            name,
            found=f"its function {_label(function)} failed: {error}",
            mend="It is called with tensors shaped [..., row]; vectors have one more axis.",
        ) from error
    lead = [
        tuple(v.shape[:-1] if kind.size else v.shape)
        for v, kind in zip(arguments, supports, strict=True)
    ]
    return checked(result, name=name, support=support, shape=torch.broadcast_shapes(*lead))


def checked(result: object, *, name: str, support: Support, shape: torch.Size) -> Tensor:
    """What a user's function gave, as values of `support` shaped `shape` (plus a vector's size).

    Raises:
        QueryError: It cannot be that.
    """
    if not isinstance(result, Tensor):
        result = torch.as_tensor(result, dtype=torch.float64)
    wanted = (*shape, support.size) if support.size else tuple(shape)
    try:
        value = result.expand(wanted)
    except RuntimeError:
        raise QueryError(
            name,
            found=f"a value of shape {list(result.shape)} where {list(wanted)} was wanted",
            mend="Return one value per row, with the same leading axes as the arguments.",
        ) from None
    if isinstance(support, Categorical):
        return value.long()
    value = value.double()
    if bool(value.isnan().any()):
        raise QueryError(
            name, found="NaN from its function", mend="Guard the division or logarithm in it."
        )
    return value


def as_given(value: Tensor, support: Support) -> Tensor:
    """A value as users' functions see it: booleans as booleans."""
    return value.bool() if isinstance(support, Boolean) else value


def argument_names(function: Function) -> tuple[str, ...]:
    """The names of a function's arguments."""
    return tuple(inspect.signature(function).parameters)


def _label(function: Function) -> str:
    return getattr(function, "__name__", type(function).__name__)


__all__ = ["argument_names", "as_given", "call", "checked"]
