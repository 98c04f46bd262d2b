"""Where a conclusion tips as a hidden confounder grows stronger."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from causalsys.query.draws import Estimate

_CLOSE = 1e-6


@dataclass(frozen=True)
class Tipping:
    """The smallest strengths that change a conclusion; None where none of the grid does.

    Attributes:
        estimate_below: The negative strength at which the estimate reaches the threshold.
        estimate_above: The positive one.
        interval_below: The negative strength at which the interval reaches the threshold; zero
            where it does so without a confounder.
        interval_above: The positive one.
    """

    estimate_below: float | None
    estimate_above: float | None
    interval_below: float | None
    interval_above: float | None

    def least(self, of: Literal["interval", "estimate"] = "interval") -> float | None:
        """The smaller of the two in size."""
        both = (
            (self.interval_below, self.interval_above)
            if of == "interval"
            else (self.estimate_below, self.estimate_above)
        )
        return min((abs(each) for each in both if each is not None), default=None)


def tipping_of(
    effect: Callable[[float], Estimate],
    zero: Estimate,
    at: Sequence[Estimate],
    *,
    grid: NDArray[np.float64],
    threshold: float,
) -> Tipping:
    """Walk outwards over the grid to the first change, and find its root between two points.

    Args:
        effect: The effect at a strength.
        zero: The effect without a confounder.
        at: The effect at each point of the grid.
        grid: The strengths, rising.
        threshold: What the effect is compared with.
    """
    side = 1.0 if zero.value >= threshold else -1.0

    def estimate(found: Estimate) -> float:
        return side * (found.value - threshold)

    def interval(found: Estimate) -> float:
        return side * ((found.low if side > 0 else found.high) - threshold)

    known = sorted([(0.0, zero), *zip(grid.tolist(), at, strict=True)], key=lambda each: each[0])
    below = [each for each in reversed(known) if each[0] <= 0]
    above = [each for each in known if each[0] >= 0]
    return Tipping(
        _first(effect, estimate, below),
        _first(effect, estimate, above),
        _first(effect, interval, below),
        _first(effect, interval, above),
    )


def _first(
    effect: Callable[[float], Estimate],
    distance: Callable[[Estimate], float],
    points: Sequence[tuple[float, Estimate]],
) -> float | None:
    """The first strength along the points at which the distance is no longer positive."""
    from scipy.optimize import brentq

    for index, (strength, found) in enumerate(points):
        if distance(found) > 0:
            continue
        if not index or distance(found) == 0:
            return strength
        # In ρ/√(1-ρ²) linear effects are straight lines, and the first secant is their root.
        ends = _slope(points[index - 1][0]), _slope(strength)
        root = brentq(lambda t: distance(effect(_strength(t))), *ends, xtol=_CLOSE)
        return _strength(float(root))
    return None


def _slope(strength: float) -> float:
    return strength / math.sqrt(1 - strength**2)


def _strength(slope: float) -> float:
    return slope / math.sqrt(1 + slope**2)
