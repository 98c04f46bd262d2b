"""L-BFGS for many small problems side by side: one batched evaluation serves every member.

The two-loop recursion (Nocedal, 1980) with a backtracking line search, each member with its own
step, history and end; only the evaluation of the losses is shared.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Losses = Callable[[Tensor, Tensor], Tensor]
"""From points `[point, parameter]`, and whose they are, `[point]`, to losses `[point]`."""
Metric = Callable[[Tensor], Tensor]
_ARMIJO = 1e-4
_HALVINGS = 12


def minimise(
    losses: Losses | Sequence[Losses],
    start: Tensor,
    *,
    steps: int = 200,
    tolerance: float = 1e-8,
    memory: int = 12,
    metric: Metric | None = None,
) -> Tensor:
    """The points that minimise `losses`, `[member, parameter]`.

    Args:
        losses: The loss of each member's point. Several are added up, and only one of them is
            in memory at a time.
        start: Where to start, `[member, parameter]`.
        steps: The most steps.
        tolerance: A member is done when no element of its gradient is larger.
        memory: How many pairs of steps and gradient changes are kept.
        metric: An approximate inverse Hessian, applied to `[member, parameter]`.
    """
    losses = [losses] if callable(losses) else list(losses)
    point = start.detach().clone()
    everyone = torch.arange(len(point), device=point.device)
    loss, slope = _evaluate(losses, point, everyone)
    pairs: deque[tuple[Tensor, Tensor, Tensor]] = deque(maxlen=memory)
    scale = 1 / slope.abs().sum(-1, keepdim=True).clamp(min=1.0)
    if metric is not None:
        scale = torch.ones_like(scale)
    done = slope.abs().amax(-1) <= tolerance
    for _ in range(steps):
        if bool(done.all()):
            break
        direction = -_two_loops(slope, pairs, scale, metric)
        downhill = (direction * slope).sum(-1, keepdim=True)
        uphill = downhill >= 0
        direction = torch.where(uphill, -scale * slope, direction)
        downhill = (direction * slope).sum(-1)
        # Less descent than the losses' own rounding cannot be seen, nor searched for.
        done = done | (-downhill <= 16 * torch.finfo(loss.dtype).eps * (1 + loss.abs()))
        new, new_loss, new_slope, moved = _search(losses, point, loss, direction, downhill, done)
        step = torch.where(moved.unsqueeze(-1), new - point, torch.zeros_like(point))
        change = torch.where(moved.unsqueeze(-1), new_slope - slope, torch.zeros_like(point))
        bend = (step * change).sum(-1, keepdim=True)
        length = step.norm(dim=-1, keepdim=True) * change.norm(dim=-1, keepdim=True)
        curved = bend > 1e-10 * length
        # A pair of no use weighs nothing: its member goes on as if it were not there.
        pairs.append((step, change, torch.where(curved, 1 / bend, torch.zeros_like(bend))))
        flat = change if metric is None else metric(change)
        scale = torch.where(curved, bend / (change * flat).sum(-1, keepdim=True), scale)
        point = point + step
        loss = torch.where(moved, new_loss, loss)
        slope = slope + change
        done = done | ~moved | (slope.abs().amax(-1) <= tolerance)
    return point


def _evaluate(losses: Sequence[Losses], point: Tensor, members: Tensor) -> tuple[Tensor, Tensor]:
    point = point.detach().requires_grad_(True)
    total, slope = torch.zeros_like(point[:, 0]), torch.zeros_like(point)
    for each in losses:
        with torch.enable_grad():
            loss = each(point, members)
            (part,) = torch.autograd.grad(loss.sum(), point)
        total, slope = total + loss.detach(), slope + part
    return total.detach(), slope


def _two_loops(
    slope: Tensor,
    pairs: deque[tuple[Tensor, Tensor, Tensor]],
    scale: Tensor,
    metric: Metric | None,
) -> Tensor:
    """The inverse Hessian that the pairs imply, applied to the slope."""
    vector, shares = slope, []
    for step, change, inverse in reversed(pairs):
        share = inverse * (step * vector).sum(-1, keepdim=True)
        vector = vector - share * change
        shares.append(share)
    vector = scale * (vector if metric is None else metric(vector))
    for (step, change, inverse), share in zip(pairs, reversed(shares), strict=True):
        vector = vector + step * (share - inverse * (change * vector).sum(-1, keepdim=True))
    return vector


def _search(
    losses: Sequence[Losses],
    point: Tensor,
    loss: Tensor,
    direction: Tensor,
    downhill: Tensor,
    done: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The first of the steps 1, 1/2, 1/4, ... that descends enough, for each member."""
    new, new_loss, new_slope = point.clone(), loss.clone(), torch.zeros_like(point)
    moved = torch.zeros_like(done)
    seeking, stride = torch.nonzero(~done).squeeze(-1), 1.0
    for _ in range(_HALVINGS):
        if not len(seeking):
            break
        tried = point[seeking] + stride * direction[seeking]
        tried_loss, tried_slope = _evaluate(losses, tried, seeking)
        finite = torch.isfinite(tried_loss) & torch.isfinite(tried_slope).all(-1)
        low = tried_loss <= loss[seeking] + _ARMIJO * stride * downhill[seeking]
        found = seeking[finite & low]
        new[found], new_loss[found] = tried[finite & low], tried_loss[finite & low]
        new_slope[found] = tried_slope[finite & low]
        moved[found] = True
        seeking, stride = seeking[~(finite & low)], 0.5 * stride
    # Where rounding hides the descent, the member stays where it is.
    return new, new_loss, new_slope, moved
