"""The smallest change of one variable, or of two, under which a prediction is right.

All changes are tried at once, as worlds. Along a noise: a grid on both sides; then closer and
closer grids in the first interval in which a point is right, or in which the prediction passes the
truth, so that a right place between two wrong ones is not missed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from causalsys.audit.explain_row_candidates import Candidate
from causalsys.audit.explain_row_twin import Moves, Twin

_SIDE = 48
"""Grid points on either side of what was."""
_ZOOM, _ROUNDS = 16, 3
"""Parts of an interval, and how often it is parted: to 1/4096 of a grid step."""
_PAIR = 8
"""Grid points on either side for the first of two variables."""
_MOST = 5
"""Variables of which pairs are tried: those that come closest alone."""


@dataclass(frozen=True, eq=False)
class Found:
    """The smallest change of some variables, in each row.

    Attributes:
        moves: One world.
        size: `[row]`, infinite where no change makes the prediction right.
        closest: `[row]`, the smallest loss on the grid.
    """

    moves: Moves
    size: Tensor
    closest: Tensor


def single(twin: Twin, one: Candidate, tolerance: float) -> Found:
    """The smallest change of one variable."""
    if one.sizes is not None:
        moves, size = one.moves()
        loss, _ = twin.judged(moves)
        return _smallest(moves, torch.where(loss <= tolerance, size, math.inf), loss)
    delta, closest = _along(twin, one, Moves(), tolerance)
    size = torch.where(delta.isnan(), math.inf, delta.abs())
    return Found(Moves(shifts={one.name: delta.nan_to_num()}), size[0], closest[0])


def pairs(twin: Twin, every: list[Candidate], alone: list[Found], tolerance: float) -> list[Found]:
    """The smallest changes of two variables, of those that come closest to right alone."""
    closeness = [float(found.closest.mean()) for found in alone]
    order = sorted(range(len(every)), key=lambda at: (closeness[at], at))[:_MOST]
    return [_pair(twin, every[a], every[b], tolerance) for a, b in combinations(sorted(order), 2)]


def _pair(twin: Twin, first: Candidate, second: Candidate, tolerance: float) -> Found:
    if second.sizes is not None:
        first, second = second, first
    if second.sizes is not None:
        return _levels(twin, first, second, tolerance)
    shares = torch.linspace(-1, 1, 2 * _PAIR + 1, dtype=torch.float64)
    best = _with(twin, first, second, shares[shares != 0], tolerance)
    step = 1 / _PAIR
    while first.sizes is None and step > 1e-3:
        middle = first.shares(best.moves.shifts[first.name])
        around = torch.linspace(-step, step, 9, dtype=torch.float64)[:, None]
        closer = _with(twin, first, second, (middle + around).clamp(-1, 1), tolerance)
        best, step = _better(best, closer), step / 4
    return best


def _with(
    twin: Twin, first: Candidate, second: Candidate, shares: Tensor, tolerance: float
) -> Found:
    """The smallest change of the second, for each of some changes of the first; the best."""
    moves, size = first.moves(shares)
    delta, closest = _along(twin, second, moves, tolerance)
    both = torch.where(delta.isnan(), math.inf, (size**2 + delta**2).sqrt())
    return _smallest(moves.also(Moves(shifts={second.name: delta.nan_to_num()})), both, closest)


def _levels(twin: Twin, first: Candidate, second: Candidate, tolerance: float) -> Found:
    """The smallest change of two categories."""
    moves, size = first.moves()
    more, other = second.moves()
    tiled = Moves(levels={n: each.repeat(len(size), 1) for n, each in more.levels.items()})
    every = moves.repeated(len(other)).also(tiled)
    both = (size.repeat_interleave(len(other), 0) ** 2 + other.repeat(len(size), 1) ** 2).sqrt()
    loss, _ = twin.judged(every)
    return _smallest(every, torch.where(loss <= tolerance, both, math.inf), loss)


def _along(twin: Twin, one: Candidate, base: Moves, tolerance: float) -> tuple[Tensor, Tensor]:
    """The smallest right shift of a noise in each base world, NaN where none; the smallest loss.

    Returns:
        Both `[base world, row]`.
    """
    shares = torch.linspace(-1, 1, 2 * _SIDE + 1, dtype=torch.float64)
    points = one.shifts(shares[:, None]).expand(base.worlds, -1, -1)
    loss, gap = _at(twin, one, base, points)
    best = _nearest(points, loss, tolerance)
    sides = [(slice(_SIDE, None), False), (slice(0, _SIDE + 1), True)]
    low, high = [], []
    for side, back in sides:
        parts = [each[:, side].flip(1) if back else each[:, side] for each in (points, loss, gap)]
        for kind in ("right", "passes"):
            ends = _interval(*parts, tolerance=tolerance, kind=kind)
            low.append(ends[0])
            high.append(ends[1])
    lower, upper = torch.stack(low, 1), torch.stack(high, 1)
    share = torch.linspace(0, 1, _ZOOM + 1, dtype=torch.float64)[:, None]
    for _ in range(_ROUNDS):
        inner = lower[:, :, None] + (upper - lower)[:, :, None] * share
        flat = inner.flatten(0, 1)
        loss_in, gap_in = _at(twin, one, base, inner.flatten(1, 2))
        shaped = loss_in.reshape(flat.shape), gap_in.reshape(flat.shape)
        best = _nearer(best, _nearest(inner.flatten(1, 2), loss_in, tolerance))
        ends = _interval(flat, *shaped, tolerance=tolerance, kind="either")
        lower, upper = (end.reshape(lower.shape) for end in ends)
    return best, loss.amin(1)


def _at(twin: Twin, one: Candidate, base: Moves, points: Tensor) -> tuple[Tensor, Tensor]:
    """Loss and gap where a noise is shifted, both shaped as `points`, `[base, point, row]`."""
    moves = Moves(shifts={one.name: points.flatten(0, 1)})
    loss, gap = twin.judged(base.repeated(points.shape[1]).also(moves))
    return loss.reshape(points.shape), gap.reshape(points.shape)


def _interval(
    points: Tensor, loss: Tensor, gap: Tensor, *, tolerance: float, kind: str
) -> tuple[Tensor, Tensor]:
    """The ends of the first interval, going outwards, that ends right or passes the truth.

    Both ends are the same point where there is none.
    """
    right = (loss <= tolerance)[:, 1:]
    passes = gap[:, 1:] * gap[:, :-1] < 0
    if kind == "right":
        event = right
    elif kind == "passes":
        event = passes
    else:
        event = torch.where(right.any(1, keepdim=True), right, passes)
    at = event.double().argmax(1, keepdim=True)
    some = event.any(1)
    low, high = points.gather(1, at)[:, 0], points.gather(1, at + 1)[:, 0]
    return torch.where(some, low, points[:, 0]), torch.where(some, high, points[:, 0])


def _nearest(points: Tensor, loss: Tensor, tolerance: float) -> Tensor:
    """The right point that is nearest to what was, `[base, row]`; NaN where none is right."""
    far = torch.where(loss <= tolerance, points.abs(), math.inf)
    size, at = far.min(1)
    chosen = points.gather(1, at[:, None])[:, 0]
    return torch.where(size.isinf(), math.nan, chosen)


def _nearer(one: Tensor, other: Tensor) -> Tensor:
    take = one.isnan() | (other.abs() < one.abs())
    return torch.where(take & ~other.isnan(), other, one)


def _smallest(moves: Moves, size: Tensor, loss: Tensor) -> Found:
    """In each row, the world with the smallest change."""
    least, at = size.min(0)
    chosen = Moves(
        {n: each.gather(0, at[None]) for n, each in moves.shifts.items()},
        {n: each.gather(0, at[None]) for n, each in moves.levels.items()},
    )
    return Found(chosen, least, loss.amin(0))


def _better(one: Found, other: Found) -> Found:
    """In each row, whichever is smaller."""
    take = other.size < one.size

    def of(name: str, kind: str) -> Tensor:
        mine, yours = getattr(one.moves, kind)[name], getattr(other.moves, kind)[name]
        return torch.where(take, yours, mine)

    moves = Moves(
        {n: of(n, "shifts") for n in one.moves.shifts},
        {n: of(n, "levels") for n in one.moves.levels},
    )
    return Found(moves, torch.minimum(one.size, other.size), one.closest)


__all__ = ["Found", "pairs", "single"]
