"""Districts of categories alone: the exact likelihood of latent classes.

Rows that are alike are counted once, so many rows cost no more than few; the latents are summed
out exactly. Attempts from unlike tables break the symmetry that keeps latents uninformative.
"""

from __future__ import annotations

import torch
from torch import Tensor

from causalsys.fit.gaussian import Maximum
from causalsys.fit.joint import Scope
from causalsys.fit.posterior import summed_out
from causalsys.mechanisms.base import Mechanism, Sample
from causalsys.mechanisms.packing import pack, unpack
from causalsys.mechanisms.quasi_newton import Losses, minimise
from causalsys.scm.supports import Categorical

_ATTEMPTS = 24
_STEPS = 300
_PRIOR = 1e-3
"""The weight, in rows, of a wide normal prior on log odds; it settles what rows leave open."""


def is_categorical(scope: Scope) -> bool:
    """Whether a scope has categories of rows alone, with trainable tables or logits."""
    names = {node.name for node in scope.nodes}
    names |= {ref.name for node in scope.nodes for ref in node.parents}
    supports = scope.schema.supports
    rows = all(node.function is None and node.per != "trace" for node in scope.nodes)
    return rows and all(
        isinstance(supports[name], Categorical) and not supports[name].size for name in names
    )


def maximise_classes(scope: Scope, *, weight: Tensor, generator: torch.Generator) -> Maximum:
    """Fit a district of categories by its exact likelihood.

    All members climb from the best attempt, so that they mean the same by a latent's levels.

    Args:
        scope: The district with started mechanisms.
        weight: `[member, row]`.
        generator: Fixes the attempts.
    """
    scope, weight = _counted(scope, weight)
    own, first = weight[:1].expand(_ATTEMPTS, -1), scope.members(torch.zeros(1, dtype=torch.int64))
    tries = _Problem(first, _started(first, own, generator))
    found = minimise(tries.under(own), tries.start(), steps=_STEPS)
    scores = tries.under(own)(found, torch.arange(_ATTEMPTS))
    good = int((scores <= scores.min() + 2.0 / weight[0].sum()).sum())
    best = found[scores.argmin()].expand(len(weight), -1)
    problem = _Problem(scope, tries.started)
    points = minimise(problem.under(weight), best, steps=_STEPS)
    return Maximum(problem.mechanisms(points), good, _ATTEMPTS)


class _Problem:
    """The likelihood as a function of points `[member, parameter]`."""

    def __init__(self, scope: Scope, mechanisms: dict[str, Mechanism]) -> None:
        self.scope, self.started = scope, mechanisms
        self.names = {
            name: [key for key in m.state if not key.startswith(m.constants)]
            for name, m in mechanisms.items()
        }
        self.sizes = [pack(m.state, self.names[n]).shape[1] for n, m in mechanisms.items()]

    def start(self) -> Tensor:
        """The started parameters."""
        return torch.cat([pack(m.state, self.names[n]) for n, m in self.started.items()], -1)

    def mechanisms(self, points: Tensor) -> dict[str, Mechanism]:
        """The mechanisms with the points as their parameters."""
        parts = points.split(self.sizes, -1)
        return {
            name: m.with_state(unpack(part, m.state, self.names[name]))
            for (name, m), part in zip(self.started.items(), parts, strict=True)
        }

    def under(self, weight: Tensor) -> Losses:
        """The negative log likelihood per row under weights `[member, row]`."""

        def losses(points: Tensor, whose: Tensor) -> Tensor:
            own = weight[whose]
            scope = self.scope.members(whose).with_mechanisms(self.mechanisms(points))
            likelihood = summed_out(scope, {})
            prior = _PRIOR * (points**2).sum(-1)
            return (prior - (own * likelihood).sum(-1)) / own.sum(-1)

        return losses


def _started(scope: Scope, weight: Tensor, generator: torch.Generator) -> dict[str, Mechanism]:
    """Mechanisms with a first guess for each attempt."""
    found = {}
    for node in scope.nodes:
        mechanism = scope.mechanisms[node.name]
        support = scope.schema.supports[node.name]
        assert isinstance(support, Categorical)
        given = {r.key: scope.known[r.key] for r in node.parents if r.key in scope.known}
        value = scope.known.get(node.name)
        if value is None:
            value = torch.randint(support.cardinality, (1, scope.rows), generator=generator)
        found[node.name] = mechanism.start(Sample(value, given, weight), generator=generator)
    return found


def _counted(scope: Scope, weight: Tensor) -> tuple[Scope, Tensor]:
    """Rows that are alike as one, their weights added up."""
    if any(len(value) > 1 or value.dim() > 2 for value in scope.known.values()):
        return scope, weight
    keys = sorted(scope.known)
    stacked = torch.stack([scope.known[key][0] for key in keys], -1)
    unique, place = torch.unique(stacked, dim=0, return_inverse=True)
    total = weight.new_zeros(len(weight), len(unique)).index_add(1, place, weight)
    first = torch.zeros(len(unique), dtype=torch.int64).scatter(
        0, place.flip(0), torch.arange(len(place)).flip(0)
    )
    return scope.take(first), total
