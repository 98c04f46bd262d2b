"""What a chain's children say of its states: their likelihood at every row under every state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from causalsys.data.table import Table
from causalsys.errors import FitError
from causalsys.fit.joint import Scope
from causalsys.fit.lasting.course import Course
from causalsys.fit.markov.place import Place
from causalsys.mechanisms.base import Mechanism
from causalsys.scm.declaration import Node

_IMPOSSIBLE = -1e30


@dataclass(frozen=True)
class Emissions:
    """The children of a chain, on some rows.

    Attributes:
        scope: The chain, the equations over it and its children.
        place: What is what in it.
        complete: For children with gaps, the rows where they and their parents are known, `[row]`.
    """

    scope: Scope
    place: Place
    complete: Mapping[str, Tensor]

    @classmethod
    def of(cls, table: Table, place: Place, *, nodes: list[Node]) -> Emissions:
        """The emissions of all rows of a table.

        Args:
            table: The data.
            place: What is what.
            nodes: The chain, the equations over it and its children, in causal order.
        """
        scope = Scope.of(table, {}, nodes=nodes)
        complete = {}
        if not table.imputed:
            for node in place.children:
                known = table.complete(node)
                if known is not None:
                    complete[node.name] = known
        return cls(scope, place, complete)

    @cached_property
    def course(self) -> Course:
        """How rows go on in time."""
        return Course.of(self.scope.layout)

    def take(self, rows: Tensor) -> Emissions:
        """The emissions of these rows only, whole traces."""
        complete = {name: known[rows] for name, known in self.complete.items()}
        return replace(self, scope=self.scope.take(rows), complete=complete)

    def members(self, index: Tensor) -> Emissions:
        """The same as the members `index` see it."""
        return replace(self, scope=self.scope.members(index))

    def parents(self, values: Tensor) -> dict[str, dict[str, Tensor]]:
        """Each child's parents under every state.

        Args:
            values: The chain's values, `[member, state]`.

        Returns:
            By child and key, `[member or 1, row]`, or `[state, member, row]` where the chain
            decides.
        """
        return self.given(values.mT.unsqueeze(-1).expand(-1, -1, self.scope.rows))

    def given(self, values: Tensor) -> dict[str, dict[str, Tensor]]:
        """Each child's parents, the chain's values at every row being `[..., member, row]`."""
        computed = {self.place.chain.name: values}
        found: dict[str, dict[str, Tensor]] = {}
        for node in self.scope.nodes:
            if node.name in computed:
                continue
            given = self.scope.parents(node, computed)
            if node.name in self.place.equations:
                computed[node.name] = self.scope.compute(node, given)
            else:
                found[node.name] = given
        return found

    def value(self, name: str) -> Tensor:
        """What was seen of a child, `[1 or member, row]`."""
        return self.scope.known[name]

    def log_prob(
        self, mechanisms: Mapping[str, Mechanism], parents: Mapping[str, Mapping[str, Tensor]]
    ) -> Tensor:
        """The log likelihood of each row under every state, `[state, member, row]`."""
        total: Tensor | None = None
        for node in self.place.children:
            each = mechanisms[node.name].log_prob(self.value(node.name), parents[node.name])
            if node.name in self.complete:
                each = torch.where(self.complete[node.name], each, torch.zeros_like(each))
            total = each if total is None else total + each
        assert total is not None
        return torch.nan_to_num(total, nan=_IMPOSSIBLE, neginf=_IMPOSSIBLE)

    def check(self, emission: Tensor) -> None:
        """Refuse values that no state can give.

        Raises:
            FitError: There is one.
        """
        lost = (emission.amax(0) <= _IMPOSSIBLE).any(0).nonzero()
        if len(lost):
            raise FitError(
                self.place.children[0].name,
                found=f"a value at row {int(lost[0])} that no state of "
                f"{self.place.chain.name} can give",
                mend="Give the latent other values, or its children other mechanisms.",
            )

    def grid(self, emission: Tensor) -> Tensor:
        """Emissions `[state, member, row]` as `[step, member, trace, state]`."""
        return self.course.grid(emission).permute(0, 2, 3, 1).contiguous()

    def rows_of(self, states: Tensor) -> Tensor:
        """The inverse: the law of states `[step, member, trace, state]`, `[state, member, row]`."""
        return self.course.flat(states.permute(0, 3, 1, 2).contiguous())
