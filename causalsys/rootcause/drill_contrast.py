"""Is a slice worse than the rest? And is it still so when the other dimensions are held fixed?

Both are differences of differences: what changed in the slice, less what changed outside it. A
change that all requests share cancels, so that it cannot make a slice stand out.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causalsys.rootcause.drill_cells import Cells, Floats, Period, grouped, summed
from causalsys.rootcause.drill_search import Candidate
from causalsys.rootcause.drill_space import PRIOR_ROWS, Scale

BORROWED = 4.0
"""The model's variance is mixed into a slice's own, worth so many rows: it may have seen none."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Moments:
    """Sums over cells of the rows' residuals `e` and weights `w`.

    Attributes:
        rows: Rows.
        weights: Sum of `w`.
        gaps: Sum of `e`.
        squares: Sum of `e**2`.
        crossed: Sum of `e * w`.
        heavy: Sum of `w**2`.
    """

    rows: Floats
    weights: Floats
    gaps: Floats
    squares: Floats
    crossed: Floats
    heavy: Floats

    @classmethod
    def of(cls, period: Period, expected: Floats) -> Moments:
        """Those of a period whose rate is `expected`, `[cell]`."""
        gap = period.residuals(expected)
        return cls(
            period.rows,
            period.weights,
            period.sums(gap),
            period.sums(gap**2),
            period.sums(gap * period.weight),
            period.sums(period.weight**2),
        )

    def times(self, weight: Floats) -> Moments:
        """The same with each row counted `weight` times, `[cell]`."""
        square = weight**2
        return Moments(
            self.rows,
            self.weights * weight,
            self.gaps * weight,
            self.squares * square,
            self.crossed * square,
            self.heavy * square,
        )

    def less(self, shift: Floats) -> Moments:
        """The same after each request's rate is lowered by `shift`, `[cell]`."""
        return Moments(
            self.rows,
            self.weights,
            self.gaps - shift * self.weights,
            self.squares - 2 * shift * self.crossed + shift**2 * self.heavy,
            self.crossed - shift * self.heavy,
            self.heavy,
        )

    def mean(self, inside: Mask, scale: Scale) -> Mean:
        """The effect in some cells."""
        unit = scale.unit[inside]
        reach = float(self.weights[inside] @ unit)
        rows, weight = float(self.rows[inside].sum()), float(self.weights[inside].sum())
        if reach <= 0:
            return Mean(0.0, 0.0, np.inf, 0.0, 0.0)
        effect = float(self.gaps[inside].sum()) / reach
        each = effect * unit
        own = self.squares[inside] - 2 * each * self.crossed[inside] + each**2 * self.heavy[inside]
        spread = max(float(own.sum()), 0.0) * rows / max(rows - 1, 1.0)
        model = float(self.weights[inside] @ scale.variance[inside])
        mixed = (rows * spread + BORROWED * model) / (rows + BORROWED)
        return Mean(effect, reach, mixed, rows, weight)


@dataclass(frozen=True)
class Mean:
    """The effect in some cells, and how well it is known.

    Attributes:
        effect: The residuals' sum as a multiple of `reach`.
        reach: What an effect of one adds to the sum.
        spread: The variance of the sum.
        rows: The rows it rests on.
        weight: Their requests.
    """

    effect: float
    reach: float
    spread: float
    rows: float
    weight: float

    @property
    def variance(self) -> float:
        """Of the effect."""
        return self.spread / self.reach**2 if self.reach else np.inf

    def at_least(self, other: Mean) -> float:
        """The effect's variance, a request's not being taken for less than in another period.

        A few rows of a skewed measure may all be low, and then seem to agree too well.
        """
        if not other.rows or not self.reach:
            return self.variance
        return max(self.spread, other.spread * self.weight / other.weight) / self.reach**2


def prior(cells: Cells, candidate: Candidate, scale: Scale) -> float:
    """How far a slice's normal rate may lie from what its levels make expected, as a variance."""
    weights, found = cells.after.weights, scale.cell_variance
    for d, levels in candidate.where:
        inside = np.isin(cells.codes[d], levels)
        each = scale.level_variance[d][cells.codes[d][inside]]
        found += float(weights[inside] @ each) / max(float(weights[inside].sum()), 1e-300)
    return max(found, scale.unsure())


def part_p(part: Mask, rest: Mask, *, normal: Moments, incident: Moments, scale: Scale) -> float:
    """Of the claim that two parts of a slice changed alike, on the scale that it is named on."""
    from scipy.special import ndtr

    effect, variance = 0.0, 0.0
    for side, sign in ((part, 1), (rest, -1)):
        old, new = normal.mean(side, scale), incident.mean(side, scale)
        if not new.rows:
            return 1.0
        known = max(scale.cell_variance, scale.unsure())
        trust = known / (known + old.variance) if old.rows else 0.0
        effect += sign * (new.effect - trust * old.effect)
        variance += new.at_least(old) + known * (1 - trust)
    return 2 * float(ndtr(-abs(effect) / np.sqrt(variance)))


def p_value(
    cells: Cells,
    candidate: Candidate,
    *,
    normal: Moments,
    balance: Floats,
    incident: Moments,
    terms: tuple[Scale, ...],
) -> float:
    """Of the claim that the slice changed as the rest did, corrected for the slices looked at.

    It must not hold on any scale: a factor that all share moves some slices by more than others,
    and is no reason to name these. Welch's test on each; Bonferroni over the slices of its form.
    """
    from scipy.special import stdtr

    inside, worst = candidate.mask(cells), 0.0
    alike = normal.times(balance)
    for scale in terms:
        known = prior(cells, candidate, scale)
        old, new = alike.mean(inside, scale), incident.mean(inside, scale)
        old_rest, new_rest = alike.mean(~inside, scale), incident.mean(~inside, scale)
        trust = known / (known + old.variance) if old.rows else 0.0
        change = new.effect - trust * old.effect - new_rest.effect + old_rest.effect
        spread = [
            (new.at_least(normal.mean(inside, scale)), new.rows),
            (known * (1 - trust), max(old.rows, PRIOR_ROWS)),
            (new_rest.at_least(normal.mean(~inside, scale)), new_rest.rows),
        ]
        if old_rest.rows:
            spread.append((old_rest.variance, old_rest.rows))
        total = sum(each for each, _ in spread)
        free = total**2 / sum(each**2 / max(rows - 1, 1.0) for each, rows in spread)
        if not np.isfinite(total) or total <= 0:
            return 1.0
        worst = max(worst, 2 * float(stdtr(free, -abs(change) / np.sqrt(total))))
    return min(1.0, worst * candidate.looks)


@dataclass(frozen=True)
class Held:
    """A slice against other requests with the same values of the other dimensions.

    Attributes:
        effect: How much more a request of the slice changed; None where there are none to compare.
        error: Its standard error.
        comparable: The share of the slice's requests that have such counterparts.
    """

    effect: float | None
    error: float
    comparable: float


def held_fixed(
    cells: Cells, candidate: Candidate, *, normal: Moments, incident: Moments, scale: Scale
) -> Held:
    """Compare within strata, weighted as by Mantel and Haenszel (JNCI 22, 1959).

    Args:
        cells: The cells.
        candidate: The slice.
        normal: The normal period's moments; what the slice differs by there is taken off.
        incident: The incident's moments, less the effects of other slices.
        scale: The scale of amounts per request.
    """
    inside = candidate.mask(cells)
    others = [d for d in range(len(cells.dimensions)) if d not in dict(candidate.where)]
    stratum = np.zeros(len(inside), dtype=np.int64)
    if others:
        sizes = [len(cells.levels[d]) for d in others]
        stratum, _ = grouped(cells.codes[np.asarray(others)], sizes)
    size = int(stratum.max()) + 1
    effect, error, comparable = _stratified(incident, inside, stratum, size, scale)
    if effect is None:
        return Held(None, np.inf, 0.0)
    usual, noise, _ = _stratified(normal, inside, stratum, size, scale)
    known = prior(cells, candidate, scale)
    trust = known / (known + noise**2) if usual is not None else 0.0
    spread = error**2 + (known * (1 - trust) if trust < 1 else noise**2)
    return Held(effect - trust * (usual or 0.0), float(np.sqrt(spread)), comparable)


def _stratified(
    moments: Moments, inside: Mask, stratum: NDArray[np.int64], size: int, scale: Scale
) -> tuple[float | None, float, float]:
    sums = [
        (summed(stratum, moments.weights * side, size), summed(stratum, moments.gaps * side, size))
        for side in (inside, ~inside)
    ]
    (ours, our_gap), (theirs, their_gap) = sums
    both = (ours > 0) & (theirs > 0)
    if not both.any():
        return None, np.inf, 0.0
    ours_in, theirs_in = ours[both], theirs[both]
    weight = ours_in * theirs_in / (ours_in + theirs_in)
    effects = our_gap[both] / ours_in - their_gap[both] / theirs_in
    # A request's variance is taken to be the same in all strata of one side.
    each = [
        moments.mean(side, scale).variance * float(moments.weights[side].sum())
        for side in (inside, ~inside)
    ]
    spread = each[0] / ours_in + each[1] / theirs_in
    total = weight.sum()
    return (
        float(weight @ effects / total),
        float(np.sqrt(weight**2 @ spread) / total),
        float(ours_in.sum() / ours.sum()),
    )


def aliases(cells: Cells, candidate: Candidate, *, depth: int) -> list[Candidate]:
    """Other slices, as short or shorter, with the same rows of the incident."""
    live = cells.after.weights > 0
    inside = candidate.mask(cells) & live
    widest = max((len(levels) for _, levels in candidate.where), default=1)
    parts = {}
    for d, levels in enumerate(cells.levels):
        own = tuple(int(code) for code in np.unique(cells.codes[d][inside]))
        if len(own) <= max(widest, 3) and len(own) < len(levels):
            parts[d] = (own, np.isin(cells.codes[d], own))
    found: list[Candidate] = []
    for length in range(1, min(depth, len(candidate.where)) + 1):
        for dims in itertools.combinations(parts, length):
            where = tuple((d, parts[d][0]) for d in dims)
            rows = np.logical_and.reduce([parts[d][1] for d in dims]) & live
            if where != candidate.where and bool((rows == inside).all()):
                found.append(Candidate(where, candidate.scale, candidate.gain, candidate.looks))
    # A conjunction that only adds what an alias already says is not one more.
    return [
        each
        for each in found
        if not any(set(other.where) < set(each.where) for other in [*found, candidate])
    ]
