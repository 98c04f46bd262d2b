"""What changed most, where nothing says what it did: no target, or no graph.

Then there is no profile to follow and no share to explain. What is left is how far each variable's
mean went, in units in which it ordinarily wanders. A period that is no longer than the incident
shows too little of that, so a variable's unit is not taken below the usual relative one: the median
over all variables of scale by level. Drift beyond it is taken as light-tailed, since a fault that
lasts and a drift cannot be told apart (said in the assumptions). What follows from a cause moves
too, though as a rule less, so chances go with a power of the deviation.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from causalsys.rootcause.changes import component_of
from causalsys.rootcause.finding import Cause, Finding
from causalsys.rootcause.periods import Periods
from causalsys.rootcause.window import Window
from causalsys.rootcause.words import assumptions

_POWER = 4.0
"""Of the deviation; by maximum likelihood over simulated tables, seeds 1 to 100 of
`benchmarks.rootcause.services_only`."""
_SIZES = 8


def unguided(window: Window, periods: Periods) -> Finding:
    """The finding of an incident without a target."""
    far = deviations_in_units(window, periods)
    factor = _log_bayes_factors(far)
    members: dict[str, list[int]] = {}
    for place, name in enumerate(window.names):
        members.setdefault(component_of(window, name), []).append(place)
    best = {name: max(places, key=lambda p: float(factor[p])) for name, places in members.items()}
    some = 1 / (1 + math.exp(min(math.log(len(members)) - float(factor.max()), 700.0)))
    weight = torch.stack([far[place] for place in best.values()]).clamp(min=1e-9) ** _POWER
    own = torch.stack([factor[place] for place in best.values()]) - math.log(len(members))
    chance = some * _normalised(weight * torch.sigmoid(own))
    causes = [
        Cause(
            name,
            (),
            tuple(window.names[p] for p in sorted(members[name], key=lambda p: -float(far[p]))),
            float(part),
            float(factor[best[name]]),
            math.nan,
            (math.nan, math.nan),
        )
        for name, part in zip(best, chance, strict=True)
    ]
    ranking = sorted(causes, key=lambda c: (-c.probability, -c.log_bayes_factor, c.name))
    return Finding(
        None,
        "one" if some >= 0.5 else "no incident",
        tuple(ranking),
        1 - some,
        some,
        (ranking[0].name,) if some >= 0.5 else (),
        ranking[0].probability,
        (),
        {},
        (),
        assumptions(window, periods, suspects=(), moved=some >= 0.5),
    )


def deviations_in_units(window: Window, periods: Periods) -> Tensor:
    """How far each variable's mean residual went, in ordinary units, `[variable]`."""
    level = torch.stack(
        [periods.normal.values[name][0].double().median().abs() for name in window.names]
    )
    scale = window.ordinary.scale
    some = level > 0
    relative = (scale[some] / level[some]).median() if bool(some.any()) else torch.tensor(0.0)
    unit = (scale**2 + (relative * level) ** 2).sqrt()
    residual = torch.stack([cell.residual for cell in window.cells])
    return residual.mean(1).abs() / unit


def _log_bayes_factors(far: Tensor) -> Tensor:
    """A mean that moved, at any size of a grid, against one that did not, `[variable]`."""
    sizes = 4.0 ** torch.arange(_SIZES, dtype=torch.float64)
    wide = 1 + sizes[:, None] ** 2
    fits = -0.5 * (far**2 / wide + wide.log())
    return fits.logsumexp(0) - math.log(_SIZES) + 0.5 * far**2


def _normalised(weight: Tensor) -> Tensor:
    total = weight.sum()
    return weight / total if float(total) > 0 else torch.full_like(weight, 1 / len(weight))


__all__ = ["deviations_in_units", "unguided"]
