"""Maximum likelihood of a state-space model: several starts, and all members side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from causalsys.fit.state_space.kalman import score
from causalsys.fit.state_space.series import Series, Shape, System
from causalsys.mechanisms.quasi_newton import Losses, Metric, minimise

STARTS = 6
_SCREEN_ROWS, _SCREEN_STEPS = 4000, 20
_ROUGH_STEPS, _STEPS, _MEMBER_STEPS = 20, 40, 20
_TOLERANCE = 1e-4
"""Nats per row by which a unit of any parameter may still change the likelihood."""
_MEMBER_TOLERANCE = 1e-5
_BUMP, _FLAT, _ABREAST = 1e-4, 1e-4, 16
_ALIKE = 2e-3
"""Nats per row within which two starts count as one optimum."""
_ROOM = 20_000_000
"""Numbers that a pass over the data holds at once."""
_OTHERS = 2.0
"""The prior spread of an action's loading around those of the others, in units of the values'."""


@dataclass(frozen=True)
class Climbed:
    """The best that was found.

    Attributes:
        system: Its parameters, one member.
        agreeing: How many starts ended there, by the screen.
        converged: Whether it stopped before its steps did.
    """

    system: System
    agreeing: int
    converged: bool


class _Scored(torch.autograd.Function):
    """A loss whose derivatives are known."""

    @staticmethod
    def forward(ctx: Any, points: Tensor, loss: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(slope)
        return loss

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (slope,) = ctx.saved_tensors
        return grads[0].unsqueeze(-1) * slope, None, None


def losses_of(series: Series, shape: Shape, weight: Tensor) -> Losses:
    """The negative log likelihood per row, with a weak prior, of points `[point, parameter]`.

    Args:
        series: The data.
        shape: What a point is.
        weight: How much each trace counts, `[member or 1, trace]`.
    """
    rows = (weight * series.live.sum(0)).sum(-1)

    def losses(points: Tensor, whose: Tensor) -> Tensor:
        mine = whose if len(weight) > 1 else torch.zeros_like(whose)
        with torch.no_grad():
            system = shape.system(points)
            total, slope = score(system, series, weight[mine])
            # Actions that are hardly ever taken are like the others.
            apart = (system.loading - system.loading.mean(-1, keepdim=True)) / _OTHERS
            total = total - 0.5 * apart.square().sum((-1, -2))
            slope.loading.sub_(apart / _OTHERS)
            each = -shape.slopes(points, slope) / rows[mine].unsqueeze(-1)
            loss = -total / rows[mine]
        found: Tensor = _Scored.apply(points, loss, each)  # type: ignore[no-untyped-call]
        return found

    return losses


def climb(series: Series, shape: Shape, *, weight: Tensor, generator: torch.Generator) -> Climbed:
    """The likeliest parameters, in a canonical order of the components.

    Args:
        series: The data.
        shape: How many parameters.
        weight: How much each trace counts, `[1, trace]`.
        generator: Draws the starts.
    """
    some, counts = series.some(weight, rows=_SCREEN_ROWS, slack=1.5, generator=generator)
    tried = starts(some, shape, generator=generator)
    few = losses_of(some, shape, counts)
    tried = minimise(few, tried, steps=_SCREEN_STEPS, tolerance=_TOLERANCE)
    with torch.no_grad():
        loss = few(tried, torch.zeros(len(tried), dtype=torch.int64))
    order = loss.nan_to_num(torch.inf).argsort()
    every = losses_of(series, shape, weight)
    point = minimise(every, tried[order[:1]], steps=_ROUGH_STEPS, tolerance=_TOLERANCE)
    metric = _metric(series, shape, point)
    point = minimise(every, point, steps=_STEPS, tolerance=_TOLERANCE, metric=metric)
    with torch.enable_grad():
        last = point.clone().requires_grad_(True)
        (slope,) = torch.autograd.grad(every(last, torch.zeros(1, dtype=torch.int64)).sum(), last)
    agreeing = int((loss <= loss.min() + _ALIKE).sum())
    converged = float(slope.abs().max()) < 10 * _TOLERANCE
    return Climbed(_ordered(shape.system(point)), agreeing, converged)


def members_of(
    series: Series, shape: Shape, *, start: System, weight: Tensor, steps: int = _MEMBER_STEPS
) -> System:
    """All members, each on from `start` under its own weights, `[member, trace]`."""
    first = shape.points(start)
    metric = _metric(series, shape, first)
    each = series.line.numel() * (shape.components + 1) ** 2
    found = []
    for index in torch.arange(len(weight)).split(max(1, _ROOM // each)):
        losses = losses_of(series, shape, weight[index])
        points = first.expand(len(index), -1)
        found.append(
            minimise(losses, points, steps=steps, tolerance=_MEMBER_TOLERANCE, metric=metric)
        )
    return shape.system(torch.cat(found))


def _metric(series: Series, shape: Shape, start: Tensor) -> Metric:
    """The inverse of the likelihood's curvature at a point: with it, few steps lead to a maximum.

    Without it the members stop short of their own maxima, and vary less than they should.
    """
    losses = losses_of(series, shape, torch.ones((1, series.traces), dtype=torch.float64))
    width = start.shape[-1]
    bumps = _BUMP * torch.cat([torch.eye(width), -torch.eye(width)]).to(torch.float64)
    slopes = []
    for part in (start + bumps).split(_ABREAST):
        tried = part.clone().requires_grad_(True)
        with torch.enable_grad():
            loss = losses(tried, torch.zeros(len(tried), dtype=torch.int64)).sum()
            slopes.append(torch.autograd.grad(loss, tried)[0])
    slope = torch.cat(slopes)
    bend = (slope[:width] - slope[width:]) / (2 * _BUMP)
    values, vectors = torch.linalg.eigh(0.5 * (bend + bend.mT))
    inverse = (vectors / values.abs().clamp(min=_FLAT * float(values.abs().max()))) @ vectors.mT
    return lambda change: change @ inverse


def starts(series: Series, shape: Shape, *, generator: torch.Generator) -> Tensor:
    """First guesses, `[start, parameter]`.

    One component weighs alike in all actions, the others set actions apart at random; how long
    they last is spread out, since components that last alike could be turned into each other.
    """
    a, k = shape.actions, shape.components
    live = series.live.flatten()
    place = series.action.flatten()
    count = torch.zeros(a, dtype=torch.float64).index_add_(0, place, live)
    total = torch.zeros(a, dtype=torch.float64).index_add_(0, place, series.line.flatten())
    constant = (total + 0.0) / (count + 1.0)
    apart = torch.randn((STARTS, k, a), generator=generator, dtype=torch.float64)
    loading = 0.4 * apart
    loading[:, 0] = 0.6 + 0.3 * apart[:, 0]
    if shape.alike:
        loading = loading[..., :1].abs()
    span = torch.linspace(0.98, 0.4, max(k, 2), dtype=torch.float64)[:k]
    turn = torch.rand((STARTS, k), generator=generator, dtype=torch.float64)
    keeps = torch.logit(span.expand(STARTS, k).clone())
    # Which of the components lasts longest is not known beforehand.
    keeps = keeps.gather(-1, turn.argsort(-1)) if k > 1 else keeps + 4 * (turn - 0.5)
    weight = torch.zeros((STARTS, shape.columns), dtype=torch.float64)
    noise = torch.full((STARTS, 1), -0.7, dtype=torch.float64)
    parts = [constant.expand(STARTS, -1), loading.flatten(1), weight, keeps, noise]
    return torch.cat(parts, -1)


def _ordered(system: System) -> System:
    """The same model, what lasts longest first, each component mostly weighing upwards."""
    order = system.keeps[0].argsort(descending=True)
    loading = system.loading[:, order]
    sign = torch.where(loading.sum(-1, keepdim=True) < 0, -1.0, 1.0).to(loading.dtype)
    return System(
        system.constant, loading * sign, system.weight, system.keeps[:, order], system.noise
    )
