"""What restoring a cause would have done: both readings, side by side.

Interventional: the changed variables are held at their usual values, whatever drives them.
Counterfactual: their mechanisms are restored, and everything else, the incident's own noise
included, stays as it was. They differ where a cause is itself driven by something unusual. It is
the question that Sage asks of a service and then of its resources (Gan et al., ASPLOS 2021): would
the objective have been met?
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from causalsys.rootcause.contributions import Contributions
from causalsys.rootcause.window import Window

_DRAWS = 200
_AFFECTED = 0.5
"""Blocks count as affected whose excess is at least so much of the largest."""


@dataclass(frozen=True)
class Level:
    """The target's mean over the affected rows, had something been done.

    Attributes:
        value: The mean, in the target's unit.
        low: The lower end of the 90 % interval.
        high: Its upper end.
        met: The probability that the objective is met.
    """

    value: float
    low: float
    high: float
    met: float


@dataclass(frozen=True)
class Restored:
    """What restoring some causes would have done to the target.

    Attributes:
        names: The causes.
        interventional: Had their changed variables been at their usual values.
        counterfactual: Had their mechanisms not changed, all else being as it was.
    """

    names: tuple[str, ...]
    interventional: Level
    counterfactual: Level


def readings(
    window: Window,
    found: Contributions,
    sets: Sequence[tuple[tuple[str, ...], Sequence[int]]],
    *,
    usual: float,
    limits: tuple[float, float],
) -> tuple[Restored, ...]:
    """Roll the target forward for each set of causes.

    Args:
        window: The window.
        found: Slopes and residuals.
        sets: Names of causes, and the places of their changed variables.
        usual: The target's usual value.
        limits: Between which values the objective is met.
    """
    if not sets or window.target is None:
        return ()
    worlds = [places for _, places in sets]
    held = _rolled(window, found, worlds, hold=True)
    freed = _rolled(window, found, worlds, hold=False)
    affected = window.excess.abs() >= _AFFECTED * window.excess.abs().max()

    def level(rolled: Tensor) -> Level:
        value = usual + rolled[:, affected].mean(1)
        low, high = value.quantile(torch.tensor([0.05, 0.95], dtype=torch.float64)).tolist()
        met = ((value >= limits[0]) & (value <= limits[1])).double().mean()
        return Level(float(value.mean()), low, high, float(met))

    return tuple(
        Restored(names, level(held[index]), level(freed[index]))
        for index, (names, _) in enumerate(sets)
    )


def _rolled(
    window: Window, found: Contributions, worlds: Sequence[Sequence[int]], *, hold: bool
) -> Tensor:
    """The target's deviation in every world, `[world, draw, block]`."""
    target = window.target
    assert target is not None
    draws = min(_DRAWS, len(found.own))
    moved: dict[int, Tensor] = {}
    for place, cell in enumerate(window.cells):
        touched = torch.tensor([place in world for world in worlds])
        above = [index for index, parent in enumerate(cell.parents) if parent in moved]
        if not above and not bool(touched.any()):
            continue
        factual = window.deviation[place].expand(len(worlds), draws, -1)
        value = factual.clone()
        for index in above:
            parent = cell.parents[index]
            slope = found.slopes[place][:draws, index]
            value = value + slope * (moved[parent] - window.deviation[parent])
        restored = torch.zeros_like(value) if hold else value - found.own[:draws, place]
        moved[place] = torch.where(touched[:, None, None], restored, value)
    end = window.deviation[target].expand(len(worlds), draws, -1)
    return moved.get(target, end)


__all__ = ["Level", "Restored", "readings"]
