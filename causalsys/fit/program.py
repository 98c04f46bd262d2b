"""The Pyro programs of a district: the model, and the guide of its latents."""

from __future__ import annotations

import pyro
import pyro.distributions as dist
import torch
from pyro import poutine
from torch import Tensor

from causalsys.fit.guide import Guide
from causalsys.fit.joint import Scope
from causalsys.fit.posterior import configurations, summed_out
from causalsys.mechanisms.law import MechanismLaw
from causalsys.scm.declaration import Node
from causalsys.scm.supports import Categorical, Support


def model(scope: Scope, *, weight: Tensor, prior_weight: float = 1.0) -> None:
    """The generative program of a scope's variables, known values observed.

    Categorical latents are summed out exactly, so the program has no sites for them.

    Args:
        scope: The variables and the rows.
        weight: `[member, row]`, how much each row counts for each member.
        prior_weight: Scales the latents' prior (and with it the divergence of the guide);
            below 1 in the first steps, so that latents are taken up before they are priced.
    """
    plates = _Plates(scope, weight)
    with pyro.plate(unlike("member"), len(weight), dim=-2):
        noises = {
            node.name: _noise(node, scope, plates, prior_weight)
            for node in scope.nodes
            if node.kind == "latent" and not isinstance(_support(node, scope), Categorical)
        }
        if configurations(scope):
            units, importance = plates.of(per_trace=scope.by_trace)
            with units, poutine.scale(scale=importance):
                pyro.factor(unlike("known"), summed_out(scope, noises))
            return
        values: dict[str, Tensor] = {}
        for node in scope.nodes:
            parents = scope.parents(node, values)
            if node.function is not None:
                values[node.name] = scope.compute(node, parents)
                continue
            mechanism = scope.mechanisms[node.name]
            if node.kind == "latent":
                values[node.name] = mechanism.push(noises[node.name], parents)
                continue
            law = MechanismLaw(mechanism, parents, batch_shape=tuple(weight.shape))
            with plates.rows, poutine.scale(scale=weight):
                pyro.sample(node.name, law, obs=scope.known[node.name])


def guide(scope: Scope, posterior: Guide, *, weight: Tensor, prior_weight: float = 1.0) -> None:
    """The guide's program: normal noises of the latents, given the observed part."""
    inputs = {key: scope.known[key] for key in posterior.inputs}
    mean, scale = posterior.posterior(inputs, trace=scope.layout.trace)
    plates = _Plates(scope, weight)
    start = 0
    with pyro.plate(unlike("member"), weight.shape[0], dim=-2):
        for name, size in zip(posterior.latents, posterior.sizes, strict=True):
            part = slice(start, start + size)
            start += size
            units, importance = plates.of(per_trace=posterior.per_trace)
            with units, poutine.scale(scale=importance * prior_weight):
                law = dist.Normal(mean[..., part], scale[..., part]).to_event(1)
                pyro.sample(unlike(f"{name}.noise"), law)


class _Plates:
    """The plates of one run: rows, and traces."""

    def __init__(self, scope: Scope, weight: Tensor) -> None:
        self.rows = pyro.plate(unlike("row"), weight.shape[1], dim=-1)
        self._scope, self._weight = scope, weight
        self._traces: pyro.plate | None = None

    def of(self, *, per_trace: bool) -> tuple[pyro.plate, Tensor]:
        """The plate of units that are rows, or traces, and each unit's weight."""
        if not per_trace:
            return self.rows, self._weight
        importance = self._scope.unit_weight(self._weight)
        if self._traces is None:
            self._traces = pyro.plate(unlike("trace"), importance.shape[1], dim=-1)
        return self._traces, importance


def _noise(node: Node, scope: Scope, plates: _Plates, prior_weight: float) -> Tensor:
    """The noise of a continuous latent, `[member, row, *noise_shape]`."""
    shape = scope.mechanisms[node.name].noise_shape
    units, importance = plates.of(per_trace=node.per == "trace")
    with units, poutine.scale(scale=importance * prior_weight):
        zeros = torch.zeros(noise_size(shape), dtype=torch.float64)
        noise = pyro.sample(unlike(f"{node.name}.noise"), dist.Normal(zeros, zeros + 1).to_event(1))
    noise = noise if shape else noise.squeeze(-1)
    if node.per != "trace":
        return noise
    return noise.index_select(noise.dim() - 1 - len(shape), scope.layout.trace)


def _support(node: Node, scope: Scope) -> Support:
    return scope.schema.supports[node.name]


def unlike(name: str) -> str:
    """A name for a plate or a site that no variable can have: theirs are printable."""
    return f"{name}\u200b"


def noise_size(shape: tuple[int, ...]) -> int:
    """How many numbers one noise has."""
    size = 1
    for axis in shape:
        size *= axis
    return size
