"""How the target's law changed: for all rows, for a hidden group of them, or in its spread alone.

What the rows after leave of the old mean is told by rival laws, each fitted and judged by held-out
rows: as before; wider (all labels, or a share of them, are wrong by chance); moved for all rows,
along the features; and a mixture of the law before with one of its own offset, slopes and spread,
the chance of belonging to it being logistic in the features (a mixture of experts: Jordan and
Jacobs, Neural Computation 1994), fitted by EM from several starts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causalsys.audit.explain_levels import Levelled, levelled
from causalsys.audit.explain_ratio import logistic
from causalsys.audit.explain_regression import curve, design

Floats = NDArray[np.float64]
LogLaw = Callable[[Floats], Floats]
_STEPS = 60
_GRID = 512
_NEWTON = 3
_SURE = 10.0
"""Nats by which a second part must be better, beyond what its freedom gives."""
_LEAST = 0.03
"""A group is no smaller than this share of the rows."""


def smooth(left: Floats) -> LogLaw:
    """The log density of residuals: a kernel estimate with some of a wide normal law."""
    spread = max(float(left.std()), 1e-12)
    width = 1.06 * min(
        spread, float(np.subtract(*np.quantile(left, [0.75, 0.25]))) / 1.34 or spread
    )
    width *= len(left) ** -0.2
    grid = np.linspace(left.min() - 3 * spread, left.max() + 3 * spread, _GRID)
    density = np.exp(-0.5 * ((grid[:, None] - left) / width) ** 2).sum(1)
    density /= len(left) * width * np.sqrt(2 * np.pi)
    wide = np.exp(-0.5 * (grid / (2 * spread)) ** 2) / (2 * spread * np.sqrt(2 * np.pi))
    logs = np.log(0.98 * density + 0.02 * wide)

    def law(value: Floats) -> Floats:
        inside = np.interp(value, grid, logs)
        # Beyond the grid the wide normal law goes on.
        beyond = np.maximum(np.maximum(grid[0] - value, value - grid[-1]), 0.0) / (2 * spread)
        reach = np.maximum(np.abs(np.clip(value, grid[0], grid[-1])) / (2 * spread), 1.0)
        found: Floats = inside - beyond * reach - 0.5 * beyond**2
        return found

    return law


@dataclass(frozen=True)
class Mixture:
    """The law before for some rows, and another for the rest: of one part, or of several.

    Attributes:
        own: The weights of the mean of each part of the group, along the basis, `[part, column]`.
        spread: Their deviations, `[part]`.
        share: Their shares of the group, `[part]`.
        chance: The weights of the log odds of belonging to the group, along the basis.
    """

    own: Floats
    spread: Floats
    share: Floats
    chance: Floats

    def parts(self, basis: Floats, left: Floats, law: LogLaw) -> Floats:
        """The log density of each row with the law before and with each part, `[row, 1 + part]`."""
        return self.told(basis, left, law(left))

    def told(self, basis: Floats, left: Floats, old: Floats) -> Floats:
        """The same, where the log density before is known, `[row]`."""
        odds = basis[:, : len(self.chance)] @ self.chance
        mean = self.means(basis)
        mine = -0.5 * ((left[:, None] - mean) / self.spread) ** 2
        mine = mine - np.log(self.spread * np.sqrt(2 * np.pi)) + np.log(self.share)
        first, second = old - np.logaddexp(0, odds), mine - np.logaddexp(0, -odds)[:, None]
        return np.column_stack([first, second])

    def means(self, basis: Floats) -> Floats:
        """The mean of each part, `[row, part]`."""
        found: Floats = basis[:, : self.own.shape[1]] @ self.own.T
        return found

    def log_density(self, basis: Floats, left: Floats, law: LogLaw) -> Floats:
        """`[row]`."""
        found: Floats = np.logaddexp.reduce(self.parts(basis, left, law), axis=1)
        return found

    def probabilities(self, basis: Floats, left: Floats, law: LogLaw) -> Floats:
        """The chance that each row belongs to the group, `[row]`."""
        found: Floats = _shares(self.parts(basis, left, law))[:, 1:].sum(1)
        return found

    def offsets(self, basis: Floats, left: Floats, law: LogLaw) -> Floats:
        """By how much each row is off, were it in the group, `[row]`."""
        inside = _shares(self.parts(basis, left, law)[:, 1:])
        found: Floats = (inside * self.means(basis)).sum(1)
        return found


def _shares(parts: Floats) -> Floats:
    found: Floats = np.exp(parts - np.logaddexp.reduce(parts, axis=1)[:, None])
    return found


def mixture(
    basis: Floats,
    left: Floats,
    law: LogLaw,
    *,
    slopes: bool,
    related: bool,
    centred: bool = False,
    steps: int = _STEPS,
) -> Mixture:
    """The mixture of the largest likelihood, by EM from several starts.

    Args:
        basis: A constant and the features, `[row, column]`.
        left: The residuals `[row]`.
        law: The law before.
        slopes: Whether the group's mean depends on the features.
        related: Whether belonging to it does.
        centred: Whether the group's mean is that of the law before.
        steps: The most steps.
    """
    best: tuple[float, Mixture] | None = None
    old = law(left)
    for start in _starts(left, old, centred=centred):
        found = _climb(basis, left, old, start, (slopes, related, centred), steps)
        score = float(found.log_density(basis, left, law).sum())
        if best is None or score > best[0]:
            best = score, found
    assert best is not None
    return best[1]


def _starts(left: Floats, old: Floats, *, centred: bool) -> list[Floats]:
    """First guesses of who belongs to the group: those high, those low, those unlikely before."""
    unlikely = (old < np.quantile(old, 0.25)).astype(float)
    if centred:
        return [0.1 + 0.8 * unlikely]
    high, low = (left > np.quantile(left, 0.7)), (left < np.quantile(left, 0.3))
    return [0.1 + 0.8 * each.astype(float) for each in (high, low, unlikely)]


def _climb(
    basis: Floats,
    left: Floats,
    old: Floats,
    weight: Floats,
    shape: tuple[bool, bool, bool],
    steps: int,
) -> Mixture:
    """EM from a guess of who belongs to each part of the group, `[row]` or `[row, part]`."""
    slopes, related, centred = shape
    mean_basis = basis if slopes else basis[:, :1]
    odds_basis = basis if related else basis[:, :1]
    weights = weight.reshape(len(left), -1)
    least = 0.2 * float(left.std()) / weights.shape[1]
    last, chance = -np.inf, np.zeros(odds_basis.shape[1])
    found: Mixture | None = None
    for _ in range(steps):
        own = [np.zeros(1) if centred else _weighted(mean_basis, left, w) for w in weights.T]
        spread = [
            max(float(np.sqrt(w @ (left - mean_basis[:, : len(o)] @ o) ** 2 / w.sum())), least)
            for w, o in zip(weights.T, own, strict=True)
        ]
        inside = np.clip(weights.sum(1), 1e-6, 1 - 1e-6)
        # A few steps from where the last ones led: EM only has to go up.
        chance = _bounded(logistic(odds_basis, inside, start=chance, steps=_NEWTON))
        share = weights.sum(0) / weights.sum()
        found = Mixture(np.stack(own), np.array(spread), share, chance)
        parts = found.told(basis, left, old)
        score = float(np.logaddexp.reduce(parts, axis=1).sum())
        weights = np.clip(_shares(parts)[:, 1:], 1e-9, 1.0)
        if score - last < 1e-2:
            break
        last = score
    assert found is not None
    return found


def refined(basis: Floats, left: Floats, law: LogLaw, found: Mixture, *, related: bool) -> Mixture:
    """The group in two parts, each with its own offset, where that is surely better (by BIC)."""
    old = law(left)
    parts = _shares(found.told(basis, left, old))
    far = np.argsort(np.argsort(np.abs(left - found.means(basis)[:, 0])))
    own = parts[:, 1]
    centre = float(np.average(left, weights=own))
    high = (left > centre).astype(float)
    beyond = parts[:, 0] * (far > 0.7 * len(left)) * (old < np.quantile(old, 0.4))
    guesses = [(own * high, own * (1 - high)), (own, beyond + 1e-3)]
    best, score = found, float(found.log_density(basis, left, law).sum())
    for guess in guesses:
        each = _climb(basis, left, old, np.column_stack(guess), (False, related, False), 2 * _STEPS)
        gain = float(each.log_density(basis, left, law).sum()) - score
        if gain > 1.5 * np.log(len(left)) + _SURE:
            best, score = each, score + gain
    return best


def _weighted(basis: Floats, left: Floats, weight: Floats) -> Floats:
    weighed = basis * weight[:, None]
    ridge: Floats = np.eye(basis.shape[1])
    ridge[0, 0] = 1e-6
    return np.asarray(np.linalg.solve(weighed.T @ basis + ridge, weighed.T @ left), np.float64)


def _bounded(chance: Floats) -> Floats:
    """Not a group of almost no rows."""
    edge = np.log(1 / _LEAST - 1)
    chance = chance.copy()
    chance[0] = np.clip(chance[0], -edge, edge)
    return chance


@dataclass(frozen=True)
class Judged:
    """Rival laws of the residuals after, by held-out rows.

    Attributes:
        scores: By rival, the log density of each row by a fit that did not see it, `[row]`.
        group: The mixture fitted to all rows.
        basis: Its basis, `[row, column]`.
        share: The share of the rows that belong to the group.
        levels: The levels of a declared class that follow another law; None without a class.
    """

    scores: dict[str, Floats]
    group: Mixture
    basis: Floats
    share: float
    levels: Levelled | None = None

    def best(self, which: str) -> Floats:
        """The scores of the best rival whose name begins so, `[row]`."""
        names = [name for name in self.scores if name.startswith(which)]
        return self.scores[max(names, key=lambda name: float(self.scores[name].sum()))]


_MOVED = ("moved, line", "moved, bend", "moved, square", "moved, trees")
_GROUPS = {
    "group": (False, False),
    "group, related": (False, True),
    "group, slopes": (True, False),
    "group, slopes, related": (True, True),
}


def judged(
    features: Floats,
    left: Floats,
    law: LogLaw,
    *,
    folds: NDArray[np.int64],
    chances: Floats | None = None,
) -> Judged:
    """Fit all rivals, and judge them by held-out rows.

    Args:
        features: `[row, feature]`, of the rows after.
        left: What they leave of the old mean, `[row]`.
        law: The log density of what rows before leave of it.
        folds: The folds of the rows.
        chances: Of each level of a declared class, given the inputs, `[row, level]`.
    """
    center, spread = features.mean(0), features.std(0)
    scaled = np.clip((features - center) / np.where(spread > 0, spread, 1.0), -5, 5)
    basis = design(scaled, kind="line")
    rivals = ["wider", *_MOVED, *_GROUPS]
    scores = {name: np.empty(len(left)) for name in rivals}
    scores["as before"] = law(left)
    for fold in range(int(folds.max()) + 1):
        out = folds == fold
        inside = _Rows(features[~out], basis[~out], left[~out])
        held = _Rows(features[out], basis[out], left[out])
        for name in rivals:
            scores[name][out] = _score(name, inside, held, law)
    best = max(_GROUPS, key=lambda name: float(scores[name].sum()))
    slopes, related = _GROUPS[best]
    group = mixture(basis, left, law, slopes=slopes, related=related)
    group = refined(basis, left, law, group, related=related)
    share = float(group.probabilities(basis, left, law).mean())
    levels = levelled(chances, features, left, law, folds=folds)
    return Judged(scores, group, basis, share, levels)


@dataclass(frozen=True)
class _Rows:
    features: Floats
    basis: Floats
    left: Floats


def _score(name: str, rows: _Rows, held: _Rows, law: LogLaw) -> Floats:
    if name in _GROUPS:
        slopes, related = _GROUPS[name]
        found = mixture(rows.basis, rows.left, law, slopes=slopes, related=related, steps=30)
        return found.log_density(held.basis, held.left, law)
    if name == "wider":
        return _wider(rows, held, law)
    family = name.removeprefix("moved, ")
    fit = curve(rows.features, rows.left, weight=np.ones(len(rows.left)), family=family)
    rest, ahead = rows.left - fit(rows.features), held.left - fit(held.features)
    return _scaled(rest, ahead, law)


def _scaled(rest: Floats, ahead: Floats, law: LogLaw) -> Floats:
    """The law before, as wide as fits best."""
    factors = np.geomspace(0.5, 16.0, 41)
    likely = [float((law(rest / each) - np.log(each)).sum()) for each in factors]
    best = factors[int(np.argmax(likely))]
    found: Floats = law(ahead / best) - np.log(best)
    return found


def _wider(rows: _Rows, held: _Rows, law: LogLaw) -> Floats:
    """All of it wider, or a share of it: what is better on the rows fitted to."""
    some = mixture(rows.basis, rows.left, law, slopes=False, related=False, centred=True)
    both = (
        (_scaled(rows.left, rows.left, law), _scaled(rows.left, held.left, law)),
        (
            some.log_density(rows.basis, rows.left, law),
            some.log_density(held.basis, held.left, law),
        ),
    )
    return max(both, key=lambda each: float(each[0].sum()))[1]


__all__ = ["Judged", "LogLaw", "Mixture", "judged", "mixture", "smooth"]
