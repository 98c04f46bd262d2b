"""What a lasting flow minimises: the surprise of its noise, step by step, given its own past."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from causalsys.fit.lasting.flow_law import log_law, log_normal
from causalsys.fit.lasting.flow_windows import Windows
from causalsys.mechanisms.base import Mechanism, Sample
from causalsys.mechanisms.packing import pack, unpack

_PRIOR = 0.5
"""Inverse variance of a weight's prior, per input; as wide as in a fit of independent rows."""
_LAW_PRIOR = 4.0
"""The same for the law's network: of a few hundred rows it must not learn one by one."""
_MARGINAL = 0.05
"""How much a row's share in the marginal's departure from N(0, 1) counts. Jumps and first steps
say where the noise's zero and unit are, but traces without jumps have few."""


@dataclass(frozen=True)
class Flow:
    """A mechanism and a law of its noise, as functions of points that an optimiser moves.

    Attributes:
        mechanism: With one member.
        law: The law's parameters, with one member.
        total: Weight of all rows, `[member]`.
        unit: In which the mechanism's parameters are counted, `[1, parameter]`.
        kernel: `flow_law.kernels` of the windows' steps.
    """

    mechanism: Mechanism
    law: dict[str, Tensor]
    total: Tensor
    unit: Tensor
    kernel: Tensor

    @property
    def names(self) -> list[str]:
        """The mechanism's parameters that are trained."""
        return trained(self.mechanism)

    @property
    def size(self) -> int:
        """How many of a point's numbers are the mechanism's."""
        return pack(self.mechanism.state, self.names).shape[-1]

    def start(self) -> Tensor:
        """The point where mechanism and law are now, `[1, parameter]`."""
        own = pack(self.mechanism.state, self.names) / self.unit
        return torch.cat([own, pack(self.law, list(self.law)).to(own.dtype)], -1)

    def at(self, points: Tensor) -> tuple[Mechanism, dict[str, Tensor]]:
        """The mechanism and the law's parameters at these points."""
        own, rest = points.split([self.size, points.shape[-1] - self.size], -1)
        state = unpack(own * self.unit, self.mechanism.state, self.names)
        return self.mechanism.with_state(state), unpack(rest, self.law, list(self.law))

    def losses(self, sample: Sample, windows: Windows) -> Callable[[Tensor, Tensor], Tensor]:
        """Losses per row, as a function of points and of whose they are.

        Args:
            sample: The rows of `windows`, window after window.
            windows: As whose windows they are.
        """
        live = windows.live

        def losses(points: Tensor, members: Tensor) -> Tensor:
            # Members each with their own weights, or starts with the same.
            members = members if sample.members > 1 else 0 * members
            part = sample.pick(members)
            tried, law = self.at(points)
            noise = tried.pull(part.value, part.parents)
            stretch = tried.log_prob(part.value, part.parents) - log_normal(noise)
            shape = (len(points), *live.shape)
            noise, weight = noise.expand(len(points), -1), part.weight
            history = log_law(noise.reshape(shape), live, law, kernel=self.kernel).flatten(1)
            total = weight.sum(-1)
            fit = (weight * (stretch + history)).sum(-1) / total
            mean = (weight * noise).sum(-1) / total
            square = (weight * (noise - mean.unsqueeze(-1)).square()).sum(-1) / total
            marginal = 0.5 * (mean**2 + square - square.clamp(min=1e-12).log() - 1)
            return -fit + _MARGINAL * marginal + self._prior(tried, law, self.total[members])

        return losses

    def _prior(self, tried: Mechanism, law: dict[str, Tensor], total: Tensor) -> Tensor:
        mine = _squares([tried.state[name] for name in self.names])
        return (0.25 * _PRIOR * mine + 0.5 * _LAW_PRIOR * _squares(list(law.values()))) / total


def trained(mechanism: Mechanism) -> list[str]:
    """The names of a mechanism's parameters that training moves."""
    return [
        name
        for name, tensor in mechanism.state.items()
        if not name.startswith(mechanism.constants) and tensor.numel()
    ]


def _squares(tensors: list[Tensor]) -> Tensor:
    """Weights' squares times their inputs; constants, with a row of one input, go free."""
    weights = [tensor for tensor in tensors if tensor.dim() == 3 and tensor.shape[1] > 1]
    return sum((w.shape[1] * w.square().sum((1, 2)) for w in weights), torch.zeros(()))
