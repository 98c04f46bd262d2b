"""Random draws: noises that follow a tensor's shape, weights of rows, rows, and traces."""

from __future__ import annotations

import torch
from torch import Tensor

_FEW = 100_000


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


def bootstrap(weight: Tensor, *, generator: torch.Generator) -> Tensor:
    """A Bayesian bootstrap of row weights (Rubin, 1981), `[member, row]`.

    Args:
        weight: The rows' own weights, `[member, row]`; member 0 keeps them.
        generator: Fixes the draws.
    """
    # Exponential draws, by inversion: torch's own take three times as long.
    draws = torch.rand(weight.shape, generator=generator, dtype=torch.float64)
    draws.neg_().log1p_().neg_()
    draws[0] = 1.0
    return draws.to(weight.device).mul_(weight)


def some_rows(rows: int, most: int, *, generator: torch.Generator) -> Tensor:
    """At most `most` of the rows, all alike in their chance, in any order; `[row]`."""
    if rows <= most:
        return torch.arange(rows)
    if rows <= max(4 * most, _FEW):
        return torch.randperm(rows, generator=generator)[:most]
    # Of few among many hardly any are drawn twice: a permutation of all would cost more.
    drawn = torch.randint(rows, (most + most // 2 + 10,), generator=generator).unique()
    kept = torch.randperm(len(drawn), generator=generator)[:most].sort().values
    return drawn[kept]


def some_traces(lengths: Tensor, most: int, *, generator: torch.Generator) -> Tensor:
    """Whole traces, drawn at random until they have `most` rows; in the order of drawing.

    Args:
        lengths: How many rows each trace has, `[trace]`.
        most: How many rows are enough.
        generator: Fixes the draws.
    """
    order = torch.randperm(len(lengths), generator=generator)
    reached = lengths[order].cumsum(0)
    return order[: int((reached < most).sum()) + 1]
