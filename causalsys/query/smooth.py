"""The expected outcome of a question as a smooth function of a model's parameters.

What `ask` draws is averaged here instead: latents over their posterior, categories over their
levels. So a search over parameters can follow its gradient.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from causalsys.data.table import Table
from causalsys.errors import QueryError
from causalsys.fit.rival import Posterior
from causalsys.mechanisms.base import Mechanism
from causalsys.mechanisms.count import CountMechanism
from causalsys.query.intervention import Intervention, Situation
from causalsys.scm.declaration import Node
from causalsys.scm.evaluate import computed
from causalsys.scm.order import causal_order, reached
from causalsys.scm.supports import Categorical

_SEED = 0


@dataclass(frozen=True)
class Outcome:
    """What an outcome would be in rows in which something is done.

    Attributes:
        table: The rows, without their latents.
        do: What is done, by variable.
        outcome: The outcome.
        path: The variables that the interventions reach on the way to it, in causal order.
        unit: Whether the rows keep their noises; else those of categories and counts are new,
            which leaves the mean over rows as it is.
    """

    table: Table
    do: Mapping[str, Intervention]
    outcome: str
    path: tuple[Node, ...]
    unit: bool

    @classmethod
    def of(
        cls, table: Table, do: Mapping[str, Intervention], *, outcome: str, unit: bool
    ) -> Outcome:
        """The outcome of a question about rows.

        Raises:
            QueryError: A function reads what it causes.
        """
        nodes = table.schema.declaration.nodes
        causes: dict[str, set[str]] = {}
        effects: dict[str, list[str]] = {}
        for name, node in nodes.items():
            reads = set(do[name].reads) if name in do else set()
            parents = set() if name in do and name not in reads else {p.name for p in node.parents}
            causes[name] = parents | (reads - {name})
            for cause in sorted(causes[name]):
                effects.setdefault(cause, []).append(name)
        order = causal_order(causes)
        if order is None:
            raise QueryError("do", found="a function that reads what it causes", mend="Change it.")
        below = reached(set(do), effects)
        above = reached({outcome}, causes)
        path = tuple(nodes[name] for name in order if name in below and name in above)
        return cls(table, do, outcome, path, unit)

    def expected(self, mechanisms: Mapping[str, Mechanism], latents: Sequence[Posterior]) -> Tensor:
        """The expected outcome of each row, `[start, row, column]`.

        A number or a flag has one column; a category one for each level but the first; a vector
        one for each component.

        Args:
            mechanisms: The mechanisms, a member for each start.
            latents: What is known of the latents of each district.
        """
        return _Sweep(self, mechanisms, latents).run()


class _Sweep:
    """One pass along the path. Each latent district, and each category, has an axis of its own."""

    def __init__(
        self,
        asked: Outcome,
        mechanisms: Mapping[str, Mechanism],
        latents: Sequence[Posterior],
    ) -> None:
        self.asked, self.mechanisms = asked, mechanisms
        self.supports = asked.table.schema.supports
        self.factual: dict[str, Tensor] = dict(asked.table.values)
        self.values: dict[str, Tensor] = {}
        self.shares: list[Tensor] = []
        for each in latents:
            if not each.values:
                continue
            for name, value in each.values.items():
                self.factual[name] = self._on_own_axis(value, vector=self._vector(name))
            self.shares.append(self._on_own_axis(each.log_share, vector=False))

    def run(self) -> Tensor:
        asked = self.asked
        for node in asked.path:
            last = node.name == asked.outcome
            if node.name in asked.do:
                self.values[node.name] = self._done(node)
            elif isinstance(self.supports[node.name], Categorical):
                odds = self._odds(node)
                if last:
                    return self._averaged(odds)
                self._spread_out(node.name, odds)
            else:
                self.values[node.name] = self._natural(node, last=last)
        value = self.values[asked.outcome]
        support = self.supports[asked.outcome]
        if isinstance(support, Categorical):
            levels = torch.arange(1, max(support.cardinality, 2))
            return self._averaged((value.unsqueeze(-1) == levels).double())
        return self._averaged(value.double() if support.size else value.double().unsqueeze(-1))

    def _natural(self, node: Node, *, last: bool) -> Tensor:
        """What a variable would be by itself, under what changed above it."""
        parents = {ref.key: self._now(ref.name) for ref in node.parents}
        if node.function is not None:
            return computed(node, list(parents.values()), supports=self.supports)
        mechanism = self.mechanisms[node.name]
        if isinstance(mechanism, CountMechanism):
            log_mean, _ = mechanism._law(parents)
            if last:
                return log_mean.exp()
            with torch.no_grad():
                noise = mechanism.draw_noise(
                    tuple(log_mean.shape[-2:]), generator=torch.Generator().manual_seed(_SEED)
                )
                return mechanism.push(noise, parents)
        before = {ref.key: self.factual[ref.name] for ref in node.parents}
        changed = {
            ref.key: self.values[ref.name] for ref in node.parents if ref.name in self.values
        }
        return mechanism.carry(self.factual[node.name], before, changed)

    def _odds(self, node: Node) -> Tensor:
        """The probability of each level but the first, `[..., start, row, level]`."""
        support = self.supports[node.name]
        assert isinstance(support, Categorical)
        mechanism = self.mechanisms[node.name]
        parents = {ref.key: self._now(ref.name) for ref in node.parents}
        new = self._probabilities(mechanism, parents, support.cardinality)
        if not self.asked.unit or support.cardinality != 2:
            return new
        before = {ref.key: self.factual[ref.name] for ref in node.parents}
        old = self._probabilities(mechanism, before, 2)
        # Two levels have one threshold: a flag goes along with its probability (Oberst and
        # Sontag, 2019).
        seen = self.factual[node.name].unsqueeze(-1) == 1
        stays = (new / old.clamp(min=1e-12)).clamp(max=1)
        comes = ((new - old) / (1 - old).clamp(min=1e-12)).clamp(min=0)
        return torch.where(seen, stays, comes)

    def _probabilities(
        self, mechanism: Mechanism, parents: Mapping[str, Tensor], levels: int
    ) -> Tensor:
        each = []
        for level in range(1, levels):
            code = torch.full((1, 1), level, dtype=torch.int64)
            each.append(mechanism.log_prob(code, parents).exp())
        return torch.stack(each, -1)

    def _spread_out(self, name: str, odds: Tensor) -> None:
        """Let a category take each of its levels, on an axis of its own, as likely as it is."""
        whole = torch.cat([1 - odds.sum(-1, keepdim=True), odds], -1).movedim(-1, 0)
        count, axes = len(whole), len(self.shares)
        self.values[name] = torch.arange(count).reshape(-1, *[1] * (axes + 2))
        share = whole.clamp(min=1e-12).log()
        missing = [1] * (axes + 3 - share.dim())
        self.shares.append(share.reshape(count, *missing, *share.shape[1:]))

    def _averaged(self, value: Tensor) -> Tensor:
        """The mean over all axes but starts, rows and columns."""
        if not self.shares:
            return value
        weight = sum(self.shares[1:], self.shares[0]).exp().unsqueeze(-1)
        total = weight * value
        return total.sum(tuple(range(total.dim() - 3)))

    def _done(self, node: Node) -> Tensor:
        """What an intervention sets; to it, latents and categories are samples."""
        intervention, vector = self.asked.do[node.name], self._vector(node.name)
        given = {
            name: self._itself(node) if name == node.name else self._now(name)
            for name in intervention.reads
        }
        rows = self.asked.table.rows
        shapes = [v.shape[:-1] if self._vector(n) else v.shape for n, v in given.items()]
        lead = torch.broadcast_shapes((1, rows), *shapes)
        flat = {
            name: value.expand(*lead, *value.shape[len(shape) :]).flatten(0, len(lead) - 2)
            for (name, value), shape in zip(given.items(), shapes, strict=True)
        }
        value = intervention.apply(
            Situation(
                node.name,
                self.supports[node.name],
                (math.prod(lead[:-1]), rows),
                flat.__getitem__,
                lambda: flat[node.name],
                slice(None),
                _SEED,
            )
        )
        samples = value.shape[-3 if vector else -2]
        return value.unflatten(0, lead[:-1]) if samples == math.prod(lead[:-1]) else value

    def _itself(self, node: Node) -> Tensor:
        """What a variable that is set by a function of itself would be without it."""
        above = any(ref.name in self.values for ref in node.parents)
        if not above and node.name in self.factual:
            return self.factual[node.name]
        if isinstance(self.supports[node.name], Categorical):
            raise QueryError(
                node.name,
                found="a function of a category that another intervention changes",
                mend="Ask for the spread of one of the two.",
            )
        return self._natural(node, last=False)

    def _now(self, name: str) -> Tensor:
        return self.values[name] if name in self.values else self.factual[name]

    def _vector(self, name: str) -> bool:
        return bool(self.supports[name].size)

    def _on_own_axis(self, value: Tensor, *, vector: bool) -> Tensor:
        """`[atom, start, row]` with as many axes of size one as there are districts before it."""
        ones = [1] * len(self.shares)
        assert value.dim() == (4 if vector else 3)
        return value.reshape(len(value), *ones, *value.shape[1:])


__all__ = ["Outcome"]
