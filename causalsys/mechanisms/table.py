"""A probability table: a level's frequencies for each combination of categorical parents.

Saturated, so that a model of categories alone can follow any distribution its graph allows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from causalsys.mechanisms.base import Parents, Sample
from causalsys.mechanisms.categorical import GumbelMaxMechanism
from causalsys.mechanisms.training import Training
from causalsys.scm.supports import Categorical

_PSEUDO = 0.5
"""Added to each combination's counts, over all levels together (Perks, 1947)."""


@dataclass(frozen=True)
class TableMechanism(GumbelMaxMechanism):
    """`argmax(log table[parents] + noise)`; the table is `[member, combination, level]`."""

    @property
    def combinations(self) -> int:
        """How many combinations of parents' levels there are."""
        total = 1
        for size in self._sizes:
            total *= size
        return total

    def start(self, sample: Sample, *, generator: torch.Generator) -> Self:
        if len(sample.parents) == len(self.parents):
            return self._counted(sample)
        # A latent parent: its levels start unlike each other, or they would stay alike.
        whole = one_hot(sample.value, self.noise_shape[0]).to(sample.weight.dtype)
        share = (sample.weight.unsqueeze(-1) * whole).sum(-2) + 1e-3
        draws = torch.randn(
            sample.members, self.combinations, self.noise_shape[0], generator=generator
        )
        return self.with_state({"table": share.log().unsqueeze(-2) + draws.to(share.dtype)})

    def fit(self, sample: Sample, *, training: Training) -> Self:
        return self._counted(sample)

    def _counted(self, sample: Sample) -> Self:
        """Weighted frequencies, the maximum of the likelihood."""
        levels = self.noise_shape[0]
        cell = self._combination(sample.parents, sample.value) * levels + sample.value
        shape = (sample.members, self.combinations * levels)
        counts = sample.weight.new_zeros(shape)
        counts.scatter_add_(1, cell.expand(sample.weight.shape), sample.weight)
        table = counts.reshape(-1, self.combinations, levels) + _PSEUDO / levels
        return self.with_state({"table": table.log()})

    def _logits(self, parents: Parents) -> Tensor:
        table = torch.log_softmax(self.state["table"], -1)
        if not self.parents:
            return table
        place = self._combination(parents, next(iter(parents.values())))
        members = max(len(table), place.shape[-2])
        place = place.expand(*place.shape[:-2], members, place.shape[-1])
        which = torch.arange(members).unsqueeze(-1) % len(table)
        return table[which, place]

    @property
    def _sizes(self) -> list[int]:
        return [s.cardinality for s in self.parents.values() if isinstance(s, Categorical)]

    def _combination(self, parents: Parents, like: Tensor) -> Tensor:
        """The number of each row's combination of parents' levels."""
        place = torch.zeros_like(like)
        for key, size in zip(self.parents, self._sizes, strict=True):
            place = place * size + parents[key].long()
        return place
