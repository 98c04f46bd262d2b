"""From parents to the columns that a mechanism computes with.

Real parents enter as they are, positive ones and counts by their logarithm too (or only),
categorical ones as indicators of all levels but the first. Columns are then standardised.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from causalsys.mechanisms.base import Parents, State
from causalsys.mechanisms.links import offset_of
from causalsys.scm.supports import Categorical, Count, Positive, Support

Scale = Literal["raw", "log", "both"]
_SLICE = 32_768
_FAR = 1e3
"""Standardised columns are clipped here, so that no parent, however extreme, overflows."""


def widths(parents: Mapping[str, Support], *, scale: Scale) -> dict[str, int]:
    """How many columns each parent takes."""
    found = {}
    for key, support in parents.items():
        each = 1
        if isinstance(support, Categorical):
            each = max(support.cardinality - 1, 1)
        elif isinstance(support, Positive | Count) and scale == "both":
            each = 2
        found[key] = each * (support.size or 1)
    return found


def start_columns(
    values: Parents, *, parents: Mapping[str, Support], scale: Scale, weight: Tensor
) -> dict[str, Tensor]:
    """The constants that `columns` needs, from data.

    They are `center` and `spread`, `[1, 1, column]`, and one `offset` per positive parent.
    Latent parents, absent from `values`, have the scale of their prior.

    Args:
        values: The observed parents, `[1 or member, row, ...]`.
        parents: All parents' supports.
        scale: How positive parents enter.
        weight: `[member, row]`; member 0 is used.
    """
    state: dict[str, Tensor] = {}
    centers: list[Tensor] = []
    spreads: list[Tensor] = []
    for key, width in widths(parents, scale=scale).items():
        observed = values.get(key)
        if isinstance(parents[key], Positive):
            source = torch.ones(1) if observed is None else observed.flatten()
            state[f"offset.{key}"] = offset_of(source.to(weight.dtype))
        elif isinstance(parents[key], Count):
            # A count's zero is no measurement below some threshold, but half a step from one.
            state[f"offset.{key}"] = weight.new_full((1,), 0.5)
        if observed is None or isinstance(parents[key], Categorical):
            centers.append(weight.new_zeros(width))
            spreads.append(weight.new_ones(width))
            continue
        offset = state.get(f"offset.{key}")
        center, spread = _moments(observed[0], parents[key], scale, offset, weight[0])
        flat = spread <= 1e-12 * (1 + center.abs())
        centers.append(center)
        spreads.append(torch.where(flat, torch.ones_like(spread), spread))
    empty = weight.new_zeros(0)
    state["center"] = torch.cat([empty, *centers]).reshape(1, 1, -1)
    state["spread"] = torch.cat([empty, *spreads]).reshape(1, 1, -1)
    return state


def _moments(
    value: Tensor, support: Support, scale: Scale, offset: Tensor | None, weight: Tensor
) -> tuple[Tensor, Tensor]:
    """The mean and the standard deviation of a parent's columns, slice by slice."""
    sums = []
    shift: Tensor | None = None
    for rows, counts in zip(value.split(_SLICE), weight.split(_SLICE), strict=True):
        raw = _column(rows, support, scale=scale, offset=offset).mT.to(weight.dtype)
        # Seen from its first row, a column far from zero loses no digits.
        shift = raw[:, :1] if shift is None else shift
        raw = raw - shift
        counted = raw * counts
        sums.append(torch.stack([counted.sum(-1), (counted * raw).sum(-1)]))
    assert shift is not None
    first, second = torch.stack(sums).sum(0) / weight.sum()
    return first + shift[:, 0], (second - first**2).clamp(min=0).sqrt()


def columns(
    values: Parents, *, parents: Mapping[str, Support], scale: Scale, state: State
) -> Tensor | None:
    """The standardised columns, `[..., sample, row, column]`; None without parents."""
    parts: list[Tensor] = []
    for key, support in parents.items():
        part = _column(values[key], support, scale=scale, offset=state.get(f"offset.{key}"))
        parts.append(part.to(state["center"].dtype))
    if not parts:
        return None
    shape = torch.broadcast_shapes(*(part.shape[:-1] for part in parts))
    raw = torch.cat([part.expand(*shape, part.shape[-1]) for part in parts], dim=-1)
    return ((raw - state["center"]) / state["spread"]).clamp(-_FAR, _FAR)


def design(
    values: Parents, ones: Tensor, *, parents: Mapping[str, Support], scale: Scale, state: State
) -> Tensor:
    """A column of ones and the standardised columns, laid out and left as regression wants them.

    Each column is contiguous, `[sample, column, row]`, and none is clipped, as nothing that is
    linear in them overflows.

    Args:
        values: The parents, `[sample, row]`.
        ones: Shaped `[sample, 1, row]`.
        parents: Their supports.
        scale: How positive parents enter.
        state: The constants of `start_columns`.
    """
    parts = [
        _column(values[key], support, scale=scale, offset=state.get(f"offset.{key}")).mT
        for key, support in parents.items()
    ]
    lead = torch.broadcast_shapes(ones.shape[:1], *(part.shape[:1] for part in parts))
    full = torch.cat([part.to(ones.dtype).expand(*lead, -1, -1) for part in (ones, *parts)], -2)
    full[:, 1:].sub_(state["center"].mT).div_(state["spread"].mT)
    return full


def plus_weighted(
    start: Tensor,
    values: Parents,
    weight: Tensor,
    *,
    parents: Mapping[str, Support],
    scale: Scale,
    state: State,
    less: Parents | None = None,
) -> Tensor:
    """`start + Σ weight · column` over the columns of some parents, before standardising.

    One pass over memory for each column, and no matrix of columns in between.

    Args:
        start: `[..., 1 or sample, 1 or row]`.
        values: The parents that are added up, `[..., 1 or sample, row]`.
        weight: `[1 or sample, column]`, of the columns of all parents.
        parents: The supports of all parents.
        scale: How positive parents enter.
        state: The constants of `start_columns`.
        less: The same parents as they were: what is added up is how far each column moved.

    Returns:
        `[..., sample, row]`.
    """
    total, first = start, 0
    for key, width in widths(parents, scale=scale).items():
        mine = weight[:, first : first + width]
        first += width
        if key not in values:
            continue
        support, offset = parents[key], state.get(f"offset.{key}")
        if support.size is None and width == 1 and not isinstance(support, Categorical):
            column = _number(values[key], support, scale=scale, offset=offset)
            if less is not None:
                column = column - _number(less[key], support, scale=scale, offset=offset)
            total = torch.addcmul(total, mine, column)
            continue
        term = _several(values[key], mine, support, scale=scale, offset=offset)
        if less is not None:
            term = term - _several(less[key], mine, support, scale=scale, offset=offset)
        total = total + term
    return total


def _several(
    value: Tensor, weight: Tensor, support: Support, *, scale: Scale, offset: Tensor | None
) -> Tensor:
    """The weighted sum of a parent's several columns, `[..., sample, row]`."""
    if support.size is None and isinstance(support, Categorical):
        return _looked_up(value, weight)
    raw = _column(value, support, scale=scale, offset=offset).to(weight.dtype)
    return (raw @ weight.unsqueeze(-1)).squeeze(-1)


def _looked_up(codes: Tensor, weight: Tensor) -> Tensor:
    """The weight of each code's level, `[..., sample, row]`; the first level has none."""
    table = torch.cat([torch.zeros_like(weight[:, :1]), weight], dim=-1)
    lead, members = codes.shape[:-2], max(codes.shape[-2], len(table))
    places = codes.expand(*lead, members, codes.shape[-1])
    return table.expand(*lead, members, table.shape[-1]).gather(-1, places)


def _column(value: Tensor, support: Support, *, scale: Scale, offset: Tensor | None) -> Tensor:
    """One parent's columns before standardising, `[..., row, width]`."""
    vector = value if support.size else value.unsqueeze(-1)
    if isinstance(support, Categorical):
        levels = torch.arange(1, max(support.cardinality, 2), device=value.device)
        return (vector.unsqueeze(-1) == levels).flatten(-2)
    if scale == "both" and isinstance(support, Positive | Count):
        logged = _number(vector, support, scale="log", offset=offset)
        return torch.cat([vector.to(logged.dtype), logged], dim=-1)
    return _number(vector, support, scale=scale, offset=offset)


def _number(value: Tensor, support: Support, *, scale: Scale, offset: Tensor | None) -> Tensor:
    """A number as one column, as it is or by its logarithm; any shape."""
    if scale == "raw" or offset is None or not isinstance(support, Positive | Count):
        return value
    return torch.log(value.to(offset.dtype).clamp(min=0) + offset)
