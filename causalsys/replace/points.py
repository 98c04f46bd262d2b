"""Points of a standard normal that are the same for every row: a prediction has no luck in it.

A prediction that depended on which rows came with it could be neither repeated nor compared. So
noise is not drawn: one set of points, spread evenly (midpoints in one dimension, a Sobol sequence
in more; Sobol, 1967), serves all rows. Each member of the ensemble gets its own share of them, and
with each point its mirror image (antithetic points; Hammersley and Morton, 1956), so that the mean
of what is linear in the noise is exact.
"""

from __future__ import annotations

import torch
from torch import Tensor

_LEAST = 16
_MOST = 128
_ATOMS = 512
"""Atoms of a row's distribution, over components, members and points: what a second allows."""


def points_each(components: int, members: int, dimensions: int) -> int:
    """How many points each member gets: an even number; fewer where there are many components."""
    least = _LEAST if dimensions <= 1 else 2 * _LEAST
    return 2 * (max(least, min(_MOST, _ATOMS // (components * members))) // 2)


def normal_points(members: int, each: int, dimensions: int) -> Tensor:
    """Points of a standard normal, `[member * each, dimension]`, in the order of the members.

    Example:
        >>> float(normal_points(2, 16, 1).sum().abs()) < 1e-9
        True
    """
    half = each // 2
    if dimensions == 0:
        return torch.zeros(members * each, 0, dtype=torch.float64)
    if dimensions == 1:
        # Members take turns along the lower half, so that together they fill it evenly.
        grid = (torch.arange(half * members, dtype=torch.float64) + 0.5) / (2 * half * members)
        uniform = grid.reshape(half, members).T.unsqueeze(-1)
    else:
        engine = torch.quasirandom.SobolEngine(dimensions, scramble=True, seed=0)
        drawn = engine.draw(half * members, dtype=torch.float64).clamp(1e-9, 1 - 1e-9)
        uniform = drawn.reshape(half, members, dimensions).transpose(0, 1)
    normal = torch.special.ndtri(uniform)
    return torch.cat([normal, -normal], 1).reshape(members * each, dimensions)


__all__ = ["normal_points", "points_each"]
