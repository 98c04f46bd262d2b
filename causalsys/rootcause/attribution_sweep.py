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
from causalsys.scm.evaluate import call
from causalsys.scm.supports import Categorical

Valued = Callable[[Node, Tensor, Mapping[str, Tensor]], Tensor]
"""A learned variable's value, of whether it is in each coalition and of its parents."""


@dataclass(frozen=True, eq=False)
class Plan:
    """Which coalitions each variable tells apart.

    Attributes:
        inside: By learned variable, whether it is in each of its coalitions, `[own]`.
        parents: By variable and parent, which of the parent's coalitions each of its own is.
        target: Which of the target's coalitions each coalition is, `[coalition]`.
        widest: The most coalitions that a variable tells apart.
    """

    inside: Mapping[str, Tensor]
    parents: Mapping[tuple[str, str], Tensor]
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
        place = {name: at for at, name in enumerate(self.players)}
        above: dict[str, set[int]] = {}
        which: dict[str, NDArray[np.int64]] = {}
        inside: dict[str, Tensor] = {}
        parents: dict[tuple[str, str], Tensor] = {}
        widest = 1
        for node in self.nodes:
            own = {place[node.name]} if node.name in place else set()
            above[node.name] = own.union(*(above[ref.name] for ref in node.parents))
            first, which[node.name] = distinct(coalitions[:, sorted(above[node.name])])
            widest = max(widest, len(first))
            if own:
                inside[node.name] = torch.from_numpy(coalitions[first, place[node.name]])
            for ref in node.parents:
                parents[node.name, ref.name] = torch.from_numpy(which[ref.name][first])
        return Plan(inside, parents, torch.from_numpy(which[self.target]), widest)

    def run(self, plan: Plan, valued: Valued) -> Tensor:
        """The target's values, `[its coalition, member, row]`.

        Args:
            plan: What there is to compute.
            valued: A learned variable's values, `[its coalition, member, row]`, its parents being
                given likewise.
        """
        supports = self.schema.supports
        last = {ref.name: node.name for node in self.nodes for ref in node.parents}
        values: dict[str, Tensor] = {}
        for node in self.nodes:
            above = {
                ref.key: values[ref.name].index_select(0, plan.parents[node.name, ref.name])
                for ref in node.parents
            }
            if node.function is not None:
                value = call(
                    node.function,
                    list(above.values()),
                    name=node.name,
                    support=supports[node.name],
                    supports=[supports[ref.name] for ref in node.parents],
                )
            else:
                value = valued(node, plan.inside[node.name], above)
            values[node.name] = (
                value.long() if isinstance(supports[node.name], Categorical) else value
            )
            for name in [name for name, done in last.items() if done == node.name]:
                values.pop(name, None)
        return values[self.target]


__all__ = ["Plan", "Sweep", "Valued"]
