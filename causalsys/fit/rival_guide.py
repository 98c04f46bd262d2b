"""The guide of a rival: what proposes its latents when it is asked."""

from __future__ import annotations

import torch
from torch import Tensor

from causalsys.fit.guide import Guide
from causalsys.fit.rival import Part
from causalsys.mechanisms.base import Mechanism
from causalsys.mechanisms.features import columns
from causalsys.mechanisms.packing import pack, unpack
from causalsys.mechanisms.quasi_newton import minimise

_STEPS = 120


def follow(part: Part, mechanisms: dict[str, Mechanism]) -> Guide | None:
    """The guide with a member for each member of `mechanisms`, fitted to their posterior.

    The posterior's moments are known on the part's rows. A regression on them is a first guess,
    since a rival's latent may have turned around; from there the guide minimises the divergence
    of its normal law from them.
    """
    if part.guide is None or part.nodes is None:
        return part.guide
    mean, scale = part.moments(mechanisms)
    constant = ("center", "spread", "offset")
    guide = part.guide.with_state(
        {
            key: value if key.startswith(constant) else value.expand(len(mean), *value.shape[1:])
            for key, value in part.guide.state.items()
        }
    )
    inputs = {key: part.scope.known[key] for key in guide.inputs}
    guide = _regressed(guide, inputs, mean, scale)
    names = [key for key in guide.state if key.startswith("guide.") and guide.state[key].numel()]

    def losses(points: Tensor, whose: Tensor) -> Tensor:
        own = guide.members(whose)
        location, width = own.with_state(unpack(points, own.state, names)).posterior(inputs)
        error = (location - mean[whose]) ** 2 + scale[whose] ** 2
        return (0.5 * error / width**2 + width.log()).mean((-2, -1))

    points = minimise(losses, pack(guide.state, names), steps=_STEPS, tolerance=1e-5)
    return guide.with_state(unpack(points, guide.state, names))


def _regressed(guide: Guide, inputs: dict[str, Tensor], mean: Tensor, scale: Tensor) -> Guide:
    """The guide as a linear regression of the posterior's mean, its scale the same in all rows."""
    design = columns(inputs, parents=guide.inputs, scale="both", state=guide.state)
    assert design is not None
    full = torch.cat([torch.ones_like(design[..., :1]), design], -1)
    ridge = 1e-6 * full.shape[-2] * torch.eye(full.shape[-1], dtype=full.dtype)
    solution = torch.linalg.solve(full.mT @ full + ridge, full.mT @ mean)
    error = (mean - full @ solution).square().mean(-2) + scale.square().mean(-2)
    constant = torch.cat([solution[:, 0], 0.5 * error.log()], -1).unsqueeze(-2)
    slopes = torch.cat([solution[:, 1:], torch.zeros_like(solution[:, 1:])], -1)
    return guide.with_state(
        {
            **guide.state,
            "guide.constant": constant,
            "guide.shortcut": slopes,
            "guide.out": torch.zeros_like(guide.state["guide.out"]),
        }
    )
