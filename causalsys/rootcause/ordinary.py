"""How a residual ordinarily moves over a window: its scale, its drift, its tails.

The residuals of a window of `k` rows are taken as normal with covariance `w^2 I + d^2 11'`: noise
of its own in each row, and a level that drifts from window to window. Neither scale is fixed. The
pairs `(w, d)` on a grid are the parts of a mixture, and their weights are estimated from the
normal period's windows of the same length, each variable's shrunk towards those of all (empirical
Bayes; Efron, "Large-Scale Inference", 2010, chapter 1). A variable with glitches thus gets heavy
tails, and one that wanders gets drift, because it was seen to.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

_NOISE = (0.5, 1.0, 2.0, 4.0, 16.0, 64.0)
_DRIFT = (0.0, 0.5, 1.0, 2.0, 4.0, 16.0)
_SHRINK = 4.0
"""How many windows of its own the mixture of all variables counts for in each."""
_STEPS = 12


@dataclass(frozen=True)
class Ordinary:
    """How the residuals of some variables ordinarily move.

    Attributes:
        scale: Their unit, `[variable]`.
        noise: The grid of noise scales, in that unit, `[part]`.
        drift: The grid of drift scales, in that unit, `[part]`.
        log_weight: The mixture's weights, `[variable, part]`.
        windows: How many normal windows each was estimated from, `[variable]`.
    """

    scale: Tensor
    noise: Tensor
    drift: Tensor
    log_weight: Tensor
    windows: Tensor

    def of(self, which: Tensor) -> Ordinary:
        """The same of some variables only, `[variable]` being a mask."""
        return replace(
            self,
            scale=self.scale[which],
            log_weight=self.log_weight[which],
            windows=self.windows[which],
        )


def ordinary(
    residuals: Sequence[Tensor], least: Sequence[Tensor], *, rows: int, blocks: int
) -> Ordinary:
    """Estimate scales, drift and tails from the normal period.

    Args:
        residuals: Each variable's residuals in the normal rows, in their order.
        least: Each variable's smallest step that can be told, a scalar; see `resolution`.
        rows: How many rows an incident's window has.
        blocks: How many blocks of rows these are averaged to.
    """
    scale, sums, squares, counts = [], [], [], []
    for residual, step in zip(residuals, least, strict=True):
        cut = windows(residual, rows=rows, blocks=blocks)
        unit = torch.maximum(_spread(cut.flatten()), step)
        cut = cut / unit
        scale.append(unit)
        sums.append(cut.sum(1))
        squares.append((cut**2).sum(1))
        counts.append(len(cut))
    most = max(counts, default=0)
    noise, drift = (
        grid.flatten()
        for grid in torch.meshgrid(
            torch.tensor(_NOISE, dtype=torch.float64),
            torch.tensor(_DRIFT, dtype=torch.float64),
            indexing="ij",
        )
    )
    number = torch.tensor(counts)
    inside = torch.arange(most)[None] < number[:, None]
    padded = [
        torch.nn.utils.rnn.pad_sequence(list(part), batch_first=True) for part in (sums, squares)
    ]
    fits = window_log_density(
        padded[0][..., None], padded[1][..., None], noise=noise, drift=drift, blocks=blocks
    )
    return Ordinary(
        torch.stack(scale), noise, drift, _weights(fits, inside, noise=noise, drift=drift), number
    )


def windows(series: Tensor, *, rows: int, blocks: int) -> Tensor:
    """Cut a series into windows of `rows`, each averaged to `blocks`: `[window, block]`.

    A series shorter than one window gives one all the same, of as many shorter blocks, since a
    scale without drift is better than none; one of fewer rows than blocks gives none. What is left
    over is left out at the start.
    """
    count = len(series) // rows
    if count < 1:
        return (
            series.new_zeros(0, blocks)
            if len(series) < blocks
            else blocked(series[: len(series) // blocks * blocks][None], blocks)
        )
    return blocked(series[-count * rows :].reshape(count, rows), blocks)


def blocked(rows: Tensor, blocks: int) -> Tensor:
    """Means over adjacent rows, `[..., row]` to `[..., block]`."""
    count = rows.shape[-1]
    if count == blocks:
        return rows
    edges = torch.arange(blocks + 1) * count // blocks
    total = torch.cat([rows.new_zeros(*rows.shape[:-1], 1), rows.cumsum(-1)], -1)
    return (total[..., edges[1:]] - total[..., edges[:-1]]) / (edges[1:] - edges[:-1])


def window_log_density(
    total: Tensor, square: Tensor, *, noise: Tensor, drift: Tensor, blocks: int
) -> Tensor:
    """The log density of windows under `w^2 I + d^2 11'`, by their sums and sums of squares."""
    inflated = noise**2 + blocks * drift**2
    mean = total**2 / blocks
    return -0.5 * (
        (square - mean) / noise**2
        + mean / inflated
        + (blocks - 1) * (noise**2).log()
        + inflated.log()
        + blocks * math.log(2 * math.pi)
    )


def _spread(values: Tensor) -> Tensor:
    """A robust standard deviation; 0 where more than half of the values are alike."""
    if not len(values):
        return torch.zeros((), dtype=torch.float64)
    return 1.4826 * (values - values.median()).abs().median()


def _weights(fits: Tensor, inside: Tensor, *, noise: Tensor, drift: Tensor) -> Tensor:
    """The mixture's weights by EM, each variable's shrunk towards all variables' together."""
    # Before any data: the larger, the rarer.
    prior = -(noise.log2().clamp(min=0) + (1 + drift).log2())
    pooled = (prior - prior.logsumexp(0)).exp()
    start = pooled
    weight = pooled.expand(len(fits), -1)
    for _ in range(_STEPS):
        parts = (fits + weight.clamp(min=1e-300).log()[:, None]).softmax(-1)
        counts = (parts * inside[..., None]).sum(1)
        pooled = counts.sum(0) + _SHRINK * start
        pooled = pooled / pooled.sum()
        weight = counts + _SHRINK * pooled
        weight = weight / weight.sum(-1, keepdim=True)
    return weight.clamp(min=1e-300).log()


__all__ = ["Ordinary", "blocked", "ordinary", "window_log_density", "windows"]
