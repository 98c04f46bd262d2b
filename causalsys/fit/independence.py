"""What the graph says a latent is independent of, as part of the objective.

If `u ⟂ a` in the graph, then `cov(E[u | data], a) = E[(u - E u) a] = 0` whenever `a` is among
the data that the guide looks at. The penalty is the squared correlation of the posterior mean
with everything that is d-separated from the latent: CausalSim's policy invariance
(Alomar et al., NSDI 2023) is the case of a randomised arm, without its adversary.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from causalsys.fit.guide import Guide
from causalsys.mechanisms.features import columns
from causalsys.scm.graph import Graph
from causalsys.scm.supports import Support

STRENGTH = 1.0
"""In nats per row at a correlation of one."""


def independent_of(graph: Graph, latent: str, *, among: Mapping[str, Support]) -> tuple[str, ...]:
    """The keys of `among` whose variable (of this step) is d-separated from `latent`."""
    keys = [key for key in among if key in graph.kinds]
    if any(edge.lag for edge in graph.edges) or "trace" in graph.per.values():
        return tuple(key for key in keys if graph.d_separated(latent, key))
    # Within a step, what shares no cause is independent: one walk for all, where each
    # separation walks the whole graph.
    roots = {latent, *graph.ancestors(latent)}
    tied = roots.union(*(graph.descendants(root) for root in roots))
    return tuple(key for key in keys if key not in tied)


def penalty(
    guide: Guide,
    mean: Tensor,
    known: Mapping[str, Tensor],
    *,
    independences: Mapping[str, tuple[str, ...]],
    weight: Tensor,
) -> Tensor:
    """The squared correlations, summed over latents and columns, `[member]`.

    Args:
        guide: The guide, whose scaling constants are used.
        mean: The posterior means of the noises, `[member, row, width]`.
        known: The rows' known values by key.
        independences: For each latent the keys it is independent of.
        weight: `[member, row]`.
    """
    share = (weight / weight.sum(-1, keepdim=True)).unsqueeze(-1)
    centered = mean - (share * mean).sum(-2, keepdim=True)
    total = mean.new_zeros(mean.shape[0])
    start = 0
    for latent, size in zip(guide.latents, guide.sizes, strict=True):
        part = centered[..., start : start + size]
        start += size
        keys = independences.get(latent, ())
        if not keys:
            continue
        supports = {key: guide.inputs[key] for key in keys}
        plain = {"center": mean.new_zeros(1), "spread": mean.new_ones(1)}
        values = {key: known[key] for key in keys}
        design = columns(values, parents=supports, scale="raw", state=plain)
        if design is None:
            continue
        design = design - (share * design).sum(-2, keepdim=True)
        design = design / ((share * design**2).sum(-2, keepdim=True) + 1e-12).sqrt()
        covariance = (share * part).mT @ design
        # The square of a covariance of pure noise is about 1 / rows: not to be punished.
        excess = covariance**2 - 1 / mean.shape[-2]
        total = total + excess.clamp(min=0).sum((-2, -1))
    return STRENGTH * total
