"""Low-rank multiplicative mechanisms: sums of products of one factor per parent.

`value = Σ_k exp(c_k) Π_parents exp f_k(parent) · exp(s · noise)`: work is size times slowness,
throughput is capacity times efficiency. With a latent parent this is the low-rank model of
trace-driven simulation (CausalSim; Alomar et al., NSDI 2023).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from causalsys.mechanisms.additive import Additive
from causalsys.mechanisms.base import Parents, Sample
from causalsys.mechanisms.features import Scale, plus_weighted
from causalsys.mechanisms.linear import LinearMechanism
from causalsys.mechanisms.packing import pack, unpack
from causalsys.mechanisms.quasi_newton import Losses, minimise
from causalsys.mechanisms.residual import start_residual
from causalsys.mechanisms.training import Training
from causalsys.scm import specs

_TRAINED = ("constant", "weight")
_ATTEMPTS = 16
_TRIAL_ROWS = 2000
_SLOPE_VARIANCE = 100.0


@dataclass(frozen=True)
class MultiplicativeMechanism(Additive):
    """A sum of `rank` products, with multiplicative normal noise: bijective.

    A factor is a table for a categorical parent, a power for a positive one, an exponential for
    a real one. Of rank one it is linear in logarithms and has a closed form. Here centring a
    column is harmless, as it only moves a factor into `c_k`.
    """

    @property
    def scale(self) -> Scale:
        return "log"

    def location(self, parents: Parents) -> Tensor:
        constant = self.state["constant"]
        if "weight" in self.state and self.state["weight"].shape[-1] == 1:
            return self._product(parents)
        design = self.columns(parents)
        if design is None:
            return constant.logsumexp(-1, keepdim=True)
        terms = design @ self.state["weight"] + constant.unsqueeze(-2)
        return terms.logsumexp(-1)

    def _product(self, parents: Parents) -> Tensor:
        """The location of a single product: linear in its columns, which need not be laid out."""
        weight = self.state["weight"].squeeze(-1) / self.state["spread"].squeeze(-2)
        center = self.state["center"].squeeze(-2)
        constant = self.state["constant"] - (weight * center).sum(-1, keepdim=True)
        return plus_weighted(
            constant, parents, weight, parents=self.parents, scale=self.scale, state=self.state
        )

    def start(self, sample: Sample, *, generator: torch.Generator) -> Self:
        state = self._start_columns(sample)
        line = self.with_state(state).line(sample.value)
        rank, width, members = self.spec.rank, state["center"].shape[-1], sample.members
        spread = line.std(unbiased=False).clamp(min=1e-6)
        shape = (members, width, rank)
        # From equal products the gradient would never tell them apart.
        draws = torch.randn(shape, generator=generator, dtype=line.dtype)
        state["weight"] = 0.5 * spread * draws
        state["constant"] = (line.mean() - math.log(rank)).expand(members, rank).clone()
        state["log_scale"] = spread.log().expand(members, 1).clone()
        return self.with_state(state)

    def fit(self, sample: Sample, *, training: Training) -> Self:
        product = self._one_product(sample, training=training)
        if self.spec.rank == 1 or not self.parents:
            return product
        generator = training.generator()
        first = sample.first()
        few = first.take(torch.randperm(sample.rows, generator=generator)[:_TRIAL_ROWS])
        tries = product._split(few, generator=generator)
        found = minimise(tries._losses(few), pack(tries.state, _TRAINED), steps=150)
        scores = tries._losses(few)(found, torch.zeros(len(found), dtype=torch.int64))
        best = found[scores.argmin()].unsqueeze(0)
        # The other members start from the first one's optimum, or their spread would show the
        # optimiser's luck rather than the data's uncertainty.
        best = minimise(tries._losses(first), best)
        best = minimise(tries._losses(sample), best.expand(sample.members, -1))
        fitted = product.with_state(unpack(best, tries.state, _TRAINED))
        residual = fitted.line(sample.value) - fitted.location(sample.parents)
        freedom = sample.rows / max(sample.rows - best.shape[-1], 1)
        law = start_residual(math.sqrt(freedom) * residual, sample.weight, empirical=False)
        return fitted.with_state({**fitted.state, **law})

    def finish(self, sample: Sample) -> Self:
        """Nothing: the noise is normal, and its scale is trained."""
        return self

    def _one_product(self, sample: Sample, *, training: Training) -> Self:
        """The closed form of rank one: least squares in logarithms."""
        spec = specs.Linear(link="log")
        linear = LinearMechanism(spec, self.support, self.parents).fit(sample, training=training)
        state = dict(linear.state)
        if "weight" in state:
            state["weight"] = state["weight"].unsqueeze(-1)
        return self.with_state(state).noted(*linear.notes)

    def _split(self, sample: Sample, *, generator: torch.Generator) -> Self:
        """Member 0's product as a sum of unequal ones, one member for each attempt.

        From equal ones the gradient would never tell them apart.
        """
        rank, slope = self.spec.rank, self.state["weight"][:1]
        spread = self.line(sample.value).std(unbiased=False)
        draws = torch.randn(_ATTEMPTS, slope.shape[1], rank, generator=generator, dtype=slope.dtype)
        constant = self.state["constant"][:1] - math.log(rank)
        return self.with_state(
            {
                **self.state,
                "weight": slope + 0.5 * spread * draws,
                "constant": constant.expand(_ATTEMPTS, rank),
            }
        )

    def _losses(self, sample: Sample) -> Losses:
        """The negative log likelihood per row, its scale profiled out, with a wide prior."""
        least = 1e-12 * (self.line(sample.value).var(unbiased=False) + 1e-12)

        def losses(point: Tensor, members: Tensor) -> Tensor:
            # Attempts at one data set, or members each with their own.
            part = sample.pick(members if sample.members > 1 else 0 * members)
            tried = self.with_state(unpack(point, self.state, _TRAINED))
            residual = self.line(part.value) - tried.location(part.parents)
            total = part.weight.sum(-1)
            square = (part.weight * residual**2).sum(-1) / total
            prior = 0.5 / _SLOPE_VARIANCE * (tried.state["weight"] ** 2).sum((-1, -2)) / total
            return 0.5 * torch.log(square + least) + prior

        return losses
