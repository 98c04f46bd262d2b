"""The Pyro programs of a district: the model, and the guide of its latents."""

from __future__ import annotations

import pyro
import pyro.distributions as dist
import torch
from pyro import poutine
from torch import Tensor

from causalsys.fit.guide import Guide
from causalsys.fit.joint import Scope
from causalsys.mechanisms.law import MechanismLaw
from causalsys.scm.declaration import Node
from causalsys.scm.supports import Categorical


def model(scope: Scope, *, weight: Tensor, prior_weight: float = 1.0) -> dict[str, Tensor]:
    """The generative program of a scope's variables, known values observed.

    Args:
        scope: The variables and the rows.
        weight: `[member, row]`, how much each row counts for each member.
        prior_weight: Scales the latents' prior (and with it the divergence of the guide);
            below 1 in the first steps, so that latents are taken up before they are priced.

    Returns:
        The latents' values.
    """
    members, rows = weight.shape
    values: dict[str, Tensor] = {}
    plates = _Plates(scope, weight, prior_weight)
    with pyro.plate("member", members, dim=-2):
        for node in scope.nodes:
            parents = scope.parents(node, values)
            if node.function is not None:
                values[node.name] = scope.compute(node, parents)
            elif node.kind == "latent":
                values[node.name] = _latent(node, scope, parents, plates)
            else:
                mechanism = scope.mechanisms[node.name]
                law = MechanismLaw(mechanism, parents, batch_shape=(members, rows))
                with plates.rows, poutine.scale(scale=weight):
                    pyro.sample(node.name, law, obs=scope.known[node.name])
    return values


def guide(scope: Scope, posterior: Guide, *, weight: Tensor, prior_weight: float = 1.0) -> None:
    """The guide's program: normal noises of the latents, given the observed part."""
    inputs = {key: scope.known[key] for key in posterior.inputs}
    mean, scale = posterior.posterior(inputs, trace=scope.layout.trace)
    plates = _Plates(scope, weight, prior_weight)
    start = 0
    with pyro.plate("member", weight.shape[0], dim=-2):
        for name, size in zip(posterior.latents, posterior.sizes, strict=True):
            part = slice(start, start + size)
            start += size
            units, importance = plates.of(per_trace=posterior.per_trace)
            with units, poutine.scale(scale=importance):
                law = dist.Normal(mean[..., part], scale[..., part]).to_event(1)
                pyro.sample(f"{name}.noise", law)


class _Plates:
    """The plates of one run: rows, and traces; a latent counts as its unit's rows do."""

    def __init__(self, scope: Scope, weight: Tensor, prior_weight: float) -> None:
        self.rows = pyro.plate("row", weight.shape[1], dim=-1)
        self.weight, self.prior_weight = weight, prior_weight
        self.trace = scope.layout.trace
        self._traces: pyro.plate | None = None

    def of(self, *, per_trace: bool) -> tuple[pyro.plate, Tensor]:
        """The plate of a latent's units, and what each unit's prior is scaled by."""
        if not per_trace:
            return self.rows, self.weight * self.prior_weight
        count = torch.bincount(self.trace)
        if self._traces is None:
            self._traces = pyro.plate("trace", len(count), dim=-1)
        total = self.weight.new_zeros(len(self.weight), len(count))
        mean = total.index_add(1, self.trace, self.weight) / count
        return self._traces, mean * self.prior_weight


def _latent(node: Node, scope: Scope, parents: dict[str, Tensor], plates: _Plates) -> Tensor:
    mechanism = scope.mechanisms[node.name]
    members, rows = plates.weight.shape
    if isinstance(mechanism.support, Categorical):
        law = MechanismLaw(mechanism, parents, batch_shape=(members, rows))
        with plates.rows, poutine.scale(scale=plates.weight):
            return pyro.sample(node.name, law, infer={"enumerate": "parallel"})
    size = noise_size(mechanism.noise_shape)
    units, importance = plates.of(per_trace=node.per == "trace")
    with units, poutine.scale(scale=importance):
        zeros = plates.weight.new_zeros(size)
        noise = pyro.sample(f"{node.name}.noise", dist.Normal(zeros, zeros + 1).to_event(1))
    noise = noise if mechanism.noise_shape else noise.squeeze(-1)
    if node.per == "trace":
        axis = noise.dim() - 1 - len(mechanism.noise_shape)
        noise = noise.index_select(axis, scope.layout.trace)
    return mechanism.push(noise, parents)


def noise_size(shape: tuple[int, ...]) -> int:
    """How many numbers one noise has."""
    size = 1
    for axis in shape:
        size *= axis
    return size
