"""The slices that are looked at: conjunctions of values with rows enough, up to some length.

They are numbered once, level by level as in Apriori (Agrawal and Srikant, VLDB 1994): rows of a
conjunction are rows of all its parts, so a part that is too thin, or whose rows cannot carry the
least share that would be reported, rules out everything below it (the upper bound of SliceLine,
Sagadeeva and Boehm, SIGMOD 2021, on sums in place of errors). So a search over three dimensions of
a thousand values each meets only what can matter.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from causalsys.rootcause.drill_baseline import Baseline
from causalsys.rootcause.drill_cells import Cells, Codes, Floats, grouped, summed

PRIOR_ROWS = 20.0
"""What the other levels tell of a slice is never worth more than so many of its own normal rows."""


@dataclass(frozen=True)
class Scale:
    """In which terms a slice is affected: so much more per request, or so many times as much.

    Attributes:
        relative: Whether it is a multiple of what is expected.
        unit: What an effect of one adds to the rate of a request in each cell, `[cell]`.
        variance: Variance of a request, `[cell]`.
        level_variance: How well level effects are known in these terms, by dimension.
        cell_variance: Variance of the cells' own effects in these terms.
    """

    relative: bool
    unit: Floats
    variance: Floats
    level_variance: tuple[Floats, ...]
    cell_variance: float

    def unsure(self, rows: float = PRIOR_ROWS) -> float:
        """The baseline's variance where it is as sure as so many rows would make it."""
        return float((self.variance / self.unit**2).mean()) / rows


def scales(baseline: Baseline) -> tuple[Scale, ...]:
    """The scales on which slices can be affected alike."""
    ones = np.ones_like(baseline.expected)
    kinds = [(False, ones)]
    if baseline.positive:
        kinds.append((True, np.maximum(baseline.expected, baseline.floor)))
    return tuple(
        Scale(
            relative,
            unit,
            baseline.variance,
            tuple(v * _turned(baseline, relative) for v in baseline.level_variance),
            baseline.cell_variance * _turned(baseline, relative),
        )
        for relative, unit in kinds
    )


def _turned(baseline: Baseline, relative: bool) -> float:
    """What turns a variance on the link's scale into one on another."""
    if baseline.relative == relative:
        return 1.0
    return baseline.mean**2 if baseline.relative else baseline.mean**-2


@dataclass(frozen=True)
class Known:
    """What stays as it is while slices are searched: one scale, the slices of one `Family`.

    Attributes:
        normal: A slice's effect in the normal period, which its change is taken from, `[slice]`.
        held: The information about it.
        reach: What an effect of one adds to the sum over the incident.
    """

    normal: Floats
    held: Floats
    reach: Floats


@dataclass(frozen=True)
class Family:
    """All slices over the same dimensions.

    Attributes:
        dimensions: Which.
        place: The cells that belong to some slice of the family.
        group: Which slice, for each of these.
        codes: The levels of each slice, `[dimension, slice]`.
        allowed: Whether a slice may be reported, `[slice]`.
        count: How many slices with rows enough there are, or a bound on it: also those whose sums
            ruled them out, since these were looked at.
        known: By scale.
    """

    dimensions: tuple[int, ...]
    place: Codes
    group: Codes
    codes: Codes
    allowed: NDArray[np.bool_]
    count: int
    known: tuple[Known, ...] = ()

    def sums(self, each: Floats) -> Floats:
        """What a number per cell adds up to in each slice."""
        return summed(self.group, each[self.place], self.codes.shape[1])


@dataclass(frozen=True)
class Limits:
    """What a slice must have to be looked at.

    Attributes:
        depth: At most so many conditions.
        rows: At least so many rows in the incident, and as many outside.
        excess: At least so much of the incident's sum.
    """

    depth: int
    rows: int
    excess: float


def families(
    cells: Cells, baseline: Baseline, balance: Floats, *, limits: Limits, terms: tuple[Scale, ...]
) -> list[Family]:
    """All slices that can be reported, by their dimensions, short ones first."""
    after = cells.after
    gap = after.values - after.weights * baseline.expected
    shift = abs(gap.sum()) / after.weights.sum()
    live: dict[tuple[int, ...], NDArray[np.bool_]] = {}
    lost: dict[tuple[int, ...], bool] = {(): False}
    single: dict[int, int] = {}
    found: list[Family] = []
    for length in range(1, min(limits.depth, len(cells.dimensions)) + 1):
        for dims in itertools.combinations(range(len(cells.dimensions)), length):
            alive = np.ones(cells.codes.shape[1], dtype=bool)
            for part in itertools.combinations(dims, length - 1):
                alive &= live.get(part, alive)
            if length > 1 and not alive.any():
                live[dims] = alive
                continue
            family, ruled_out = _family(cells, dims, np.flatnonzero(alive), gap, shift, limits)
            live[dims] = np.zeros_like(alive)
            live[dims][family.place] = True
            parts = list(itertools.combinations(dims, length - 1))
            lost[dims] = ruled_out or any(lost.get(part, True) for part in parts)
            if length == 1:
                single[dims[0]] = family.count
            elif any(lost.get(part, True) for part in parts):
                fit = int(after.rows.sum()) // limits.rows
                family = replace(family, count=min(fit, math.prod(single[d] for d in dims)))
            if family.count:
                known = tuple(_known(cells, baseline, balance, family, scale) for scale in terms)
                found.append(replace(family, known=known))
    return found


def _family(
    cells: Cells,
    dims: tuple[int, ...],
    place: Codes,
    gap: Floats,
    shift: float,
    limits: Limits,
) -> tuple[Family, bool]:
    """The slices over some dimensions, and whether sums ruled out any with rows enough."""
    codes = cells.codes[np.asarray(dims)][:, place]
    group, first = grouped(codes, [len(cells.levels[d]) for d in dims])
    whole = Family(dims, place, group, codes[:, first], np.zeros(0, dtype=bool), 0)
    rows = whole.sums(cells.after.rows)
    # A slice cannot carry more than the gaps of one sign that its cells have.
    mass = np.maximum(whole.sums(np.maximum(gap, 0)), whole.sums(np.maximum(-gap, 0)))
    mass += shift * whole.sums(cells.after.weights)
    enough = rows >= limits.rows
    keep = enough & (mass >= limits.excess)
    allowed = keep & (cells.after.rows.sum() - rows >= limits.rows)
    # Numbered anew without the thin ones, which are the most where dimensions are large.
    rank = np.cumsum(keep) - 1
    stay = keep[group]
    short = Family(
        dims,
        place[stay],
        rank[group[stay]],
        codes[:, first][:, keep],
        allowed[keep],
        int(enough.sum()),
    )
    return short, bool((enough & ~keep).any())


def _known(
    cells: Cells, baseline: Baseline, balance: Floats, family: Family, scale: Scale
) -> Known:
    pull = scale.unit / scale.variance
    each = balance * cells.before.weights * scale.unit * pull
    reach, noise = family.sums(each), family.sums(balance * each)
    residual = cells.before.values - cells.before.weights * baseline.expected
    gap = family.sums(balance * residual * pull)
    own = np.divide(reach**2, noise, out=np.zeros_like(reach), where=noise > 0)
    gap = np.divide(gap * reach, noise, out=np.zeros_like(reach), where=noise > 0)
    prior = np.full(family.codes.shape[1], scale.cell_variance)
    for row, d in zip(family.codes, family.dimensions, strict=True):
        prior += scale.level_variance[d][row]
    # Slices are compared as if the baseline were known as well as all normal rows allow; whether
    # one stands out is judged with less trust (`drill_contrast.prior`). With the same distrust in
    # both, a new value would lose to whatever it is a part of.
    held = own + 1 / np.maximum(prior, scale.unsure(cells.before.rows.sum()))
    return Known(gap / held, held, family.sums(cells.after.weights * scale.unit))
