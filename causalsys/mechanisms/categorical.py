"""Categorical variables: the argmax of logits plus Gumbel noise.

The noise behind a level is not determined by it, and is drawn from its exact posterior: the
largest perturbed logit first, then the others truncated below it (Maddison, Tarlow and Minka,
NeurIPS 2014). Counterfactuals of it are counterfactually stable: a level does not give way to
another whose odds against it did not rise (Oberst and Sontag, ICML 2019).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from causalsys.mechanisms.base import Mechanism, NoiseLaw, Parents, Sample
from causalsys.mechanisms.draws import gumbel_like
from causalsys.mechanisms.features import columns, start_columns
from causalsys.mechanisms.multinomial import frequencies, multinomial_regression
from causalsys.mechanisms.nets import apply_net, start_net
from causalsys.mechanisms.training import Training


@dataclass(frozen=True)
class GumbelMaxMechanism(Mechanism):
    """`argmax(logits(parents) + noise)`; codes are int64, the noise has one element a level.

    Without hidden layers the logits are linear and fitted by L-BFGS; else by gradient.
    """

    noise: ClassVar[NoiseLaw] = "gumbel"
    bijective: ClassVar[bool] = False

    @property
    def noise_shape(self) -> tuple[int, ...]:
        return (int(self.support.cardinality),)  # type: ignore[attr-defined]

    def log_prob(self, value: Tensor, parents: Parents) -> Tensor:
        logits = self._logits(parents)
        shape = torch.broadcast_shapes(logits.shape[:-1], value.shape)
        codes = value.long().expand(shape).unsqueeze(-1)
        return logits.expand(*shape, -1).gather(-1, codes).squeeze(-1)

    def pull(
        self, value: Tensor, parents: Parents, *, generator: torch.Generator | None = None
    ) -> Tensor:
        logits = self._logits(parents)
        shape = (*torch.broadcast_shapes(logits.shape[:-1], value.shape), logits.shape[-1])
        logits = logits.expand(shape)
        # The logits are normalised, so their perturbed maximum is standard Gumbel.
        top = gumbel_like(logits[..., :1], generator=generator)
        free = logits + gumbel_like(logits, generator=generator)
        below = -torch.logaddexp(-top, -free)
        # Rounding must not lift another level to the top.
        size = 1 + top.abs() + logits.abs().amax(-1, keepdim=True)
        below = torch.minimum(below, top - 16 * torch.finfo(logits.dtype).eps * size)
        chosen = one_hot(value.long().expand(shape[:-1]), shape[-1]).bool()
        return torch.where(chosen, top, below) - logits

    def push(self, noise: Tensor, parents: Parents) -> Tensor:
        return (self._logits(parents) + noise).argmax(-1)

    def start(self, sample: Sample, *, generator: torch.Generator) -> Self:
        state = start_columns(
            sample.parents, parents=self.parents, scale="both", weight=sample.weight
        )
        width, levels = state["center"].shape[-1], self.noise_shape[0]
        members = sample.members
        net = start_net(
            "net",
            width,
            levels,
            hidden=self.spec.hidden,
            members=members,
            generator=generator,
        )
        if len(sample.parents) < len(self.parents):
            # A latent parent: start from a random slope, or all restarts would be alike.
            net["net.shortcut"] = 0.5 * torch.randn(members, width, levels, generator=generator)
        net["net.constant"] = frequencies(sample, levels=levels).log().unsqueeze(-2)
        return self.with_state(state | {name: tensor.double() for name, tensor in net.items()})

    def fit(self, sample: Sample, *, training: Training) -> Self:
        if self.spec.hidden and self.parents:
            return super().fit(sample, training=training)
        started = self.start(sample, generator=training.generator())
        design = columns(sample.parents, parents=self.parents, scale="both", state=started.state)
        if design is None:
            return started
        constant, slope = multinomial_regression(design, sample, levels=self.noise_shape[0])
        return started.with_state(
            {**started.state, "net.constant": constant, "net.shortcut": slope}
        )

    def _logits(self, parents: Parents) -> Tensor:
        """The log probability of each level, `[..., member, row, level]`."""
        design = columns(parents, parents=self.parents, scale="both", state=self.state)
        if design is None:
            return torch.log_softmax(self.state["net.constant"], dim=-1)
        return torch.log_softmax(apply_net("net", design, self.state), dim=-1)
