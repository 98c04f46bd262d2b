"""Linear mechanisms, and the marginal of a continuous root (a linear one without parents)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from causalsys.errors import FitError
from causalsys.mechanisms.additive import Additive
from causalsys.mechanisms.base import Parents, Sample
from causalsys.mechanisms.features import Scale, weighted
from causalsys.mechanisms.training import Training

_SINGULAR = 1e-10


@dataclass(frozen=True)
class LinearMechanism(Additive):
    """`link(value) = constant + weight · columns + residual`, by weighted least squares.

    Member 0 has the least-squares estimate; the others are drawn from its sampling
    distribution with the heteroscedasticity-robust covariance (White, 1980), so that their
    spread is the parameters' uncertainty.
    """

    @property
    def scale(self) -> Scale:
        return "log" if getattr(self.spec, "link", "identity") == "log" else "raw"

    def location(self, parents: Parents) -> Tensor:
        if not self.parents:
            return self.state["constant"]
        weight = self._raw_weight
        center = self.state["center"].squeeze(-2)
        constant = self.state["constant"] - (weight * center).sum(-1, keepdim=True)
        return constant + self._weighted(parents, weight)

    def shift(self, parents: Parents, changed: Parents) -> Tensor:
        if not changed:
            return self.state["constant"].new_zeros(1, 1)
        weight = self._raw_weight
        before = {key: parents[key] for key in changed}
        return self._weighted(changed, weight) - self._weighted(before, weight)

    @property
    def _raw_weight(self) -> Tensor:
        """The weights of the columns before standardising, `[member, column]`."""
        return self.state["weight"] / self.state["spread"].squeeze(-2)

    def _weighted(self, values: Parents, weight: Tensor) -> Tensor:
        found = weighted(values, weight, parents=self.parents, scale=self.scale, state=self.state)
        assert found is not None
        return found

    def start(self, sample: Sample, *, generator: torch.Generator) -> Self:
        state = self._start_columns(sample)
        line = self.with_state(state).line(sample.value)
        width = state["center"].shape[-1]
        members = sample.members
        spread = line.std(unbiased=False).clamp(min=1e-9) if line.numel() > 1 else line.new_ones(())
        state["weight"] = (
            0.5 * spread * torch.randn(members, width, generator=generator, dtype=line.dtype)
        )
        state["constant"] = line.mean().expand(members, 1).clone()
        state["log_scale"] = spread.log().expand(members, 1).clone()
        return self.with_state(state)

    def fit(self, sample: Sample, *, training: Training) -> Self:
        state = self._start_columns(sample)
        started = self.with_state(state)
        line = started.line(sample.value)
        design = started.columns(sample.parents)
        rows, width = sample.rows, state["center"].shape[-1]
        if rows < width + 2:
            raise FitError(
                "Linear",
                found=f"{rows} rows for {width} columns of parents and a constant",
                mend=f"Give at least {width + 2} rows, or fewer parents.",
            )
        lead = line.shape if design is None else design.shape[:-1]
        ones = line.new_ones(*lead, 1)
        full = ones if design is None else torch.cat([ones, design], -1)
        coefficients, rank = _least_squares(full, line, sample.weight, training=training)
        state["constant"], state["weight"] = coefficients[:, :1], coefficients[:, 1:]
        if design is None:
            del state["weight"]
        fitted = self.with_state(state)
        residual = line - fitted.location(sample.parents)
        # Unbiased in the number of coefficients, as least squares is taught.
        inflated = residual * math.sqrt(rows / max(rows - rank, 1))
        done = fitted.with_state({**state, **self._residual(inflated, sample.weight)})
        if rank < full.shape[-1]:
            return done.noted("some parents are constant or collinear: least-norm solution")
        return done


def _least_squares(
    design: Tensor, line: Tensor, weight: Tensor, *, training: Training
) -> tuple[Tensor, int]:
    """Coefficients `[member, column]` and the design's rank.

    With one data set for all members, they are draws from the sampling distribution; with a
    data set per member (multiple imputation), each has its own estimate as well.
    """
    members = weight.shape[0]
    base = weight[:1].unsqueeze(-1)
    weighted = design * base
    gram = weighted.mT @ design
    moment = (weighted.mT @ line.unsqueeze(-1)).squeeze(-1)
    values, vectors = torch.linalg.eigh(gram)
    kept = values > _SINGULAR * values.amax(-1, keepdim=True)
    inverse = torch.where(kept, 1 / values.clamp(min=1e-300), torch.zeros_like(values))
    solve = (vectors * inverse.unsqueeze(-2)) @ vectors.mT
    estimate = (solve @ moment.unsqueeze(-1)).squeeze(-1)
    residual = line - (design @ estimate.unsqueeze(-1)).squeeze(-1)
    score = weighted * residual.unsqueeze(-1)
    rank = int(kept[0].sum())
    freedom = line.shape[-1] / max(line.shape[-1] - rank, 1)
    root = torch.linalg.eigh(freedom * (score.mT @ score))
    half = solve @ (root.eigenvectors * root.eigenvalues.clamp(min=0).sqrt().unsqueeze(-2))
    shape = (members, half.shape[-1], 1)
    draws = torch.randn(shape, generator=training.generator(), dtype=line.dtype).to(line.device)
    draws[0] = 0
    spread = (half @ draws).squeeze(-1)
    return estimate + spread, rank
