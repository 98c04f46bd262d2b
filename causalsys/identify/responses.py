"""Response types: every way in which a district can answer to its causes.

Whatever its latents are, all that a category can do is to answer each combination of its causes'
levels with a level. A district's latents then come to one distribution over the functions that its
variables may follow, and all that is asked is linear in it (Balke and Pearl, 1997).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Levels = tuple[int, ...]
Wants = frozenset[tuple[str, Levels, int]]
"""What a type must answer: (variable, levels of its causes, level)."""


@dataclass(frozen=True)
class Types:
    """The response types of a district's variables.

    Attributes:
        variables: The variables, in causal order: the axes of a distribution over types.
        parents: Each variable's causes, in an order.
        cards: How many levels each variable and cause has.
        rising: Pairs (cause, effect) in which the effect never falls as the cause rises.

    Example:
        >>> types = Types(("y",), {"y": ("x",)}, {"x": 2, "y": 2})
        >>> types.functions["y"].tolist()
        [[0, 0], [0, 1], [1, 0], [1, 1]]

    Source: A. Balke and J. Pearl, Bounds on treatment effects from studies with imperfect
    compliance, JASA 92 (1997); M. Sachs, G. Jonzon, A. Sjölander and E. Gabriel, A general method
    for deriving tight symbolic bounds on causal effects, JCGS 32 (2022).
    """

    variables: tuple[str, ...]
    parents: Mapping[str, tuple[str, ...]]
    cards: Mapping[str, int]
    rising: frozenset[tuple[str, str]] = frozenset()

    @cached_property
    def outside(self) -> tuple[str, ...]:
        """The causes that are not among the variables, sorted by name."""
        causes = frozenset[str]().union(*self.parents.values())
        return tuple(sorted(causes - set(self.variables)))

    @cached_property
    def functions(self) -> Mapping[str, Array]:
        """Each variable's functions `[function, combination of its causes]`, as levels."""
        return {name: self._functions(name) for name in self.variables}

    @property
    def shape(self) -> tuple[int, ...]:
        """How many functions each variable may follow."""
        return tuple(len(self.functions[name]) for name in self.variables)

    def place(self, name: str, levels: Levels) -> int:
        """Where a combination of a variable's causes stands among all."""
        sizes = [self.cards[cause] for cause in self.parents[name]]
        return int(np.ravel_multi_index(levels, sizes)) if levels else 0

    def answering(self, wants: Wants) -> Array:
        """Which types answer so, as 0 or 1, in the shape of a distribution over types."""
        kept = {name: np.ones(len(self.functions[name])) for name in self.variables}
        for name, levels, level in sorted(wants):
            kept[name] = kept[name] * (self.functions[name][:, self.place(name, levels)] == level)
        found = np.ones(())
        for name in self.variables:
            found = np.multiply.outer(found, kept[name])
        return found

    def answers(self, outside: Mapping[str, int]) -> list[Array]:
        """The levels that each type gives its variables when the outside causes are set."""
        known: dict[str, Array] = {c: np.array(outside[c]) for c in self.outside}
        for axis, name in enumerate(self.variables):
            at = np.zeros((), int)
            for cause in self.parents[name]:
                at = at * self.cards[cause] + known[cause]
            own = np.arange(self.shape[axis]).reshape([-1] + [1] * (len(self.shape) - 1 - axis))
            known[name] = self.functions[name][own, at]
        return [np.broadcast_to(known[name], self.shape) for name in self.variables]

    def _functions(self, name: str) -> Array:
        sizes = [self.cards[cause] for cause in self.parents[name]]
        inputs = prod(sizes)
        own = self.cards[name]
        every = np.stack(np.unravel_index(np.arange(own**inputs), (own,) * inputs), -1)
        for axis, cause in enumerate(self.parents[name]):
            if (cause, name) in self.rising:
                steps = np.diff(every.reshape(-1, *sizes), axis=axis + 1)
                every = every[(steps.reshape(len(every), -1) >= 0).all(-1)]
        return every
