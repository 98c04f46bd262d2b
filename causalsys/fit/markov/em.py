"""EM for a chain with its children (Baum and Welch): every member and start at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from causalsys.fit.markov.children import is_cheap, refitted
from causalsys.fit.markov.emissions import Emissions
from causalsys.fit.markov.laws import Law
from causalsys.fit.markov.passes import Expected, backward, forward
from causalsys.mechanisms.base import Mechanism
from causalsys.mechanisms.chain import ChainMechanism

_COSTLY_STEPS, _COSTLY_TOLERANCE = 80, 1e-4
"""Where a child is fitted by gradient, a step costs so much that the last digits are let go."""
_FIRST_MOVE = 0.25
"""How far a learned level is tried beside itself at first, in gaps between levels."""


@dataclass(frozen=True)
class Model:
    """A chain with its children, all with the same members.

    Attributes:
        chain: The chain's mechanism, for its link; its parameters are those of `law`.
        law: The chain's law.
        children: The children's mechanisms.
        reach: How far levels are moved at most in a step, `[member, state]`; None where they are
            given.
        log_likelihood: Per row, `[member]`, before the last step.
    """

    chain: ChainMechanism
    law: Law
    children: Mapping[str, Mechanism]
    reach: Tensor | None
    log_likelihood: Tensor

    def members(self, index: Tensor) -> Model:
        """The model of these members."""
        return Model(
            self.chain,
            self.law.members(index),
            {name: each.members(index) for name, each in self.children.items()},
            None if self.reach is None else self.reach[index],
            self.log_likelihood[index],
        )

    @property
    def values(self) -> Tensor:
        """The chain's values, `[member, state]`."""
        return self.chain.with_state({"levels": self.law.levels}).values

    @property
    def mechanism(self) -> ChainMechanism:
        """The chain's mechanism with its parameters."""
        found = self.chain.of(self.law.levels, self.law.initial, self.law.transition)
        if self.law.point is None:
            return found
        mean, spread, keeps = self.law.point.split(1, -1)
        more = {"mean": mean, "spread": spread.exp(), "persistence": torch.tanh(keeps)}
        return found.with_state({**found.state, **more})


def first_reach(levels: Tensor) -> Tensor:
    """How far levels are moved at first."""
    gap = (levels[:, -1:] - levels[:, :1]) / max(levels.shape[-1] - 1, 1)
    return _FIRST_MOVE * gap.expand_as(levels)


def expect(model: Model, emissions: Emissions, weight: Tensor) -> tuple[Expected, Tensor]:
    """The E-step: the law of the states, and the log likelihood of each trace.

    Args:
        model: The model.
        emissions: Its children's data.
        weight: How much each trace counts, `[member, trace]`.

    Returns:
        The expectations, and `[member, trace]`.
    """
    with torch.no_grad():
        parents = emissions.parents(_narrow(model.values))
        emission = emissions.log_prob(model.children, parents)
        emissions.check(emission)
        members = len(model.law.levels)
        emission = emission.expand(-1, members, -1)
        found = forward(emissions.grid(emission), model.law.initial, model.law.transition)
        live = emissions.course.live.to(weight.dtype)
        seen = backward(found, model.law.transition, weight=weight, live=live)
    return seen, found.log_likelihood


def climb(
    model: Model, emissions: Emissions, weight: Tensor, *, steps: int, tolerance: float
) -> tuple[Model, bool]:
    """EM steps until member 0, or the best of all, gains less than `tolerance` nats per row.

    Returns:
        The model, and whether it stopped before its steps did.
    """
    if not all(map(is_cheap, model.children.values())):
        steps, tolerance = min(steps, _COSTLY_STEPS), max(tolerance, _COSTLY_TOLERANCE)
    rows = weight @ torch.bincount(emissions.scope.layout.trace).to(weight.dtype)
    last = torch.full((len(weight),), -torch.inf, dtype=torch.float64)
    for _ in range(steps):
        seen, likelihood = expect(model, emissions, weight)
        score = (weight * likelihood).sum(-1) / rows
        model = replace(improved(model, emissions, seen, weight), log_likelihood=score)
        if bool((score - last < tolerance).all()):
            return model, True
        last = score
    return model, False


def improved(model: Model, emissions: Emissions, seen: Expected, weight: Tensor) -> Model:
    """The M-step."""
    counts = emissions.rows_of(seen.states) * weight[:, emissions.scope.layout.trace]
    parents = emissions.parents(_narrow(model.values))
    children = dict(model.children)
    with torch.no_grad():
        for node in emissions.place.children:
            own = counts
            if node.name in emissions.complete:
                own = counts * emissions.complete[node.name]
            value = emissions.value(node.name)
            children[node.name] = refitted(children[node.name], value, parents[node.name], own)
    model = replace(model, law=model.law.refitted(seen), children=children)
    return model if model.reach is None else _moved(model, emissions, counts)


def _moved(model: Model, emissions: Emissions, counts: Tensor) -> Model:
    """Levels where the children fit better: each the best of itself and a few beside it.

    The expected likelihood is a sum over states, so each level is moved on its own: by a parabola
    through three points, which asks nothing of the user's equations but their values.
    """
    assert model.reach is not None
    levels, reach = model.law.levels, model.reach

    def gain(tried: Tensor) -> Tensor:
        values = model.chain.with_state({"levels": tried}).values
        with torch.no_grad():
            each = emissions.log_prob(model.children, emissions.parents(values))
        return (counts * each).sum(-1).mT

    here, left, right = gain(levels), gain(levels - reach), gain(levels + reach)
    bend = left + right - 2 * here
    slope = (right - left) / 2
    vertex = torch.where(bend < 0, -slope / bend.clamp(max=-1e-300), torch.sign(slope) * 2)
    vertex = torch.nan_to_num(vertex).clamp(-2, 2)
    there = gain(levels + vertex * reach)
    tries = torch.stack([here, left, right, there])
    shifts = torch.stack([0 * vertex, 0 * vertex - 1, 0 * vertex + 1, vertex])
    best = tries.argmax(0, keepdim=True)
    moved = levels + reach * shifts.gather(0, best).squeeze(0)
    share = shifts.gather(0, best).squeeze(0).abs()
    gap = first_reach(levels)
    reach = torch.minimum(torch.maximum(reach * (2 * share).clamp(0.3, 2), 1e-3 * gap), gap)
    order = moved.argsort(-1)
    return replace(model, law=model.law.with_levels(moved), reach=reach.gather(-1, order))


def _narrow(values: Tensor) -> Tensor:
    """Values `[member, state]`, as one member's where all members have the same."""
    return values[:1] if bool((values == values[:1]).all()) else values
