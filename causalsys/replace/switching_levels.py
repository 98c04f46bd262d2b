"""Levels of a target: the modes of its distribution, and what each guess costs under each of them.

A target that is ruled by a hidden class has as many modes as mechanisms. Where two of them are
possible, their mean is a value that never occurs; the point of least expected loss is not.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causalsys.detect.loss import Loss, Values

_GRID = 600
_BANDWIDTH = 1 / 40
"""Of the range from the first to the 99th percentile, the bandwidth in which modes are sought."""
_DIP = 0.6
"""Two modes are two where the density between them falls below this share of the lower one."""
_LEAST_SHARE, _LEAST_ROWS = 0.004, 6
_ATOMS = 7
"""Quantiles that stand for the values of one level."""


@dataclass(frozen=True)
class Levels:
    """The modes of a target.

    Attributes:
        cuts: Between the levels, on the scale of `line`, ascending, `[level - 1]`.
        points: The values that a prediction may take, in the target's unit, `[point]`.
        cost: The expected loss of each point where a level is the truth, `[point, level]`.
        logs: Whether levels are sought on the logarithm.
    """

    cuts: Values
    points: Values
    cost: Values
    logs: bool

    @property
    def count(self) -> int:
        """How many levels."""
        return len(self.cuts) + 1

    def of(self, truth: Values) -> NDArray[np.intp]:
        """The level of each value, `[row]`."""
        return np.searchsorted(self.cuts, np.log(truth) if self.logs else truth)

    def best(self, chance: Values) -> Values:
        """The point of least expected loss, `[row]`, given the chance of each level `[row, level]`.

        For a relative loss this is the median under weights of 1 / |y| (Gneiting, JASA 2011,
        section 2.2), to the nearest point.
        """
        found: Values = self.points[(chance @ self.cost.T).argmin(-1)]
        return found

    def risk(self, chance: Values) -> Values:
        """The least expected loss, of `chance`'s shape without its last axis."""
        found: Values = (chance @ self.cost.T).min(-1)
        return found


def levels_of(truth: Values, loss: Loss) -> Levels:
    """The levels of labelled rows.

    Args:
        truth: `[row]`.
        loss: A positive target under the relative loss is taken by its logarithm.
    """
    logs = loss.name == "relative" and bool((truth > 0).all())
    line = np.log(truth) if logs else truth
    cuts = _cuts(line)
    level = np.searchsorted(cuts, line)
    share = (np.arange(_ATOMS) + 0.5) / _ATOMS
    atoms = np.stack([np.quantile(line[level == each], share) for each in range(len(cuts) + 1)])
    values = np.exp(atoms) if logs else atoms
    points = np.unique(values)
    cost = loss(np.broadcast_to(values, (len(points), *values.shape)), points[:, None, None])
    return Levels(cuts, points, cost.mean(-1), logs)


def _cuts(line: Values) -> Values:
    """Where the density of the rows dips; levels of too few rows are joined to a neighbour."""
    low, high = np.quantile(line, [0.01, 0.99])
    width = (high - low) * _BANDWIDTH
    if width <= 0:
        return np.empty(0)
    grid = np.linspace(line.min() - width, line.max() + width, _GRID)
    centers = (grid[1:] + grid[:-1]) / 2
    reach = max(int(3 * width / (grid[1] - grid[0])), 1)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * (grid[1] - grid[0]) / width) ** 2)
    density = np.convolve(np.histogram(line, bins=grid)[0].astype(float), kernel, "same")
    cuts = _dips(density, centers)
    least = max(_LEAST_ROWS, _LEAST_SHARE * len(line))
    while len(cuts):
        count = np.bincount(np.searchsorted(cuts, line), minlength=len(cuts) + 1)
        at = int(count.argmin())
        if count[at] >= least:
            break
        # It joins the smaller neighbour, which it is likelier to be a part of.
        left = at > 0 and (at == len(cuts) or count[at - 1] <= count[at + 1])
        cuts = np.delete(cuts, at - 1 if left else at)
    return cuts


def _dips(density: Values, centers: Values) -> Values:
    inner = density[1:-1]
    tops = np.flatnonzero((inner >= density[:-2]) & (inner > density[2:])) + 1
    kept: list[int] = []
    for top in map(int, tops):
        if kept:
            dip = density[kept[-1] : top + 1].min()
            if dip > _DIP * min(density[kept[-1]], density[top]):
                kept[-1] = top if density[top] > density[kept[-1]] else kept[-1]
                continue
        kept.append(top)
    lows = [a + int(density[a : b + 1].argmin()) for a, b in itertools.pairwise(kept)]
    return centers[lows] if lows else np.empty(0)


__all__ = ["Levels", "levels_of"]
