"""The guide of a rival: what proposes its latents when it is asked."""

from __future__ import annotations

import torch
from torch import Tensor

from causalsys.fit.guide import Guide
from causalsys.fit.rival import Part
from causalsys.mechanisms.base import Mechanism
from causalsys.mechanisms.packing import pack, unpack
from causalsys.mechanisms.quasi_newton import minimise

_STEPS = 80


def follow(part: Part, mechanisms: dict[str, Mechanism]) -> Guide | None:
    """The guide with a member for each member of `mechanisms`, fitted to their posterior.

    The posterior's moments are known on the part's rows; the guide minimises the divergence of
    its normal law from them.
    """
    if part.guide is None or part.nodes is None:
        return part.guide
    mean, scale = part.moments(mechanisms)
    guide = part.guide.members(torch.zeros(len(mean), dtype=torch.int64))
    inputs = {key: part.scope.known[key] for key in guide.inputs}
    names = [key for key in guide.state if key.startswith("guide.") and guide.state[key].numel()]

    def losses(points: Tensor, whose: Tensor) -> Tensor:
        own = guide.members(whose)
        location, width = own.with_state(unpack(points, own.state, names)).posterior(inputs)
        error = (location - mean[whose]) ** 2 + scale[whose] ** 2
        return (0.5 * error / width**2 + width.log()).mean((-2, -1))

    points = minimise(losses, pack(guide.state, names), steps=_STEPS, tolerance=1e-5)
    return guide.with_state(unpack(points, guide.state, names))
