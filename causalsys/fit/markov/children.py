"""The M-step of a chain's children: their fit to rows that count by the law of their states."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from causalsys.mechanisms.base import Mechanism, Sample
from causalsys.mechanisms.features import design
from causalsys.mechanisms.linear import LinearMechanism
from causalsys.mechanisms.measurement import MeasurementMechanism
from causalsys.mechanisms.packing import pack, unpack
from causalsys.mechanisms.quasi_newton import minimise

_RIDGE = 1e-9
_LEAST_SCALE = 1e-3
"""A noise is at least this share of the values' own spread: states do not catch single rows."""
_NEGLIGIBLE = 1e-3
"""A state whose share of a row is smaller is left out of a gradient fit."""
_FEW = 60
"""Parameters with which a gradient fit is quick."""
_STEPS = 6
"""Steps of a gradient fit within one EM step; a generalised EM needs no more than some gain."""


def refitted(
    mechanism: Mechanism, value: Tensor, parents: Mapping[str, Tensor], weight: Tensor
) -> Mechanism:
    """The mechanism that fits better, or best, where rows count by their states' law.

    Args:
        mechanism: As it is, one member per start or member.
        value: `[1 or member, row]`.
        parents: By key, `[1 or member, row]` or `[state, 1 or member, row]`.
        weight: `[state, member, row]`.
    """
    if isinstance(mechanism, LinearMechanism):
        return _linear(mechanism, value, parents, weight)
    if isinstance(mechanism, MeasurementMechanism):
        residual = mechanism.line(value) - mechanism.location(parents)
        return _scaled(mechanism, value, residual, weight, {})
    return _by_gradient(mechanism, value, parents, weight)


def _linear(
    mechanism: LinearMechanism, value: Tensor, parents: Mapping[str, Tensor], weight: Tensor
) -> Mechanism:
    """Weighted least squares from moments, all members at once."""
    line = mechanism.line(value)
    flat = {
        key: _flat(parent, weight.shape[0], vector=bool(mechanism.parents[key].size))
        for key, parent in parents.items()
    }
    wide = _flat(line, weight.shape[0])
    counts = _flat(weight, weight.shape[0])
    ones = torch.ones_like(wide[:1]).unsqueeze(-2)
    columns = design(
        flat, ones, parents=mechanism.parents, scale=mechanism.scale, state=mechanism.state
    )
    total = counts.sum(-1)
    if len(columns) == 1 and len(wide) == 1:
        # The same columns for all members: one matrix product has every member's moments.
        both = torch.cat([columns[0], wide])
        moments = (counts @ (both.unsqueeze(1) * both).flatten(0, 1).mT).unflatten(
            -1, (len(both), len(both))
        )
        square, cross = moments[:, :-1, :-1], moments[:, :-1, -1:]
    else:
        weighted = columns * counts.unsqueeze(-2)
        square = weighted @ columns.mT.expand(len(counts), -1, -1)
        cross = weighted @ wide.unsqueeze(-1).expand(len(counts), -1, -1)
    eye = torch.eye(square.shape[-1], dtype=square.dtype)
    found = torch.linalg.solve(square + _RIDGE * total[:, None, None] * eye, cross).squeeze(-1)
    state = {"constant": found[:, :1]}
    if mechanism.parents:
        state["weight"] = found[:, 1:]
    residual = wide - (found.unsqueeze(-2) @ columns).squeeze(-2)
    size = (counts * residual**2).sum(-1, keepdim=True) / total.unsqueeze(-1)
    floor = _LEAST_SCALE * line.std(unbiased=False).clamp(min=1e-9)
    state["log_scale"] = size.sqrt().clamp(min=float(floor)).log()
    return mechanism.with_state({**mechanism.state, **state})


def _scaled(
    mechanism: MeasurementMechanism,
    value: Tensor,
    residual: Tensor,
    weight: Tensor,
    state: Mapping[str, Tensor],
) -> Mechanism:
    square = (weight * residual**2).sum((0, 2)) / weight.sum((0, 2))
    floor = _LEAST_SCALE * mechanism.line(value).std(unbiased=False).clamp(min=1e-9)
    log_scale = square.sqrt().clamp(min=float(floor)).log().unsqueeze(-1)
    return mechanism.with_state({**mechanism.state, **state, "log_scale": log_scale})


def _by_gradient(
    mechanism: Mechanism, value: Tensor, parents: Mapping[str, Tensor], weight: Tensor
) -> Mechanism:
    names = [
        name
        for name, tensor in mechanism.state.items()
        if not name.startswith(mechanism.constants) and tensor.numel()
    ]
    if not names:
        return mechanism
    sample = expanded(mechanism, value, parents, weight)
    total = sample.weight.sum(-1)
    # Most states are next to impossible at most rows, and cost as much as the others.
    most = sample.weight.amax(-1, keepdim=True)
    counts = (sample.weight > _NEGLIGIBLE * most).any(0)
    sample = sample.take(counts.nonzero()[:, 0])

    def losses(points: Tensor, whose: Tensor) -> Tensor:
        part = sample.pick(whose)
        tried = mechanism.members(whose)
        tried = tried.with_state(unpack(points, tried.state, names))
        each = tried.log_prob(part.value, part.parents)
        prior = 0.5e-3 * points.square().sum(-1)
        return (prior - (part.weight * each).sum(-1)) / total[whose]

    points = minimise(losses, pack(mechanism.state, names), steps=_STEPS)
    return mechanism.with_state(unpack(points, mechanism.state, names))


def is_cheap(mechanism: Mechanism) -> bool:
    """Whether an M-step costs little: it has a closed form, or few parameters."""
    if isinstance(mechanism, LinearMechanism | MeasurementMechanism):
        return True
    trained = [
        t[0].numel() for n, t in mechanism.state.items() if not n.startswith(mechanism.constants)
    ]
    return sum(trained) <= _FEW


def expanded(
    mechanism: Mechanism, value: Tensor, parents: Mapping[str, Tensor], weight: Tensor
) -> Sample:
    """The rows once for every state, each counting by its law: a sample as families take it."""
    states = weight.shape[0]
    given = {
        key: _flat(parent, states, vector=bool(mechanism.parents[key].size))
        for key, parent in parents.items()
    }
    seen = _flat(value, states, vector=bool(mechanism.support.size))
    return Sample(seen, given, _flat(weight, states))


def _flat(values: Tensor, states: int, *, vector: bool = False) -> Tensor:
    """`[state, member, row]`, or `[member, row]`, as `[member, state * row]`."""
    wide = values if values.dim() == (4 if vector else 3) else values.unsqueeze(0)
    return wide.expand(states, *wide.shape[1:]).movedim(0, 1).flatten(1, 2)
