"""The prior of a latent without parents: fixed, with nothing to learn."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from causalsys.mechanisms.base import Mechanism, Parents, Sample
from causalsys.mechanisms.links import from_line, log_slope, to_line
from causalsys.mechanisms.training import Training

_LOG_2PI = math.log(2 * math.pi)
_OFFSET = 1e-12


@dataclass(frozen=True)
class PriorMechanism(Mechanism):
    """A standard normal through the support's link, each component of a vector on its own.

    Real latents are normal, positive ones log-normal, fractions logistic-normal.
    A latent's scale is only known up to a bijection, so nothing is lost by fixing it.
    """

    @property
    def noise_shape(self) -> tuple[int, ...]:
        return (self.support.size,) if self.support.size else ()

    def start(self, sample: Sample, *, generator: torch.Generator) -> Self:
        return self._fixed()

    def fit(self, sample: Sample, *, training: Training) -> Self:
        return self._fixed()

    def log_prob(self, value: Tensor, parents: Parents) -> Tensor:
        value = value if value.is_floating_point() else value.to(self._offset.dtype)
        line = to_line(value, support=self.support, offset=self._offset)
        slope = log_slope(value, support=self.support, offset=self._offset)
        each = -0.5 * (line**2 + _LOG_2PI) + slope
        return each.sum(-1) if self.support.size else each

    def pull(
        self, value: Tensor, parents: Parents, *, generator: torch.Generator | None = None
    ) -> Tensor:
        return to_line(value, support=self.support, offset=self._offset)

    def push(self, noise: Tensor, parents: Parents) -> Tensor:
        return from_line(noise, support=self.support, offset=self._offset)

    @property
    def _offset(self) -> Tensor:
        return self.state["offset"]

    def _fixed(self) -> Self:
        return self.with_state({"offset": torch.full((1,), _OFFSET, dtype=torch.float64)})
