"""The slice that explains most: the likeliest one, less what it costs to name it.

A slice `S` says: its requests changed by one amount, or by one factor, and the others did not
(the ripple effect of Sun et al., IEEE Access 2018, and its generalisation by Li et al., ISSRE 2019,
as a likelihood). The gain in log-likelihood is `d**2 J / 2`, with `d` the change and `J` its
information. A slice of which only a part is affected has a smaller gain than the part, and a part
of a slice that is affected alike has a smaller gain than the slice: so the largest gain is at the
most general slice that explains. The cost is the logarithm of how many slices of that form there
are. Sets of values of one dimension are found by sorting them by their change: the best set is one
of the prefixes (linear-time subset scanning, Neill, JRSS-B 74, 2012).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causalsys.rootcause.drill_cells import Cells, Codes, Floats, grouped
from causalsys.rootcause.drill_space import Family, Scale

WIDEST = 200_000
"""Sets of values are searched in families of at most so many slices."""
CLOSE = 3.0
"""A slice whose log-likelihood is less than this below the best one's is a rival (1 to 20)."""


@dataclass(frozen=True)
class Candidate:
    """A slice, by codes.

    Attributes:
        where: (dimension, levels) for each condition; none for everything.
        scale: In which terms it is affected: the place among the scales.
        gain: How much likelier the incident is with it.
        looks: How many slices of its form there are.
    """

    where: tuple[tuple[int, tuple[int, ...]], ...]
    scale: int
    gain: float
    looks: float

    @property
    def score(self) -> float:
        """The gain less the cost of naming the slice."""
        return self.gain - math.log(self.looks)

    @property
    def rank(self) -> tuple[object, ...]:
        """Best first; ties by fewer conditions, fewer values, name."""
        size = sum(len(levels) for _, levels in self.where)
        return (-round(self.score, 6), len(self.where), size, self.where, self.scale)

    def mask(self, cells: Cells) -> NDArray[np.bool_]:
        """Which cells belong to it."""
        inside = np.ones(cells.codes.shape[1], dtype=bool)
        for d, levels in self.where:
            inside &= np.isin(cells.codes[d], levels)
        return inside


@dataclass(frozen=True)
class Left:
    """What is left to explain of the incident.

    Attributes:
        gap: The sum in each cell, `[cell]`.
        weight: The requests in each cell.
        variance: The variance of a request in each cell.
    """

    gap: Floats
    weight: Floats
    variance: Floats


def candidates(
    families: list[Family], left: Left, *, terms: tuple[Scale, ...], least: float, depth: int
) -> list[Candidate]:
    """The best slices for what is left to explain, best first: at least the best of each family.

    Args:
        families: The slices.
        left: What is left to explain.
        terms: The scales.
        least: The least that a slice must carry of the sum.
        depth: The longest conjunction that was looked at.
    """
    found: list[Candidate] = []
    for family in families:
        if not family.allowed.any():
            continue
        alike = [each.count for each in families if len(each.dimensions) == len(family.dimensions)]
        looks = float(min(depth, len(families)) * sum(alike))
        for place, (scale, known) in enumerate(zip(terms, family.known, strict=True)):
            pull = scale.unit / left.variance
            info = np.maximum(family.sums(left.weight * scale.unit * pull), 1e-300)
            change = family.sums(left.gap * pull) / info - known.normal
            weight = 1 / (1 / info + 1 / known.held)
            seen = _Seen(family, change, weight, change * known.reach, place, looks, least)
            found += _single(seen)
            if family.codes.shape[1] <= WIDEST:
                found += _sets(seen)
    return sorted(found, key=lambda each: each.rank)


def everything(cells: Cells, left: Left, *, terms: tuple[Scale, ...]) -> Candidate:
    """The claim that all requests changed alike."""
    gains = []
    for scale in terms:
        pull = scale.unit / left.variance
        info = float(left.weight @ (scale.unit * pull))
        own = float(cells.before.weights @ (scale.unit**2 / scale.variance))
        change = float(left.gap @ pull) / info
        gains.append(change**2 / (1 / info + 1 / own) / 2)
    best = int(np.argmax(gains))
    return Candidate((), best, gains[best], 1.0)


@dataclass(frozen=True)
class _Seen:
    """The slices of a family, on one scale: change, information about it, what it adds."""

    family: Family
    change: Floats
    weight: Floats
    added: Floats
    scale: int
    looks: float
    least: float


def _single(seen: _Seen) -> list[Candidate]:
    family = seen.family
    fit = family.allowed & (np.abs(seen.added) >= seen.least)
    gain = np.where(fit, seen.change**2 * seen.weight / 2, -1.0)
    order = np.lexsort((*family.codes[::-1], -np.round(gain, 6)))[:5]
    return [
        Candidate(_where(family, [int(i)]), seen.scale, float(gain[i]), seen.looks)
        for i in order
        if gain[i] > 0
    ]


def _sets(seen: _Seen) -> list[Candidate]:
    """The best set of values of one dimension, with one value each of the others."""
    found, family = [], seen.family
    for varied in range(len(family.dimensions)):
        others = [j for j in range(len(family.dimensions)) if j != varied]
        kin = np.zeros(family.codes.shape[1], dtype=np.int64)
        if others:
            codes = family.codes[np.asarray(others)]
            kin, _ = grouped(codes, [int(row.max()) + 1 for row in codes])
        for sign in (1.0, -1.0):
            best = _prefix(seen, kin, sign)
            if best is not None:
                members, gain, ways = best
                where = _where(family, members)
                found.append(Candidate(where, seen.scale, gain, seen.looks * ways))
    return found


def _prefix(seen: _Seen, kin: Codes, sign: float) -> tuple[list[int], float, float] | None:
    from scipy.special import gammaln

    order = np.lexsort((-sign * seen.change, kin))
    kin = kin[order]
    first = np.flatnonzero(np.diff(kin, prepend=-1))
    size = np.diff(np.append(first, len(kin)))
    start = np.repeat(first, size)
    total = np.repeat(size, size)
    count = np.arange(len(kin)) - start + 1
    effect = _running((seen.change * seen.weight)[order], start)
    weight = _running(seen.weight[order], start)
    added = _running(seen.added[order], start)
    allowed = _running(seen.family.allowed[order].astype(np.float64), start) == count
    gain = effect**2 / np.maximum(weight, 1e-300) / 2
    ways = gammaln(total + 1) - gammaln(count + 1) - gammaln(total - count + 1) + np.log(total)
    fit = (count > 1) & (count < total) & allowed
    fit &= (sign * added >= seen.least) & (sign * effect > 0)
    score = np.where(fit, gain - ways, -np.inf)
    best = int(np.argmax(score))
    if not np.isfinite(score[best]):
        return None
    members = sorted(int(i) for i in order[start[best] : best + 1])
    return members, float(gain[best]), float(np.exp(min(ways[best], 600.0)))


def _running(each: Floats, start: Codes) -> Floats:
    """Running sums that begin anew in each group."""
    total = np.concatenate([[0.0], np.cumsum(each)])
    return total[1:] - total[start]


def _where(family: Family, members: list[int]) -> tuple[tuple[int, tuple[int, ...]], ...]:
    rows = family.codes[:, members]
    return tuple(
        (d, tuple(sorted({int(code) for code in row})))
        for d, row in zip(family.dimensions, rows, strict=True)
    )
