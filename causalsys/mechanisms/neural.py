"""An additive-noise model whose location is a small network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from causalsys.mechanisms.additive import Additive
from causalsys.mechanisms.base import Parents, Sample
from causalsys.mechanisms.nets import apply_net, start_net


@dataclass(frozen=True)
class NeuralMechanism(Additive):
    """`link(value) = line.center + line.spread · network(columns) + residual`."""

    def location(self, parents: Parents) -> Tensor:
        design = self.columns(parents)
        center, spread = self.state["line.center"], self.state["line.spread"]
        if design is None:
            return center + spread * self.state["net.constant"].squeeze(-1)
        return center + spread * apply_net("net", design, self.state).squeeze(-1)

    def start(self, sample: Sample, *, generator: torch.Generator) -> Self:
        state = self._start_columns(sample)
        line = self.with_state(state).line(sample.value)
        spread = line.std(unbiased=False)
        spread = torch.where(spread > 0, spread, torch.ones_like(spread))
        state |= {
            "line.center": line.mean().reshape(1, 1),
            "line.spread": spread.reshape(1, 1),
            "log_scale": spread.log().expand(sample.members, 1).clone(),
        }
        width = state["center"].shape[-1]
        net = start_net(
            "net", width, 1, hidden=self.spec.hidden, members=sample.members, generator=generator
        )
        if len(sample.parents) < len(self.parents):
            # A latent parent: start from a random slope, or all restarts would be alike.
            net["net.shortcut"] = 0.5 * torch.randn(sample.members, width, 1, generator=generator)
        return self.with_state(state | {name: tensor.double() for name, tensor in net.items()})
