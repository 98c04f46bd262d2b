"""A way out of a local optimum: one class gives its place up, another is split in two.

Random swaps move a class to where it is needed more, which no single step of
expectation-maximisation does (Zhao, Hautamäki, Kärkkäinen and Fränti, Pattern Recognition Letters
2012). A class is split along a random direction, or into its middle and its outskirts, since
classes may differ in their spread alone.
"""

from __future__ import annotations

import torch
from torch import Tensor


def swapped(joint: Tensor, features: Tensor, *, generator: torch.Generator) -> Tensor:
    """The rows' levels `[attempt, level, row]` after a random swap in each attempt.

    Args:
        joint: The log joint of each row and level, `[attempt, level, row]`, of two levels or more.
        features: `[row, feature]`, standardised.
        generator: Fixes the swaps.
    """
    attempts, levels, _ = joint.shape
    each = torch.arange(attempts)
    order = torch.rand(attempts, levels, generator=generator).argsort(-1)
    left, split = order[:, 0], order[:, 1]
    rest = joint.clone()
    rest[each, left] = -torch.inf
    shares = torch.softmax(rest, 1)
    own = shares[each, split]
    total = own.sum(-1, keepdim=True).clamp(min=1e-12)
    middle = (own @ features) / total
    direction = torch.randn(middle.shape, generator=generator, dtype=features.dtype)
    along = direction @ features.mT
    far = (features**2).sum(-1) - 2 * middle @ features.mT
    outwards = torch.rand(attempts, 1, generator=generator) < 0.5
    place = torch.where(outwards, far, along)
    above = (place > (own * place).sum(-1, keepdim=True) / total).to(own.dtype)
    shares[each, left] = own * above
    shares[each, split] = own * (1 - above)
    return shares
