"""What is believed of the unknown causes of a target, given what is known when it is predicted.

    p(target | known) = Σ p(unknown causes | known) p(target | causes)

Categories are summed out exactly, normal latents of linear districts have their exact posterior,
and what nothing known depends on keeps its law. Only what is left (a latent with a guide, a gap
that known variables depend on) is drawn by abduction. What lies below the target, and is not known
when it is predicted, is left out: it says nothing (a barren node; Shachter, 1986).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

import torch
from torch import Tensor

from causalsys.data.table import Table
from causalsys.fit.abduct import abduct
from causalsys.fit.factors import Factors, is_gaussian
from causalsys.fit.fitted import Fitted
from causalsys.fit.joint import Scope
from causalsys.mechanisms.base import gumbel_of_normal
from causalsys.replace.points import normal_points, points_each
from causalsys.scm.declaration import Node
from causalsys.scm.frozen import FrozenDict
from causalsys.scm.order import parts
from causalsys.scm.specs import Logged
from causalsys.scm.supports import Categorical

_COMPONENTS = 512
"""The most combinations of categories that are summed out; beyond them they are drawn."""
_DRAWN = 32
"""Draws of each member where something has to be drawn."""


@dataclass(frozen=True)
class Exact:
    """A part of the unknown causes whose posterior is known exactly.

    Attributes:
        codes: The levels of its categories, `[component]`; empty for a normal part.
        log_weight: Their log probability given what is known, `[component, member, row]`.
        factors: The normal posterior of a linear district; None for categories.
    """

    codes: Mapping[str, Tensor]
    log_weight: Tensor
    factors: Factors | None = None


@dataclass(frozen=True)
class Belief:
    """The causes of some variables, partly known.

    Attributes:
        fitted: The model, without what lies below the target.
        table: What is known; no cell of it is missing.
        codes: The levels of the categories that are summed out, `[component, 1, 1]`.
        weight: The probability of each component, `[component, member, row]`; sums to 1 over
            components.
        index: The member of each sample, `[sample]`.
        noises: The noise of each other unknown variable, `[sample, row or 1, ...]`.
    """

    fitted: Fitted
    table: Table
    codes: Mapping[str, Tensor]
    weight: Tensor
    index: Tensor
    noises: Mapping[str, Tensor]

    @cached_property
    def values(self) -> Mapping[str, Tensor]:
        """The unknown variables' values, `[component or 1, sample or 1, row or 1]`."""
        order = self.fitted.declaration.nodes.values()
        wanted = {*self.codes, *self.noises}
        nodes = [n for n in order if n.name in wanted or _open(n, self.table, wanted)]
        mechanisms = {n: m.members(self.index) for n, m in self.fitted.mechanisms.items()}
        scope = Scope.of(self.table, mechanisms, nodes=nodes)
        return scope.sweep(self.noises, fixed=self.codes)[0]

    @property
    def sample_weight(self) -> Tensor:
        """The weight of each component and sample, `[component, sample, row]`; sums to 1."""
        return self.weight.index_select(1, self.index) / len(self.index)


def _open(node: Node, table: Table, wanted: set[str]) -> bool:
    """Whether an equation over something unknown has to be computed; notes it in `wanted`."""
    computed = node.function is not None and node.name not in table.values
    if computed and any(parent.name in wanted for parent in node.parents):
        wanted.add(node.name)
        return True
    return False


def believe(
    fitted: Fitted, table: Table, *, about: Sequence[str], points: int | None = None
) -> Belief:
    """What is believed of some variables and of their unknown causes.

    Args:
        fitted: The model.
        table: What is known, without gaps.
        about: The variables; none may be known.
        points: Noise points of each member; by default as many as a second allows.
    """
    model = _above(fitted, table, about)
    nodes = model.declaration.nodes.values()
    told = [n for n in nodes if not _silent(n, table)]
    known_above = _causes(model, [n.name for n in told if n.name in table.values])
    unknown = [
        n for n in model.declaration.nodes.values() if n.learned and n.name not in table.values
    ]
    tied = [n for n in unknown if n.name in known_above]
    wanted = {*about, *_causes(model, about)}
    free = [n for n in unknown if n.name in wanted and n.name not in known_above]
    exact: list[Exact] = []
    components = 1
    for part in _parts(told, tied, table):
        if not wanted & {n.name for n in part}:
            continue
        found = _exact(part, model, table)
        components *= 1 if found is None else found.log_weight.shape[0]
        if found is None or components > _COMPONENTS:
            return _by_draws(model, table, free, points)
        exact.append(found)
    return _joined(model, table, exact, free, points)


def _above(fitted: Fitted, table: Table, about: Sequence[str]) -> Fitted:
    """The model of the variables in question, of what is known, and of the causes of both."""
    names = set(about) | set(table.values)
    kept = names | _causes(fitted, names)
    declaration = replace(
        fitted.declaration,
        nodes=FrozenDict({k: n for k, n in fitted.declaration.nodes.items() if k in kept}),
    )
    guides = tuple(
        g for g in fitted.guides if set(g.latents) <= kept and {*g.inputs} <= {*table.values}
    )
    return Fitted(
        replace(fitted.schema, declaration=declaration),
        {name: m for name, m in fitted.mechanisms.items() if name in kept},
        guides,
        fitted.members,
        fitted.seed,
        fitted.diagnostics,
    )


def _causes(fitted: Fitted, names: Sequence[str] | set[str]) -> set[str]:
    graph = fitted.declaration.graph
    return set().union(*(graph.ancestors(name) for name in names))


def _silent(node: Node, table: Table) -> bool:
    """Whether how a known variable was chosen is not modelled, so that it tells of no cause."""
    return isinstance(node.mechanism, Logged) and node.name in table.values


def _parts(told: Sequence[Node], tied: Sequence[Node], table: Table) -> list[list[Node]]:
    """What has to be inferred, in parts that no likelihood ties: see `causalsys.fit.abduct`."""
    open_names = {node.name for node in tied}
    affected = []
    for node in told:
        below = any(parent.name in open_names for parent in node.parents)
        if node.function is not None and below and node.name not in table.values:
            open_names.add(node.name)
        if node.name in open_names or (below and node.name in table.values):
            affected.append(node)
    ties = [(p.name, n.name) for n in affected for p in n.parents if p.name in open_names]
    by_name = {node.name: node for node in affected}
    return [[by_name[name] for name in part] for part in parts(by_name, ties)]


def _exact(part: Sequence[Node], fitted: Fitted, table: Table) -> Exact | None:
    """The exact posterior of a part, where it has one."""
    unknown = [n for n in part if n.learned and n.name not in table.values]
    supports = fitted.schema.supports
    scope = Scope.of(table, fitted.mechanisms, nodes=part)
    sizes = {
        n.name: support.cardinality
        for n in unknown
        if isinstance(support := supports[n.name], Categorical) and not support.size
    }
    if len(sizes) == len(unknown):
        codes = _combinations(sizes)
        if codes is None:
            return None
        fixed = {name: code.reshape(-1, 1, 1) for name, code in codes.items()}
        joint = scope.sweep({}, fixed=fixed)[1]
        shape = torch.broadcast_shapes(joint.shape, (1, fitted.members, table.rows))
        return Exact(codes, torch.log_softmax(joint.expand(shape), 0))
    if all(n.kind == "latent" for n in unknown) and is_gaussian(scope):
        return Exact({}, torch.zeros(1, 1, 1, dtype=torch.float64), Factors.of(scope))
    return None


def _combinations(sizes: Mapping[str, int]) -> dict[str, Tensor] | None:
    """All combinations of some categories' codes, `[component]` each; None if they are too many."""
    if torch.tensor([float(size) for size in sizes.values()]).prod() > _COMPONENTS:
        return None
    table = torch.tensor(list(product(*map(range, sizes.values()))), dtype=torch.int64)
    return {name: table[:, i] for i, name in enumerate(sizes)}


def _joined(
    fitted: Fitted,
    table: Table,
    exact: Sequence[Exact],
    free: Sequence[Node],
    points: int | None,
) -> Belief:
    """The product of independent parts, with the noise of what nothing known depends on."""
    codes, log_weight = _crossed(
        [p for p in exact if p.factors is None], fitted.members, table.rows
    )
    normal = [part.factors for part in exact if part.factors is not None]
    width = sum(factors.width for factors in normal) + sum(_width(n, fitted) for n in free)
    each = points or points_each(len(log_weight), fitted.members, width)
    spread = normal_points(fitted.members, each, width)
    index = torch.arange(fitted.members).repeat_interleave(each)
    noises: dict[str, Tensor] = {}
    start = 0
    for factors in normal:
        noises |= _normal(factors, spread[:, start : start + factors.width], index)
        start += factors.width
    noises |= _free(free, fitted, spread[:, start:])
    return Belief(fitted, table, codes, log_weight.exp(), index, noises)


def _free(free: Sequence[Node], fitted: Fitted, spread: Tensor) -> dict[str, Tensor]:
    """The noise of what nothing known depends on: points of its law, `[sample, 1, ...]`."""
    noises: dict[str, Tensor] = {}
    start = 0
    for node in free:
        mechanism, width = fitted.mechanisms[node.name], _width(node, fitted)
        normal = spread[:, start : start + width].reshape(-1, 1, *mechanism.noise_shape)
        noises[node.name] = gumbel_of_normal(normal) if mechanism.noise == "gumbel" else normal
        start += width
    return noises


def _crossed(classes: Sequence[Exact], members: int, rows: int) -> tuple[dict[str, Tensor], Tensor]:
    """Every combination of the components of independent parts, with its log weight."""
    sizes = [part.log_weight.shape[0] for part in classes]
    pick = torch.tensor(list(product(*map(range, sizes))), dtype=torch.int64)
    log_weight = torch.zeros(len(pick), members, rows, dtype=torch.float64)
    codes: dict[str, Tensor] = {}
    for i, part in enumerate(classes):
        log_weight = log_weight + part.log_weight[pick[:, i]]
        codes |= {k: code[pick[:, i]].reshape(-1, 1, 1) for k, code in part.codes.items()}
    return codes, log_weight


def _width(node: Node, fitted: Fitted) -> int:
    width = 1
    for size in fitted.mechanisms[node.name].noise_shape:
        width *= size
    return width


def _normal(factors: Factors, points: Tensor, index: Tensor) -> dict[str, Tensor]:
    """Points of a normal posterior, `[sample, row, ...]` by latent."""
    mean, covariance = factors.posterior()
    if mean.shape[0] > 1:
        mean = mean.index_select(0, index)
    root = torch.linalg.cholesky(covariance)
    root = root.index_select(0, index) if root.shape[0] > 1 else root
    moved = (root @ points.unsqueeze(-1)).squeeze(-1)
    noise = mean + moved.unsqueeze(1)
    sized = factors.scope.schema.supports
    return {
        name: noise[..., part] if sized[name].size else noise[..., part.start]
        for name, part in factors.latents.items()
    }


def _by_draws(fitted: Fitted, table: Table, free: Sequence[Node], points: int | None) -> Belief:
    """The unknown causes by abduction: draws, each of the same weight."""
    each = points or _DRAWN
    spread = normal_points(fitted.members, each, sum(_width(n, fitted) for n in free))
    index = torch.arange(fitted.members).repeat_interleave(each)
    found = abduct(_above(fitted, table, []), table, samples=len(index), seed=fitted.seed)
    # `abduct` gives sample `s` the member `s % members`: put its draws in our order.
    order = torch.arange(len(index)).reshape(each, fitted.members).T.reshape(-1)
    noises = {name: noise.index_select(0, order) for name, noise in found.noises.items()}
    weight = torch.ones(1, fitted.members, table.rows, dtype=torch.float64)
    return Belief(fitted, table, {}, weight, index, {**noises, **_free(free, fitted, spread)})


__all__ = ["Belief", "believe"]
