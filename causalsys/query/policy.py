"""What a policy looks at beyond this step, and policies that are models of another library.

The default value of a policy's argument says what it is given in its place: the past of this world
(`past`), or what is known to come (`ahead`). An argument `memory=None` makes a policy stateful.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from causalsys.errors import InterventionError
from causalsys.scm.variables import Variable

MEMORY = "memory"
_LEAD = 2
"""The axes of a scalar as policies see it: sample and trace."""


@dataclass(frozen=True)
class Past:
    """A variable's last values; made by `past`."""

    name: str
    steps: int


@dataclass(frozen=True)
class Ahead:
    """A variable's next values; made by `ahead`."""

    name: str
    steps: int


def past(variable: Variable | str, steps: int = 1) -> Any:
    """The default of a policy's argument: the variable's values in the steps before this one.

    They are those of the world in which the policy acts, the oldest first.

    Args:
        variable: The variable, or its name.
        steps: How many steps back.

    Returns:
        What the argument is given: `[..., trace, steps]` (vectors `[..., trace, steps, size]`), 0
        before the trace began; with one step, that axis is left out.

    Raises:
        InterventionError: The number of steps is no whole number of at least 1.

    Example:
        >>> def rate_based(throughputs=past("throughput", steps=5)):
        ...     return throughputs.mean(-1)
    """
    return Past(_named(variable), _steps(steps, "past"))


def ahead(variable: Variable | str, steps: int = 1) -> Any:
    """The default of a policy's argument: the variable's values in this step and the next ones.

    Only of a variable that nothing in the policy's world changes: what a policy causes, it cannot
    know. The last value is repeated past the end of a trace.

    Args:
        variable: The variable, or its name.
        steps: How many steps, this one included.

    Returns:
        What the argument is given: `[..., trace, steps]`, vectors `[..., trace, steps, size]`; with
        one step, that axis is left out.

    Raises:
        InterventionError: The number of steps is no whole number of at least 1.

    Example:
        >>> def cautious(buffer, sizes=ahead("size", steps=3)):
        ...     return (sizes.sum(-2) < buffer.unsqueeze(-1)).sum(-1)
    """
    return Ahead(_named(variable), _steps(steps, "ahead"))


@dataclass(frozen=True)
class Look:
    """One argument of a policy.

    Attributes:
        argument: The argument's name.
        name: The variable that it is about; empty for the memory.
        when: This step, the past, what is to come, or the policy's own memory.
        steps: How many steps of it.
        positional: Whether it can be given by its place only.
    """

    argument: str
    name: str
    when: Literal["now", "past", "ahead", "memory"] = "now"
    steps: int = 1
    positional: bool = False


def looks_of(function: Callable[..., Any], name: str) -> tuple[Look, ...]:
    """What a policy's arguments ask for; arguments with other defaults keep these.

    Args:
        function: The policy.
        name: The variable that it decides.

    Raises:
        InterventionError: Its arguments cannot be read, or are not named.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError) as error:
        raise InterventionError(
            name,
            found="a callable whose arguments cannot be read",
            mend="Wrap it: do={...: lambda backlog: policy(backlog)}.",
        ) from error
    found = []
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            module = isinstance(function, torch.nn.Module)
            raise InterventionError(
                name,
                found=f"a torch module, {label_of(function)}, that does not say what it reads"
                if module
                else f"a function with the argument *{parameter.name}",
                mend='Say it: cs.policy(module, reads=["buffer"]).'
                if module
                else "Name the variables that it reads as its arguments.",
            )
        label, default = parameter.name, parameter.default
        placed = parameter.kind is parameter.POSITIONAL_ONLY
        if default is parameter.empty:
            found.append(Look(label, label, positional=placed))
        elif isinstance(default, Past):
            found.append(Look(label, default.name, "past", default.steps, placed))
        elif isinstance(default, Ahead):
            found.append(Look(label, default.name, "ahead", default.steps, placed))
        elif label == MEMORY and default is None:
            found.append(Look(label, "", "memory", 1, placed))
    return tuple(found)


@dataclass(frozen=True)
class Moment:
    """A step of traces, as a policy sees it.

    Attributes:
        past: A variable's values in as many steps before, oldest first.
        ahead: A variable's values in this and the next steps.
        draw: A draw from a distribution.
        recall: What the policy kept of the step before; None at the first.
        keep: Hands a memory on to the next step.
        told: The step and a trace, by the latter's place, in words.
    """

    past: Callable[[str, int], Tensor]
    ahead: Callable[[str, int], Tensor]
    draw: Callable[[Distribution], Tensor]
    recall: Callable[[], Any]
    keep: Callable[[Any], None]
    told: Callable[[int], str]


@runtime_checkable
class Predicts(Protocol):
    """What scikit-learn's estimators offer."""

    def predict(self, rows: Any) -> Any: ...


@dataclass(frozen=True)
class ModelPolicy:
    """A model of another library as a policy; made by `policy`."""

    model: Any
    reads: tuple[Any, ...]

    def __post_init__(self) -> None:
        parameters = []
        for place, read in enumerate(self.reads):
            label = read if isinstance(read, str) else f"{read.name}_{place}"
            default = inspect.Parameter.empty if isinstance(read, str) else read
            kind = inspect.Parameter.KEYWORD_ONLY
            parameters.append(inspect.Parameter(label, kind, default=default))
        object.__setattr__(self, "__signature__", inspect.Signature(parameters))

    @property
    def __name__(self) -> str:
        return type(self.model).__name__

    def __call__(self, **given: Tensor) -> Tensor:
        values = list(given.values())
        lead = torch.broadcast_shapes(*(value.shape[:_LEAD] for value in values))
        wide = [value.expand(*lead, *value.shape[_LEAD:]) for value in values]
        columns = [value.reshape(*lead, -1) for value in wide]
        features = torch.cat([column.double() for column in columns], -1)
        if isinstance(self.model, torch.nn.Module):
            return self._module(features)
        rows = features.reshape(-1, features.shape[-1]).numpy()
        found = np.asarray(self.model.predict(rows))
        return torch.from_numpy(np.ascontiguousarray(found)).reshape(lead)

    def _module(self, features: Tensor) -> Tensor:
        weight = next(self.model.parameters(), features)
        with torch.no_grad():
            found: Tensor = self.model(features.to(weight.dtype))
        if found.dim() < features.dim():
            return found
        return found.squeeze(-1) if found.shape[-1] == 1 else found.argmax(-1)


def policy(model: Any, *, reads: Sequence[Any]) -> ModelPolicy:
    """A torch module, or a scikit-learn estimator, as a policy.

    A module is given `[..., trace, feature]`, the variables side by side and vectors flattened. It
    returns codes or values `[..., trace]`, or one score per level `[..., trace, level]`, of which
    the greatest counts. An estimator is given rows, `[trace, feature]`, and its `predict` returns
    codes or values.

    Args:
        model: The module or estimator, fitted.
        reads: The variables it looks at, in the order of its features: names, variables,
            `cs.past(...)` or `cs.ahead(...)`.

    Returns:
        A policy for `do`, and for `cs.simulate`.

    Raises:
        InterventionError: It is neither, or looks at nothing.

    Example:
        >>> module = torch.nn.Linear(1, 3)
        >>> chosen = policy(module, reads=["buffer"])
        >>> chosen(buffer=torch.zeros(2, 5)).shape
        torch.Size([2, 5])
    """
    if not isinstance(model, torch.nn.Module | Predicts):
        raise InterventionError(
            "policy",
            found=f"a {type(model).__name__}",
            mend="Give a torch module or a fitted scikit-learn estimator; a function is a policy "
            "as it is.",
        )
    if isinstance(reads, str) or not reads:
        raise InterventionError(
            "policy", found=f"reads={reads!r}", mend='Give a list: reads=["buffer"].'
        )
    return ModelPolicy(model, tuple(r if isinstance(r, Past | Ahead) else _named(r) for r in reads))


def label_of(function: object) -> str:
    """A policy's name, for messages."""
    given = getattr(function, "__name__", None)
    return given if isinstance(given, str) else type(function).__name__


def narrowed(memory: Any, was: int, live: int) -> Any:
    """A policy's memory for the first `live` of `was` traces, the others having ended.

    In each of its tensors the axis of traces is the second, after that of samples, where that has
    as many entries as there are traces; else the first axis that has.
    """
    if isinstance(memory, Tensor):
        fitting = [axis for axis, size in enumerate(memory.shape) if size == was]
        if not fitting:
            return memory
        return memory.narrow(1 if 1 in fitting else fitting[0], 0, live)
    if isinstance(memory, Mapping):
        return {key: narrowed(value, was, live) for key, value in memory.items()}
    if isinstance(memory, tuple) and hasattr(memory, "_fields"):
        return type(memory)(*(narrowed(value, was, live) for value in memory))
    if isinstance(memory, list | tuple):
        return type(memory)(narrowed(value, was, live) for value in memory)
    return memory


def _named(variable: Variable | str) -> str:
    return variable.name if isinstance(variable, Variable) else variable


def _steps(steps: object, what: str) -> int:
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise InterventionError(
            what, found=f"{steps!r} steps", mend="Give a whole number of at least 1."
        )
    return steps


__all__ = [
    "MEMORY",
    "Ahead",
    "Look",
    "ModelPolicy",
    "Moment",
    "Past",
    "ahead",
    "looks_of",
    "past",
    "policy",
]
