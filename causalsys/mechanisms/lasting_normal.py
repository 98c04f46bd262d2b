"""Latents that last: each component a stationary AR(1) of unit variance, around zero."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from causalsys.mechanisms.base import Mechanism, Parents, Sample

_LOG_2PI = math.log(2 * math.pi)
_FIRST_GUESS = 0.9


@dataclass(frozen=True)
class LastingNormalMechanism(Mechanism):
    """`u' = persistence · u + √(1 - persistence²) · noise`, and standard normal at first.

    Its parent is its own value a step ago, minus infinity before the trace began. `state` has
    `persistence`, `[member, component]`.
    """

    @property
    def noise_shape(self) -> tuple[int, ...]:
        return (self.support.size,) if self.support.size else ()

    def start(self, sample: Sample, *, generator: torch.Generator) -> Self:
        return self.of(torch.full((sample.members, self.support.size or 1), _FIRST_GUESS).double())

    def of(self, persistence: Tensor) -> Self:
        """The mechanism with this share that is kept from step to step, `[member, component]`."""
        return self.with_state({"persistence": persistence})

    def log_prob(self, value: Tensor, parents: Parents) -> Tensor:
        centre, size = self._around(parents)
        each = -0.5 * (((value - centre) / size) ** 2 + _LOG_2PI) - size.log()
        return each.sum(-1) if self.support.size else each

    def pull(
        self, value: Tensor, parents: Parents, *, generator: torch.Generator | None = None
    ) -> Tensor:
        centre, size = self._around(parents)
        return (value - centre) / size

    def push(self, noise: Tensor, parents: Parents) -> Tensor:
        centre, size = self._around(parents)
        return centre + size * noise

    def along(self, noise: Tensor, rows_at: Sequence[Tensor]) -> Tensor:
        """The values from all noises of whole traces.

        Args:
            noise: `[..., sample, row]`, a vector's with one more axis.
            rows_at: For each step the row of every trace, -1 where it has ended.
        """
        (key,) = self.parents
        axis = noise.dim() - (2 if self.support.size else 1)
        found = torch.empty_like(noise)
        before = torch.full_like(noise.index_select(axis, rows_at[0].clamp(min=0)), -torch.inf)
        for rows in rows_at:
            now = self.push(noise.index_select(axis, rows.clamp(min=0)), {key: before})
            live = (rows >= 0).nonzero()[:, 0]
            found.index_copy_(axis, rows[live], now.index_select(axis, live))
            before = now
        return found

    def _around(self, parents: Parents) -> tuple[Tensor, Tensor]:
        """The mean and the standard deviation of the next value."""
        (before,) = parents.values()
        keeps = self.state["persistence"]
        # `[member, component]`, beside `[..., sample, row, component]` or `[..., sample, row]`.
        keeps = keeps.unsqueeze(-2) if self.support.size else keeps
        starts = torch.isneginf(before)
        centre = torch.where(starts, 0.0, keeps * torch.where(starts, 0.0, before))
        return centre, torch.where(starts, 1.0, (1 - keeps**2).sqrt())
