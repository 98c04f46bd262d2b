"""Which slices changed, together: chosen one by one, fitted at once, dropped when others explain.

A change of everything is one of the candidates, and the first of them: a slice must do better.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalsys.rootcause.drill_baseline import Baseline
from causalsys.rootcause.drill_cells import Cells, Floats
from causalsys.rootcause.drill_contrast import Moments, p_value, prior
from causalsys.rootcause.drill_search import CLOSE, Candidate, candidates, everything
from causalsys.rootcause.drill_space import Family, Limits, Scale

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
    """

    cells: Cells
    baseline: Baseline
    terms: tuple[Scale, ...]
    normal: Moments
    incident: Moments

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
        variance = self.baseline.variance
        design = np.stack([self.terms[c.scale].unit * c.mask(self.cells) for c in chosen])
        known = [prior(self.cells, c, self.terms[c.scale]) for c in chosen]
        pulled = design / variance
        now = pulled * self.incident.weights @ design.T
        then = pulled * self.normal.weights @ design.T + np.diag(1 / np.asarray(known))
        ridge = 1e-9 * np.diag(np.diag(now))
        effect: Floats = np.linalg.solve(now + ridge, pulled @ self.incident.gaps)
        effect -= np.linalg.solve(then, pulled @ self.normal.gaps)
        spread = np.linalg.inv(now + ridge) + np.linalg.inv(then)
        gains: Floats = effect**2 / np.diag(spread) / 2
        return effect, gains


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
    left = setting.incident.less(setting.shift(now))
    pool = candidates(
        families, left.gaps, terms=setting.terms, least=limits.excess, depth=limits.depth
    )
    whole = everything(setting.cells, left.gaps, terms=setting.terms)
    pool = sorted([*pool, whole], key=lambda each: each.rank)
    pool = [each for each in pool if each.where not in taken and each.score > 0]
    for tried in pool[:TRIED]:
        if not tried.where:
            return Chosen(tried, 1.0)
        p = _p(setting, tried, left)
        if p <= level:
            close = [each for each in pool if each.gain > tried.gain - CLOSE and each.where]
            distinct = {each.where: each for each in reversed(close) if each.where != tried.where}
            return Chosen(tried, p, tuple(sorted(distinct.values(), key=lambda c: c.rank)))
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
            left = setting.incident.less(setting.shift(now, but=each.candidate))
            p = _p(setting, each.candidate, left)
        if p <= level or not each.candidate.where:
            kept.append(Chosen(each.candidate, p, each.rivals))
    return kept


def _p(setting: Setting, candidate: Candidate, left: Moments) -> float:
    return p_value(
        setting.cells,
        candidate,
        normal=setting.normal,
        incident=left,
        terms=setting.terms,
    )
