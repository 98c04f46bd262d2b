"""Links: monotone maps between a continuous support and the real line."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import softplus

from causalsys.scm.supports import Fraction, Positive, Support

_EDGE = 1e-6
_LARGEST = 300.0
_MANY = 100_000
"""Values that suffice to find a typical one."""


def offset_of(values: Tensor) -> Tensor:
    """What to add to positive values before taking logs, shaped `[1]`.

    Logs need it where a zero occurs, in training (then .001 of the median) or only later
    (then a millionth, which changes no value that was seen).
    """
    few = values[:: max(len(values) // _MANY, 1)]
    positive = few[few > 0] if bool((few > 0).any()) else values[values > 0]
    typical = positive.median() if positive.numel() else values.new_ones(())
    share = 1e-3 if float(values.min()) <= 0 else 1e-6
    return (share * typical).reshape(1)


def to_line(value: Tensor, *, support: Support, offset: Tensor) -> Tensor:
    """Map a value onto the real line; `offset` is that of `offset_of`."""
    if isinstance(support, Positive):
        return torch.log(value + offset.to(value.dtype))
    if isinstance(support, Fraction):
        inner = _EDGE + (1 - 2 * _EDGE) * value
        return torch.log(inner) - torch.log1p(-inner)
    return value


def from_line(line: Tensor, *, support: Support, offset: Tensor) -> Tensor:
    """The inverse of `to_line`, clipped to the support; finite for every input."""
    if isinstance(support, Positive):
        return (torch.exp(line.clamp(max=_LARGEST)) - offset.to(line.dtype)).clamp(min=0)
    if isinstance(support, Fraction):
        return ((torch.sigmoid(line) - _EDGE) / (1 - 2 * _EDGE)).clamp(0, 1)
    return line


def log_slope(value: Tensor, *, support: Support, offset: Tensor) -> Tensor:
    """The log derivative of `to_line` at `value`: the Jacobian term of a density."""
    if isinstance(support, Positive):
        return -torch.log(value + offset.to(value.dtype))
    if isinstance(support, Fraction):
        line = to_line(value, support=support, offset=offset)
        return math.log(1 - 2 * _EDGE) + softplus(line) + softplus(-line)
    return torch.zeros_like(value)
