"""The normal equations of sequential moments: one pass over the data, one step towards the root."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from causalsys.fit.lasting.history import Block, Guess, walk
from causalsys.fit.lasting.steps import Steps

TAILS = 4.0
"""Degrees of freedom of the t-law whose weights the errors have: one step out of line (a regime
that ends) then counts for little, however calm the trace was before."""
_SINGULAR = 1e-10
_LEAST_OWN = 0.05
"""What the others tell at least, where a slope hangs on one trace alone."""
_MANY = 2000
"""Traces beyond which the leverage of one is let be."""


@dataclass(frozen=True)
class Equations:
    """The sums over all rows, of instruments by regressors; slopes first, then the history.

    Attributes:
        gram: Weighted sums of products, `[instrument, regressor]`.
        bend: The same under the derivative of the weighted error: how the moments bend.
        right: Weighted sums of instrument by error, `[instrument]`.
        scores: The moments of each trace (of parts of it where traces are few),
            `[instrument, trace]`; None where not asked for.
        grams: `gram` of each trace, `[trace, instrument, regressor]`; None where traces are so
            many that none counts for much.
        width: How many slopes there are.
    """

    gram: Tensor
    bend: Tensor
    right: Tensor
    scores: Tensor | None
    grams: Tensor | None
    width: int

    def solve(self) -> tuple[Tensor, Tensor]:
        """How far the slopes are off, and the coefficients of the history."""
        size = self._size()
        own, across, inverse = self._profiled(self.gram / size / size.unsqueeze(-1))
        right = self.right / size
        slopes, rest = right[: self.width], right[self.width :]
        step = _inverse(own, 1e-14) @ (slopes - across @ rest)
        gram = (self.gram / size / size.unsqueeze(-1))[self.width :, : self.width]
        history = inverse @ (rest - gram @ step)
        return step / size[: self.width], history / size[self.width :]

    def covariance(self) -> Tensor:
        """The slopes' sandwich covariance, clustered by trace, `[slope, slope]`."""
        assert self.scores is not None
        size = self._size()
        own, across, _ = self._profiled(self.gram / size / size.unsqueeze(-1))
        bent, *_ = self._profiled(self.bend / size / size.unsqueeze(-1))
        scores = self.scores / size.unsqueeze(-1)
        scores = scores[: self.width] - across @ scores[self.width :]
        bread = _inverse(own, 1e-14)
        left_out = bread @ scores if self.grams is None else self._left_out(own, across, scores)
        # Far from their root moments may bend the wrong way: then by no less than this.
        values, vectors = torch.linalg.eig(bread @ bent)
        bending = (vectors * values.real.clamp(min=0.2) @ torch.linalg.inv(vectors)).real
        half = torch.linalg.inv(bending) @ left_out
        traces = scores.shape[-1]
        meat = half @ half.mT * (traces / max(traces - 1, 1))
        return meat / size[: self.width] / size[: self.width, None]

    def _left_out(self, own: Tensor, across: Tensor, scores: Tensor) -> Tensor:
        """How far each trace moves the slopes that the others give, `[slope, trace]`.

        A trace draws the slopes towards itself, the more so the more of what is known it alone
        tells (the clustered jackknife, CR3; Bell and McCaffrey, 2002).
        """
        assert self.grams is not None
        w, size = self.width, self._size()
        grams = self.grams / size / size.unsqueeze(-1)
        rows = grams[:, :w] - across @ grams[:, w:]
        back = _inverse(self.gram[w:, w:] / size[w:] / size[w:, None], _SINGULAR)
        gram = self.gram / size / size.unsqueeze(-1)
        each = rows[..., :w] - rows[..., w:] @ back @ gram[w:, :w]
        return torch.linalg.solve(own - (1 - _LEAST_OWN) * each, scores.mT).mT

    def weakest(self) -> tuple[float, Tensor]:
        """The least information on any mixture of slopes, in units of their own, and which."""
        size = self._size()
        own, *_ = self._profiled(self.gram / size / size.unsqueeze(-1))
        _, values, vectors = torch.linalg.svd(own)
        return float(values[-1]), vectors[-1]

    def naive_error(self) -> Tensor:
        """Standard errors as if the weights were right, `[slope]`."""
        size = self._size()
        own, *_ = self._profiled(self.gram / size / size.unsqueeze(-1))
        return _inverse(own, 1e-14).diagonal().clamp(min=0).sqrt() / size[: self.width]

    def _size(self) -> Tensor:
        diagonal = self.gram.diagonal().abs()
        return torch.where(diagonal > 0, diagonal, torch.ones_like(diagonal)).sqrt()

    def _profiled(self, gram: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The slopes' block with the history taken out, what was taken out by, and its inverse."""
        w = self.width
        inverse = _inverse(gram[w:, w:], _SINGULAR)
        across = gram[:w, w:] @ inverse
        return gram[:w, :w] - across @ gram[w:, :w], across, inverse


def _inverse(matrix: Tensor, least: float) -> Tensor:
    return torch.linalg.pinv(matrix, rtol=least)


def equations(data: Steps, guess: Guess, *, clusters: bool = False) -> Equations:
    """Go over the data once.

    Args:
        data: The grids.
        guess: Where the last pass ended.
        clusters: Whether the moments of each trace are wanted.
    """
    size = data.width + len(guess.history)
    gram = torch.zeros((size, size), dtype=torch.float64)
    bend, right = torch.zeros_like(gram), gram.new_zeros(size)
    parts = data.parts
    scores = gram.new_zeros((size, int(parts[-1]) + 1, data.line.shape[1])) if clusters else None
    grams = None
    if clusters and parts[-1] == 0 and data.line.shape[1] <= _MANY:
        grams = gram.new_zeros((data.line.shape[1], size, size))
    for block in walk(data, guess):
        weight, bending = robust(block)
        root = weight.sqrt()
        regressors = _weighted(block.moved, block.past, root=root)
        instruments = regressors
        if data.propensity is not None:
            instruments = _weighted(designed(data, block), block.past, root=root)
        error = (block.error * root).to(regressors.dtype)
        gram += instruments @ regressors.mT
        right += instruments @ error.flatten()
        if scores is not None:
            bend += (instruments * bending.flatten().to(error.dtype)) @ regressors.mT
            split = instruments.unflatten(-1, error.shape)
            scores.index_add_(1, parts[block.steps], (split * error).to(scores.dtype))
            if grams is not None:
                other = regressors.unflatten(-1, error.shape)
                grams += torch.einsum("ist,jst->tij", split, other)
    flat = None if scores is None else scores.flatten(1)
    return Equations(gram, bend, right, flat, grams, data.width)


def robust(block: Block) -> tuple[Tensor, Tensor]:
    """The weights of errors under a t-law, and the slope of a weighted error over its weight."""
    variance, square = TAILS * block.scale**2, block.error**2
    whole = variance + square
    return block.weight * (TAILS + 1) / whole, (variance - square) / whole


def _weighted(columns: Tensor, past: Tensor, *, root: Tensor) -> Tensor:
    """Columns and history times the roots of the weights, `[column, row]`.

    In single precision, which halves the time of all sums: errors are taken before it, so that
    rounding moves the weights of moments and not their root.
    """
    found = columns.new_empty((len(columns) + len(past), *root.shape))
    torch.mul(columns, root.to(columns.dtype), out=found[: len(columns)])
    found[len(columns) :] = past * root
    return found.flatten(1)


def designed(data: Steps, block: Block) -> Tensor:
    """The instruments where the policy is known: what it drew less what it was to draw."""
    assert data.propensity is not None
    chance = data.propensity[block.steps][..., 1:].movedim(-1, 0)
    places = data.action_columns
    instruments = block.moved.clone()
    instruments[places] = (block.columns[places] - chance).to(instruments.dtype)
    return instruments
