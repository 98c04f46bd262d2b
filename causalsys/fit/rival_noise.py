"""How little of its own noise a rival leaves to a variable: the limit of the search."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import softplus

from causalsys.mechanisms.additive import Additive
from causalsys.mechanisms.base import Parents

LEAST_NOISE = 0.05
"""The least share of the variance left by a variable's observed causes that stays its own noise.

No latent of a rival explains more than 95 % of it. Without such a limit a latent could explain
all, and the answers of a linear confounded effect would have no end.
"""
_SHARP = 20.0


def least_log_scale(mechanism: Additive, value: Tensor, parents: Parents) -> Tensor:
    """The least log scale of a variable's noise, from what its observed causes leave.

    Args:
        mechanism: The fitted mechanism.
        value: The variable, `[1, row]`.
        parents: Its causes, latents the same in all rows.

    Returns:
        As the fitted log scale is shaped, `[member, 1 or level]`: levels may have noise scales
        of their own.
    """
    rest = mechanism.line(value) - mechanism.location(parents)
    least = 0.5 * (LEAST_NOISE * _left(rest, mechanism.columns(parents))).log()
    # A fit whose noise is smaller already is not asked for more.
    return torch.minimum(least, mechanism.state["log_scale"] - 0.02)


def above(raw: Tensor, floor: Tensor) -> Tensor:
    """A log scale that a parameter `raw` gives, smooth and always above the floor."""
    return floor + softplus(_SHARP * (raw - floor)) / _SHARP


def raw_of(log_scale: Tensor, floor: Tensor) -> Tensor:
    """The inverse of `above`."""
    over = (log_scale - floor).clamp(min=1e-3)
    return floor + over + torch.log(-torch.expm1(-_SHARP * over)) / _SHARP


def _left(rest: Tensor, design: Tensor | None) -> Tensor:
    """The variance of `rest` that is left by least squares on the columns of a design."""
    ones = torch.ones_like(rest).unsqueeze(-1)
    full = ones if design is None else torch.cat([ones, design.expand(*rest.shape, -1)], -1)
    gram = full.mT @ full
    ridge = 1e-9 * full.shape[-2] * torch.eye(full.shape[-1], dtype=full.dtype)
    solution = torch.linalg.solve(gram + ridge, full.mT @ rest.unsqueeze(-1))
    return (rest - (full @ solution).squeeze(-1)).var().clamp(min=1e-18)
