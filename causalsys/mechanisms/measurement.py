"""A measurement: the one parent, read with an error of one size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from causalsys.mechanisms.additive import Additive
from causalsys.mechanisms.base import Parents, Sample
from causalsys.mechanisms.links import offset_of, to_line
from causalsys.mechanisms.training import Training
from causalsys.scm.supports import Positive


@dataclass(frozen=True)
class MeasurementMechanism(Additive):
    """`link(value) = link(parent) + residual`; only the residual's law is learned."""

    @property
    def resampled(self) -> bool:
        return True

    def location(self, parents: Parents) -> Tensor:
        (value,) = parents.values()
        return to_line(value, support=self.support, offset=self.state["offset"])

    def start(self, sample: Sample, *, generator: torch.Generator) -> Self:
        value = sample.value.flatten()
        positive = isinstance(self.support, Positive)
        offset = offset_of(value) if positive else value.new_zeros(1)
        line = self.with_state({"offset": offset}).line(value)
        spread = line.std(unbiased=False).clamp(min=1e-9) if len(line) > 1 else line.new_ones(())
        log_scale = spread.log().expand(sample.members, 1).clone()
        return self.with_state({"offset": offset, "log_scale": log_scale})

    def fit(self, sample: Sample, *, training: Training) -> Self:
        started = self.start(sample, generator=training.generator())
        residual = started.line(sample.value) - started.location(sample.parents)
        law = started._residual(residual, sample.weight)
        return started.with_state({**started.state, **law})
