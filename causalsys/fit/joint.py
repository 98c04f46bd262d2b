"""One causal sweep over part of a model: unknown values from their noises, likelihood of the rest.

Variational fitting and abduction both stand on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from causalsys.data.schema import Schema
from causalsys.data.table import Layout, Table
from causalsys.mechanisms.base import Mechanism
from causalsys.mechanisms.chain import ChainMechanism
from causalsys.mechanisms.lasting_normal import LastingNormalMechanism
from causalsys.scm.declaration import Node
from causalsys.scm.evaluate import computed


@dataclass(frozen=True)
class Scope:
    """The part of a model that a sweep visits, with the rows it is evaluated on.

    Attributes:
        schema: What the variables are.
        mechanisms: The mechanisms of the visited variables.
        nodes: The visited variables in causal order: unknown ones, equations over them, and
            the known ones whose likelihood they decide.
        known: Known values by key (`load`, `load[-1]`), `[1 or sample, row]`.
        gaps: Where a known variable is missing, `[row]`.
        layout: The traces of the rows.
    """

    schema: Schema
    mechanisms: Mapping[str, Mechanism]
    nodes: Sequence[Node]
    known: Mapping[str, Tensor]
    gaps: Mapping[str, Tensor]
    layout: Layout

    @classmethod
    def of(
        cls,
        table: Table,
        mechanisms: Mapping[str, Mechanism],
        *,
        nodes: Sequence[Node],
        beside: Sequence[str] = (),
    ) -> Scope:
        """The scope of `nodes` over all rows of a table, with other variables carried along."""
        known: dict[str, Tensor] = {name: table.values[name] for name in beside}
        gaps: dict[str, Tensor] = {}
        for node in nodes:
            if node.name in table.values:
                known[node.name] = table.values[node.name]
            if node.name in table.missing:
                gaps[node.name] = table.missing[node.name]
            known |= table.parents_of(node)
        return cls(table.schema, mechanisms, nodes, known, gaps, table.layout)

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.layout.trace)

    @property
    def by_trace(self) -> bool:
        """Whether a latent belongs to whole traces, so that their rows count together."""
        return any(node.kind == "latent" and node.per == "trace" for node in self.nodes)

    def per_unit(self, rows: Tensor) -> Tensor:
        """Log likelihoods `[..., row]` added up over the rows of each unit: a row or a trace."""
        if not self.by_trace:
            return rows
        trace = self.layout.trace
        total = rows.new_zeros(*rows.shape[:-1], int(trace.max()) + 1)
        return total.index_add(-1, trace, rows)

    def unit_weight(self, weight: Tensor) -> Tensor:
        """Row weights `[member, row]` as weights of units: the mean over a trace's rows."""
        if not self.by_trace:
            return weight
        return self.per_unit(weight) / torch.bincount(self.layout.trace)

    def take(self, rows: Tensor) -> Scope:
        """The scope over these rows only; whole traces, where a latent belongs to traces."""
        trace = torch.unique(self.layout.trace[rows], return_inverse=True)[1]
        return replace(
            self,
            known={key: value.index_select(1, rows) for key, value in self.known.items()},
            gaps={name: gone[rows] for name, gone in self.gaps.items()},
            layout=Layout(trace, self.layout.position[rows]),
        )

    def members(self, index: Tensor) -> Scope:
        """The scope as the members `index` see it, whose data differ once cells are imputed."""
        known = {k: v if len(v) == 1 else v.index_select(0, index) for k, v in self.known.items()}
        return replace(self, known=known)

    def with_mechanisms(self, mechanisms: Mapping[str, Mechanism]) -> Scope:
        """The same scope under other parameters."""
        return replace(self, mechanisms=mechanisms)

    def sweep(
        self, noises: Mapping[str, Tensor], *, fixed: Mapping[str, Tensor] | None = None
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Values of the unknown variables, and the log likelihood of the known ones.

        Args:
            noises: For each unknown variable its noise, `[..., sample, row, *noise_shape]`.
                A variable with gaps is unknown in its missing rows.
            fixed: Unknown variables whose value is supposed instead; their own log
                probability counts.

        Returns:
            The unknown and computed values, and the log likelihood, `[..., sample, row]`.
        """
        fixed = fixed or {}
        values: dict[str, Tensor] = {}
        total = torch.zeros((1, self.rows), dtype=torch.float64)
        for node in self.nodes:
            mechanism = self.mechanisms.get(node.name)
            if isinstance(mechanism, ChainMechanism | LastingNormalMechanism):
                values[node.name] = mechanism.along(noises[node.name], self.layout.rows_at)
                continue
            parents = self.parents(node, values)
            if node.function is not None:
                values[node.name] = self.compute(node, parents)
                continue
            mechanism = self.mechanisms[node.name]
            if node.name in fixed:
                values[node.name] = fixed[node.name]
                prior = mechanism.log_prob(fixed[node.name], parents)
                # A trace's own value counts once, at the trace's first row.
                once = self.layout.position == 0 if node.per == "trace" else None
                total = total + (prior if once is None else prior * once)
                continue
            if node.name not in noises:
                total = total + mechanism.log_prob(self.known[node.name], parents)
                continue
            pushed = mechanism.push(noises[node.name], parents)
            values[node.name] = pushed
            if node.name in self.gaps:
                known, gone = self.known[node.name], self.gaps[node.name]
                absent = gone.unsqueeze(-1) if node.support.size else gone
                values[node.name] = torch.where(absent, pushed, known.to(pushed.dtype))
                likelihood = mechanism.log_prob(known, parents)
                total = total + torch.where(gone, torch.zeros_like(likelihood), likelihood)
        return values, total

    def parents(self, node: Node, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A node's parents by key: unknown ones from `values`, known ones as they are."""
        found: dict[str, Tensor] = {}
        for ref in node.parents:
            if ref.name not in values:
                found[ref.key] = self.known[ref.key]
                continue
            value = values[ref.name]
            if ref.lag:
                axis = value.dim() - (2 if self.schema.supports[ref.name].size else 1)
                value = self.layout.earlier(value, ref.lag, initial=ref.initial, row_axis=axis)
            found[ref.key] = value
        return found

    def compute(self, node: Node, parents: Mapping[str, Tensor]) -> Tensor:
        """The value of an equation."""
        return computed(node, list(parents.values()), supports=self.schema.supports)
