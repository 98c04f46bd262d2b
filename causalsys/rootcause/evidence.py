"""The evidence that a mechanism changed, against that it did not.

For the residual `r` of one variable over the blocks of a window, in units of its ordinary scale:

    not changed     r ~ N(0,  w^2 I + d^2 11' + S)
    changed         r ~ N(0,  w^2 I + d^2 11' + S + g^2 F(u)),     F(x) = xx' + rho^2 diag(x^2)

`w` and `d` are the ordinary noise and drift (`ordinary.py`), `S = sum_p k_p^2 F(e_p)` what slopes
that are not known exactly make of the parents' deviations `e_p`, and `u` the profile of the
target's deviation. `F` says "follows, roughly": what changed for the target's sake follows the
target, and what is passed on follows the parent, though not by one straight line. All are mixed
over grids, so the Bayes factor has a closed form. It is local to the variable: the rest of the
graph enters through `u` and the parents alone.

How far slopes can be trusted is one of the grids. Those that normal rows show may not hold in an
incident: the noise of measurement flattens them (errors in variables; Fuller, "Measurement Error
Models", 1987, section 1.1), and what never moved shows none. So besides the members' own doubt a
slope may be off by .3, 1 or 3 standard units, or be any that its declared prior allows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from causalsys.rootcause.ordinary import Ordinary
from causalsys.rootcause.window import Cell, Window

_CHANGE = tuple(4.0**power for power in range(8))
RHO = 0.3
"""How far what follows a profile may depart from it, block by block."""
_TRANSPORT = (0.0, 0.3, 1.0, 3.0)
"""How wrong slopes may be, in standard units; after these comes what is declared."""
_WIDE = (16.0, 64.0, 256.0, 1024.0)
"""Drift that cannot be known, in ordinary units, where rows before the fault tell the level."""
_QUIET = 1.5
"""Up to this mean square a residual asks for no doubt about slopes, nor for wide drift."""
_SMALL = 3
"""So many sizes of change are tried of such a residual: larger ones are ruled out by it."""
_RARE = 0.01
"""Parts of the mixture that have less weight in every variable are left out."""
_UNKNOWN = 1e8
_CHUNK = 200_000


@dataclass(frozen=True)
class Account:
    """The most probable part of the mixture under one hypothesis, `[variable]` each.

    Attributes:
        noise: The noise scale, in units of the ordinary scale.
        drift: The drift scale.
        size: The scale of the change; 0 where there is none.
        transport: Which entry of the grid of slopes.
    """

    noise: Tensor
    drift: Tensor
    size: Tensor
    transport: Tensor

    def covariance(self, variable: int, shape: Tensor) -> Tensor:
        """The residual's covariance, slopes being known, in ordinary units, `[block, block]`."""
        eye = torch.eye(len(shape), dtype=torch.float64)
        return (
            self.noise[variable] ** 2 * eye
            + self.drift[variable] ** 2 * torch.ones_like(eye)
            + self.size[variable] ** 2 * shape
        )


@dataclass(frozen=True)
class Evidence:
    """What the window says of each variable.

    Attributes:
        log_bayes_factor: Changed against not changed, in nats, `[variable]`.
        log_kept: The log density of its residual if it did not change, `[variable]`.
        kept: The best account of it if it did not change.
        changed: The best account if it did.
    """

    log_bayes_factor: Tensor
    log_kept: Tensor
    kept: Account
    changed: Account


def evidence(window: Window) -> Evidence:
    """Weigh, for each variable, that its mechanism changed against that it did not."""
    return _spoken(window, evidence_of(window, range(len(window.cells))))


def evidence_again(
    window: Window, before: Window, found: Evidence, names: Collection[str]
) -> Evidence:
    """The evidence of a window that differs from one before in the order and in some variables."""
    place = {name: index for index, name in enumerate(before.names)}
    order = torch.tensor([place[name] for name in window.names])
    at = [window.names.index(name) for name in names]
    new = evidence_of(window, at)

    def merged(values: Sequence[Tensor]) -> Tensor:
        moved = values[0][order]
        moved[at] = values[1]
        return moved

    return _spoken(window, _combined([found, new], merged))


def _spoken(window: Window, found: Evidence) -> Evidence:
    """What is written does not change, and what was not seen says nothing."""
    nodes = window.declaration.nodes
    written = torch.tensor([nodes[cell.name].function is not None for cell in window.cells])
    silent = written | ~window.known.any(1)
    return replace(found, log_bayes_factor=torch.where(silent, -math.inf, found.log_bayes_factor))


def evidence_of(window: Window, places: Sequence[int]) -> Evidence:
    """The same of some variables, in this order."""
    some = torch.tensor(places)
    cells = [window.cells[place] for place in places]
    unit = window.ordinary.of(some)
    units = torch.stack([cell.residual for cell in cells]) / unit.scale[:, None]
    doubts = torch.stack([_doubts(cell) for cell in cells]) / unit.scale[:, None, None, None] ** 2
    shapes, known = changes_of(window)[some], window.known[some]
    quiet = (units**2).mean(1) < _QUIET
    return _together(
        [
            (
                which,
                weigh(
                    units[which],
                    shapes[which],
                    doubts=doubts[which][:, : 1 if calm else None],
                    known=known[which],
                    ordinary=unit.of(which),
                    contrast=window.contrast and not calm,
                    largest=_SMALL if calm else len(_CHANGE),
                ),
            )
            for which, calm in ((quiet, True), (~quiet, False))
            if bool(which.any())
        ]
    )


def _together(parts: Sequence[tuple[Tensor, Evidence]]) -> Evidence:
    """Evidence of some variables each, put in the places of all, `[variable]`."""
    count = len(parts[0][0])

    def placed(values: Sequence[Tensor]) -> Tensor:
        whole = torch.zeros(count, dtype=values[0].dtype)
        for (which, _), value in zip(parts, values, strict=True):
            whole[which] = value
        return whole

    return _combined([part for _, part in parts], placed)


def _combined(parts: Sequence[Evidence], combine: Callable[[Sequence[Tensor]], Tensor]) -> Evidence:
    """One evidence of several, tensor by tensor."""

    def account(accounts: Sequence[Account]) -> Account:
        return Account(
            *(combine([getattr(each, item.name) for each in accounts]) for item in fields(Account))
        )

    return Evidence(
        combine([part.log_bayes_factor for part in parts]),
        combine([part.log_kept for part in parts]),
        account([part.kept for part in parts]),
        account([part.changed for part in parts]),
    )


def log_bayes_factor_moved(window: Window) -> float:
    """That the target moved at all, in any way, against that it moved as it ordinarily does."""
    assert window.moved is not None
    blocks = len(window.excess)
    eye = torch.eye(blocks, dtype=torch.float64)
    found = weigh(
        window.excess[None] / window.moved.scale[:, None],
        (eye + torch.ones_like(eye))[None] / 2,
        doubts=torch.zeros(1, 1, blocks, blocks, dtype=torch.float64),
        known=torch.ones(1, blocks, dtype=torch.bool),
        ordinary=window.moved,
        contrast=False,
    )
    return float(found.log_bayes_factor)


def weigh(
    residual: Tensor,
    shapes: Tensor,
    *,
    doubts: Tensor,
    known: Tensor,
    ordinary: Ordinary,
    contrast: bool,
    largest: int = len(_CHANGE),
) -> Evidence:
    """The closed form, for all variables and all points of the grids at once.

    Args:
        residual: In ordinary units, `[variable, block]`.
        shapes: The covariance of a change of size 1, `[variable, block, block]`.
        doubts: What slopes make of the parents' deviations, `[variable, transport, block, block]`.
        known: Where the residual was observed, `[variable, block]`.
        ordinary: How the residuals ordinarily move.
        contrast: Whether the window has rows before the fault.
        largest: How many sizes of change are tried; larger ones count as ruled out.
    """
    blocks = residual.shape[-1]
    eye = torch.eye(blocks, dtype=torch.float64)
    noise, drift, weight = _grid(ordinary, contrast=contrast)
    base = noise[:, None, None] ** 2 * eye + drift[:, None, None] ** 2 * torch.ones_like(eye)
    sizes = torch.tensor((0.0, *_CHANGE[:largest]), dtype=torch.float64)
    transports = doubts.shape[1]
    factors, plain = torch.zeros(2, len(residual), dtype=torch.float64)
    best = torch.zeros(2, 3, len(residual), dtype=torch.int64)
    step = max(1, _CHUNK // (len(noise) * len(sizes) * transports))
    for start in range(0, len(residual), step):
        at = slice(start, start + step)
        hidden = torch.diag_embed(torch.where(known[at], 0.0, _UNKNOWN))
        covariance = (
            base[None, :, None, None]
            + (sizes[:, None, None] ** 2 * shapes[at, None])[:, None, :, None]
            + (doubts[at] + hidden[:, None])[:, None, None]
        )  # [variable, part, size, transport, block, block]
        fit = _log_density(residual[at][:, None, None, None], covariance)
        fit = fit + weight[at][:, :, None, None]
        total = fit.logsumexp((1, 3))
        factors[at] = total[:, 1:].logsumexp(-1) - math.log(len(_CHANGE)) - total[:, 0]
        plain[at] = total[:, 0] - math.log(transports)
        best[0, :, at] = _best(fit[:, :, :1])
        best[1, :, at] = _best(fit[:, :, 1:]) + torch.tensor([0, 1, 0])[:, None]
    kept, changed = (
        Account(noise[part], drift[part], sizes[size], wrong) for part, size, wrong in best
    )
    return Evidence(factors, plain, kept, changed)


def follows(profile: Tensor, rho: float = RHO) -> Tensor:
    """The covariance of what follows a profile roughly, `[..., block]` to `[..., block, block]`."""
    outer = profile[..., :, None] * profile[..., None, :]
    return outer + rho**2 * torch.diag_embed(profile**2)


def changes_of(window: Window) -> Tensor:
    """The covariance of a change of size 1, `[variable, block, block]`.

    The profile is the target's own deviation. It says nothing about the target's mechanism, whose
    change is let go its own way as far as along the profile.
    """
    shapes = follows(window.profile).repeat(len(window.cells), 1, 1)
    if window.target is not None:
        shapes[window.target] = follows(window.profile, 1.0)
    return shapes


def slope_variance(cell: Cell) -> Tensor:
    """The variance of each slope's error, `[transport, parent]`."""
    off = [scale**2 * cell.transport for scale in _TRANSPORT]
    return cell.doubt + torch.stack([*off, cell.declared])


def _doubts(cell: Cell) -> Tensor:
    return torch.einsum("tp,pab->tab", slope_variance(cell), follows(cell.moved))


def _grid(ordinary: Ordinary, *, contrast: bool) -> tuple[Tensor, Tensor, Tensor]:
    """The parts of the mixture, with drift that is not ordinary where a contrast allows it."""
    keep = ordinary.log_weight.amax(0) > math.log(_RARE)
    noise, drift, weight = ordinary.noise[keep], ordinary.drift[keep], ordinary.log_weight[:, keep]
    if not contrast:
        return noise, drift, weight
    scales = noise.unique()
    by_noise = torch.stack([weight[:, noise == scale].logsumexp(1) for scale in scales], 1)
    wide = torch.tensor(_WIDE, dtype=torch.float64)
    further = by_noise.repeat_interleave(len(wide), 1) - math.log(len(wide))
    return (
        torch.cat([noise, scales.repeat_interleave(len(wide))]),
        torch.cat([drift, wide.repeat(len(scales))]),
        torch.cat([weight, further], 1) - math.log(2),
    )


def _best(fit: Tensor) -> Tensor:
    """Where the best fit of each variable is, `[axis, variable]`."""
    return torch.stack(torch.unravel_index(fit.flatten(1).argmax(1), fit.shape[1:]))


def _log_density(value: Tensor, covariance: Tensor) -> Tensor:
    factor = torch.linalg.cholesky(covariance)
    value = value.expand(*covariance.shape[:-1])[..., None]
    white = torch.linalg.solve_triangular(factor, value, upper=False)[..., 0]
    return -0.5 * (white**2).sum(-1) - factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)


__all__ = [
    "RHO",
    "Account",
    "Evidence",
    "changes_of",
    "evidence",
    "evidence_again",
    "evidence_of",
    "follows",
    "log_bayes_factor_moved",
    "slope_variance",
]
