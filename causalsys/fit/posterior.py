"""The posterior of a district's latents: proposals from its guide, weights from its model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from causalsys.fit.guide import Guide
from causalsys.fit.joint import Scope
from causalsys.scm.supports import Categorical


@dataclass(frozen=True)
class Proposal:
    """Draws of latents' noises from a guide.

    Attributes:
        noises: By latent, `[draw, sample, row, *noise_shape]`.
        log_ratio: Log prior minus log proposal, `[draw, sample, unit]`, a unit being a row, or
            a trace where the latents belong to traces.
    """

    noises: dict[str, Tensor]
    log_ratio: Tensor


def propose(
    guide: Guide, scope: Scope, *, draws: int, generator: torch.Generator | None = None
) -> Proposal:
    """Draw noises from the guide."""
    inputs = {key: scope.known[key] for key in guide.inputs}
    mean, scale = guide.posterior(inputs, trace=scope.layout.trace)
    shape = (draws, *mean.shape)
    standard = torch.randn(shape, generator=generator, dtype=mean.dtype)
    noise = mean + scale * standard
    log_ratio = (-0.5 * noise**2 + 0.5 * standard**2 + torch.log(scale)).sum(-1)
    noises: dict[str, Tensor] = {}
    start = 0
    for name, size in zip(guide.latents, guide.sizes, strict=True):
        part = noise[..., start : start + size]
        start += size
        if guide.per_trace:
            part = part.index_select(-2, scope.layout.trace)
        noises[name] = part if scope.mechanisms[name].noise_shape else part.squeeze(-1)
    return Proposal(noises, log_ratio)


def configurations(scope: Scope) -> dict[str, Tensor]:
    """All combinations of the categorical latents' codes, each `[combination]`."""
    supports = {
        node.name: support
        for node in scope.nodes
        if node.kind == "latent"
        and isinstance(support := scope.schema.supports[node.name], Categorical)
    }
    if not supports:
        return {}
    levels = [range(support.cardinality) for support in supports.values()]
    table = torch.tensor(list(product(*levels)), dtype=torch.int64).reshape(-1, len(levels))
    return {name: table[:, i] for i, name in enumerate(supports)}


def by_configuration(scope: Scope, noises: Mapping[str, Tensor]) -> Tensor:
    """The log joint of known values and each combination, `[combination, ..., sample, unit]`."""
    codes = configurations(scope)
    if not codes:
        return scope.per_unit(scope.sweep(noises)[1]).unsqueeze(0)
    axes = max(
        (n.dim() - len(scope.mechanisms[k].noise_shape) for k, n in noises.items()), default=2
    )
    fixed = {name: code.reshape(-1, *[1] * axes) for name, code in codes.items()}
    return scope.per_unit(scope.sweep(noises, fixed=fixed)[1])


def summed_out(scope: Scope, noises: Mapping[str, Tensor]) -> Tensor:
    """The log likelihood `[..., sample, unit]` with the categorical latents summed out."""
    return torch.logsumexp(by_configuration(scope, noises), 0)
