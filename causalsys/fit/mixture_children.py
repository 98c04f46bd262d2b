"""The children of a categorical latent, as expectation-maximisation sees them.

A child gives the log density of its values under each level, takes the parameters that weights by
level call for, and turns them into its mechanism's. Members are batched along the first axis.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from causalsys.fit.joint import Scope
from causalsys.mechanisms.base import Mechanism
from causalsys.mechanisms.by_level import Lines, Sharing, cross_moments, products_of
from causalsys.mechanisms.categorical import GumbelMaxMechanism
from causalsys.mechanisms.features import widths
from causalsys.mechanisms.levelled import LevelledMechanism, line_table
from causalsys.mechanisms.linear import LinearMechanism
from causalsys.mechanisms.table import TableMechanism
from causalsys.scm.declaration import Node
from causalsys.scm.supports import Categorical

_PSEUDO = 0.5
"""Added to a level's counts, spread over its values (Perks, 1947)."""
Parameters = Lines | Tensor
"""Lines of a number; of a category the log probabilities `[member, level, cell]`."""


class Child(Protocol):
    """What expectation-maximisation asks of a child."""

    @property
    def name(self) -> str:
        """The variable."""

    def take(self, rows: Tensor) -> Child:
        """The child over these rows of the first data set."""

    def pooled(self, members: int) -> Parameters:
        """Parameters that are the same for every level."""

    def add_log_density(self, total: Tensor, parameters: Parameters) -> None:
        """Add the log density to `total`, `[member, level, row]`, up to a constant per row."""

    def updated(self, parameters: Parameters, weight: Tensor) -> Parameters:
        """Parameters under weights `[member, level, row]`, none less likely than before."""

    def log_prior(self, parameters: Parameters) -> Tensor:
        """`[member]`."""

    def mechanism(self, parameters: Parameters) -> Mechanism:
        """The mechanism with these parameters."""

    def parameters(self, mechanism: Mechanism) -> Parameters:
        """The parameters of a mechanism that was fitted before."""

    def features(self) -> Tensor:
        """What of the child the other parents do not explain, `[row, feature]`, to start from."""


def child_of(node: Node, latent: str, scope: Scope, weight: Tensor) -> Child | None:
    """The child in a scope with started mechanisms; None where its update has no closed form."""
    mechanism = scope.mechanisms[node.name]
    value = scope.known[node.name]
    given = {ref.key: scope.known.get(ref.key) for ref in node.parents}
    codes = torch.zeros(1, scope.rows, dtype=torch.int64)
    parents = {key: codes if other is None else other for key, other in given.items()}
    if isinstance(mechanism, LinearMechanism | LevelledMechanism):
        return _line_child(node, mechanism, latent, value, parents, weight)
    if isinstance(mechanism, GumbelMaxMechanism):
        return _table_child(node, mechanism, latent, value, parents)
    return None


@dataclass(frozen=True)
class LineChild:
    """A number: a regression on its other parents, in part shared by the levels."""

    name: str
    started: LinearMechanism | LevelledMechanism
    latent: str
    levels: int
    table: Tensor
    center: Tensor
    spread: Tensor
    sharing: Sharing

    def take(self, rows: Tensor) -> LineChild:
        return replace(self, table=self.table[:1, rows])

    def pooled(self, members: int) -> Lines:
        return self.sharing.lines(members, self.levels)

    def add_log_density(self, total: Tensor, parameters: Parameters) -> None:
        assert isinstance(parameters, Lines)
        coefficients, variance = parameters.coefficients, parameters.variance.unsqueeze(-1)
        value = self.table[..., -1].unsqueeze(-2)
        if coefficients.shape[-1] == 1:
            residual = value - coefficients
        else:
            residual = (coefficients @ self.table[..., :-1].mT).sub_(value)
        total.addcmul_(residual.square_(), -0.5 / variance).sub_(0.5 * variance.log())

    def updated(self, parameters: Parameters, weight: Tensor) -> Lines:
        assert isinstance(parameters, Lines)
        moments = cross_moments(self.table, weight, products=self._products)
        return self.sharing.sweep(moments, parameters)

    @cached_property
    def _products(self) -> Tensor | None:
        return products_of(self.table)

    def log_prior(self, parameters: Parameters) -> Tensor:
        assert isinstance(parameters, Lines)
        return self.sharing.log_prior(parameters)

    def mechanism(self, parameters: Parameters) -> Mechanism:
        assert isinstance(parameters, Lines)
        if isinstance(self.started, LevelledMechanism):
            return self.started.with_lines(parameters, center=self.center, spread=self.spread)
        mine, others = _places(self.started, self.latent)
        old = self.started.state["weight"]
        weight = old.new_zeros(len(parameters.variance), old.shape[1])
        constants = self.spread * parameters.coefficients[..., 0]
        weight[:, mine] = constants[:, 1:] - constants[:, :1]
        weight[:, others] = self.spread * parameters.coefficients[:, 0, 1:]
        state = {
            **self.started.state,
            "weight": weight,
            "constant": self.center + constants[:, :1],
            "log_scale": 0.5 * parameters.variance[:, :1].log() + self.spread.log(),
        }
        return self.started.with_state(state)

    def parameters(self, mechanism: Mechanism) -> Lines:
        old, new = mechanism.state, self.started.state
        if isinstance(mechanism, LevelledMechanism):
            constants, slope = old["constant"], old["slope"]
            was, now = ((s["center"][:, 0], s["spread"][:, 0]) for s in (old, new))
        else:
            assert isinstance(mechanism, LinearMechanism)
            mine, others = _places(mechanism, self.latent)
            steps = torch.cat([torch.zeros_like(old["constant"]), old["weight"][:, mine]], -1)
            constants, slope = old["constant"] + steps, old["weight"][:, None, others]
            was, now = ((s["center"][0, :, others], s["spread"][0, :, others]) for s in (old, new))
        raw = slope / was[1]
        constants = constants + (raw * (now[0] - was[0])).sum(-1)
        constants = (constants - self.center) / self.spread
        slope = (raw * now[1] / self.spread).expand(-1, self.levels, -1)
        variance = torch.exp(2 * old["log_scale"]) / self.spread**2
        wide = variance.expand(-1, self.levels)
        return Lines(torch.cat([constants.unsqueeze(-1), slope], -1), wide)

    def features(self) -> Tensor:
        residual = self.table[0, :, -1] - self.table[0, :, :-1] @ self.sharing.pooled[0]
        return (residual / self.sharing.square.sqrt()).unsqueeze(-1)


@dataclass(frozen=True)
class TableChild:
    """A category: frequencies by level, and by the other categorical parents."""

    name: str
    started: GumbelMaxMechanism
    latent: str
    levels: int
    hits: Tensor
    values: int
    place: int

    def take(self, rows: Tensor) -> TableChild:
        return replace(self, hits=self.hits[:1, rows])

    def pooled(self, members: int) -> Tensor:
        even = self.hits.new_full((members, self.levels, 1), 1.0)
        return self._table(even @ self.hits[:1].sum(-2, keepdim=True))

    def add_log_density(self, total: Tensor, parameters: Parameters) -> None:
        assert isinstance(parameters, Tensor)
        total.add_(parameters @ self.hits.mT)

    def updated(self, parameters: Parameters, weight: Tensor) -> Tensor:
        return self._table(weight @ self.hits)

    def log_prior(self, parameters: Parameters) -> Tensor:
        assert isinstance(parameters, Tensor)
        return _PSEUDO / self.values * parameters.sum((-1, -2))

    def mechanism(self, parameters: Parameters) -> Mechanism:
        assert isinstance(parameters, Tensor)
        split = parameters.unflatten(-1, (-1, self.values))
        if isinstance(self.started, TableMechanism):
            sizes = [s.cardinality for s in self._sizes]
            others = [size for i, size in enumerate(sizes) if i != self.place]
            shaped = split.reshape(len(split), self.levels, *others, self.values)
            return self.started.with_state(
                {"table": shaped.movedim(1, 1 + self.place).reshape(len(split), -1, self.values)}
            )
        state = {
            **self.started.state,
            "net.constant": split[:, :1, 0],
            "net.shortcut": split[:, 1:, 0] - split[:, :1, 0],
        }
        return self.started.with_state(state)

    def parameters(self, mechanism: Mechanism) -> Tensor:
        if isinstance(mechanism, TableMechanism):
            table = torch.log_softmax(mechanism.state["table"], -1)
            sizes = [s.cardinality for s in self._sizes]
            split = table.reshape(len(table), *sizes, self.values)
            return split.movedim(1 + self.place, 1).reshape(len(table), self.levels, -1)
        constant, slope = mechanism.state["net.constant"], mechanism.state["net.shortcut"]
        return torch.log_softmax(torch.cat([constant, constant + slope], -2), -1)

    def features(self) -> Tensor:
        return self.hits[0] / self.hits[0].std(0, unbiased=False).clamp(min=1e-9)

    @property
    def _sizes(self) -> list[Categorical]:
        return [s for s in self.started.parents.values() if isinstance(s, Categorical)]

    def _table(self, counts: Tensor) -> Tensor:
        split = counts.unflatten(-1, (-1, self.values)) + _PSEUDO / self.values
        return (split / split.sum(-1, keepdim=True)).log().flatten(-2)


def _line_child(
    node: Node,
    mechanism: LinearMechanism | LevelledMechanism,
    latent: str,
    value: Tensor,
    parents: dict[str, Tensor],
    weight: Tensor,
) -> LineChild | None:
    spec, support = mechanism.spec, mechanism.parents[latent]
    assert isinstance(support, Categorical)
    design = mechanism.columns(parents)
    if isinstance(mechanism, LevelledMechanism):
        if mechanism.level != latent:
            return None
    else:
        if spec.noise != "normal" or spec.prior or spec.memory:
            return None
        others = _places(mechanism, latent)[1]
        design = design[..., others] if design is not None and others else None
    table, center, spread = line_table(mechanism.line(value), design)
    whole = cross_moments(table[:1], weight[:1].unsqueeze(1))[:, 0]
    sharing = Sharing.of(whole, slopes=not spec.by, scale=not spec.level)
    return LineChild(
        node.name, mechanism, latent, support.cardinality, table, center, spread, sharing
    )


def _table_child(
    node: Node,
    mechanism: GumbelMaxMechanism,
    latent: str,
    value: Tensor,
    parents: dict[str, Tensor],
) -> TableChild | None:
    plain = mechanism.spec.hidden if not isinstance(mechanism, TableMechanism) else ()
    if plain or (len(parents) > 1 and not isinstance(mechanism, TableMechanism)):
        return None
    values, cell = mechanism.noise_shape[0], torch.zeros_like(value)
    cells, support = 1, mechanism.parents[latent]
    for key, other in mechanism.parents.items():
        if key == latent or not isinstance(other, Categorical):
            continue
        cell = cell * other.cardinality + parents[key].long()
        cells *= other.cardinality
    assert isinstance(support, Categorical)
    hits = one_hot(cell * values + value.long(), cells * values).double()
    place = list(mechanism.parents).index(latent)
    return TableChild(node.name, mechanism, latent, support.cardinality, hits, values, place)


def _places(mechanism: LinearMechanism, latent: str) -> tuple[list[int], list[int]]:
    """Which columns of a mechanism are the latent's levels, and which are not."""
    mine: list[int] = []
    end = 0
    for key, width in widths(mechanism.parents, scale=mechanism.scale).items():
        if key == latent:
            mine = list(range(end, end + width))
        end += width
    return mine, [place for place in range(end) if place not in mine]
