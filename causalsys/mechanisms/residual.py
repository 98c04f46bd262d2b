"""The law of an additive noise: normal, or as the residuals show it.

The empirical law is a monotone, piecewise-linear map from a standard normal to the residual,
through matching quantiles, with straight tails: bijective, and fitted in closed form.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from causalsys.mechanisms.base import State

_LOG_2PI = math.log(2 * math.pi)
_FEW = 60
"""With fewer rows, quantiles are too noisy to follow, and the law is normal."""


def start_residual(residual: Tensor, weight: Tensor, *, empirical: bool) -> dict[str, Tensor]:
    """Fit the law.

    Args:
        residual: `[member, row]`.
        weight: `[member, row]`.
        empirical: Whether to follow the residuals' quantiles rather than a normal law.

    Returns:
        `log_scale` `[member, 1]`, and for the empirical law `knots.noise` and
        `knots.residual` `[member, knot]`, in units of the scale.
    """
    total = weight.sum(-1, keepdim=True)
    scale = ((weight * residual**2).sum(-1, keepdim=True) / total).sqrt()
    size = residual.abs().amax(-1, keepdim=True)
    scale = torch.maximum(scale, 1e-9 * (1 + size))
    state = {"log_scale": scale.log()}
    rows = residual.shape[-1]
    if not empirical or rows < _FEW:
        return state
    scaled = residual / scale
    ordered, counts = _sorted(scaled, weight.expand_as(residual))
    ranks = counts.cumsum(-1).sub_(counts, alpha=0.5)
    # Knots evenly spaced in the noise reach into the tails as far as the rows do.
    reach = float(torch.special.ndtri(torch.tensor(1 - 3 / rows)))
    count = min(rows // 8, 33)
    noise = torch.linspace(-reach, reach, count, dtype=residual.dtype, device=residual.device)
    noise = noise.expand(residual.shape[0], count).contiguous()
    levels = total * torch.special.ndtr(noise)
    right = torch.searchsorted(ranks.contiguous(), levels).clamp(1, residual.shape[-1] - 1)
    low, high = ranks.gather(-1, right - 1), ranks.gather(-1, right)
    share = ((levels - low) / torch.maximum(high - low, 1e-12 * total)).clamp(0, 1)
    quantile = ordered.gather(-1, right - 1).lerp(ordered.gather(-1, right), share)
    # Ties would make the map flat, and a flat map has no inverse.
    least = 1e-4 * torch.arange(count, dtype=residual.dtype, device=residual.device)
    quantile = (quantile - least).cummax(-1).values + least
    state["knots.noise"] = noise
    state["knots.residual"] = quantile
    return state


def _sorted(values: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """The values in rising order along the last axis, each with its weight."""
    if bool((values[..., 1:] >= values[..., :-1]).all()):
        return values, weight
    order = order_of(values)
    return values.gather(-1, order), weight.gather(-1, order)


def order_of(values: Tensor) -> Tensor:
    """The places that sort the last axis; numpy finds them several times faster than torch."""
    return torch.from_numpy(values.detach().cpu().numpy().argsort(axis=-1)).to(values.device)


def to_noise(residual: Tensor, state: State) -> Tensor:
    """The standard normal noise behind a residual, `[..., sample, row]`."""
    scaled = residual / state["log_scale"].exp()
    if "knots.noise" not in state:
        return scaled
    slope, left_y, left_x = _segment(scaled, state["knots.residual"], state["knots.noise"])
    return left_y + slope * (scaled - left_x)


def from_noise(noise: Tensor, state: State) -> Tensor:
    """The residual of a noise; the inverse of `to_noise`."""
    scaled = noise
    if "knots.noise" in state:
        slope, left_y, left_x = _segment(noise, state["knots.noise"], state["knots.residual"])
        scaled = left_y + slope * (noise - left_x)
    return scaled * state["log_scale"].exp()


def log_density(residual: Tensor, state: State) -> Tensor:
    """The log density of a residual, `[..., sample, row]`."""
    scaled = residual / state["log_scale"].exp()
    if "knots.noise" not in state:
        return -0.5 * (scaled**2 + _LOG_2PI) - state["log_scale"]
    slope, left_y, left_x = _segment(scaled, state["knots.residual"], state["knots.noise"])
    noise = left_y + slope * (scaled - left_x)
    return -0.5 * (noise**2 + _LOG_2PI) + slope.log() - state["log_scale"]


def _segment(x: Tensor, knots: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The straight piece that each `x` falls on: its slope, and its left end `(y, x)`.

    `knots` and `values` are `[member, knot]`; the outer pieces go on as the tails.
    """
    members = max(knots.shape[0], x.shape[-2])
    shape = (*x.shape[:-2], members, x.shape[-1])
    x = x.expand(shape)
    rows = x.movedim(-2, 0).reshape(members, -1).contiguous()
    knots = knots.expand(members, -1).contiguous()
    values = values.expand(members, -1)
    left = (torch.searchsorted(knots, rows) - 1).clamp(0, knots.shape[-1] - 2)
    gap_x = (knots.diff(dim=-1)).gather(-1, left)
    gap_y = (values.diff(dim=-1)).gather(-1, left)

    def back(flat: Tensor) -> Tensor:
        return flat.reshape(members, *x.shape[:-2], x.shape[-1]).movedim(0, -2)

    slope = back(gap_y / gap_x)
    return slope, back(values.gather(-1, left)), back(knots.gather(-1, left))
