"""A hidden confounder of given strength, added to a fitted model that keeps its observed law.

A cause x has the score h(x), standard normal given its parents; an effect v = f(parents, n) has
the noise n, independent of x given its parents, as any fit makes it. Let a confounder give v the
noise m = ρ h(x) + √(1-ρ²) n instead, whose correlation with the score is ρ. The mechanism

    v = f(parents, (m - ρ h(x)) / √(1-ρ²))

then gives what was observed, whatever ρ is: no data tell one ρ from another. The answers differ.
Setting x to x' keeps the noise m, so the noise to push is

    n' = n + ρ/√(1-ρ²) · (h(x) - h(x')).

For a linear normal model this is the omitted variable's bias (Cinelli and Hazlett, JRSS B 2020);
in general it is a Gaussian copula between the cause and the effect's potential values, one of the
families "without observable implications" (Franks, D'Amour and Feller, JASA 2020; Zheng, D'Amour
and Franks, 2021). Here it costs one push.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from causalsys.data.schema import Schema
from causalsys.fit.abduct import Abducted
from causalsys.fit.fitted import Fitted
from causalsys.query.ask import plan_of, world_of
from causalsys.query.asked import world
from causalsys.query.confounded import Pair
from causalsys.query.intervention import Do, Under, Value
from causalsys.query.score import fall, shifted
from causalsys.query.world import Rows, Unfolding, World
from causalsys.scm.declaration import Node, ParentRef
from causalsys.scm.order import reached
from causalsys.scm.supports import Boolean, Categorical


@dataclass(frozen=True)
class Tilt:
    """Rows, abducted once, from which every strength's worlds are predicted.

    Attributes:
        fitted: The model.
        found: What was inferred of the rows; the same for every strength.
        pairs: Which causes and effects the confounder ties. Several causes of one effect are
            tied by the sum of their scores, of which the strength is the correlation.
    """

    fitted: Fitted
    found: Abducted
    pairs: tuple[Pair, ...]
    _noises: dict[tuple[str, int], Tensor] = field(default_factory=dict, repr=False)
    _falls: dict[tuple[str, int, float], tuple[Tensor, list[Tensor]]] = field(
        default_factory=dict, repr=False
    )

    def values(self, name: str, do: Do, *, strength: float, against: bool = False) -> Tensor:
        """A variable's values in a world, `[1 or sample, row]`.

        Args:
            name: The variable.
            do: The world.
            strength: The correlation that the confounder gives the two noises.
            against: Whether this world is the one subtracted. A level's score points to the
                level that is set, so it is turned there: the confounder favours one world.
        """
        given: dict[str, Any] = {}
        for key, value in world(do).items():
            if isinstance(value, Under):
                inner = self.values(key, value.do, strength=strength, against=against)
                value = Value(inner)
            given[key] = value
        plain = plan_of(self.fitted, self.found)
        acts = world_of(given, self.fitted, plain, index=self.found.table.index)
        plan = self._unfolding(plain, name, acts, -1.0 if against else 1.0, strength)
        predicted = plan.predict([acts])
        return predicted[name][0] if name in predicted else plan.factual[name]

    def _unfolding(
        self, plain: Unfolding, name: str, acts: World, sign: float, strength: float
    ) -> Unfolding:
        """How to roll rows forward in a world, as far as a variable depends on it."""
        causes: dict[str, list[str]] = {}
        for pair in self.pairs:
            if pair.cause in acts:
                causes.setdefault(pair.effect, []).append(pair.cause)
        wide = {effect: self._widened(effect, mine) for effect, mine in causes.items()}
        nodes = {**self.fitted.declaration.nodes, **wide}
        reads = {key: [*act.reads] for key, act in acts.items()}
        above = {
            key: [parent.name for parent in node.parents] + reads.get(key, [])
            for key, node in nodes.items()
        }
        needed = reached([name], above)
        declaration = replace(
            self.fitted.declaration, nodes={key: nodes[key] for key in nodes if key in needed}
        )
        factor = strength / math.sqrt(1 - strength**2)

        def carry(node: Node, rows: Rows, changed: Mapping[str, Tensor]) -> Tensor | None:
            if node.name not in wide:
                assert plain.carry is not None
                return plain.carry(node, rows, changed)
            before = {
                key: value[:, rows] for key, value in self.found.table.parents_of(node).items()
            }
            now = {**before, **changed}
            count = sum(pair.effect == node.name for pair in self.pairs)
            mechanism, noise = self.found.mechanisms[node.name], self._noise(node, rows)
            for cause in causes[node.name]:
                by = self._fall(cause, rows, before, now, sign)
                noise = shifted(mechanism, noise, factor / math.sqrt(count) * by)
            return mechanism.push(noise, {key: now[key] for key in mechanism.parents})

        schema = Schema(declaration, plain.schema.supports)
        return replace(plain, schema=schema, carry=carry, told=frozenset())

    def _fall(
        self,
        cause: str,
        rows: Rows,
        before: Mapping[str, Tensor],
        now: Mapping[str, Tensor],
        sign: float,
    ) -> Tensor:
        """How far the score of a cause falls, by which much less the noise has to explain.

        It is kept from strength to strength, as long as the world above the effect is the same.
        """
        mechanism = self.found.mechanisms[cause]
        key, after = (
            (cause, _start(rows), sign),
            [now[name] for name in (cause, *mechanism.parents)],
        )
        last = self._falls.get(key)
        if last is not None and all(map(torch.equal, last[1], after)):
            return last[0]
        found = fall(
            mechanism,
            before[cause],
            {name: before[name] for name in mechanism.parents},
            now=now[cause],
            changed={name: now[name] for name in mechanism.parents},
            seed=zlib.crc32(f"{self.found.seed}/{cause}/{_start(rows)}/score".encode()),
        )
        turned = isinstance(mechanism.support, Categorical)
        if turned and not isinstance(mechanism.support, Boolean):
            found = sign * found
        # The worlds' values are written in place: they are copied to be compared with.
        self._falls[key] = found, [value.clone() for value in after]
        return found

    def _noise(self, node: Node, rows: Rows) -> Tensor:
        """The noise of an effect as the fitted model has it, kept from strength to strength."""
        key = (node.name, _start(rows))
        if key not in self._noises:
            self._noises[key] = self.found.noise_of(self.fitted.node(node.name), rows)
        return self._noises[key]

    def _widened(self, effect: str, causes: list[str]) -> Node:
        """The effect with its causes, and their parents, among its own parents.

        Under the confounded mechanism it depends on them, as a score is one given the parents.
        """
        node = self.fitted.node(effect)
        known = {parent.key: parent for parent in node.parents}
        for cause in causes:
            for parent in (ParentRef(cause), *self.fitted.node(cause).parents):
                known.setdefault(parent.key, parent)
        return replace(node, parents=tuple(known.values()))


def _start(rows: Rows) -> int:
    """The first of some rows, which tells them from others."""
    return rows.start if isinstance(rows, slice) else int(rows[0]) if len(rows) else 0
