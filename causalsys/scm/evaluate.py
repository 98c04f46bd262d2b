"""Calling a user's function on tensors, and checking what comes back."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from causalsys.errors import CausalSysError, OutsideSupportError, QueryError, brief
from causalsys.scm.supports import Boolean, Categorical, Support
from causalsys.scm.variables import Function

if TYPE_CHECKING:
    from causalsys.scm.declaration import Node

_ROUNDING = 1e-9
"""How far outside its support a computed value may be, relative to its size."""


def call(
    function: Function,
    arguments: Sequence[Tensor],
    *,
    name: str,
    support: Support,
    supports: Sequence[Support],
    refusal: type[CausalSysError] = QueryError,
) -> Tensor:
    """Evaluate an equation or a transition.

    Args:
        function: The user's function.
        arguments: Its parents, shaped `[..., row]` (vectors `[..., row, size]`).
        name: The variable it gives, for messages.
        support: That variable's support.
        supports: The arguments' supports; booleans are handed over as booleans.
        refusal: What to raise.

    Returns:
        Values with the arguments' common shape: float64, or codes for a category.

    Raises:
        CausalSysError: The function failed, or gave the wrong shape, NaN, or no level.
    """
    result = evaluated(function, arguments, name=name, supports=supports, refusal=refusal)
    lead = [
        tuple(v.shape[:-1] if kind.size else v.shape)
        for v, kind in zip(arguments, supports, strict=True)
    ]
    shape = torch.broadcast_shapes(*lead)
    return checked(result, name=name, support=support, shape=shape, refusal=refusal)


def computed(
    node: Node,
    arguments: Sequence[Tensor],
    *,
    supports: Mapping[str, Support],
    refusal: type[CausalSysError] = QueryError,
) -> Tensor:
    """The value of an equation: `call` of its function.

    Args:
        node: A variable with a function.
        arguments: Its parents, in the order of declaration.
        supports: Of every variable, by name.
        refusal: What to raise.
    """
    assert node.function is not None
    return call(
        node.function,
        arguments,
        name=node.name,
        support=supports[node.name],
        supports=[supports[parent.name] for parent in node.parents],
        refusal=refusal,
    )


def evaluated(
    function: Function,
    arguments: Sequence[Any],
    *,
    name: str,
    supports: Sequence[Support],
    refusal: type[CausalSysError],
) -> object:
    """What a user's function gives, as it is.

    Raises:
        CausalSysError: The function failed.
    """
    given = [as_given(value, kind) for value, kind in zip(arguments, supports, strict=True)]
    try:
        return function(*given)
    except Exception as error:
        raise refusal(
            name,
            found=f"its function {_label(function)} failed ({brief(error)})",
            mend="It is called with tensors shaped [..., row]; vectors have one more axis.",
        ) from error


def checked(
    result: object,
    *,
    name: str,
    support: Support,
    shape: torch.Size,
    refusal: type[CausalSysError] = QueryError,
) -> Tensor:
    """What a user's function gave, as values of `support` shaped `shape` (plus a vector's size).

    Raises:
        CausalSysError: It cannot be that.
    """
    given = _numbers(result)
    if given is None:
        raise refusal(
            name,
            found=f"a {type(result).__name__} from its function, which is not numbers",
            mend="Return a tensor or a number; for a category, a level's place.",
        )
    if given.dtype == torch.bool and isinstance(support, Categorical) and support.cardinality > 2:
        raise refusal(
            name,
            found=f"true or false for one of {support.cardinality} levels",
            mend="Return a level's place, counted from 0: torch.where(x > 5, 2, 0).",
        )
    wanted = (*shape, support.size) if support.size else tuple(shape)
    try:
        value = given.expand(wanted)
    except RuntimeError:
        raise refusal(
            name,
            found=f"a value of shape {list(given.shape)} where {list(wanted)} was wanted",
            mend="Return one value per row, with the same leading axes as the arguments.",
        ) from None
    value = value.double()
    if bool(value.isnan().any()):
        raise refusal(
            name, found="NaN from its function", mend="Guard the division or logarithm in it."
        )
    if not isinstance(support, Categorical):
        return value
    if (wrong := first_outside(value, support)) is not None:
        raise OutsideSupportError(
            name,
            found=f"{wrong:g} from its function, which is no level's place",
            mend=f"Return a whole number from 0 to {support.cardinality - 1}.",
        )
    return value.long()


def first_outside(value: Tensor, support: Support) -> float | None:
    """The first value that is outside a support by more than rounding; None where all are in."""
    numbers = value.detach().double().numpy()
    wrong = numbers[support.outside(numbers)]
    if not wrong.size:
        return None
    endless, near = wrong[~np.isfinite(wrong)], wrong[np.isfinite(wrong)]
    reach = _ROUNDING * (1 + np.abs(near))
    far = near[support.outside(near - reach) & support.outside(near + reach)]
    return next((float(each) for each in (*endless[:1], *far[:1])), None)


def _numbers(result: object) -> Tensor | None:
    """A result as a tensor of real numbers; None where it is none."""
    if not isinstance(result, Tensor):
        try:
            result = torch.as_tensor(result, dtype=torch.float64)
        except (RuntimeError, TypeError, ValueError):
            return None
    return None if result.is_complex() else result


def as_given(value: Any, support: Support) -> Any:
    """A value as users' functions see it: booleans as booleans."""
    return value.bool() if isinstance(support, Boolean) else value


def argument_names(function: Function) -> tuple[str, ...]:
    """The names of a function's arguments."""
    return tuple(inspect.signature(function).parameters)


def _label(function: Function) -> str:
    return getattr(function, "__name__", type(function).__name__)


__all__ = ["argument_names", "as_given", "call", "checked", "evaluated", "first_outside"]
