"""What each mechanism's change contributed to the target's excess.

With `e_v = sum_p b_vp e_p + r_v` for every variable, the target's deviation is the sum over all
variables of `g_v r_v`, where `g_v` is the effect of `v` on the target: one sweep from the target
up, `g_p = sum_v g_v b_vp`. It leaves out what did not change and has nothing above it that did.
Slopes are not known exactly. Those of a mechanism that did not change are learned from the incident
too, since it must explain those rows; those of one that did are not. So whether each changed is
drawn first, then its slopes, then the sweep.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from causalsys.rootcause.evidence import RHO, Evidence, changes_of, follows, slope_variance
from causalsys.rootcause.window import Window

_LEAST = 0.1
"""An excess counts as at least so much of the target's ordinary mean square."""
_SEEN = 0.01
"""Errors of slopes with less than this part of the ordinary variance are not drawn."""
_RARELY = 0.03
"""What changed in fewer draws than this is left out of the sweep."""


@dataclass(frozen=True)
class Contributions:
    """Draws of what each variable's own change contributed.

    Attributes:
        given: What each variable's residual made of the target's deviation, `[draw, variable,
            block]`; 0 where nothing above and nothing there changed in any draw.
        share: The same as a share of the excess, `[draw, variable]`.
        slopes: Each variable's slopes, `[draw, parent, block]`.
        own: Each variable's residual under them, `[draw, variable, block]`.
    """

    given: Tensor
    share: Tensor
    slopes: tuple[Tensor, ...]
    own: Tensor


def contributions(
    window: Window, evidence: Evidence, changed: Tensor, *, generator: torch.Generator
) -> Contributions:
    """Draw slopes, given what changed, `[draw, variable]`, and sweep from the target up."""
    draws, count = changed.shape
    blocks = len(window.excess)
    target = window.target
    assert target is not None
    matters, shapes = _matters(window, changed), changes_of(window)
    effects: list[Tensor | None] = [None] * count
    effects[target] = torch.ones(1, blocks, dtype=torch.float64)
    given = torch.zeros(draws, count, blocks, dtype=torch.float64)
    own = torch.zeros(draws, count, blocks, dtype=torch.float64)
    slopes: list[Tensor] = [torch.zeros(1, 0, blocks, dtype=torch.float64)] * count
    for place in range(count - 1, -1, -1):
        cell, effect = window.cells[place], effects[place]
        own[:, place] = cell.residual
        slopes[place] = cell.slopes[None]
        if place not in matters:
            continue
        if cell.parents and _doubtful(window, evidence, place, changed[:, place]):
            errors = _errors(
                window, evidence, place, changed[:, place], shapes[place], generator=generator
            )
            own[:, place] = cell.residual - (errors * cell.moved).sum(1)
            slopes[place] = cell.slopes + errors
        if effect is None:
            continue
        given[:, place] = effect * own[:, place]
        for index, parent in enumerate(cell.parents):
            step = effect * slopes[place][:, index]
            before = effects[parent]
            effects[parent] = step if before is None else before + step
    return Contributions(given, share_of(window, given), tuple(slopes), own)


def _matters(window: Window, changed: Tensor) -> set[int]:
    """What changed in some draws, and all below it: nothing else passes anything on."""
    found = set((changed.double().mean(0) > _RARELY).nonzero()[:, 0].tolist())
    for place, cell in enumerate(window.cells):
        if not found.isdisjoint(cell.parents):
            found.add(place)
    return found


def _doubtful(window: Window, evidence: Evidence, place: int, changed: Tensor) -> bool:
    """Whether errors of the slopes would be seen beside the variable's own noise."""
    if bool(changed.any()):
        return True
    cell = window.cells[place]
    variance = slope_variance(cell)[evidence.kept.transport[place]]
    seen = (variance[:, None] * cell.moved**2).sum(0).mean()
    return bool(seen > _SEEN * window.ordinary.scale[place] ** 2)


def share_of(window: Window, given: Tensor) -> Tensor:
    """Parts of the target's deviation, `[..., block]`, as shares of its excess.

    Where the window has rows before the fault, the excess is over them: levels are compared
    inside the window, whatever has drifted since the normal period.
    """
    excess = window.excess
    centred = excess - excess.mean() if window.contrast else excess
    energy = centred @ excess
    if window.moved is not None:
        # Of no excess there are no shares: what is ordinary is not divided by.
        energy = energy.clamp(min=float(_LEAST * len(excess) * window.moved.scale[0] ** 2))
    return (given @ centred) / energy


def _errors(
    window: Window,
    evidence: Evidence,
    place: int,
    changed: Tensor,
    shape: Tensor,
    *,
    generator: torch.Generator,
) -> Tensor:
    """Draws of the slopes' errors given the residual, `[draw, parent, block]`.

    By Matheron's rule: errors and noise are drawn from their prior, and moved by what the residual
    says of their sum (Journel and Huijbregts, "Mining Geostatistics", 1978).
    """
    cell, unit = window.cells[place], window.ordinary.scale[place]
    found = torch.empty(len(changed), *cell.moved.shape, dtype=torch.float64)
    variance = slope_variance(cell)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    for which, account in ((~changed, evidence.kept), (changed, evidence.changed)):
        many = int(which.sum())
        if not many:
            continue
        doubt = variance[account.transport[place]]
        kernel = doubt[:, None, None] * follows(torch.ones_like(cell.moved))
        own = unit**2 * account.covariance(place, shape)
        cross = kernel * cell.moved[:, None]  # [parent, block, block]
        total = own + (cell.moved[:, :, None] * cross).sum(0)
        level, wobble = normal(many, len(doubt), 1), normal(many, *cell.moved.shape)
        drawn = doubt.sqrt()[:, None] * (level + RHO * wobble)
        noise = normal(many, len(own)) @ torch.linalg.cholesky(own).T
        left = cell.residual - (drawn * cell.moved).sum(1) - noise
        found[which] = drawn + torch.einsum(
            "pab,db->dpa", cross, torch.linalg.solve(total, left.T).T
        )
    return found


__all__ = ["Contributions", "contributions", "share_of"]
