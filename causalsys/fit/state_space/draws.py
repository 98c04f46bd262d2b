"""Draws of the latents of whole traces from their law given what was seen."""

from __future__ import annotations

import torch
from torch import Tensor

from causalsys.fit.state_space.kalman import covariances, innovations, smoothed
from causalsys.fit.state_space.series import Series, System

_ROOM = 30_000_000
"""Numbers that are held at once."""


def draws(system: System, series: Series, *, whose: Tensor, generator: torch.Generator) -> Tensor:
    """The simulation smoother, by means alone (J. Durbin and S. J. Koopman, Biometrika 89, 2002).

    A path is drawn from its prior with the values it would give; what was seen, less these, is
    smoothed; and the sum of both is a draw from the posterior.

    Args:
        system: The parameters, one member for each that is used.
        series: What was seen.
        whose: The member of each sample, `[sample]`.
        generator: Fixes the draws.

    Returns:
        `[step, component, sample, trace]`.
    """
    steps, traces = series.line.shape
    size, samples = system.keeps.shape[-1], len(whose)
    each = steps * samples * (size + 2) ** 2
    parts = torch.arange(traces).split(max(1, _ROOM // each))
    return torch.cat([_drawn(system, series.take(p), whose, generator) for p in parts], -1)


def _drawn(system: System, series: Series, whose: Tensor, generator: torch.Generator) -> Tensor:
    known = covariances(system, series).members(whose)
    steps, size, samples, traces = known.loading.shape
    keeps, fresh = known.keeps, (1 - known.keeps**2).sqrt()
    shock = torch.randn((steps, size, samples, traces), generator=generator, dtype=torch.float64)
    luck = torch.randn((steps, samples, traces), generator=generator, dtype=torch.float64)
    path = shock
    for step in range(1, steps):
        path[step] = keeps * path[step - 1] + fresh * shock[step]
    noise = system.noise.sqrt()[whose].unsqueeze(-1)
    supposed = (known.loading * path).sum(1) + noise * luck
    errors = system.errors(series)[:, whose] - supposed
    mean, surprise = innovations(known, errors)
    return path + smoothed(known, mean, surprise)
