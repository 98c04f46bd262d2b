"""Where expectation-maximisation of a mixture starts: k-means++ in the children's residuals.

The centres are rows far from each other (Arthur and Vassilvitskii, SODA 2007); a few rounds of
k-means then give each row its first level.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import one_hot

_ROUNDS = 8
_CLIP = 4.0
"""In standard deviations: one wild row is not the best centre of a class."""


def first_levels(
    features: Tensor, weight: Tensor, *, levels: int, attempts: int, generator: torch.Generator
) -> Tensor:
    """A level for each row and attempt, `[attempt, level, row]`, zeros and ones.

    Args:
        features: `[row, feature]`, standardised.
        weight: `[row]`.
        levels: How many levels there are.
        attempts: How many attempts, each from its own centres.
        generator: Fixes them.
    """
    points = features.clamp(-_CLIP, _CLIP)
    rows = len(points)
    first = torch.multinomial(weight, attempts, replacement=True, generator=generator)
    centres = points[first].unsqueeze(1)
    for _ in range(1, levels):
        near = _distances(points, centres).amin(1)
        chance = weight * near + 1e-12 * (weight + 1e-12)
        chosen = torch.multinomial(chance, 1, generator=generator)[:, 0]
        centres = torch.cat([centres, points[chosen].unsqueeze(1)], 1)
    place = torch.zeros(attempts, rows, dtype=torch.int64)
    for _ in range(_ROUNDS):
        place = _distances(points, centres).argmin(1)
        hits = one_hot(place, levels).to(points.dtype).mT * weight
        counts = hits.sum(-1, keepdim=True)
        centres = torch.where(counts > 0, (hits @ points) / counts.clamp(min=1e-12), centres)
    return one_hot(place, levels).to(points.dtype).mT.contiguous()


def _distances(points: Tensor, centres: Tensor) -> Tensor:
    """Squared distances, `[attempt, centre, row]`."""
    cross = centres @ points.mT
    square = (centres**2).sum(-1, keepdim=True) + (points**2).sum(-1)
    return (square - 2 * cross).clamp(min=0)
