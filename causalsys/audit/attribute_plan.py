"""Many coalitions of interventions: each variable is computed once for each it can tell apart.

A variable that a coalition sets forgets everything above it, so that far fewer worlds differ than
there are coalitions. In `rootcause.attribution_sweep` a coalition fixes noises, and its members go
on to hear their causes; here it fixes values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causalsys.data.schema import Schema
from causalsys.mechanisms.base import Mechanism
from causalsys.scm.declaration import Node
from causalsys.scm.evaluate import computed
from causalsys.scm.supports import Categorical


@dataclass(frozen=True, eq=False)
class Place:
    """The worlds that one variable tells apart: those where it is free, then the one it is set in.

    Attributes:
        parents: By parent, which of the parent's worlds each free world sees, `[free]`.
        free: How many free worlds there are.
        fixed: Whether any coalition sets it.
    """

    parents: Mapping[str, Tensor]
    free: int
    fixed: bool


@dataclass(frozen=True, eq=False)
class Plan:
    """What there is to compute.

    Attributes:
        places: By variable.
        read: By variable that is read, which of its worlds each distinct reading sees,
            `[reading]`.
        reading: Which reading each coalition is, `[coalition]`.
    """

    places: Mapping[str, Place]
    read: Mapping[str, Tensor]
    reading: Tensor

    @property
    def widest(self) -> int:
        """The most worlds of anything."""
        most = max(len(each) for each in self.read.values())
        return max([most, *(place.free + place.fixed for place in self.places.values())])


@dataclass(frozen=True, eq=False)
class Worlds:
    """What a prediction follows from, in a causal order.

    Attributes:
        schema: What the variables are.
        nodes: The variables that are read, and their causes.
        players: Those of them that are logged and learned: these are set. Others follow from
            their causes.
        read: What is read.
    """

    schema: Schema
    nodes: tuple[Node, ...]
    players: tuple[str, ...]
    read: tuple[str, ...]

    @classmethod
    def above(cls, read: Sequence[str], schema: Schema) -> Self:
        """All that these variables depend on."""
        graph = schema.declaration.graph
        names = set(read).union(*(graph.ancestors(name) for name in read))
        nodes = tuple(n for name, n in schema.declaration.nodes.items() if name in names)
        players = tuple(n.name for n in nodes if n.learned and n.kind != "latent")
        return cls(schema, nodes, players, tuple(read))

    def plan(self, coalitions: NDArray[np.bool_]) -> Plan:
        """What there is to compute for these coalitions, `[coalition, player]`."""
        number = {name: at for at, name in enumerate(self.players)}
        which: dict[str, NDArray[np.int64]] = {}
        places: dict[str, Place] = {}
        for node in self.nodes:
            own = number.get(node.name)
            inside = np.zeros(len(coalitions), bool) if own is None else coalitions[:, own]
            seen = [which[ref.name][~inside] for ref in node.parents]
            first, at = _distinct(seen, int((~inside).sum()))
            found = np.full(len(coalitions), len(first))
            found[~inside] = at
            which[node.name] = found
            parents = {
                ref.name: torch.from_numpy(column[first])
                for ref, column in zip(node.parents, seen, strict=True)
            }
            places[node.name] = Place(parents, len(first), bool(inside.any()))
        columns = [which[name] for name in self.read]
        first, at = _distinct(columns, len(coalitions))
        read = {
            name: torch.from_numpy(column[first])
            for name, column in zip(self.read, columns, strict=True)
        }
        return Plan(places, read, torch.from_numpy(at))

    def run(
        self,
        plan: Plan,
        mechanisms: Mapping[str, Mechanism],
        *,
        own: Mapping[str, Tensor],
        drawn: Mapping[str, Tensor],
    ) -> dict[str, Tensor]:
        """What is read, `[its world, row * draw]`, the draws of a row together.

        Args:
            plan: What there is to compute.
            mechanisms: Each with one member.
            own: The rows' values of the players, `[row, ...]`.
            drawn: Noise of every learned variable, `[draw, ...]`.
        """
        supports = self.schema.supports
        rows, draws = len(next(iter(own.values()))), len(next(iter(drawn.values())))
        size = rows * draws
        last = {ref.name: node.name for node in self.nodes for ref in node.parents}
        values: dict[str, Tensor] = {}
        for node in self.nodes:
            place, parts = plan.places[node.name], []
            if place.free:
                parents = {
                    ref.key: values[ref.name].index_select(0, place.parents[ref.name])
                    for ref in node.parents
                }
                value = _free(node, parents, self.schema, mechanisms, drawn, rows=rows)
                trail = value.shape[3:] if node.function is None else value.shape[2:]
                value = value.reshape(-1, *value.shape[-1 - len(trail) :])
                parts.append(value.expand(place.free, size, *trail))
            if place.fixed:
                kept = own[node.name].repeat_interleave(draws, 0)[None]
                parts.append(kept.to(parts[0].dtype) if parts else kept)
            found = torch.cat(parts) if len(parts) > 1 else parts[0]
            values[node.name] = (
                found.long() if isinstance(supports[node.name], Categorical) else found
            )
            for name in [n for n, done in last.items() if done == node.name]:
                if name not in self.read:
                    values.pop(name, None)
        return {name: values[name] for name in self.read}


def _free(
    node: Node,
    parents: Mapping[str, Tensor],
    schema: Schema,
    mechanisms: Mapping[str, Mechanism],
    drawn: Mapping[str, Tensor],
    *,
    rows: int,
) -> Tensor:
    """A variable by itself: `[world, row * draw]` of an equation, `[world, 1, ...]` of a law."""
    supports = schema.supports
    if node.function is not None:
        return computed(node, list(parents.values()), supports=supports)
    mechanism, noise = mechanisms[node.name], drawn[node.name]
    wide = noise[None].expand(rows, *noise.shape).reshape(1, 1, -1, *noise.shape[1:])
    # The laws have an axis of members before that of rows.
    return mechanism.push(wide, {key: value.unsqueeze(1) for key, value in parents.items()})


def _distinct(
    columns: Sequence[NDArray[np.int64]], length: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each distinct row of these columns is first found, and which of them every row is."""
    if not columns:
        return np.zeros(min(length, 1), np.int64), np.zeros(length, np.int64)
    key, first = np.zeros(length, np.int64), np.zeros(0, np.int64)
    for column in columns:
        # Renumbered after each column, so that the key stays small.
        mixed = key * (int(column.max(initial=0)) + 1) + column
        _, first, key = np.unique(mixed, return_index=True, return_inverse=True)
    return first.astype(np.int64), key.reshape(-1).astype(np.int64)


__all__ = ["Place", "Plan", "Worlds"]
