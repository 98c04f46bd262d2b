"""Several latents that last behind one value, weighed by the action: what identifies them.

Where actions look at the past only, what a policy does given the past drops out of the likelihood
(ignorability; D. B. Rubin, Biometrika 63, 1976), and what is left is a linear Gaussian state-space
model with known regressors. Between two steps the outcomes of a pair of actions covary by
`λ_aᵀ Γ_h λ_b`, in which the noise of a step has no part: the rank over pairs is the number of
latents, and components that last differently cannot be turned into each other.
"""

from __future__ import annotations

from causalsys.identify.verdict import Assumption
from causalsys.identify.view import View
from causalsys.scm.blocks import Block
from causalsys.scm.specs import LastingNormal, LowRank

Granted = tuple[Assumption, ...]


def has_low_rank(view: View, block: Block) -> bool:
    """Whether a block is a low-rank variable with its latents."""
    nodes = view.declaration.nodes
    return any(isinstance(nodes[n].mechanism, LastingNormal) for n in block.latents if n in nodes)


def by_low_rank(view: View, block: Block) -> Granted | None:
    """Under what such a block is identified as a whole; None if under nothing known here."""
    nodes = view.declaration.nodes
    if len(block.variables) != 1:
        return None
    (name,) = block.variables
    spec = nodes[name].mechanism
    if not isinstance(spec, LowRank) or set(block.latents) != set(spec.latents):
        return None
    if not _exogenous(view, name, spec.latents):
        return None
    size = sum(nodes[latent].support.size or 1 for latent in spec.latents)
    told = ", ".join(spec.latents)
    actions = ", ".join(r.key for r in nodes[name].parents if r.name not in spec.latents)
    where = "" if spec.link == "identity" else f" (in its {spec.link})"
    return (
        Assumption(
            "low rank and normal",
            f"{name} is a sum{where} of what {told} weighs under {actions or 'all actions'} and of "
            "noise that is new in every step; both are normal, and each latent keeps a share of "
            "its own from step to step",
            test="fitted.diagnostics, by the calibration of its forecasts",
        ),
        Assumption(
            "a stated rank",
            f"exactly {size} lasting latent{'s' * (size > 1)}",
            tuple(spec.latents),
            "cs.latent_dimension",
        ),
        Assumption(
            "sequential exogeneity",
            f"{told} lasts from step to step, and {actions or 'what is done'} looks at its past "
            "only",
            test="fitted.check",
        ),
    )


def _exogenous(view: View, name: str, latents: tuple[str, ...]) -> bool:
    """Whether what else acts on the variable is independent of its latents, given their past.

    Its own noise of this step is independent of it as well, unless the two share a cause, which
    would be one more latent of the block.
    """
    import networkx as nx

    steps = view.steps
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(steps.parents)
    graph.add_edges_from((c, effect) for effect, causes in steps.parents.items() for c in causes)
    now = {steps.at[latent][0] for latent in latents}
    past = {label for latent in latents for label in steps.at[latent][1:]}
    for ref in view.declaration.nodes[name].parents:
        labels = steps.at[ref.name]
        if ref.name in latents or ref.lag >= len(labels):
            continue
        if not nx.is_d_separator(graph, {labels[ref.lag]}, now, past - {labels[ref.lag]}):
            return False
    return True
