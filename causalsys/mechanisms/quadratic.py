"""An additive-noise model whose location is a quadratic of the parents' columns.

It is what a product of two causes needs: no network that has seen the causes move together says
what happens where one of them is moved alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from causalsys.errors import FitError
from causalsys.mechanisms.additive import Additive
from causalsys.mechanisms.base import Parents, Sample
from causalsys.mechanisms.features import Scale
from causalsys.mechanisms.least_squares import least_squares
from causalsys.mechanisms.training import Training

_ALIKE = 1e-8
"""A column with less than this share of its square left says what others say."""


@dataclass(frozen=True)
class QuadraticMechanism(Additive):
    """`link(value) = weight · (1, columns, products of two columns) + residual`.

    Member 0 has the least-squares estimate; the others are drawn from its sampling
    distribution, as in a linear mechanism.
    """

    @property
    def scale(self) -> Scale:
        return "log" if self.spec.link == "log" else "raw"

    def location(self, parents: Parents) -> Tensor:
        weight = self.state["weight"]
        design = self.columns(parents)
        if design is None:
            return weight
        return (_terms(design) @ weight.unsqueeze(-1)).squeeze(-1)

    def start(self, sample: Sample, *, generator: torch.Generator) -> Self:
        state = self._start_columns(sample)
        line = self.with_state(state).line(sample.value)
        spread = line.std(unbiased=False).clamp(min=1e-9) if line.numel() > 1 else line.new_ones(())
        width = state["center"].shape[-1]
        shape = (sample.members, terms_of(width))
        state["weight"] = 0.2 * spread * torch.randn(shape, generator=generator, dtype=line.dtype)
        state["weight"][:, 0] = line.mean()
        state["log_scale"] = spread.log().expand(sample.members, 1).clone()
        return self.with_state(state)

    def fit(self, sample: Sample, *, training: Training) -> Self:
        started = self.with_state(self._start_columns(sample))
        count = terms_of(started.state["center"].shape[-1])
        if sample.rows < count + 1:
            raise FitError(
                "Quadratic",
                found=f"{sample.rows} rows for {count} terms",
                mend=f"Give at least {count + 1} rows, or use cs.Linear().",
            )
        found = least_squares(sample, started._equations, generator=training.generator())
        state = {
            **started.state,
            "weight": found.coefficients,
            "log_scale": found.log_scale,
        }
        fitted = self.with_state(state).finish(sample)
        if found.rank < count:
            return fitted.noted("some terms are constant or collinear: least-norm solution")
        return fitted

    def misfit(self, sample: Sample) -> float:
        """The p-value of cubes of the columns and of the location: small where they are missed.

        A score test of Ramsey's RESET (1969), robust to unequal variances (White, 1980). It sees
        what held-out likelihood is too noisy to see.

        Args:
            sample: The data to which the mechanism was fitted.
        """
        design = self.columns(sample.parents)
        if design is None:
            return 1.0
        location = self.location(sample.parents)[0]
        scaled = (location - location.mean()) / location.std(unbiased=False).clamp(min=1e-300)
        cubes = torch.cat([design[0], scaled.unsqueeze(-1)], dim=-1) ** 3
        weight, known = sample.weight[0].unsqueeze(-1), _terms(design[0])
        root = weight.sqrt()
        explained = known @ torch.linalg.lstsq(root * known, root * cubes, driver="gelsd").solution
        new = cubes - explained
        new = new[:, new.square().sum(0) > _ALIKE * cubes.square().sum(0)]
        residual = (self.line(sample.value)[0] - location).unsqueeze(-1)
        score = weight * residual * new
        values, vectors = torch.linalg.eigh(score.mT @ score)
        kept = values > _ALIKE * values.sum()
        along = (score.sum(0) @ vectors)[kept]
        half = torch.stack([kept.sum().to(along), (along**2 / values[kept]).sum()]) / 2
        return float(torch.special.gammaincc(half[0], half[1])) if bool(kept.any()) else 1.0

    def _equations(self, value: Tensor, parents: Parents) -> tuple[Tensor, Tensor]:
        line = self.line(value)
        design = self.columns(parents)
        if design is None:
            return torch.ones_like(line).unsqueeze(-2), line
        return _terms(design).mT.to(line.dtype), line


def terms_of(width: int) -> int:
    """How many terms a quadratic of `width` columns has."""
    return 1 + width + width * (width + 1) // 2


def _terms(design: Tensor) -> Tensor:
    """One, the columns, and their products, `[..., row, term]` from `[..., row, column]`."""
    first, second = torch.triu_indices(design.shape[-1], design.shape[-1], device=design.device)
    products = design[..., first] * design[..., second]
    return torch.cat([torch.ones_like(design[..., :1]), design, products], dim=-1)
