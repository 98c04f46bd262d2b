"""Monotone maps through matching quantiles: of a value's, and of a standard normal's."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from causalsys.mechanisms.rational_quadratic import BOUND, LEAST
from causalsys.mechanisms.residual import order_of

_REACH = 2.6
"""The outermost knots lie there in the noise, beyond which one row in a hundred is."""
_FEW = 40
"""Rows without which a combination takes the shape of all rows together."""


def cell_maps(
    line: Tensor, weight: Tensor, *, place: Tensor, cells: int, bins: int
) -> dict[str, Tensor]:
    """Tables of locations, scales and splines that map each cell's values to standard normals.

    Args:
        line: The values on the line, `[1 or member, row]`.
        weight: `[member, row]`.
        place: The number of each row's cell, `[1 or member, row]`.
        cells: How many cells there are.
        bins: Bins of a spline.

    Returns:
        `location` and `log_scale` `[member, cell]`, and the splines' parameters: `shape`
        `[member, parameter]`, which all share, and each cell's own `bend`
        `[member, cell, parameter]`.
    """
    noise = torch.linspace(-_REACH, _REACH, bins - 1, dtype=line.dtype)
    line, place = line.expand_as(weight), place.expand_as(weight)
    everyone = torch.zeros_like(place)
    whole, _ = _quantiles(line, weight, everyone, cells=1, noise=noise)
    own, rows = _quantiles(line, weight, place, cells=cells, noise=noise)
    own = torch.where((rows >= _FEW).unsqueeze(-1), own, whole)
    location, log_scale, shapes = _splines(own, noise)
    _, _, shape = _splines(whole, noise)
    return {
        "location": location,
        "log_scale": log_scale,
        "shape": shape.squeeze(-2),
        "bend": shapes - shape,
    }


def _quantiles(
    line: Tensor, weight: Tensor, place: Tensor, *, cells: int, noise: Tensor
) -> tuple[Tensor, Tensor]:
    """Quantiles at the normal law's levels `[member, cell, knot]`, and rows, `[member, cell]`."""
    order = order_of(line)
    order = order.gather(-1, torch.sort(place.gather(-1, order), dim=-1, stable=True).indices)
    ordered, counts = line.gather(-1, order), weight.gather(-1, order)
    ranks = counts.cumsum(-1) - 0.5 * counts
    each = torch.zeros(len(weight), cells, dtype=weight.dtype)
    total = each.scatter_add(-1, place, weight)
    rows = each.scatter_add(-1, place, (weight > 0).to(weight.dtype))
    below = total.cumsum(-1) - total
    levels = below.unsqueeze(-1) + total.unsqueeze(-1) * torch.special.ndtr(noise)
    right = torch.searchsorted(ranks.contiguous(), levels.flatten(1)).clamp(1, line.shape[-1] - 1)
    low, high = ranks.gather(-1, right - 1), ranks.gather(-1, right)
    share = ((levels.flatten(1) - low) / (high - low).clamp(min=1e-12)).clamp(0, 1)
    found = ordered.gather(-1, right - 1).lerp(ordered.gather(-1, right), share)
    # At a cell's edges the neighbour in order is another cell's: its values are not between.
    found = found.unflatten(-1, (cells, len(noise)))
    first = (torch.searchsorted(ranks.contiguous(), below)).clamp(max=line.shape[-1] - 1)
    last = (torch.searchsorted(ranks.contiguous(), below + total) - 1).clamp(min=0)
    least, most = ordered.gather(-1, first).unsqueeze(-1), ordered.gather(-1, last).unsqueeze(-1)
    return torch.minimum(torch.maximum(found, least), torch.maximum(most, least)), rows


def _splines(quantile: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Location, log scale and parameters of splines through `(quantile, noise)`."""
    low, high = quantile[..., 0], quantile[..., -1]
    scale = ((high - low) / (2 * _REACH)).clamp(min=1e-6)
    location = 0.5 * (low + high)
    scaled = (quantile - location.unsqueeze(-1)) / scale.unsqueeze(-1)
    edge = torch.full_like(scaled[..., :1], BOUND)
    ends = torch.cat([-edge, scaled, edge], -1)
    width = ends.diff(dim=-1).clamp(min=0.02)
    height = torch.cat([-edge[..., :1], noise.expand_as(scaled), edge], -1).diff(dim=-1)
    steep = (height / width).log()
    slope = 0.5 * (steep[..., 1:] + steep[..., :-1])
    limit = -math.log(LEAST)
    parameters = [
        _unlimited(_centred(width), limit / 2),
        _unlimited(_centred(height.expand_as(width)), limit / 2),
        _unlimited(slope, limit),
    ]
    return location, scale.log(), torch.cat(parameters, -1)


def _centred(size: Tensor) -> Tensor:
    """Logs of sizes, as far above as below zero: only their differences matter."""
    logs = size.log()
    return logs - 0.5 * (logs.amax(-1, keepdim=True) + logs.amin(-1, keepdim=True))


def _unlimited(value: Tensor, limit: float) -> Tensor:
    """The inverse of the soft limit that splines put on their parameters."""
    value = value.clamp(-0.9 * limit, 0.9 * limit)
    return value / (1 - value.abs() / limit)
