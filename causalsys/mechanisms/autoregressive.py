"""A latent that returns to its mean: a stationary AR(1) on the line of its support's link."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from causalsys.mechanisms.base import Parents
from causalsys.mechanisms.chain import ChainMechanism
from causalsys.mechanisms.links import from_line, log_slope

_LOG_2PI = math.log(2 * math.pi)


@dataclass(frozen=True)
class AutoRegressiveMechanism(ChainMechanism):
    """`line = mean + persistence · (line before - mean) + shock`, normal and stationary.

    `state` has `mean`, `spread` (stationary) and `persistence`, `[member, 1]`. Values are any
    number; the grid of a chain, which `state` has too, serves inference only.
    """

    bijective: ClassVar[bool] = True

    def log_prob(self, value: Tensor, parents: Parents) -> Tensor:
        centre, size = self._around(parents)
        noise = (self.line(value) - centre) / size
        slope = log_slope(value, support=self.support, offset=self.offset)
        return -0.5 * (noise**2 + _LOG_2PI) - size.log() + slope

    def pull(
        self, value: Tensor, parents: Parents, *, generator: torch.Generator | None = None
    ) -> Tensor:
        centre, size = self._around(parents)
        return (self.line(value) - centre) / size

    def push(self, noise: Tensor, parents: Parents) -> Tensor:
        centre, size = self._around(parents)
        return from_line(centre + size * noise, support=self.support, offset=self.offset)

    def _around(self, parents: Parents) -> tuple[Tensor, Tensor]:
        """The mean and the standard deviation of the next value on the line."""
        (before,) = parents.values()
        mean, spread, keeps = (self.state[name] for name in ("mean", "spread", "persistence"))
        starts = torch.isneginf(before)
        line = self.line(torch.where(starts, torch.ones_like(before), before))
        centre = torch.where(starts, mean, mean + keeps * (line - mean))
        return centre, torch.where(starts, spread, spread * (1 - keeps**2).sqrt())
