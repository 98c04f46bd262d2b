"""PREDICT: roll rows forward under interventions, all worlds, samples and rows at once.

Only what the interventions reach is computed; everything else keeps its factual value. A table
of independent rows is worked through in slices that fit the processor's cache, as here; traces
go step by step, all traces together: see `rollout.py`.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from causalsys.data.derived_steps import unkept
from causalsys.data.schema import Schema
from causalsys.data.table import Layout
from causalsys.errors import InterventionError
from causalsys.mechanisms.base import Mechanism
from causalsys.query.behaviour import Behaviour
from causalsys.query.intervention import Intervention, Situation
from causalsys.query.rollout import Rollout
from causalsys.scm.declaration import Node, ParentRef
from causalsys.scm.evaluate import computed
from causalsys.scm.order import causal_order, reached, some_cycle
from causalsys.scm.supports import Categorical

_SLICE = 32_768
Rows = slice | Tensor
World = Mapping[str, Intervention]


@dataclass(frozen=True)
class Unfolding:
    """What it takes to predict.

    Attributes:
        schema: What the variables are.
        mechanisms: The mechanisms, one member per sample.
        noise_of: The noise of a learned variable in some rows, `[1 or sample, row, ...]`.
        factual: Known values, `[1 or sample, row]`; kept wherever no intervention reaches.
        layout: The traces of the rows.
        samples: How many samples.
        seed: Fixes random policies.
        anew: Variables that are computed though nothing reaches them: their noise is new.
        carry: The value of a learned variable under changed parents, where its factual value
            determines its noise; otherwise None, and `noise_of` is asked.
        told: Variables whose noise the rows tell, and whose value `carry` gives by pushing it:
            their noises may as well be found for many steps at once.
    """

    schema: Schema
    mechanisms: Mapping[str, Mechanism]
    noise_of: Callable[[Node, Rows], Tensor]
    factual: Mapping[str, Tensor]
    layout: Layout
    samples: int
    seed: int
    anew: frozenset[str] = frozenset()
    carry: Callable[[Node, Rows, Mapping[str, Tensor]], Tensor | None] | None = None
    told: frozenset[str] = frozenset()

    def predict(
        self,
        worlds: Sequence[World],
        *,
        keep: Collection[str] | None = None,
        behaviour: Behaviour | None = None,
    ) -> dict[str, Tensor]:
        """The values of what the interventions reach, `[world, sample, row]`.

        What has no factual value is computed too.

        Args:
            worlds: The interventions of each world.
            keep: The variables whose values are wanted; all by default. In traces the others
                take no memory.
            behaviour: What is known of the policies that made the recorded choices of a decision,
                of which random policies then take their luck.

        Raises:
            InterventionError: A function reads what it causes.
        """
        if self.schema.declaration.temporal:
            wanted = None if keep is None else frozenset(keep)
            every = [*worlds, {}] if behaviour else worlds
            order, moved = self._order(every, behaviour)
            roll = Rollout(self, every, order=order, moved=moved, keep=wanted, behaviour=behaviour)
            try:
                found = roll.run()
            finally:
                # Its parts refer to it: let go of here, its courses are freed now, and not when
                # the collector of cycles comes by, many batches later.
                vars(roll).clear()
            return {n: v[: len(worlds)] for n, v in found.items()} if behaviour else found
        order, _ = self._order(worlds)
        values = self._room(order, len(worlds))
        for number, rows in enumerate(self._slices()):
            seed = zlib.crc32(f"{self.seed}/{number}".encode())
            for node in order:
                cell = _Cell(self, node, rows, values, seed)
                cell.fill([world.get(node.name) for world in worlds])
        return values if keep is None else {n: v for n, v in values.items() if n in keep}

    def take(self, name: str, values: Mapping[str, Tensor], rows: slice) -> Tensor:
        """A variable's values in some rows: `[world or 1, sample or 1, row]`."""
        vector = self.schema.supports[name].size is not None
        if name in values:
            return _rows(values[name], rows, vector=vector)
        return _rows(self.factual[name].unsqueeze(0), rows, vector=vector)

    def reach(self, world: World) -> frozenset[str]:
        """What one world may change, in this step or in a later one."""
        nodes = self.schema.declaration.nodes
        effects: dict[str, list[str]] = {}
        for name, node in nodes.items():
            given = world.get(name)
            reads = set() if given is None else {*given.reads}
            if given is None or name in reads:
                reads.update(parent.name for parent in node.parents)
            for cause in reads - {name}:
                effects.setdefault(cause, []).append(name)
        return frozenset(reached(self._sources([world]), effects))

    def _room(self, nodes: Sequence[Node], worlds: int) -> dict[str, Tensor]:
        """Where the values of a table go."""
        shape = (worlds, self.samples, len(self.layout.trace))
        supports = {node.name: self.schema.supports[node.name] for node in nodes}
        plain = [n for n, kind in supports.items() if not (kind.size or kind.discrete)]
        # One block for all plain numbers: the pages of a large block are large, and so few. It
        # is numpy that asks for them; torch does not.
        block = torch.from_numpy(np.empty((len(plain), *shape)))
        found = dict(zip(plain, block, strict=True))
        for node in nodes:
            support = supports[node.name]
            if node.name not in found:
                full = (*shape, support.size) if support.size else shape
                kind = torch.int64 if isinstance(support, Categorical) else torch.float64
                found[node.name] = torch.empty(full, dtype=kind)
        return {name: found[name] for name in supports}

    def _order(
        self, worlds: Sequence[World], behaviour: Behaviour | None = None
    ) -> tuple[list[Node], frozenset[str]]:
        """What is computed, in an order that respects what functions read; and what may change.

        What follows from recorded values without being kept with them is computed where it is
        looked at, though nothing changes it.
        """
        nodes = self.schema.declaration.nodes
        causes: dict[str, set[str]] = {}
        effects: dict[str, list[str]] = {}
        looked: dict[str, set[str]] = {}
        for name, node in nodes.items():
            given = [world[name] for world in worlds if name in world]
            reads = {read for intervention in given for read in intervention.reads} - {name}
            now = {read for intervention in given for read in intervention.reads_now} - {name}
            if behaviour is not None and name == behaviour.decision:
                reads, now = reads | behaviour.reads - {name}, now | behaviour.reads_now - {name}
            always = len(given) == len(worlds) and not any(name in g.reads for g in given)
            parents = () if always else node.parents
            causes[name] = now.union(parent.name for parent in parents if not parent.lag)
            looked[name] = reads.union(parent.name for parent in parents)
            for cause in looked[name]:
                effects.setdefault(cause, []).append(name)
        order = causal_order(causes)
        if order is None:
            cycle = sorted(some_cycle(causes))
            culprit = next(n for n in cycle if any(n in world for world in worlds))
            raise InterventionError(
                culprit,
                found=f"a function that reads what it causes, by way of {', '.join(cycle)}",
                mend="Let it read only variables that do not depend on its own value.",
            )
        moved = reached(self._sources(worlds), effects)
        unkept = self._unkept()
        further = {name: looked[name] & unkept for name in nodes}
        found = moved | reached({n for name in moved for n in further[name]}, further)
        return [nodes[name] for name in order if name in found], frozenset(moved)

    def _sources(self, worlds: Sequence[World]) -> set[str]:
        """Where change begins: what is done, what is drawn anew, what nothing is known of."""
        unknown = set(self.schema.declaration.nodes) - set(self.factual) - self._unkept()
        return unknown.union(*worlds) | self.anew

    def _unkept(self) -> frozenset[str]:
        """What follows from the recorded values and is not kept with them."""
        return unkept(self.schema.declaration) - set(self.factual) if self.factual else frozenset()

    def _slices(self) -> list[slice]:
        rows = len(self.layout.trace)
        size = max(_SLICE // self.samples, 1024)
        return [slice(start, min(start + size, rows)) for start in range(0, rows, size)]


@dataclass
class _Cell:
    """One variable in some rows, being computed in every world."""

    plan: Unfolding
    node: Node
    rows: slice
    values: dict[str, Tensor]
    seed: int
    _natural: Tensor | None = None

    def fill(self, given: Sequence[Intervention | None]) -> None:
        """Write the variable's values: by itself, or by each world's intervention."""
        target = self.values[self.node.name]
        if not any(given):
            self._write(target, self.natural())
            return
        for world, intervention in enumerate(given):
            value = self._in(world, self.natural()) if intervention is None else None
            if intervention is not None:
                value = intervention.apply(self._situation(world))
            assert value is not None
            self._write(target[world], value)

    def natural(self) -> Tensor:
        """What the variable would be by itself, `[world or 1, sample or 1, row]`."""
        if self._natural is None:
            node, supports = self.node, self.plan.schema.supports
            carried = self._carried()
            if carried is not None:
                self._natural = carried
                return self._natural
            parents = {ref.key: self._parent(ref) for ref in node.parents}
            if node.function is not None:
                value = computed(node, list(parents.values()), supports=supports)
            else:
                noise = self.plan.noise_of(node, self.rows)
                value = self.plan.mechanisms[node.name].push(noise, parents)
            self._natural = self._with_worlds(value)
        return self._natural

    def _with_worlds(self, value: Tensor) -> Tensor:
        """The value with an axis of worlds, which it lacks where nothing above it has one."""
        axes = 4 if self._size(self.node.name) else 3
        return value.reshape((1,) * (axes - value.dim()) + tuple(value.shape))

    def _carried(self) -> Tensor | None:
        """The factual value, moved by what changed above it."""
        if self.plan.carry is None or not self.node.learned:
            return None
        changed = {
            ref.key: self._parent(ref) for ref in self.node.parents if ref.name in self.values
        }
        value = self.plan.carry(self.node, self.rows, changed)
        return None if value is None else self._with_worlds(value)

    def _parent(self, ref: ParentRef) -> Tensor:
        return self.plan.take(ref.name, self.values, self.rows)

    def _situation(self, world: int) -> Situation:
        count = self.rows.stop - self.rows.start

        def value_of(name: str) -> Tensor:
            value = self._in(world, self.plan.take(name, self.values, self.rows))
            return value.expand(self.plan.samples, *value.shape[1:])

        return Situation(
            self.node.name,
            self.plan.schema.supports[self.node.name],
            (self.plan.samples, count),
            value_of,
            lambda: self._in(world, self.natural()).expand(
                self.plan.samples,
                count,
                *([self._size(self.node.name)] if self._size(self.node.name) else []),
            ),
            self.rows,
            zlib.crc32(f"{self.seed}/{self.node.name}".encode()),
        )

    def _in(self, world: int, value: Tensor) -> Tensor:
        return value[world if len(value) > 1 else 0]

    def _size(self, name: str) -> int:
        return self.plan.schema.supports[name].size or 0

    def _write(self, target: Tensor, value: Tensor) -> None:
        _rows(target, self.rows, vector=bool(self._size(self.node.name))).copy_(value)


def _rows(value: Tensor, rows: slice, *, vector: bool) -> Tensor:
    return value.narrow(-2 if vector else -1, rows.start, rows.stop - rows.start)
