"""Which slices changed, together: chosen one by one, fitted at once, dropped when others explain.

A change of everything is one of the candidates, and the first of them: a slice must do better.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from causalsys.rootcause.drill_baseline import Baseline
from causalsys.rootcause.drill_cells import Cells, Floats
from causalsys.rootcause.drill_contrast import Moments, p_value, part_p, prior
from causalsys.rootcause.drill_search import CLOSE, Candidate, Left, candidates, everything
from causalsys.rootcause.drill_space import PRIOR_ROWS, Family, Limits, Scale

TRIED = 8
"""So many of the best candidates are tested before the search ends."""


@dataclass(frozen=True)
class Chosen:
    """A slice that stands out.

    Attributes:
        candidate: The slice; without conditions, everything.
        p: Corrected for the slices looked at.
        rivals: Slices that explain nearly as well.
    """

    candidate: Candidate
    p: float
    rivals: tuple[Candidate, ...] = ()


@dataclass(frozen=True)
class Setting:
    """What the search is given.

    Attributes:
        cells: The cells.
        baseline: What is expected of them.
        terms: The scales.
        normal: Moments of the normal period.
        incident: Moments of the incident.
        balance: Weights that give the normal period the incident's mix, `[cell]`.
    """

    cells: Cells
    baseline: Baseline
    terms: tuple[Scale, ...]
    normal: Moments
    incident: Moments
    balance: Floats

    def shift(self, chosen: list[Candidate], *, but: Candidate | None = None) -> Floats:
        """By how much the chosen slices raise each cell's rate; without one of them."""
        total: Floats = np.zeros_like(self.baseline.expected)
        for candidate, effect in zip(chosen, self.effects(chosen)[0], strict=True):
            if candidate is not but:
                unit = self.terms[candidate.scale].unit
                total = total + effect * unit * candidate.mask(self.cells)
        return total

    def effects(self, chosen: list[Candidate]) -> tuple[Floats, Floats]:
        """The slices' effects, estimated at once, and their gains given the others."""
        if not chosen:
            return np.zeros(0), np.zeros(0)
        design = np.stack([self.terms[c.scale].unit * c.mask(self.cells) for c in chosen])
        known = [prior(self.cells, c, self.terms[c.scale]) for c in chosen]
        pulled = design / self.noise(chosen)
        usual = design / self.baseline.variance
        now = pulled * self.incident.weights @ design.T
        then = usual * self.normal.weights @ design.T + np.diag(1 / np.asarray(known))
        ridge = 1e-9 * np.diag(np.diag(now))
        changed = np.linalg.solve(now + ridge, pulled @ self.incident.gaps)
        effect = (changed - np.linalg.solve(then, usual @ self.normal.gaps)).astype(np.float64)
        spread = np.linalg.inv(now + ridge) + np.linalg.inv(then)
        gains: Floats = effect**2 / np.diag(spread) / 2
        return effect, gains

    def noise(self, chosen: list[Candidate]) -> Floats:
        """The variance of a request in the incident: requests that are slow vary more."""
        pattern = np.zeros(len(self.baseline.expected), dtype=np.int64)
        for place, each in enumerate(chosen):
            pattern += each.mask(self.cells) * 2**place
        found = self.baseline.variance.copy()
        for kind in np.unique(pattern):
            inside = pattern == kind
            mean = self.incident.mean(inside, self.terms[-1])
            if mean.rows >= PRIOR_ROWS:
                usual = float(self.incident.weights[inside] @ self.baseline.variance[inside])
                found[inside] *= max(mean.spread / usual, 1.0)
        return found


def choose(
    setting: Setting, families: list[Family], *, limits: Limits, most: int, level: float
) -> list[Chosen]:
    """The slices that stand out, in the order in which they were found."""
    found: list[Chosen] = []
    banned: set[tuple[object, ...]] = set()
    for _ in range(2 * most + 2):
        now = [each.candidate for each in found]
        if sum(bool(each.where) for each in now) >= most:
            break
        taken = banned | {each.where for each in now}
        best = _next(setting, families, now, taken, limits, level)
        if best is None:
            break
        turned = _turned(setting, found, best, level)
        if turned is not None:
            found = turned
            banned.add(best.candidate.where)
            continue
        found = _kept(setting, [*found, best], level)
        if best not in found:
            break
        banned |= {each.where for each in now if each not in [c.candidate for c in found]}
    return found


def _next(
    setting: Setting,
    families: list[Family],
    now: list[Candidate],
    taken: set[tuple[object, ...]],
    limits: Limits,
    level: float,
) -> Chosen | None:
    gap = setting.incident.less(setting.shift(now)).gaps
    left = Left(gap, setting.incident.weights, setting.noise(now))
    pool = candidates(families, left, terms=setting.terms, least=limits.excess, depth=limits.depth)
    whole = everything(setting.cells, left, terms=setting.terms)
    pool = sorted([*pool, whole], key=lambda each: each.rank)
    pool = [each for each in pool if each.where not in taken and each.score > 0]
    for tried in pool[:TRIED]:
        if not tried.where:
            return Chosen(tried, 1.0)
        tried = _general(setting, tried, pool, now, level)
        p = _p(setting, tried, now)
        if p <= level:
            close = [each for each in pool if each.gain > tried.gain - CLOSE and each.where]
            distinct = {each.where: each for each in reversed(close) if each.where != tried.where}
            return Chosen(tried, p, tuple(sorted(distinct.values(), key=lambda c: c.rank)))
    return None


def _turned(
    setting: Setting, found: list[Chosen], best: Chosen, level: float
) -> list[Chosen] | None:
    """The slices, one of them on its other scale, if that leaves nothing of the best new one.

    Three values that all doubled did not rise by one amount: the largest of them then seems to
    have a further effect of its own.
    """
    if not best.candidate.where:
        return None
    inside = best.candidate.mask(setting.cells)
    for place, each in enumerate(found):
        if not each.candidate.where or not (each.candidate.mask(setting.cells) & inside).any():
            continue
        for scale in range(len(setting.terms)):
            other = replace(each, candidate=replace(each.candidate, scale=scale))
            turned = [*found[:place], other, *found[place + 1 :]]
            if _p(setting, best.candidate, [c.candidate for c in turned]) > level:
                return turned
    return None


def _kept(setting: Setting, found: list[Chosen], level: float) -> list[Chosen]:
    """Those that still explain something given the others; each with its p value given these."""
    while len(found) > 1:
        now = [each.candidate for each in found]
        _, gains = setting.effects(now)
        spare = [
            gain - np.log(each.looks) - 2.0 * (not each.where)
            for each, gain in zip(now, gains, strict=True)
        ]
        worst = int(np.argmin(spare))
        if spare[worst] > 0:
            break
        found = [each for i, each in enumerate(found) if i != worst]
    now = [each.candidate for each in found]
    kept = []
    for each in found:
        p = each.p
        if each.candidate.where:
            p = _p(setting, each.candidate, now)
        if p <= level or not each.candidate.where:
            kept.append(Chosen(each.candidate, p, each.rivals))
    return kept


def _p(setting: Setting, candidate: Candidate, now: list[Candidate]) -> float:
    """Given the other slices; a change of everything cancels, on whichever scale it is."""
    others = [each for each in now if each.where and each.where != candidate.where]
    return p_value(
        setting.cells,
        candidate,
        normal=setting.normal,
        balance=setting.balance,
        incident=setting.incident.less(setting.shift(others)),
        terms=setting.terms,
    )


def _general(
    setting: Setting,
    candidate: Candidate,
    pool: list[Candidate],
    now: list[Candidate],
    level: float,
) -> Candidate:
    """The most general slice around one whose further part is not seen to differ from it."""
    inside = candidate.mask(setting.cells)
    left = setting.incident.less(setting.shift([each for each in now if each.where]))
    wider = [each for each in pool if _contains(each, candidate)]
    for each in sorted(wider, key=lambda c: (len(c.where), c.looks, c.rank)):
        further = each.mask(setting.cells) & ~inside
        p = part_p(
            inside,
            further,
            normal=setting.normal,
            incident=left,
            scale=setting.terms[each.scale],
        )
        if p * max(candidate.looks / each.looks, 1.0) > level:
            return each
    return candidate


def _contains(wide: Candidate, narrow: Candidate) -> bool:
    """Whether a slice has all rows of another by its conditions, and is simpler."""
    inner = dict(narrow.where)
    return (
        bool(wide.where)
        and wide.looks < narrow.looks
        and all(d in inner and set(inner[d]) <= set(levels) for d, levels in wide.where)
    )
