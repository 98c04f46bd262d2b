"""The law of a noise given its own past: close by where it was, or anywhere.

What is kept of the past is exponentially weighted: means of the noise at several half-lives (the
shortest is the last value, the longest the mean of all), and how far values fell from the mean
before them. A small network turns that summary into a mixture of three normals: two near the
past's means, as wide as its innovations were, and a standard normal, into which the noise jumps
when its regime changes. Neither the action nor the arm is a part of it: that is what identifies
the mechanism.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from causalsys.mechanisms.base import State
from causalsys.mechanisms.nets import apply_net, start_net

_LOG_2PI = math.log(2 * math.pi)
_MEANS = (0.1, 2.0, 8.0, 32.0, math.inf)
"""Half-lives of the means, in steps; the first is so short that only the last value counts."""
_AHEAD = 1
"""The mean that innovations are taken from."""
_SQUARES = (2.0, 8.0, 32.0)
"""Half-lives of the innovations' sizes."""
_NEAR = 2
"""Normals that lie near the past's means."""
_HIDDEN = 16
_FLOOR = 1e-3
"""Standard deviations below which innovations are taken as rounding: a law that could shrink
without limit would follow a few rows that happen to repeat."""
_FIRST_JUMPS = -3.0
"""Log odds of a jump to start from."""


def start_law(*, members: int, generator: torch.Generator, width: float) -> dict[str, Tensor]:
    """Parameters of a first law.

    Args:
        members: How many side by side.
        generator: Fixes the network's first weights.
        width: The log of how wide it is, in units of the past's innovations.
    """
    outputs = 2 * _NEAR + len(_MEANS) * _NEAR + 1
    inputs = len(_MEANS) + len(_SQUARES) + 1
    net = start_net("law", inputs, outputs, hidden=(_HIDDEN,), members=members, generator=generator)
    constant = net["law.constant"]
    constant[..., 0], constant[..., 1] = width, width + 1.0
    constant[..., _NEAR + 1] = -1.0
    constant[..., 2 * _NEAR] = _FIRST_JUMPS
    return net


def kernels(steps: int, *, like: Tensor) -> Tensor:
    """The weights of earlier steps at each step, of all half-lives, `[half-life, step, step]`.

    Args:
        steps: The steps of a window.
        like: A tensor of the wanted type and device.
    """
    when = torch.arange(steps, dtype=like.dtype, device=like.device)
    back = when - when.unsqueeze(-1)
    lives = torch.tensor(_MEANS + _SQUARES, dtype=like.dtype, device=like.device)
    weight = torch.exp2(-(back - 1).clamp(min=0) / lives.reshape(-1, 1, 1))
    return weight * (back > 0)


def log_law(noise: Tensor, live: Tensor, state: State, *, kernel: Tensor) -> Tensor:
    """The log density of each step's noise given the steps before it.

    Args:
        noise: `[member, window, step]`.
        live: Where there is a row, `[window, step]`.
        state: Parameters of the law.
        kernel: `kernels` of so many steps.

    Returns:
        `[member, window, step]`; of no meaning where there is no row. A first step has a
        standard normal law.
    """
    means, sizes, age = _summary(noise, live, kernel)
    middle = means[2]
    known = age > 0
    summary = torch.stack(
        [
            middle,
            *(
                0.5 * (mean - middle) * torch.exp(-sizes[1])
                for i, mean in enumerate(means)
                if i != 2
            ),
            *(0.5 * size for size in sizes),
            (torch.log1p(age) - 2).expand_as(middle),
        ],
        -1,
    )
    # How many widths apart two means lie has no limit; what follows from it has.
    summary = summary / (1 + 0.1 * summary.abs())
    out = apply_net("law", summary.flatten(1, 2), state).unflatten(1, noise.shape[1:])
    widths, odds, jump, shares = out.split([_NEAR, _NEAR, 1, _NEAR * len(_MEANS)], -1)
    share = torch.softmax(shares.unflatten(-1, (_NEAR, len(_MEANS))), -1)
    center = (share * means.movedim(0, -1).unsqueeze(-2)).sum(-1)
    scale = (sizes[1].unsqueeze(-1) + widths).clamp(min=math.log(_FLOOR))
    weight = torch.log_softmax(torch.cat([odds, jump], -1), -1)
    near = log_normal((noise.unsqueeze(-1) - center) * torch.exp(-scale)) - scale
    anywhere = log_normal(noise)
    mixed = torch.logsumexp(weight + torch.cat([near, anywhere.unsqueeze(-1)], -1), -1)
    return torch.where(known, mixed, anywhere)


def _summary(noise: Tensor, live: Tensor, kernel: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Means `[half-life, member, window, step]`, log sizes alike, and rows so far."""
    near, wide = kernel.split([len(_MEANS), len(_SQUARES)])
    present = live.to(noise.dtype)
    total = (present @ near).unsqueeze(1).clamp(min=1e-12)
    value = noise * present
    means = (value.flatten(0, 1) @ near).unflatten(1, noise.shape[:2]) / total
    age = present.cumsum(-1) - present
    surprise = torch.where((age > 0) & live, noise - means[_AHEAD], torch.zeros_like(noise))
    counted = present * (age > 0)
    total = (counted @ wide).unsqueeze(1)
    # The logarithm's mean, as one jump must not widen the law for all steps that follow; a
    # first innovation is looked for at a tenth of a standard deviation.
    log_size = 0.5 * counted * torch.log(surprise.square() + _FLOOR**2)
    size = (log_size.flatten(0, 1) @ wide).unflatten(1, noise.shape[:2])
    size = (size + 0.5 * math.log(0.1)) / (total + 0.5)
    return means, size, age


def log_normal(noise: Tensor) -> Tensor:
    """The log density of N(0, 1)."""
    return -0.5 * (noise**2 + _LOG_2PI)
