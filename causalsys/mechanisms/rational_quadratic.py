"""Monotone rational-quadratic splines (Durkan, Bekasov, Murray and Papamakarios, NeurIPS 2019).

A spline for each element of a batch, the knots along the first axis, where the arithmetic over
the batch stays contiguous: half the time of a library that keeps them along the last.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

BOUND = 5.0
"""A spline goes from -BOUND to BOUND in both coordinates, and is the identity outside."""
LEAST = 1e-3
"""Bins are no narrower, and slopes no flatter, than about this share of the typical one."""


@dataclass(frozen=True)
class Spline:
    """Monotone splines of one number each.

    Attributes:
        width, height: Each bin's share of the whole, `[bin, ...]`.
        right, top: The same, added up to the end of the bin.
        slope: At the knots, the outer ones included, `[bin + 1, ...]`.
    """

    width: Tensor
    height: Tensor
    right: Tensor
    top: Tensor
    slope: Tensor

    @classmethod
    def of(cls, parameters: Tensor, *, bins: int) -> Self:
        """The splines of unconstrained parameters `[3 * bins - 1, ...]`."""
        limit = -math.log(LEAST)
        widths, heights, slopes = parameters.split([bins, bins, bins - 1])
        width = torch.softmax(_limited(widths, limit / 2), dim=0)
        height = torch.softmax(_limited(heights, limit / 2), dim=0)
        end = torch.ones_like(slopes[:1])
        slope = torch.cat([end, torch.exp(_limited(slopes, limit)), end])
        return cls(width, height, width.cumsum(0), height.cumsum(0), slope)

    def forward(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """The image of `value`, and the log slope there."""
        share = self._share(value)
        width, left, height, bottom, first, last = self._bin(share, self.right)
        at = ((share - left) / width).clamp(0, 1)
        steep, both = height / width, at * (1 - at)
        below = steep + (first + last - 2 * steep) * both
        image = bottom + height * (steep * at**2 + first * both) / below
        rise = last * at**2 + 2 * steep * both + first * (1 - at) ** 2
        log_slope = 2 * (steep / below).log() + rise.log()
        inside = value.abs() < BOUND
        scaled = BOUND * (2 * image - 1)
        return (
            torch.where(inside, scaled, value),
            torch.where(inside, log_slope, torch.zeros_like(log_slope)),
        )

    def inverse(self, image: Tensor) -> Tensor:
        """The value whose image is `image`."""
        share = self._share(image)
        width, left, height, bottom, first, last = self._bin(share, self.top)
        steep, up = height / width, (share - bottom).clamp(min=0)
        bend = first + last - 2 * steep
        a = height * (steep - first) + up * bend
        b = height * first - up * bend
        c = -steep * up
        root = (b**2 - 4 * a * c).clamp(min=0).sqrt()
        at = (2 * c / (-b - root)).clamp(0, 1)
        scaled = BOUND * (2 * (left + at * width) - 1)
        return torch.where(image.abs() < BOUND, scaled, image)

    @staticmethod
    def _share(value: Tensor) -> Tensor:
        return (value.clamp(-BOUND, BOUND) / BOUND + 1) / 2

    def _bin(self, share: Tensor, ends: Tensor) -> tuple[Tensor, ...]:
        """Width, left end, height, lower end and the slopes at both ends of each one's bin."""
        shape = torch.broadcast_shapes(share.shape, ends.shape[1:])
        index = torch.zeros((1, *shape), dtype=torch.int64, device=share.device)
        for end in ends[:-1].detach():
            index += share.detach() >= end

        def pick(knots: Tensor, index: Tensor = index) -> Tensor:
            ahead = (1,) * (len(shape) + 1 - knots.dim())
            whole = knots.reshape(knots.shape[0], *ahead, *knots.shape[1:])
            return whole.expand(-1, *shape).gather(0, index).squeeze(0)

        width, height = pick(self.width), pick(self.height)
        left, bottom = pick(self.right) - width, pick(self.top) - height
        return width, left, height, bottom, pick(self.slope), pick(self.slope, index + 1)


def _limited(value: Tensor, limit: float) -> Tensor:
    """`value`, softly kept within `limit` of zero."""
    return value / (1 + value.abs() / limit)
