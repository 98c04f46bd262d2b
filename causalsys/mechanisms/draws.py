"""Draws that follow a tensor's shape, type and device, from a generator that may be left out."""

from __future__ import annotations

import torch
from torch import Tensor


def uniform_like(like: Tensor, *, generator: torch.Generator | None) -> Tensor:
    """Uniform draws strictly inside (0, 1), shaped as `like`.

    They are drawn in double precision where the generator lives, so that a seed gives the same
    numbers on every device; without a generator, from a fresh one with seed 0.
    """
    source = torch.Generator().manual_seed(0) if generator is None else generator
    draws = torch.rand(like.shape, generator=source, dtype=torch.float64, device=source.device)
    # rand gives multiples of 2^-53, zero among them: half a step keeps off both ends.
    return (draws + 2.0**-54).clamp(max=1 - 2.0**-53).to(like.device)


def gumbel_like(like: Tensor, *, generator: torch.Generator | None) -> Tensor:
    """Standard Gumbel draws, shaped as `like`."""
    return -torch.log(-torch.log(uniform_like(like, generator=generator))).to(like.dtype)
