"""Least squares with a Gaussian prior on some coefficients: the mode, and what its error is.

The noise's variance is unknown and has a flat prior on its logarithm. It solves
`variance = RSS / (rows - gamma)`, where gamma is how many coefficients the data decide rather
than the prior: the stationary point of the likelihood with the coefficients integrated out
(MacKay, Neural Computation 1992, section 4; flat coefficients count one each, as usual).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from causalsys.mechanisms.base import State
from causalsys.mechanisms.features import Scale, widths
from causalsys.scm.slope_priors import SlopePriors
from causalsys.scm.supports import Support

_TURNS = 100
_CLOSE = 1e-9
_UNSEEN = 1e-10
"""A direction's share of the largest eigenvalue below which data or prior say nothing of it."""


@dataclass(frozen=True)
class SlopePrior:
    """Independent Gaussian priors on the coefficients of a regression.

    Attributes:
        mean: `[column]`, zero where there is no prior.
        precision: `[column]`, zero where there is no prior.
    """

    mean: Tensor
    precision: Tensor

    @classmethod
    def of(
        cls, priors: SlopePriors, *, parents: Mapping[str, Support], scale: Scale, state: State
    ) -> SlopePrior:
        """Priors in the variables' own units as priors on standardised columns, no constant."""
        spread = state["spread"].reshape(-1)
        place = {key: at for at, key in enumerate(_columns(parents, scale=scale))}
        mean, precision = torch.zeros_like(spread), torch.zeros_like(spread)
        for key, middle, deviation in priors:
            column = place[key]
            mean[column] = middle * spread[column]
            precision[column] = (deviation * spread[column]) ** -2
        return cls(mean, precision)

    def with_constant(self) -> SlopePrior:
        """The priors with a flat constant before them."""
        zero = self.mean.new_zeros(1)
        return SlopePrior(torch.cat([zero, self.mean]), torch.cat([zero, self.precision]))


@dataclass(frozen=True)
class Shrunken:
    """The posterior of coefficients, `[lead, column]`, and what a sandwich needs of it.

    Attributes:
        mode: The estimate.
        bread: The posterior covariance over the residual's variance, `[lead, column, column]`:
            in the place that the inverse of the Gram matrix has in least squares.
        seen: The projection onto what the data vary, `[lead, column, column]`.
        pull: What the prior adds to draws, `[lead, column, column]`: see `halves`.
        decided: How many coefficients the data decide, at most one each (gamma).
        rank: How many directions the data or the prior decide.
    """

    mode: Tensor
    bread: Tensor
    seen: Tensor
    pull: Tensor
    decided: float
    rank: int

    def halves(self, score: Tensor) -> Tensor:
        """A matrix whose product with its transpose is the covariance of the mode's error.

        With `A = X'X / variance + P`, the error is `A⁻¹ (X'noise / variance + P (mean - truth))`.
        Its covariance is `A⁻¹ (S / variance² + P) A⁻¹`, with `S` the covariance of the scores
        under the noise as it is, and the truth spread around the prior's mean as the prior says.
        Normal noise of one size makes it `A⁻¹`, the textbook posterior; without a prior it is the
        sandwich of least squares; where the data do not vary a column, its prior is left. So only
        the data's part is made robust (as in Müller, Econometrica 2013, for flat priors): the
        prior is taken at its word.
        """
        root = torch.linalg.eigh(score)
        half = root.eigenvectors * root.eigenvalues.clamp(min=0).sqrt().unsqueeze(-2)
        # Rounding in what the data do not vary would count as much as its prior does.
        return torch.cat([self.bread @ (self.seen @ half), self.pull], -1)


def shrunken(
    gram: Tensor, moment: Tensor, *, square: Tensor, weight: Tensor, rows: int, prior: SlopePrior
) -> Shrunken:
    """The posterior of the coefficients.

    Args:
        gram: `[lead, column, column]`, the columns' weighted cross products.
        moment: `[lead, column]`, those with the right-hand side.
        square: `[lead]`, the weighted mean square that least squares leaves.
        weight: The sum of the weights.
        rows: How many rows there are.
        prior: The prior, the constant's place included.
    """
    # A constant column is apart from all others: what is known of it is its prior, exactly.
    dead = (gram.diagonal(dim1=-2, dim2=-1) == 0) & (prior.precision > 0)
    precision = torch.where(dead, torch.zeros_like(prior.precision), prior.precision)
    values, vectors = torch.linalg.eigh(gram)
    seen = values > _UNSEEN * values.amax(-1, keepdim=True)
    values = torch.where(seen, values, torch.zeros_like(values))
    square = square.unsqueeze(-1)
    variance = square * rows / max(rows - int(seen[0].sum()), 1)
    basis, share, alive = _diagonalised(values / variance, vectors, precision)
    data, held = share * variance, 1 - share
    off = moment - (gram @ prior.mean.unsqueeze(-1)).squeeze(-1)
    drawn = (basis.mT @ off.unsqueeze(-1)).squeeze(-1)
    decided = torch.zeros_like(variance)
    for _ in range(_TURNS):
        kept = torch.where(alive, 1 / (data + variance * held), 0)
        # The prior draws the fit away from least squares, which costs so much in squares.
        lost = torch.where(share > _UNSEEN, (drawn * variance * held * kept) ** 2 / data, 0)
        decided = (data * kept).sum(-1, keepdim=True)
        left = square + lost.sum(-1, keepdim=True) / weight
        before, variance = variance, left * rows / (rows - decided).clamp(min=1)
        if bool(((variance - before).abs() <= _CLOSE * variance).all()):
            break
    kept = torch.where(alive, 1 / (data + variance * held), 0)
    bread = (basis * kept.unsqueeze(-2)) @ basis.mT
    mode = prior.mean + (bread @ off.unsqueeze(-1)).squeeze(-1)
    own = torch.where(dead, prior.precision.clamp(min=1e-300).rsqrt(), 0)
    return Shrunken(
        torch.where(dead, prior.mean, mode),
        bread,
        (vectors * seen.unsqueeze(-2)) @ vectors.mT,
        bread * variance.unsqueeze(-1) * precision.sqrt().unsqueeze(-2) + torch.diag_embed(own),
        float(decided[0]),
        int(alive[0].sum() + dead[0].sum()),
    )


def _diagonalised(
    values: Tensor, vectors: Tensor, precision: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """A basis in which the data's precision and the prior's are both diagonal and sum to one.

    The residual's variance then only rescales the one against the other.

    Args:
        values: Eigenvalues of the data's precision, `[lead, column]`; zero where it is none.
        vectors: Its eigenvectors, `[lead, column, column]`.
        precision: The prior's, `[lead, column]`.

    Returns:
        The basis, the data's share of each of its directions, and which of them data or prior
        say anything of; the others are zero, so that coefficients have their least norm.
    """
    prior = vectors.mT @ (precision.unsqueeze(-1) * vectors)
    total = values + prior.diagonal(dim1=-2, dim2=-1)
    # Rounding puts a trace of the prior into directions that it says nothing of.
    least = torch.where(values > 0, 0, _UNSEEN * precision.amax(-1, keepdim=True))
    scale = torch.where(total > least, total.clamp(min=1e-300).rsqrt(), 0)
    both = torch.diag_embed(values * scale**2) + scale.unsqueeze(-1) * prior * scale.unsqueeze(-2)
    sizes, turned = torch.linalg.eigh(both)
    known = sizes > _UNSEEN
    white = torch.where(known, sizes.clamp(min=1e-300).rsqrt(), 0)
    inner = scale.unsqueeze(-1) * turned * white.unsqueeze(-2)
    shares = inner.mT @ (values.unsqueeze(-1) * inner)
    # Unknown directions get a share that no other has, so as not to mix with those of the prior.
    share, last = torch.linalg.eigh(shares + torch.diag_embed(torch.where(known, 0.0, 2.0)))
    alive = share < 1.5
    basis = vectors @ inner @ (last * alive.unsqueeze(-2))
    return basis, torch.where(alive, share.clamp(0, 1), 0), alive


def _columns(parents: Mapping[str, Support], *, scale: Scale) -> list[str]:
    """The key of each column's parent."""
    return [key for key, width in widths(parents, scale=scale).items() for _ in range(width)]
