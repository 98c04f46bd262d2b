"""ABDUCT: the noises and latents of rows, given what is known of them.

What is known determines the noise of a bijective mechanism, so `pull` gives it. What is not
known (latents, missing cells) is drawn from its posterior, one draw per sample, each under the
parameters of its own member. Unknown variables that no shared likelihood ties are drawn
separately, by the most exact way that fits:

    nothing known depends on them     their prior
    latents of a low-rank mechanism   a simulation smoother (`state_space/infer.py`)
    a latent with its own dynamics    forward filtering, backward sampling (`markov/infer.py`)
    categorical latents only          all combinations, exactly
    a linear district                 the exact normal posterior
    latents with a trained guide      independent Metropolis with the guide as its proposal
    anything else                     annealed preconditioned Crank-Nicolson (`anneal.py`)
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from causalsys.data.table import Table
from causalsys.errors import EvidenceError
from causalsys.fit.abduct_categories import draw_categories, follow_their_law, joint_by_member
from causalsys.fit.anneal import anneal
from causalsys.fit.factors import Factors, is_gaussian
from causalsys.fit.fitted import Fitted
from causalsys.fit.guide import Guide
from causalsys.fit.joint import Scope
from causalsys.fit.markov.infer import infer_chain
from causalsys.fit.posterior import by_configuration, propose
from causalsys.fit.state_space.infer import infer_lasting
from causalsys.fit.state_space.place import has_lasting
from causalsys.mechanisms.base import Mechanism
from causalsys.scm.declaration import Node
from causalsys.scm.dynamics import goes_on, itself
from causalsys.scm.order import parts
from causalsys.scm.specs import Logged
from causalsys.scm.supports import Categorical

_PROPOSALS = 48
"""Proposals of the guide per draw; the chain's bias falls with their number."""


@dataclass(frozen=True)
class Abducted:
    """What was inferred of a table's rows.

    Attributes:
        table: The evidence, its values completed: `[1 or sample, row]`.
        mechanisms: Each mechanism with the member of sample `s` as its parameters.
        noises: The noises of the variables that were unknown, `[sample, row, ...]`.
        inferred: The variables that were inferred, wholly or in some rows.
        samples: How many draws there are.
        seed: Fixes what is drawn later.
    """

    table: Table
    mechanisms: Mapping[str, Mechanism]
    noises: Mapping[str, Tensor]
    inferred: tuple[str, ...]
    samples: int
    seed: int
    _shifted: dict[str, dict[str, Tensor]] = field(default_factory=dict, repr=False)

    @property
    def told(self) -> frozenset[str]:
        """The variables whose values tell their noises, by mechanisms that are bijective."""
        return frozenset(
            name
            for name, mechanism in self.mechanisms.items()
            if mechanism.bijective and name not in self.noises
        )

    def noise_of(self, node: Node, rows: slice | Tensor) -> Tensor:
        """The noise of a learned variable in some rows, `[1 or sample, row, *noise_shape]`.

        Where it is drawn, the same rows get the same draw whenever they are asked for.
        """
        mechanism = self.mechanisms[node.name]
        drawn = self.noises.get(node.name)
        gaps = self.table.missing.get(node.name)
        if drawn is not None and gaps is None:
            return drawn[:, rows]
        value = self.table.values[node.name][:, rows]
        parents = {key: parent[:, rows] for key, parent in self._parents(node).items()}
        start = rows.start if isinstance(rows, slice) else int(rows[0]) if len(rows) else 0
        seed = zlib.crc32(f"{self.seed}/{node.name}/{start}".encode())
        generator = torch.Generator().manual_seed(seed)
        if not mechanism.bijective:
            value = value.expand(self.samples, *value.shape[1:])
        pulled = mechanism.pull(value, parents, generator=generator)
        if drawn is None or gaps is None:
            return pulled
        absent = gaps[rows].reshape(-1, *[1] * len(mechanism.noise_shape))
        return torch.where(absent, drawn[:, rows], pulled)

    def carry(
        self, node: Node, rows: slice | Tensor, changed: Mapping[str, Tensor]
    ) -> Tensor | None:
        """The value of a variable under changed parents, its noise being what was seen of it.

        Args:
            node: A learned variable.
            rows: Which rows.
            changed: The parents that differ, by key, `[..., 1 or sample, row]`.

        Returns:
            `[..., 1 or sample, row]`; None where the value does not determine the noise, which
            is then drawn: see `noise_of`.
        """
        mechanism = self.mechanisms[node.name]
        if node.name in self.noises or not mechanism.bijective:
            return None
        parents = {key: parent[:, rows] for key, parent in self._parents(node).items()}
        return mechanism.carry(self.table.values[node.name][:, rows], parents, changed)

    def _parents(self, node: Node) -> dict[str, Tensor]:
        """All parents' values; lagged ones are shifted once and kept."""
        if node.name not in self._shifted:
            self._shifted[node.name] = self.table.parents_of(node)
        return self._shifted[node.name]


def abduct(
    fitted: Fitted,
    table: Table,
    *,
    samples: int,
    seed: int,
) -> Abducted:
    """Infer what a table does not say.

    Args:
        fitted: The model.
        table: The evidence.
        samples: How many draws.
        seed: Fixes them.

    Raises:
        EvidenceError: Something unknown cannot be inferred.
    """
    index = torch.arange(samples) % fitted.members
    mechanisms = {name: m.members(index) for name, m in fitted.mechanisms.items()}
    order = list(fitted.declaration.nodes.values())
    unknown = [n for n in order if n.learned and _is_unknown(n, table)]
    noises: dict[str, Tensor] = {}
    values: dict[str, Tensor] = {}
    for part in _parts(order, unknown, table):
        _check(part, table)
        # A seed of its own, so that what else is unknown does not change these draws.
        label = "+".join(sorted(node.name for node in part))
        generator = torch.Generator().manual_seed(zlib.crc32(f"{seed}/{label}".encode()))
        noises |= _infer(part, fitted, table, mechanisms, index, generator)
    if unknown:
        told = [n for n in _affected(order, unknown, table) if not _is_logged(n)]
        scope = Scope.of(table, mechanisms, nodes=told)
        values, _ = scope.sweep(noises)
    return Abducted(
        table.with_values({n: _codes(v, table, n) for n, v in values.items()}),
        mechanisms,
        noises,
        tuple(node.name for node in unknown),
        samples,
        seed,
    )


def _is_logged(node: Node) -> bool:
    """Whether how it was chosen is not known, so that it says nothing of what it may have seen."""
    return isinstance(node.mechanism, Logged)


def _is_unknown(node: Node, table: Table) -> bool:
    return node.name not in table.values or node.name in table.missing


def _affected(order: Sequence[Node], unknown: Sequence[Node], table: Table) -> list[Node]:
    """The unknown variables, the equations over them, and the known ones below either."""
    open_names = {node.name for node in unknown}
    found = []
    for node in order:
        below = any(parent.name in open_names for parent in node.parents)
        follows = node.name in table.values or node.name in table.unkept
        computed = node.function is not None and (below or not follows)
        if computed:
            open_names.add(node.name)
        if node.name in open_names or below:
            found.append(node)
    return found


def _parts(order: Sequence[Node], unknown: Sequence[Node], table: Table) -> list[list[Node]]:
    """Split what has to be inferred into parts that no likelihood ties together."""
    affected = _affected(order, unknown, table)
    open_names = {n.name for n in affected if n.function is not None} | {n.name for n in unknown}
    ties = [(p.name, n.name) for n in affected for p in n.parents if p.name in open_names]
    by_name = {node.name: node for node in affected}
    return [[by_name[name] for name in part] for part in parts(by_name, ties)]


def _check(part: Sequence[Node], table: Table) -> None:
    """Refuse what cannot be inferred: unknown values with a memory, and equations over them."""
    open_names = {n.name for n in part if n.function or (n.learned and _is_unknown(n, table))}
    for node in part:
        own = itself(node.name) if goes_on(node) else None
        lagged = [p for p in node.parents if p.lag and p.name in open_names and p != own]
        if lagged:
            lost = (n.name for n in part if n.learned and _is_unknown(n, table) and not goes_on(n))
            raise EvidenceError(
                next(lost, lagged[0].name),
                found=f"missing, while the next step's {node.name} depends on it",
                mend="Give it in every step: a gap in a trace's memory is not inferred.",
            )


def _infer(
    part: Sequence[Node],
    fitted: Fitted,
    table: Table,
    mechanisms: Mapping[str, Mechanism],
    index: Tensor,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Noises `[sample, row, ...]` of the unknown variables of one part."""
    unknown = [node for node in part if node.learned and _is_unknown(node, table)]
    names = {node.name for node in unknown}
    shape = (len(index), table.rows)
    prior = {n.name: mechanisms[n.name].draw_noise(shape, generator=generator) for n in unknown}
    part = [n for n in part if n.name in names or not _is_logged(n)]
    likelihood = [n for n in part if n.name not in names and n.function is None]
    gappy = any(name in table.values for name in names)
    if not likelihood and not gappy:
        return _by_trace(unknown, prior, table)
    if any(map(has_lasting, unknown)):
        return infer_lasting(unknown, fitted, table, mechanisms, index, prior, generator)
    if any(map(goes_on, unknown)):
        return infer_chain(unknown, fitted, table, mechanisms, index, prior, generator)
    guide = next((g for g in fitted.guides if set(g.latents) <= names), None)
    latents_only = all(node.kind == "latent" for node in unknown)
    beside = [key for key in (guide.inputs if guide else ()) if key in table.values]
    scope = Scope.of(table, mechanisms, nodes=part, beside=beside)
    continuous = [
        n.name for n in unknown if not isinstance(fitted.schema.supports[n.name], Categorical)
    ]
    if latents_only and not continuous:
        joint = joint_by_member(scope, fitted, {}, len(index))
        return draw_categories(scope, {}, joint, index, generator)
    if follow_their_law(unknown, part, table):
        drawn = _by_trace(unknown, prior, table)
        ends = {n.name: drawn[n.name] for n in unknown if n.kind != "latent"}
        joint = joint_by_member(scope, fitted, ends, len(index))
        return {**ends, **draw_categories(scope, ends, joint, index, generator)}
    if latents_only and not scope.gaps and is_gaussian(scope):
        return Factors.of(scope).draw(samples=len(index), generator=generator)
    usable = (
        guide is not None and set(continuous) == set(guide.latents) and _seen(guide, scope, table)
    )
    if latents_only and usable:
        assert guide is not None
        chosen = _metropolis(guide.members(index), scope, generator)
        joint = by_configuration(scope, chosen)
        return {**chosen, **draw_categories(scope, chosen, joint, index, generator)}
    return anneal(scope, _by_trace(unknown, prior, table), generator=generator)


def _seen(guide: Guide, scope: Scope, table: Table) -> bool:
    """Whether all that a guide looks at is known."""
    missing = {key for key in guide.inputs if key in table.missing}
    return not missing and all(key in scope.known for key in guide.inputs)


def _metropolis(guide: Guide, scope: Scope, generator: torch.Generator) -> dict[str, Tensor]:
    """An independent Metropolis chain per draw and unit, started from the guide itself."""
    current: dict[str, Tensor] = {}
    weight = torch.zeros(())
    for turn in range(_PROPOSALS):
        proposal = propose(guide, scope, draws=1, generator=generator)
        noises = {name: noise[0] for name, noise in proposal.noises.items()}
        joint = by_configuration(scope, noises)
        fresh = torch.logsumexp(joint, 0) + proposal.log_ratio[0]
        if turn == 0:
            current, weight = noises, fresh
            continue
        draw = torch.rand(fresh.shape, generator=generator, dtype=fresh.dtype).log()
        accept = (draw < fresh - weight) | ~torch.isfinite(weight)
        weight = torch.where(accept, fresh, weight)
        rows = accept.index_select(-1, scope.layout.trace) if guide.per_trace else accept
        for name, noise in noises.items():
            wide = rows.reshape(*rows.shape, *[1] * (noise.dim() - rows.dim()))
            current[name] = torch.where(wide, noise, current[name])
    return current


def _by_trace(
    unknown: Sequence[Node], noises: Mapping[str, Tensor], table: Table
) -> dict[str, Tensor]:
    """Give all rows of a trace one noise, for variables that belong to traces."""
    found = dict(noises)
    for node in unknown:
        if node.per == "trace":
            first = table.layout.first_rows[table.layout.trace]
            found[node.name] = noises[node.name][:, first]
    return found


def _codes(value: Tensor, table: Table, name: str) -> Tensor:
    return value.long() if isinstance(table.schema.supports[name], Categorical) else value
