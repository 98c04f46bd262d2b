"""One target under many coalitions: each variable is computed once for each that it can tell apart.

Which of the players are in a coalition matters to a variable only as far as they are among its
causes, or are the variable itself. So a variable high up has a few values, not one per coalition,
and what a player further down does is never computed again above it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causalsys.data.schema import Schema
from causalsys.rootcause.shapley import distinct
from causalsys.scm.declaration import Node
from causalsys.scm.evaluate import computed
from causalsys.scm.supports import Categorical


@dataclass(frozen=True, eq=False)
class Place:
    """Which coalitions one variable tells apart.

    Attributes:
        inside: Whether it is in each of its own coalitions, `[own]`; those without it are first.
        above: Which of the coalitions that its causes tell apart each of its own is, `[own]`.
        parents: By parent, which of the parent's coalitions each of its causes' is, `[cause]`.
    """

    inside: Tensor
    above: Tensor
    parents: Mapping[str, Tensor]

    @property
    def without(self) -> int:
        """How many of its coalitions are without it."""
        return int((~self.inside).sum())


@dataclass(frozen=True, eq=False)
class Cell:
    """One variable that is to be computed in all of its coalitions.

    Attributes:
        node: The variable.
        place: Its coalitions.
        values: What was computed of its parents, by name.
    """

    node: Node
    place: Place
    values: Mapping[str, Tensor]

    def causes(self) -> dict[str, Tensor]:
        """Its parents, by key, in each coalition that they tell apart."""
        return {
            ref.key: self.values[ref.name].index_select(0, self.place.parents[ref.name])
            for ref in self.node.parents
        }

    def parents(self, some: slice = slice(None)) -> dict[str, Tensor]:
        """Its parents, by key, in some of its own coalitions."""
        return {
            ref.key: self.values[ref.name].index_select(
                0, self.place.parents[ref.name][self.place.above[some]]
            )
            for ref in self.node.parents
        }


Valued = Callable[[Cell], Tensor]
"""A learned variable's values, `[its coalition, member, row]`."""


@dataclass(frozen=True, eq=False)
class Plan:
    """What there is to compute.

    Attributes:
        places: By variable.
        target: Which of the target's coalitions each coalition is, `[coalition]`.
        widest: The most coalitions that a variable tells apart.
    """

    places: Mapping[str, Place]
    target: Tensor
    widest: int


@dataclass(frozen=True, eq=False)
class Sweep:
    """The target and its causes, in a causal order.

    Attributes:
        schema: What the variables are.
        nodes: The variables.
        players: Those of them that are learned: the others follow from their causes.
        target: The last of them.
    """

    schema: Schema
    nodes: tuple[Node, ...]
    players: tuple[str, ...]
    target: str

    @classmethod
    def to(cls, target: str, schema: Schema) -> Self:
        """All that a variable depends on."""
        declaration = schema.declaration
        above = {target, *declaration.graph.ancestors(target)}
        nodes = tuple(node for name, node in declaration.nodes.items() if name in above)
        return cls(schema, nodes, tuple(node.name for node in nodes if node.learned), target)

    def plan(self, coalitions: NDArray[np.bool_]) -> Plan:
        """What there is to compute for these coalitions, `[coalition, player]`."""
        number = {name: at for at, name in enumerate(self.players)}
        above: dict[str, set[int]] = {}
        which: dict[str, NDArray[np.int64]] = {}
        places: dict[str, Place] = {}
        for node in self.nodes:
            causes = set().union(*(above[ref.name] for ref in node.parents))
            first, config = distinct(coalitions[:, sorted(causes)])
            parents = {ref.name: torch.from_numpy(which[ref.name][first]) for ref in node.parents}
            own = number.get(node.name)
            bit = np.zeros(len(coalitions), bool) if own is None else coalitions[:, own]
            # Sorted by whether it is in, then by what its causes tell apart.
            keys, which[node.name] = np.unique(bit * len(first) + config, return_inverse=True)
            above[node.name] = causes if own is None else causes | {own}
            places[node.name] = Place(
                torch.from_numpy(keys >= len(first)), torch.from_numpy(keys % len(first)), parents
            )
        widest = max(len(place.inside) for place in places.values())
        return Plan(places, torch.from_numpy(which[self.target]), widest)

    def run(self, plan: Plan, valued: Valued) -> Tensor:
        """The target's values, `[its coalition, member, row]`.

        Args:
            plan: What there is to compute.
            valued: Computes a learned variable.
        """
        supports = self.schema.supports
        last = {ref.name: node.name for node in self.nodes for ref in node.parents}
        values: dict[str, Tensor] = {}
        for node in self.nodes:
            cell = Cell(node, plan.places[node.name], values)
            if node.function is not None:
                value = computed(node, list(cell.parents().values()), supports=supports)
            else:
                value = valued(cell)
            values[node.name] = (
                value.long() if isinstance(supports[node.name], Categorical) else value
            )
            for name in [name for name, done in last.items() if done == node.name]:
                values.pop(name, None)
        return values[self.target]


__all__ = ["Cell", "Plan", "Sweep", "Valued"]
