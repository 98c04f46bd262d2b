"""Low-rank mechanisms in traces: an action weighs several latents that last.

`link(value) = c_a + w · columns + λ_aᵀ u + s · noise`, the loadings λ being those of the action,
and the noise new in every step (`fit/state_space` fits it together with its latents). With one
latent and equal loadings it is `Multiplicative`; with more it is the low-rank model of CausalSim
(Alomar et al., NSDI 2023) on the link's scale.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from causalsys.errors import FitError
from causalsys.mechanisms.additive import Additive
from causalsys.mechanisms.base import Parents, Sample
from causalsys.mechanisms.features import Scale, plus_weighted, start_columns
from causalsys.mechanisms.links import offset_of
from causalsys.mechanisms.training import Training
from causalsys.scm.supports import Categorical, Positive, Support


@dataclass(frozen=True)
class LowRankMechanism(Additive):
    """Constants and loadings by action; linear in other parents.

    `state` has `constant` `[member, action]`, `loading` `[member, action, component]`,
    `log_scale` `[member, 1]`, and `weight` `[member, column]` of the other parents. An action is
    a combination of the categorical parents, the last of them going round fastest.
    """

    @property
    def scale(self) -> Scale:
        return "log" if self.spec.link == "log" else "raw"

    @property
    def actions(self) -> Mapping[str, Categorical]:
        """The categorical parents."""
        return {
            key: support
            for key, support in self.parents.items()
            if isinstance(support, Categorical) and not support.size
        }

    @property
    def others(self) -> Mapping[str, Support]:
        """The parents that enter linearly."""
        return {
            key: support
            for key, support in self.parents.items()
            if key not in self.actions and key not in self.spec.latents
        }

    @property
    def sizes(self) -> Mapping[str, int]:
        """How many components each latent has."""
        return {key: self.parents[key].size or 1 for key in self.spec.latents}

    @property
    def count(self) -> int:
        """How many actions there are."""
        found = 1
        for support in self.actions.values():
            found *= support.cardinality
        return found

    def action(self, parents: Parents) -> Tensor:
        """The number of each row's action, `[..., sample, row]`; zero without actions."""
        found = torch.zeros((1, 1), dtype=torch.int64)
        for key, support in self.actions.items():
            found = found * support.cardinality + parents[key]
        return found

    def latent(self, parents: Parents) -> Tensor:
        """All components of all latents, `[..., sample, row, component]`."""
        parts = [
            parents[key] if self.parents[key].size else parents[key].unsqueeze(-1)
            for key in self.spec.latents
        ]
        shape = torch.broadcast_shapes(*(part.shape[:-1] for part in parts))
        return torch.cat([part.expand(*shape, part.shape[-1]) for part in parts], -1)

    def location(self, parents: Parents) -> Tensor:
        latent, action = self.latent(parents), self.action(parents)
        known = self.known(parents)
        members = max(latent.shape[-3], action.shape[-2], len(self.state["loading"]))
        lead = torch.broadcast_shapes(latent.shape[:-3], action.shape[:-2])
        rows = max(latent.shape[-2], action.shape[-1])
        loading = _at(self.state["loading"], action.expand(*lead, members, rows))
        return known + (loading * latent).sum(-1)

    def known(self, parents: Parents) -> Tensor:
        """The location without the latents' share, `[..., sample, row]`."""
        action = self.action(parents)
        members = max(action.shape[-2], len(self.state["constant"]))
        wide = action.expand(*action.shape[:-2], members, action.shape[-1])
        constant = _at(self.state["constant"].unsqueeze(-1), wide).squeeze(-1)
        if not self.others:
            return constant
        return plus_weighted(
            constant,
            {key: parents[key] for key in self.others},
            self.state["weight"],
            parents=self.others,
            scale=self.scale,
            state=self.state,
        )

    def start(self, sample: Sample, *, generator: torch.Generator) -> Self:
        """Constants of the data, and a first guess in which every action weighs all alike."""
        known = {key: sample.parents[key] for key in self.others if key in sample.parents}
        state = start_columns(known, parents=self.others, scale=self.scale, weight=sample.weight)
        flat = sample.value.flatten()
        positive = isinstance(self.support, Positive)
        state["offset"] = offset_of(flat) if positive else flat.new_zeros(1)
        line = self.with_state(state).line(sample.value).to(torch.float64)
        spread = line.std(unbiased=False).clamp(min=1e-9)
        state["line.center"], state["line.spread"] = line.mean().reshape(1), spread.reshape(1)
        members, count, width = sample.members, self.count, sum(self.sizes.values())
        state["constant"] = line.mean().expand(members, count).clone()
        draws = torch.randn((members, count, width), generator=generator, dtype=torch.float64)
        state["loading"] = spread * (0.5 + 0.2 * draws)
        state["weight"] = torch.zeros((members, state["center"].shape[-1]), dtype=torch.float64)
        state["log_scale"] = (0.5 * spread).log().expand(members, 1).clone()
        return self.with_state(state)

    def fit(self, sample: Sample, *, training: Training) -> Self:
        raise FitError(
            "LowRank",
            found="no latents that it is fitted with",
            mend="Fit the model that declares it: its latents are found from whole traces.",
        )

    def finish(self, sample: Sample) -> Self:
        """Nothing: the noise is normal."""
        return self


def _at(table: Tensor, place: Tensor) -> Tensor:
    """The entries at `place`, `[..., sample, row]`, of tables `[member, place, component]`."""
    which = torch.arange(place.shape[-2]).unsqueeze(-1) % len(table)
    return table[which, place]
