"""How far a parameter must move to matter: the units in which an optimiser steps."""

from __future__ import annotations

import torch
from torch import Tensor

from causalsys.mechanisms.base import Mechanism, Sample
from causalsys.mechanisms.packing import pack, unpack

_PROBES = 8
_ROWS = 2000
_RANGE = 1e4


def units(
    mechanism: Mechanism, sample: Sample, *, names: list[str], generator: torch.Generator
) -> Tensor:
    """The unit of each parameter, `[1, parameter]`.

    Where a family scales its values (`line.spread`), its parameters are near one. Else a
    parameter's unit is what one row would tell of it, the inverse root of the likelihood's
    Fisher information; its diagonal is the mean square of rows' scores added up with random
    signs (Hutchinson, 1990).

    Args:
        mechanism: With one member.
        sample: Its data.
        names: Its parameters.
        generator: Draws rows and signs.
    """
    point = pack(mechanism.state, names)
    if "line.spread" in mechanism.state:
        return torch.ones_like(point)
    order = torch.randperm(sample.rows, generator=generator)[:_ROWS]
    part = sample.first().take(order)
    probes = point.detach().expand(_PROBES, -1).clone().requires_grad_(True)
    tried = mechanism.with_state(unpack(probes, mechanism.state, names))
    surprise = tried.log_prob(part.value, part.parents).expand(_PROBES, -1)
    signs = torch.randint(0, 2, surprise.shape, generator=generator) * 2 - 1
    (slope,) = torch.autograd.grad((part.weight * signs * surprise).sum(), probes)
    known = slope.square().mean(0, keepdim=True) / part.weight.sum()
    # A parameter of which these rows say nothing may stay where it is.
    return torch.where(known > 0, known.clamp(min=1e-30).rsqrt(), 1.0).clamp(1 / _RANGE, _RANGE)
