"""Training of a district that goes on from its last fit, on new data."""

from __future__ import annotations

from dataclasses import replace

import torch

from causalsys.fit.guide import Guide
from causalsys.fit.redeployed import Before
from causalsys.fit.variational import District, Outcome, bound, train
from causalsys.mechanisms.training import Training

_STEPS = 1000
"""Steps of going on: half of those of a search, which has its warm start besides."""
_QUICK = 2.0
"""Their learning rate, in units of a search's: what changed has a long way to go in few steps."""


def resume(district: District, before: Before, *, training: Training) -> Outcome | None:
    """Train a district from how it was fitted before; None where that cannot serve as a start.

    Args:
        district: The district over new rows, started.
        before: Its last fit.
        training: How a search would run.
    """
    old, new = before.guide, district.guide
    if old is None or new is None or _looks_at(old) != _looks_at(new):
        return None
    members = len(district.weight)
    started = district.scope.mechanisms
    for name, mechanism in before.mechanisms.items():
        if any(len(value) not in (1, members) for value in mechanism.state.values()):
            return None
        # What a fit adds to a start, such as the knots of a noise, is kept as it is.
        for key, value in started[name].state.items():
            if key not in mechanism.state or mechanism.state[key].shape[1:] != value.shape[1:]:
                return None
    # Draws of what a prior leaves open are made again at the end, around the estimate.
    first = torch.zeros(members, dtype=torch.int64)
    resumed = {
        name: mechanism.members(first) if getattr(mechanism.spec, "prior", ()) else mechanism
        for name, mechanism in before.mechanisms.items()
    }
    start = replace(district, scope=district.scope.with_mechanisms(resumed), guide=old)
    if not bool(torch.isfinite(bound(start)).all()):
        return None
    steps = min(_STEPS, training.steps)
    brief = replace(training, steps=steps, rate=_QUICK * training.rate)
    return train(start, training=brief, warmed=True)


def _looks_at(guide: Guide) -> tuple[object, ...]:
    return guide.latents, guide.sizes, dict(guide.inputs), guide.per_trace
