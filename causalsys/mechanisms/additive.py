"""Mechanisms that add a noise to a location: `link(value) = location(parents) + residual`.

The residual's law does not depend on the parents, so the value determines the noise, and a
counterfactual keeps the residual (an additive-noise model; Hoyer et al., NeurIPS 2008).
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from causalsys.mechanisms.base import Mechanism, Parents, Sample
from causalsys.mechanisms.features import Scale, columns, start_columns
from causalsys.mechanisms.links import from_line, log_slope, offset_of, to_line
from causalsys.mechanisms.residual import from_noise, log_density, start_residual, to_noise
from causalsys.scm.supports import Positive


@dataclass(frozen=True)
class Additive(Mechanism):
    """A location, given by the subclass, plus a residual on the scale of the link."""

    @property
    def scale(self) -> Scale:
        """How positive parents enter."""
        return "both"

    @abstractmethod
    def location(self, parents: Parents) -> Tensor:
        """The location on the link's scale, `[..., member, row]` or broadcastable to it."""

    def log_prob(self, value: Tensor, parents: Parents) -> Tensor:
        residual = self.line(value) - self.location(parents)
        slope = log_slope(value, support=self.support, offset=self.state["offset"])
        return log_density(residual, self.state) + slope

    def pull(
        self, value: Tensor, parents: Parents, *, generator: torch.Generator | None = None
    ) -> Tensor:
        return to_noise(self.line(value) - self.location(parents), self.state)

    def push(self, noise: Tensor, parents: Parents) -> Tensor:
        line = self.location(parents) + from_noise(noise, self.state)
        return from_line(line, support=self.support, offset=self.state["offset"])

    def carry(
        self,
        value: Tensor,
        parents: Parents,
        changed: Parents,
        *,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        # The same noise is the same residual, whatever its law: only the location moves.
        line = self.moved(self.line(value), parents, changed)
        return from_line(line, support=self.support, offset=self.state["offset"])

    def moved(self, line: Tensor, parents: Parents, changed: Parents) -> Tensor:
        """`line`, moved as far as the location moves where the parents in `changed` differ."""
        return line + (self.location({**parents, **changed}) - self.location(parents))

    def finish(self, sample: Sample) -> Self:
        """Fit the law of the residuals that training left."""
        if self.spec.noise == "normal" or len(sample.parents) < len(self.parents):
            return self
        residual = self.line(sample.value) - self.location(sample.parents)
        return self.with_state({**self.state, **self._residual(residual, sample.weight)})

    def line(self, value: Tensor) -> Tensor:
        """A value on the link's scale."""
        return to_line(value, support=self.support, offset=self.state["offset"])

    def columns(self, parents: Parents) -> Tensor | None:
        """The standardised columns of the parents; None without parents."""
        return columns(parents, parents=self.parents, scale=self.scale, state=self.state)

    def _start_columns(self, sample: Sample) -> dict[str, Tensor]:
        state = start_columns(
            sample.parents, parents=self.parents, scale=self.scale, weight=sample.weight
        )
        positive = isinstance(self.support, Positive)
        value = sample.value.flatten()
        return {**state, "offset": offset_of(value) if positive else value.new_zeros(1)}

    def _residual(self, residual: Tensor, weight: Tensor) -> dict[str, Tensor]:
        empirical = self.spec.noise == "empirical"
        return start_residual(residual.expand_as(weight), weight, empirical=empirical)
