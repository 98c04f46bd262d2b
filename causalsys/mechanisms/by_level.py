"""Regressions that the levels of a category share in part, from weighted cross moments.

Each level has a constant. Slopes and noise scales are each shared by all levels, or each level's
own. With shared slopes and scales of each level's own there is no closed form; a sweep then
solves for the lines given the scales, and for the scales given the lines, neither of which lowers
the likelihood (Meng and Rubin, Biometrika 1993).

Weak priors keep what few rows decide near what all rows say: the constants and slopes are normal
around the regression that knows no levels, and a scale counts as much as `_ROWS` rows more whose
variance is a share of that regression's (Fraley and Raftery, J. Classification 2007). Without
them a level of a single row has an infinite likelihood.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_WIDE = 25.0
"""Variance of a constant and of a shared slope, in variances of the value."""
_NARROW = 1.0
"""Variance of a slope of one level's own around the slope of all."""
_ROWS = 4.0
_SHARE = 0.05
_LEAST = 1e-10
_RIDGE = 1e-8


@dataclass(frozen=True)
class Lines:
    """Regressions of a value with mean about 0 and variance about 1 on standardised columns.

    Attributes:
        coefficients: `[member, level, 1 + column]`, the constant first.
        variance: Of the noise, `[member, level]`.
    """

    coefficients: Tensor
    variance: Tensor

    def take(self, index: Tensor) -> Lines:
        """These members' lines."""
        return Lines(self.coefficients[index], self.variance[index])


@dataclass(frozen=True)
class Sharing:
    """What the levels share, and the regression without levels, around which the priors lie.

    Attributes:
        slopes: Whether all levels have the same slopes.
        scale: Whether all levels have the same noise scale.
        pooled: `[1, 1 + column]`, the regression without levels.
        square: The variance that it leaves.
    """

    slopes: bool
    scale: bool
    pooled: Tensor
    square: Tensor

    @classmethod
    def of(cls, moments: Tensor, *, slopes: bool, scale: bool) -> Sharing:
        """From the cross moments of all rows, `[1, 2 + column, 2 + column]`."""
        gram, moment = moments[..., :-1, :-1], moments[..., :-1, -1:]
        ridge = _RIDGE * moments[..., :1, :1] * torch.eye(gram.shape[-1], dtype=gram.dtype)
        pooled = torch.linalg.solve(gram + ridge, moment).squeeze(-1)
        square = _squares(moments, pooled) / moments[..., 0, 0]
        return cls(slopes, scale, pooled, square.clamp(min=_LEAST).reshape(()))

    def lines(self, members: int, levels: int) -> Lines:
        """The regression without levels, as every level's."""
        wide = self.pooled.unsqueeze(1).expand(members, levels, -1)
        return Lines(wide, self.square.expand(members, levels))

    def sweep(self, moments: Tensor, lines: Lines) -> Lines:
        """The lines that the moments `[member, level, 2 + column, 2 + column]` call for."""
        weighted = moments / lines.variance[..., None, None]
        solved = self._shared(weighted) if self.slopes else self._own(weighted)
        squares, counts = _squares(moments, solved), moments[..., 0, 0]
        if self.scale:
            squares = squares.sum(-1, keepdim=True).expand_as(squares)
            counts = counts.sum(-1, keepdim=True).expand_as(counts)
        variance = (squares + _ROWS * _SHARE * self.square) / (counts + _ROWS)
        return Lines(solved, variance.clamp(min=_LEAST))

    def log_prior(self, lines: Lines) -> Tensor:
        """The log density of the priors, up to a constant, `[member]`."""
        far = self._precision * (lines.coefficients - self.pooled.unsqueeze(1)) ** 2
        constants, slopes = far[..., 0].sum(-1), far[..., 1:].sum(-1)
        slopes = slopes[:, 0] if self.slopes else slopes.sum(-1)
        log, inverse = lines.variance.log(), self.square / lines.variance
        scales = _ROWS * (log + _SHARE * inverse)
        return -0.5 * (constants + slopes + (scales[:, 0] if self.scale else scales.sum(-1)))

    @property
    def _precision(self) -> Tensor:
        precision = torch.full_like(self.pooled[0], 1 / (_WIDE if self.slopes else _NARROW))
        precision[0] = 1 / _WIDE
        return precision

    def _own(self, weighted: Tensor) -> Tensor:
        precision = self._precision
        left = weighted[..., :-1, :-1] + torch.diag(precision)
        right = weighted[..., :-1, -1] + precision * self.pooled
        return torch.linalg.solve(left, right.unsqueeze(-1)).squeeze(-1)

    def _shared(self, weighted: Tensor) -> Tensor:
        """One system for the constants of all levels and the slopes."""
        precision, levels = self._precision, weighted.shape[1]
        constants = torch.diag_embed(weighted[..., 0, 0] + precision[0])
        cross, both = weighted[..., 0, 1:-1], weighted[..., 1:-1, 1:-1].sum(1)
        upper = torch.cat([constants, cross], -1)
        lower = torch.cat([cross.mT, both + torch.diag(precision[1:])], -1)
        right = torch.cat([weighted[..., 0, -1], weighted[..., 1:-1, -1].sum(1)], -1)
        mean = torch.cat([self.pooled[0, :1].expand(levels), self.pooled[0, 1:]])
        held = torch.cat([precision[:1].expand(levels), precision[1:]])
        system = torch.cat([upper, lower], -2)
        found = torch.linalg.solve(system, (right + held * mean).unsqueeze(-1)).squeeze(-1)
        slopes = found[:, None, levels:].expand(-1, levels, -1)
        return torch.cat([found[:, :levels, None], slopes], -1)


def cross_moments(columns: Tensor, weight: Tensor, *, products: Tensor | None = None) -> Tensor:
    """The weighted cross moments of columns by level, `[member, level, column, column]`.

    Args:
        columns: `[1 or member, row, column]`.
        weight: `[member, level, row]`.
        products: What `products_of` gives for the columns, where many weights follow.
    """
    rows, width = columns.shape[-2:]
    first, second = torch.triu_indices(width, width)
    if products is not None:
        total = weight @ products
    else:
        total = weight.new_zeros(*weight.shape[:2], len(first))
        for start in range(0, rows, _SLICE):
            part = columns[:, start : start + _SLICE]
            total = total + weight[..., start : start + _SLICE] @ _pairs(part)
    found = total.new_empty(*total.shape[:2], width, width)
    found[..., first, second] = total
    found[..., second, first] = total
    return found


def products_of(columns: Tensor) -> Tensor | None:
    """The products of all pairs of columns, `[1 or member, row, pair]`; None where too many."""
    width = columns.shape[-1]
    if columns[..., 0].numel() * width * (width + 1) > _KEPT:
        return None
    return _pairs(columns)


def _pairs(columns: Tensor) -> Tensor:
    first, second = torch.triu_indices(columns.shape[-1], columns.shape[-1])
    return columns[..., first] * columns[..., second]


_SLICE = 8192
"""Rows of one pass, so that memory does not grow with the data."""
_KEPT = 4_000_000
"""Numbers that are worth keeping from step to step."""


def _squares(moments: Tensor, coefficients: Tensor) -> Tensor:
    """The weighted sum of squares that lines leave."""
    combine = torch.cat([-coefficients, torch.ones_like(coefficients[..., :1])], -1)
    fitted = (moments @ combine.unsqueeze(-1)).squeeze(-1)
    return (combine * fitted).sum(-1).clamp(min=0)
