"""Equations and states of traces without gaps, step by step, all traces at once.

What a structure holds is carried along and kept nowhere. Neither is a vector that is read off one
and looked at by logged policies only, such as the jobs that wait on each of eight servers: at
five million rows it would be the largest column by far, and nothing that is fitted reads it. A
question that needs it computes it again (`Table.unkept` lists both).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from causalsys.data.stepwise import Argument, Computed, Stepwise, check_course
from causalsys.data.table import Table
from causalsys.errors import CausalSysError
from causalsys.scm.declaration import Declaration, Node
from causalsys.scm.specs import Logged
from causalsys.scm.structure import Structure, kept
from causalsys.scm.supports import Categorical


def step_by_step(nodes: Sequence[Node], table: Table, *, refusal: type[CausalSysError]) -> Table:
    """The table with the columns that follow from it.

    Args:
        nodes: What is computed, in causal order; all that it needs is known in every row.
        table: The columns as given.
        refusal: What to raise.

    Raises:
        CausalSysError: A function fails, or gives NaN or what is outside its support; the message
            names the step and the trace.
    """
    left = unkept(table.schema.declaration) - set(table.values)
    wanted = _needed(nodes, left)
    run = _Run([node for node in nodes if node.name in wanted], table, left, refusal)
    found = run.values()
    ready = {node.name for node in nodes}
    return replace(table, values={**table.values, **found}, unkept=left & frozenset(ready))


def unkept(declaration: Declaration) -> frozenset[str]:
    """The variables that are computed from what is logged and not kept with it; see the module."""
    nodes = declaration.nodes.values()
    structures = {node.name for node in nodes if isinstance(node.support, Structure)}
    found = set(structures)
    for node in nodes:
        read = any(parent.name in structures for parent in node.parents)
        if node.kind != "equation" or not node.support.size or not read:
            continue
        users = [n for n in nodes if any(parent.name == node.name for parent in n.parents)]
        if users and all(isinstance(user.mechanism, Logged) for user in users):
            found.add(node.name)
    return frozenset(found)


def _needed(nodes: Sequence[Node], left: frozenset[str]) -> set[str]:
    """What is kept, and all that it is computed from."""
    by_name = {node.name: node for node in nodes}
    waiting = [name for name in by_name if name not in left]
    found = set(waiting)
    while waiting:
        for parent in by_name[waiting.pop()].parents:
            if parent.name in by_name and parent.name not in found:
                found.add(parent.name)
                waiting.append(parent.name)
    return found


class _Run:
    """One pass over the steps."""

    def __init__(
        self,
        nodes: Sequence[Node],
        table: Table,
        left: frozenset[str],
        refusal: type[CausalSysError],
    ) -> None:
        self.nodes, self.table, self.left, self.refusal = nodes, table, left, refusal
        self.supports = table.schema.supports
        self.steps = Stepwise.of(table.layout)
        self.lead = max((len(value) for value in table.values.values()), default=1)
        self.courses: dict[str, list[Tensor]] = {node.name: [] for node in nodes}
        self.carried: dict[str, Any] = {}
        names = {parent.name for node in nodes for parent in node.parents}
        for name in names - set(self.courses):
            self.courses[name] = self.steps.course(table.values[name], vector=self._vector(name))
        self.computed = {node.name: self._computed(node) for node in nodes}

    def values(self) -> dict[str, Tensor]:
        """The computed columns, `[lead, row]`."""
        step = 0
        try:
            for step, live in enumerate(self.steps.lives):
                self._step(step, live)
        except CausalSysError as error:
            # What fails may have been given what another function should not have given.
            self._check()
            raise type(error)(
                error.variable, found=f"{error.found} at step {step}", mend=error.mend
            ) from error
        self._check()
        return {node.name: self._column(node) for node in self.nodes if node.name not in self.left}

    def _step(self, step: int, live: int) -> None:
        if step:
            for name, carried in self.carried.items():
                if self.steps.lives[step - 1] != live:
                    self.carried[name] = kept(carried, live)
        for node in self.nodes:
            structure = isinstance(node.support, Structure)
            value: Any
            if node.kind == "state" and step == 0:
                value = self._first(node, live)
            else:
                value = self.computed[node.name].at(
                    step, live, carried=self.carried, lead=(self.lead,)
                )
            if structure:
                self.carried[node.name] = value
                continue
            self.courses[node.name].append(value)

    def _first(self, node: Node, live: int) -> Any:
        support = node.support
        if isinstance(support, Structure):
            return support.start((self.lead, live))
        if node.name in self.table.values:
            # A log may begin in the middle: its own first value is where the trace starts.
            return self.table.values[node.name].index_select(1, self.steps.starts)
        kind = torch.int64 if isinstance(self.supports[node.name], Categorical) else torch.float64
        size = [support.size] if support.size else []
        return torch.full((1, live, *size), node.initial, dtype=kind)

    def _computed(self, node: Node) -> Computed:
        assert node.function is not None
        arguments = tuple(
            Argument(ref, self.courses[ref.name], self.supports[ref.name]) for ref in node.parents
        )
        return Computed(node.name, node.function, self.supports[node.name], arguments, self.refusal)

    def _check(self) -> None:
        for node in self.nodes:
            if node.name in self.left:
                continue
            check_course(
                node.name,
                self.courses[node.name],
                self.supports[node.name],
                told=self.steps.told,
                refusal=self.refusal,
                source="its transition" if node.kind == "state" else "its equation",
                # What was imputed is drawn, and a rare draw must not end a fit.
                exact=not self.table.imputed,
            )

    def _column(self, node: Node) -> Tensor:
        lead = max(len(value) for value in self.courses[node.name])
        course = [value.expand(lead, *value.shape[1:]) for value in self.courses[node.name]]
        return self.steps.by_row(course, vector=self._vector(node.name))

    def _vector(self, name: str) -> bool:
        return self.supports[name].size is not None


__all__ = ["step_by_step", "unkept"]
