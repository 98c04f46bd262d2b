"""Where the latents of a rival are looked at: nodes in the place of an integral."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

_GRID, _REACH = 27, 4.2
"""Nodes of the grid over one latent's standard normal noise, and where they end."""
_NODES, _WIDER = 32, 1.3
"""Nodes around the posterior of several, and how much wider than it they lie."""


@dataclass(frozen=True)
class Nodes:
    """Where a part's continuous latents are looked at.

    Attributes:
        noise: `[node, 1 or start, 1 or row, width]`.
        log_weight: What each counts under the prior, `[node, 1 or start, 1 or row]`.
    """

    noise: Tensor
    log_weight: Tensor

    def members(self, whose: Tensor) -> Nodes:
        """The nodes of the starts `whose`."""
        if self.noise.shape[1] == 1:
            return self
        return Nodes(self.noise.index_select(1, whose), self.log_weight.index_select(1, whose))


def grid_of(rows: int) -> Nodes:
    """A grid over one latent's prior, in each row shifted by a random share of its step.

    Were it the same in all rows, a rival could put its likelihood where the nodes are. So shifted
    the sum is right in the mean, and its logarithm too small, if anything (Jensen).
    """
    generator = torch.Generator().manual_seed(0)
    step = 2 * _REACH / _GRID
    shift = torch.rand(rows, generator=generator, dtype=torch.float64)
    noise = -_REACH + step * (torch.arange(_GRID).unsqueeze(-1) + shift)
    log_weight = -0.5 * noise**2 + math.log(step) - 0.5 * math.log(2 * math.pi)
    return Nodes(noise[:, None, :, None], log_weight[:, None])


def around(mean: Tensor, root: Tensor) -> Nodes:
    """Nodes around a posterior, weighted by prior over proposal.

    Args:
        mean: Its mean, `[start, row, width]`.
        root: The Cholesky factor of its covariance, `[start, row, width, width]`.
    """
    root, width = _WIDER * root, mean.shape[-1]
    engine = torch.quasirandom.SobolEngine(width, scramble=True, seed=0)
    uniform = engine.draw(_NODES, dtype=torch.float64).clamp(1e-6, 1 - 1e-6)
    standard = torch.special.ndtri(uniform).reshape(_NODES, 1, 1, width)
    noise = mean + (root @ standard.unsqueeze(-1)).squeeze(-1)
    volume = root.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    ratio = 0.5 * (standard**2 - noise**2).sum(-1) + volume
    return Nodes(noise, ratio - math.log(_NODES))
