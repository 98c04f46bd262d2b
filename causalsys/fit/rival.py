"""A part of a model as a rival may change it: its parameters, its likelihood, its latents.

A rival fits as well as the fitted model and answers otherwise (Nasr-Esfahany and Kıcıman, arXiv
2301.09031, 2023). To search for one, a part's likelihood must be a smooth function of its
parameters, and so must what its latents are, given a row:

    linear, normal latents     the exact likelihood and posterior mean (`factors.py`)
    categorical latents        all combinations, exactly
    one continuous latent      a grid over its prior
    several                    nodes around the posterior, placed anew as the search goes on
    no latents                 the mechanisms' own likelihood
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from causalsys.fit.factors import Factors, is_gaussian
from causalsys.fit.guide import Guide
from causalsys.fit.joint import Scope
from causalsys.fit.posterior import configurations
from causalsys.fit.program import noise_size
from causalsys.fit.rival_nodes import Nodes, around, grid_of
from causalsys.fit.rival_noise import above, least_log_scale, raw_of
from causalsys.mechanisms.additive import Additive
from causalsys.mechanisms.base import Mechanism
from causalsys.mechanisms.linear import LinearMechanism
from causalsys.mechanisms.packing import pack, unpack
from causalsys.mechanisms.trees import TreesMechanism
from causalsys.scm.supports import Categorical

_SETTLING = 3
"""How often nodes are placed anew before a search, which takes them from guide to posterior."""
_WEIGHT_VARIANCE = 4.0
_LOG_ODDS_VARIANCE = 500.0
"""The fit's own priors of networks (times their inputs) and of tables: a rival keeps to them."""


@dataclass(frozen=True)
class Posterior:
    """What is known of a part's latents, given each row.

    Attributes:
        values: The latents and what is computed from them, `[atom, start, row]`.
        log_share: The probability of each atom, `[atom, start, row]`.
        log_likelihood: Of the part, latents integrated out, `[start, row]`.
    """

    values: Mapping[str, Tensor]
    log_share: Tensor
    log_likelihood: Tensor


@dataclass(frozen=True)
class Part:
    """Variables whose mechanisms a rival may change together.

    Attributes:
        scope: The rows, and member 0 of the fitted mechanisms.
        guide: The guide of the continuous latents, if there is one; member 0.
        trained: The names of what may change, by variable.
        floor: The least log scale of a variable's own noise.
        unit: The size of each parameter, `[parameter]`.
        nodes: Where continuous latents are looked at.
    """

    scope: Scope
    guide: Guide | None
    trained: Mapping[str, tuple[str, ...]]
    floor: Mapping[str, Tensor]
    unit: Tensor
    nodes: Nodes | None

    @classmethod
    def of(cls, scope: Scope, guide: Guide | None) -> Part:
        """The part of the nodes of a scope whose mechanisms have one member."""
        trained = {}
        for node in scope.nodes:
            mechanism = scope.mechanisms.get(node.name)
            if mechanism is None or isinstance(mechanism, TreesMechanism):
                continue
            names = [
                key
                for key, tensor in mechanism.state.items()
                if not key.startswith(mechanism.constants)
                and tensor.is_floating_point()
                and tensor.numel()
            ]
            if names:
                trained[node.name] = tuple(names)
        part = cls(scope, guide, trained, {}, torch.ones(0), None)
        units = [part._unit(name, key) for name, keys in trained.items() for key in keys]
        part = replace(part, unit=torch.cat(units) if units else torch.ones(0))
        part = replace(part, floor=part._floors(), nodes=part._first_nodes())
        for _ in range(_SETTLING):
            part = part.placed(scope.mechanisms)
        return part

    @property
    def start(self) -> Tensor:
        """The fitted parameters as a point, `[1, parameter]`."""
        found = []
        for name, keys in self.trained.items():
            state = dict(self.scope.mechanisms[name].state)
            if name in self.floor:
                state["log_scale"] = raw_of(state["log_scale"], self.floor[name])
            found.append(pack(state, keys))
        return torch.cat(found, -1) / self.unit if found else torch.zeros(1, 0)

    def under(self, points: Tensor) -> dict[str, Mechanism]:
        """What may change, with points `[start, parameter]` as its parameters."""
        found: dict[str, Mechanism] = {}
        at = 0
        points = points * self.unit
        for name, keys in self.trained.items():
            old = self.scope.mechanisms[name].state
            size = pack(old, keys).shape[1]
            state = unpack(points[:, at : at + size], old, keys)
            at += size
            if name in self.floor:
                state["log_scale"] = above(state["log_scale"], self.floor[name])
            found[name] = self.scope.mechanisms[name].with_state(state)
        return found

    def prior(self, mechanisms: Mapping[str, Mechanism]) -> Tensor:
        """The fit's own penalty of networks' weights and of log odds, in nats, `[start]`."""
        total = torch.zeros(1, dtype=torch.float64)
        for name, keys in self.trained.items():
            for key in keys:
                tensor = mechanisms[name].state[key]
                if key.startswith("table"):
                    total = total + tensor.flatten(1).square().sum(-1) / (2 * _LOG_ODDS_VARIANCE)
                elif tensor.dim() == 3:
                    square = tensor.shape[1] * tensor.flatten(1).square().sum(-1)
                    total = total + square / (2 * _WEIGHT_VARIANCE)
        return total

    def posterior(
        self, mechanisms: Mapping[str, Mechanism], whose: Tensor | None = None
    ) -> Posterior:
        """The latents given each row, and the likelihood, at the starts `whose`."""
        scope = self.scope.with_mechanisms({**self.scope.mechanisms, **mechanisms})
        if self.linear:
            return _exactly(scope)
        nodes = self.nodes if self.nodes is None or whose is None else self.nodes.members(whose)
        noises = {} if nodes is None else self._split(nodes.noise)
        codes = {name: code.reshape(-1, 1, 1, 1) for name, code in configurations(scope).items()}
        values, joint = scope.sweep(noises, fixed=codes)
        if nodes is not None:
            joint = joint + nodes.log_weight
        joint = joint.reshape(*[1] * (4 - joint.dim()), *joint.shape)
        lead = joint.shape[:2]
        joint = joint.flatten(0, 1)
        total = torch.logsumexp(joint, 0)
        supports = scope.schema.supports
        flat = {
            name: _flat(value, lead, vector=bool(supports[name].size))
            for name, value in values.items()
        }
        return Posterior(flat, joint - total, total)

    @property
    def linear(self) -> bool:
        """Whether the part is a linear district with normal latents."""
        latent = any(node.kind == "latent" for node in self.scope.nodes)
        return latent and is_gaussian(self.scope)

    @property
    def width(self) -> int:
        """How many continuous noises its latents have."""
        return sum(size for _, size in self.continuous)

    def members(self, whose: Tensor) -> Part:
        """The part as the starts `whose` see it."""
        return self if self.nodes is None else replace(self, nodes=self.nodes.members(whose))

    def placed(self, mechanisms: Mapping[str, Mechanism]) -> Part:
        """The part with its nodes around the posterior under these mechanisms."""
        if self.nodes is None or self.width == 1:
            return self
        mean, covariance = self._moments(mechanisms)
        ridge = 1e-3 * torch.eye(self.width, dtype=mean.dtype)
        return replace(self, nodes=around(mean, torch.linalg.cholesky(covariance + ridge)))

    def moments(self, mechanisms: Mapping[str, Mechanism]) -> tuple[Tensor, Tensor]:
        """Mean and scale of the latents' noises given each row, `[start, row, width]`."""
        mean, covariance = self._moments(mechanisms)
        return mean, covariance.diagonal(dim1=-2, dim2=-1).clamp(min=1e-4).sqrt()

    def _moments(self, mechanisms: Mapping[str, Mechanism]) -> tuple[Tensor, Tensor]:
        """Mean, and covariance `[start, row, width, width]`."""
        assert self.nodes is not None
        with torch.no_grad():
            share = self._by_node(self.posterior(mechanisms)).unsqueeze(-1)
            mean = (share * self.nodes.noise).sum(0)
            away = self.nodes.noise - mean
            return mean, torch.einsum("nsri,nsrj->srij", share * away, away)

    def at_rest(self) -> dict[str, Tensor]:
        """The latents where their noises are zero, and what is computed from them, `[1, row]`."""
        zeros = {
            name: torch.zeros(1, 1, *self.scope.mechanisms[name].noise_shape, dtype=torch.float64)
            for name, _ in self.continuous
        }
        codes = {name: code[:1].reshape(1, 1) for name, code in configurations(self.scope).items()}
        return self.scope.sweep(zeros, fixed=codes)[0]

    def _by_node(self, found: Posterior) -> Tensor:
        """The probability of each node, categories summed over, `[node, start, row]`."""
        assert self.nodes is not None
        return found.log_share.exp().unflatten(0, (-1, len(self.nodes.noise))).sum(0)

    @property
    def continuous(self) -> list[tuple[str, int]]:
        """The continuous latents, and how many noises each has."""
        return [
            (node.name, noise_size(self.scope.mechanisms[node.name].noise_shape))
            for node in self.scope.nodes
            if node.kind == "latent"
            and not isinstance(self.scope.schema.supports[node.name], Categorical)
        ]

    def _split(self, noise: Tensor) -> dict[str, Tensor]:
        """Noises `[..., width]` by latent."""
        found, at = {}, 0
        for name, size in self.continuous:
            part = noise[..., at : at + size]
            at += size
            found[name] = part if self.scope.mechanisms[name].noise_shape else part.squeeze(-1)
        return found

    def _first_nodes(self) -> Nodes | None:
        if not self.width or self.linear:
            return None
        if self.width == 1:
            return grid_of(self.scope.rows)
        assert self.guide is not None
        inputs = {key: self.scope.known[key] for key in self.guide.inputs}
        with torch.no_grad():
            mean, scale = self.guide.posterior(inputs)
            return around(mean, torch.diag_embed(scale))

    def _unit(self, name: str, key: str) -> Tensor:
        mechanism = self.scope.mechanisms[name]
        tensor = mechanism.state[key].flatten(1)[0]
        size = torch.ones_like(tensor)
        if isinstance(mechanism, LinearMechanism) and key in ("constant", "weight"):
            spread = mechanism.line(self.scope.known[name]).std()
            return size * spread.clamp(min=1e-9)
        return size

    def _floors(self) -> dict[str, Tensor]:
        """The least log scale of the noise of each variable of a district."""
        if not any(node.kind == "latent" for node in self.scope.nodes):
            return {}
        found = {}
        with torch.no_grad():
            values = self.at_rest()
            for node in self.scope.nodes:
                mechanism = self.scope.mechanisms.get(node.name)
                if node.kind == "latent" or not isinstance(mechanism, Additive):
                    continue
                parents = self.scope.parents(node, values)
                found[node.name] = least_log_scale(mechanism, self.scope.known[node.name], parents)
        return found


def _exactly(scope: Scope) -> Posterior:
    factors = Factors.of(scope)
    mean, _ = factors.posterior()
    values = {}
    for name, part in factors.latents.items():
        vector = bool(scope.schema.supports[name].size)
        noise = mean[..., part] if vector else mean[..., part.start]
        values[name] = scope.mechanisms[name].push(noise, {}).unsqueeze(0)
    likelihood = factors.log_likelihood()
    return Posterior(values, torch.zeros_like(likelihood).unsqueeze(0), likelihood)


def _flat(value: Tensor, lead: torch.Size, *, vector: bool) -> Tensor:
    """Values with the axes of categories and of nodes made one."""
    axes = 5 if vector else 4
    value = value.reshape(*[1] * (axes - value.dim()), *value.shape)
    return value.expand(*lead, *value.shape[2:]).flatten(0, 1)
