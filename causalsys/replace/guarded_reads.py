"""What several policies read, as the arguments of one.

A guard asks its policy, its fallback and its rails in turn, each by its own arguments. The
simulator sees one function, whose arguments are all of theirs (`query/policy.py`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from causalsys.errors import InterventionError, UnknownNameError
from causalsys.query.policy import MEMORY, Ahead, Look, Past, label_of, looks_of


@dataclass(frozen=True)
class Reader:
    """A function with what it reads.

    Attributes:
        function: The function.
        looks: Its arguments.
        labels: For each, the argument of the guard that holds the same.
    """

    function: Callable[..., Any]
    looks: tuple[Look, ...]
    labels: tuple[str, ...]

    @property
    def stateful(self) -> bool:
        """Whether it keeps a memory."""
        return any(look.when == MEMORY for look in self.looks)

    def __call__(self, given: Mapping[str, Any], memory: Any = None) -> tuple[Any, Any]:
        """What it gives, and its memory for the next step."""
        placed: list[Any] = []
        named: dict[str, Any] = {}
        for look, label in zip(self.looks, self.labels, strict=True):
            if look.when != MEMORY and label not in given:
                raise UnknownNameError.among(
                    look.name,
                    given,
                    where=f"what was given, and {label_of(self.function)} reads it",
                )
            value = memory if look.when == MEMORY else given[label]
            if look.positional:
                placed.append(value)
            else:
                named[look.argument] = value
        found = self.function(*placed, **named)
        if not self.stateful:
            return found, None
        if not isinstance(found, tuple) or len(found) != 2:
            raise InterventionError(
                label_of(self.function),
                found=f"a {type(found).__name__} from a policy with a memory",
                mend="Return both: the decision, and the memory for the next step.",
            )
        return found


def readers(functions: Sequence[Callable[..., Any]]) -> tuple[Reader, ...]:
    """Functions as readers of common arguments.

    Raises:
        InterventionError: The arguments of one cannot be read, or are not named.
    """
    labels: dict[tuple[str, str, int], str] = {}
    found = []
    for function in functions:
        looks = looks_of(function, label_of(function))
        for look in looks:
            key = (look.name, look.when, look.steps)
            label = look.name if look.when == "now" else f"{look.when}_{len(labels)}"
            labels.setdefault(key, MEMORY if look.when == MEMORY else label)
        keys = [(look.name, look.when, look.steps) for look in looks]
        found.append(Reader(function, looks, tuple(labels[key] for key in keys)))
    return tuple(found)


def signature_of(found: Sequence[Reader]) -> inspect.Signature:
    """The arguments of all readers, and a memory."""
    parameters: dict[str, Any] = {}
    for reader in found:
        for look, label in zip(reader.looks, reader.labels, strict=True):
            parameters[label] = _default(look)
    parameters[MEMORY] = None
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Signature(
        [inspect.Parameter(label, kind, default=given) for label, given in parameters.items()]
    )


def _default(look: Look) -> Any:
    if look.when == "past":
        return Past(look.name, look.steps)
    if look.when == "ahead":
        return Ahead(look.name, look.steps)
    return None if look.when == MEMORY else inspect.Parameter.empty


__all__ = ["Reader", "readers", "signature_of"]
