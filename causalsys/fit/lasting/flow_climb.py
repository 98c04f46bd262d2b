"""Stochastic gradient descent over windows of traces, several points side by side."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from causalsys.fit.lasting.flow_jitter import Jitter
from causalsys.fit.lasting.flow_loss import Flow
from causalsys.fit.lasting.flow_windows import Windows
from causalsys.mechanisms.base import Sample

BATCH = 6144
"""Rows of one step."""
_WARM = 20
"""Steps over which the rate rises."""


def climb(
    flow: Flow,
    sample: Sample,
    windows: Windows,
    *,
    start: Tensor,
    steps: int,
    rate: float,
    batch: int = BATCH,
    generator: torch.Generator,
    jitter: Jitter,
) -> tuple[Tensor, Tensor]:
    """Adam (Kingma and Ba, ICLR 2015) with a rate that falls as a cosine.

    Args:
        flow: What is fitted.
        sample: All rows.
        windows: Those of them to look at; every point sees the same ones at each step.
        start: `[point, parameter]`; one for each of the sample's members, or starts for its one.
        steps: How many.
        rate: The largest rate.
        batch: Rows of one step.
        generator: Shuffles the windows, and jitters the values.
        jitter: How values are blurred.

    Returns:
        The points where it ends, and the mean loss of each over the last fifth of the steps.
    """
    point = start.detach().clone().requires_grad_(True)
    adam = torch.optim.Adam([point], lr=rate, betas=(0.9, 0.99))
    size = min(max(batch // windows.rows.shape[1], 1), len(windows))
    members = torch.arange(len(start))
    seen: list[Tensor] = []
    order, at = torch.randperm(len(windows), generator=generator), 0
    for step in range(steps):
        if at + size > len(windows):
            order, at = torch.randperm(len(windows), generator=generator), 0
        some, at = windows.take(order[at : at + size]), at + size
        part = jitter(some.sample(sample), generator=generator)
        whose = members if sample.members > 1 else 0 * members
        losses = flow.losses(part, some)(point, whose)
        for group in adam.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / _WARM) * _cosine(step / steps)
        adam.zero_grad()
        losses.sum().backward()
        if point.grad is not None:
            # A step in the wrong direction would not be undone.
            point.grad.nan_to_num_(0.0, 0.0, 0.0)
        adam.step()
        if step >= 0.8 * steps:
            seen.append(losses.detach())
    return point.detach(), torch.stack(seen).mean(0)


def _cosine(share: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * share))
