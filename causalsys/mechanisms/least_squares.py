"""Weighted least squares, slice by slice: its memory does not grow with the rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from causalsys.mechanisms.base import Parents, Sample
from causalsys.mechanisms.slope_posterior import Shrunken, SlopePrior, shrunken

_SLICE = 32_768
_SINGULAR = 1e-10
_LEAST_OWN = 0.05
"""What a row keeps of its residual at least, where a coefficient hangs on that row alone."""
Slices = Callable[[], Iterator[tuple[Tensor, Tensor, Tensor]]]


@dataclass(frozen=True)
class LeastSquares:
    """What least squares gives: member 0's estimates, and draws from their sampling distribution.

    Attributes:
        coefficients: `[member, column]`, the constant first; their covariance is robust to
            heteroscedasticity (HC3; MacKinnon and White, 1985).
        log_scale: `[member, 1]`, of the residuals; its variance is by their fourth moment.
        rank: The rank of the design; below the number of columns, some of them say the same,
            and the solution is the one of least norm, unless a prior decides.
        decided: How many coefficients the data decide: the rank, or less under a prior.
        settled: The rank of data and prior together.
    """

    coefficients: Tensor
    log_scale: Tensor
    rank: int
    decided: float
    settled: int


def least_squares(
    sample: Sample,
    equations: Callable[[Tensor, Parents], tuple[Tensor, Tensor]],
    *,
    generator: torch.Generator,
    prior: SlopePrior | None = None,
) -> LeastSquares:
    """Fit the right-hand sides of equations by their columns.

    With one data set for all members, they are draws from the sampling distribution; with a
    data set per member (multiple imputation), each has its own estimate as well.

    Args:
        sample: The data; the weights are those of member 0.
        equations: From values and parents to the columns `[member, column, row]` and the
            right-hand side `[member, row]`.
        generator: Fixes the draws.
        prior: Gaussian priors on some coefficients, the constant's place included; the draws are
            then from the posterior.
    """

    def slices() -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        for start in range(0, sample.rows, _SLICE):
            rows = slice(start, start + _SLICE)
            parents = {key: parent[:, rows] for key, parent in sample.parents.items()}
            full, line = equations(sample.value[:, rows], parents)
            yield full, line, sample.weight[0, rows].contiguous()

    kept = list(slices()) if sample.rows <= _SLICE else None
    again = slices if kept is None else lambda: iter(kept)
    gram, moment = _products(again)
    estimate, inverse, rank = _estimated(gram, moment)
    posterior: Shrunken | None = None
    if prior is not None:
        square, weight = _squares(again, estimate)
        posterior = shrunken(
            gram, moment, square=square, weight=weight, rows=sample.rows, prior=prior
        )
        estimate, inverse = posterior.mode, posterior.bread
    score, log_scale, error = _residual(again, estimate, inverse)
    if posterior is None:
        root = torch.linalg.eigh(score)
        half = inverse @ (root.eigenvectors * root.eigenvalues.clamp(min=0).sqrt().unsqueeze(-2))
    else:
        half = posterior.halves(score)
    decided = rank if posterior is None else posterior.decided
    freedom = sample.rows / max(sample.rows - decided, 1)
    width = half.shape[-1]
    draws = centred_draws(sample.members, width + 1, generator=generator).to(half)
    return LeastSquares(
        estimate + (half @ draws[:, :width]).squeeze(-1),
        # Unbiased in the number of coefficients, as least squares is taught.
        log_scale + 0.5 * math.log(freedom) + error * draws[:, width],
        rank,
        decided,
        rank if posterior is None else posterior.rank,
    )


def centred_draws(members: int, size: int, *, generator: torch.Generator) -> Tensor:
    """Standard normal draws `[member, size, 1]`, zero for member 0, that add up to zero.

    The mean over members is then the estimate itself, where a few free draws would shift it; each
    draw still has its variance.
    """
    draws = torch.randn((members, size, 1), generator=generator, dtype=torch.float64)
    draws[0] = 0
    if members > 2:
        others = members - 1
        draws[1:] = (draws[1:] - draws[1:].mean(0)) * math.sqrt(others / (others - 1))
    return draws


def _products(slices: Slices) -> tuple[Tensor, Tensor]:
    """The Gram matrix `[lead, column, column]`, and the moments `[lead, column]`."""
    grams, moments = [], []
    for full, line, weight in slices():
        weighted = full * weight
        grams.append(weighted @ full.mT)
        moments.append(weighted @ line.unsqueeze(-1))
    return torch.stack(grams).sum(0), torch.stack(moments).sum(0).squeeze(-1)


def _estimated(gram: Tensor, moment: Tensor) -> tuple[Tensor, Tensor, int]:
    """The estimate, the inverse of the Gram matrix (of its range, if singular), and its rank."""
    values, vectors = torch.linalg.eigh(gram)
    kept = values > _SINGULAR * values.amax(-1, keepdim=True)
    inverse = torch.where(kept, 1 / values.clamp(min=1e-300), torch.zeros_like(values))
    solve = (vectors * inverse.unsqueeze(-2)) @ vectors.mT
    return (solve @ moment.unsqueeze(-1)).squeeze(-1), solve, int(kept[0].sum())


def _squares(slices: Slices, estimate: Tensor) -> tuple[Tensor, Tensor]:
    """The weighted mean square that an estimate leaves, `[lead]`, and the sum of the weights."""
    squares, weights, largest = [], [], []
    for full, line, weight in slices():
        residual = line - (estimate.unsqueeze(-2) @ full).squeeze(-2)
        squares.append(residual**2 @ weight)
        weights.append(weight.sum())
        largest.append(residual.abs().amax(-1))
    total = torch.stack(weights).sum()
    least = (1e-9 * (1 + torch.stack(largest).amax(0))) ** 2
    return torch.maximum(torch.stack(squares).sum(0) / total, least), total


def _residual(slices: Slices, estimate: Tensor, inverse: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The covariance of the scores, the log of the residual's scale, and that log's error.

    The scores are those of residuals from fits that leave their row out: a row draws the fit
    towards itself, the more so the further out it is (HC3; MacKinnon and White, 1985).
    """
    sums, largest = [], []
    for full, line, weight in slices():
        residual = line - (estimate.unsqueeze(-2) @ full).squeeze(-2)
        leverage = weight * ((inverse @ full) * full).sum(-2)
        left_out = weight * residual / (1 - leverage).clamp(min=_LEAST_OWN)
        score = full * left_out.unsqueeze(-2)
        square, twice = residual**2, weight**2
        terms = (square @ weight, square @ twice, square**2 @ twice)
        sums.append((score @ score.mT, weight.sum(), twice.sum(), *terms))
        largest.append(residual.abs().amax(-1))
    covariance, total, total_2, second, second_2, fourth_2 = (
        torch.stack(column).sum(0) for column in zip(*sums, strict=True)
    )
    variance = second / total
    scale = torch.maximum(variance.sqrt(), 1e-9 * (1 + torch.stack(largest).amax(0)))
    noise = (fourth_2 - 2 * variance * second_2 + variance**2 * total_2).clamp(min=0).sqrt()
    error = 0.5 * noise / (scale**2 * total)
    return covariance, scale.log().unsqueeze(-1), error.unsqueeze(-1)
