"""The M-step of a chain's own law: free transitions, or those of an AR(1) on a grid."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from causalsys.fit.markov.passes import Expected
from causalsys.mechanisms.chain import LEAST, floored
from causalsys.mechanisms.quasi_newton import minimise

_PSEUDO = 0.02
"""Transitions seen beforehand, spread over each row of the matrix: no row is ever empty."""
_STEPS = 5
_START = (0.0, 0.0, 1.8)
"""The mean, the log of the spread, and atanh of the persistence that an AR(1) starts from."""


@dataclass(frozen=True)
class Law:
    """The law of a chain.

    Attributes:
        levels: Its states on the line, `[member, state]`.
        initial: `[member, state]`.
        transition: `[member, state, state]`.
        point: Of an AR(1), its mean, the log of its spread and atanh of its persistence,
            `[member, 3]`; else None.
        free: Whether mean and spread of an AR(1) are learned, or 0 and 1 by convention.
    """

    levels: Tensor
    initial: Tensor
    transition: Tensor
    point: Tensor | None = None
    free: bool = False

    @classmethod
    def sticky(cls, levels: Tensor, *, stay: Tensor) -> Law:
        """Free transitions to start from; `stay` `[member]` is the chance to stay."""
        count = levels.shape[-1]
        eye = torch.eye(count, dtype=levels.dtype)
        each = stay[:, None, None]
        near = (torch.arange(count)[:, None] - torch.arange(count)).abs().to(levels.dtype)
        other = 0.5**near * (1 - eye)
        other = other / other.sum(-1, keepdim=True)
        initial = torch.full_like(levels, 1 / count)
        return cls(levels, initial, floored(each * eye + (1 - each) * other))

    @classmethod
    def autoregressive(cls, levels: Tensor, *, free: bool, persistence: Tensor) -> Law:
        """An AR(1) on a grid; its mean and spread are the grid's where they are free."""
        point = torch.zeros(len(levels), 3, dtype=levels.dtype)
        if free:
            point[:, 0] = levels.mean(-1)
            point[:, 1] = ((levels[:, -1] - levels[:, 0]) / 4).log()
        point[:, 2] = torch.atanh(persistence)
        return cls(levels, *tauchen(levels, point), point, free)

    def members(self, index: Tensor) -> Law:
        """The law of these members."""
        point = None if self.point is None else self.point[index]
        return Law(
            self.levels[index], self.initial[index], self.transition[index], point, self.free
        )

    def refitted(self, seen: Expected) -> Law:
        """The law that fits best to how often states followed each other."""
        if self.point is None:
            count = self.levels.shape[-1]
            transition = floored(seen.pairs + _PSEUDO / count)
            return Law(self.levels, floored(seen.firsts + _PSEUDO / count), transition)
        total = seen.pairs.sum((1, 2)) + seen.firsts.sum(-1)
        moved = torch.ones(3) if self.free else torch.tensor([0.0, 0.0, 1.0])

        def losses(points: Tensor, whose: Tensor) -> Tensor:
            assert self.point is not None
            point = self.point[whose] + moved * (points - self.point[whose])
            initial, transition = tauchen(self.levels[whose], point)
            gain = (seen.pairs[whose] * transition.log()).sum((1, 2))
            return -(gain + (seen.firsts[whose] * initial.log()).sum(-1)) / total[whose]

        point = minimise(losses, self.point, steps=_STEPS)
        return Law(self.levels, *tauchen(self.levels, point), point, self.free)

    def with_levels(self, levels: Tensor) -> Law:
        """The law on other values, put in rising order."""
        order = levels.argsort(-1)
        rows = torch.arange(len(levels)).unsqueeze(-1)
        transition = self.transition[rows, order]
        transition = transition.gather(-1, order.unsqueeze(-2).expand_as(transition))
        return Law(levels.gather(-1, order), self.initial.gather(-1, order), transition)


def tauchen(levels: Tensor, point: Tensor) -> tuple[Tensor, Tensor]:
    """A stationary AR(1) on a grid: the laws of its first state and of its transitions.

    Args:
        levels: The grid, rising, `[member, state]`.
        point: Mean, log of the stationary spread, atanh of the persistence, `[member, 3]`.

    Source: G. Tauchen, Finite state Markov-chain approximations to univariate and vector
    autoregressions, Economics Letters 20 (1986).
    """
    mean, spread = point[:, :1], point[:, 1:2].exp()
    keeps = torch.tanh(point[:, 2:3]).clamp(-0.9999, 0.9999)
    ends = (levels[:, 1:] + levels[:, :-1]) / 2
    initial = _between((ends - mean) / spread)
    centre = mean + keeps * (levels - mean)
    size = spread * (1 - keeps**2).sqrt()
    transition = _between((ends.unsqueeze(1) - centre.unsqueeze(-1)) / size.unsqueeze(-1))
    return initial, transition


def _between(ends: Tensor) -> Tensor:
    """The normal law of the cells between `ends`, the outer cells open."""
    below = torch.special.ndtr(ends)
    edge = below[..., :1]
    steps = torch.cat([torch.zeros_like(edge), below, torch.ones_like(edge)], -1).diff(dim=-1)
    chance = steps + LEAST
    return chance / chance.sum(-1, keepdim=True)
