"""Linear mechanisms, and the marginal of a continuous root (a linear one without parents)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from causalsys.errors import FitError
from causalsys.mechanisms.additive import Additive
from causalsys.mechanisms.base import Parents, Sample
from causalsys.mechanisms.draws import bootstrap, some_rows
from causalsys.mechanisms.features import Scale, design, plus_weighted
from causalsys.mechanisms.least_squares import least_squares
from causalsys.mechanisms.residual import order_of
from causalsys.mechanisms.slope_posterior import SlopePrior
from causalsys.mechanisms.training import Training

_ENOUGH = 200_000
"""Rows that show the shape of a noise; its location and scale are of all rows."""


@dataclass(frozen=True)
class LinearMechanism(Additive):
    """`link(value) = constant + weight · columns + residual`, by weighted least squares.

    Member 0 has the least-squares estimate; the others are drawn from its sampling
    distribution with a heteroscedasticity-robust covariance (`least_squares`), so that their
    spread is the parameters' uncertainty. With priors on some slopes, member 0 has the posterior
    mode and the others are draws from the posterior (`slope_posterior`).
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
        return self._plus(constant, parents)

    def moved(self, line: Tensor, parents: Parents, changed: Parents) -> Tensor:
        return self._plus(line, changed, less=parents) if changed else line

    @property
    def _raw_weight(self) -> Tensor:
        """The weights of the columns before standardising, `[member, column]`."""
        return self.state["weight"] / self.state["spread"].squeeze(-2)

    def _plus(self, start: Tensor, values: Parents, *, less: Parents | None = None) -> Tensor:
        return plus_weighted(
            start,
            values,
            self._raw_weight,
            parents=self.parents,
            scale=self.scale,
            state=self.state,
            less=less,
        )

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

    @property
    def resampled(self) -> bool:
        return False

    def fit(self, sample: Sample, *, training: Training) -> Self:
        state = self._start_columns(sample)
        started = self.with_state(state)
        rows, width = sample.rows, state["center"].shape[-1]
        if rows < width + 2:
            raise FitError(
                "Linear",
                found=f"{rows} rows for {width} columns of parents and a constant",
                mend=f"Give at least {width + 2} rows, or fewer parents.",
            )
        generator = training.generator()
        prior = started.slope_prior
        found = least_squares(
            sample,
            started._equations,
            generator=generator,
            prior=None if prior is None else prior.with_constant(),
        )
        state["constant"], weight = found.coefficients[:, :1], found.coefficients[:, 1:]
        if self.parents:
            state["weight"] = weight
        state["log_scale"] = found.log_scale
        fitted = self.with_state(state)
        if self.spec.noise == "empirical":
            fitted = fitted._follow(sample, decided=found.decided, generator=generator)
        columns = found.coefficients.shape[-1]
        if found.settled < columns:
            return fitted.noted("some parents are constant or collinear: least-norm solution")
        if found.rank < columns:
            return fitted.noted("some parents are constant or collinear: their prior decides")
        return fitted

    @property
    def slope_prior(self) -> SlopePrior | None:
        """The priors on the weights of the standardised columns; None where all are flat.

        The state must hold the columns' constants already (after `start`).
        """
        priors = getattr(self.spec, "prior", ())
        if not priors:
            return None
        return SlopePrior.of(priors, parents=self.parents, scale=self.scale, state=self.state)

    def _equations(self, value: Tensor, parents: Parents) -> tuple[Tensor, Tensor]:
        line = self.line(value)
        ones = torch.ones_like(line).unsqueeze(-2)
        full = design(parents, ones, parents=self.parents, scale=self.scale, state=self.state)
        return full, line

    def _follow(self, sample: Sample, *, decided: float, generator: torch.Generator) -> Self:
        """Fit the residuals' own law, each member's to a Bayesian bootstrap of the rows."""
        some = replace(sample, weight=sample.weight[:1])
        if sample.rows > _ENOUGH:
            some = some.take(some_rows(sample.rows, _ENOUGH, generator=generator))
        if not self.parents:
            # In this order the residuals of every member rise: each need not be sorted.
            some = some.take(order_of(some.value[0]))
        residual = self.line(some.value) - self.location(some.parents)
        inflated = residual * math.sqrt(sample.rows / max(sample.rows - decided, 1))
        weight = bootstrap(some.weight.expand(sample.members, -1), generator=generator)
        return self.with_state({**self.state, **self._residual(inflated, weight)})
