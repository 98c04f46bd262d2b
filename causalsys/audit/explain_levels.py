"""A change of the target's law at some levels of a declared hidden class, and at no other.

Where the inputs tell the class, such a change is told as well by a mean that moved for all rows,
along what the inputs say of the class. It is the simpler claim, though: the other rows follow the
law before. So its law has to be no worse than one that moved for all rows, not better. A row's
prior chance is the class's, given the inputs; its mean and spread are fitted by EM.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from causalsys.audit.explain_regression import design

Floats = NDArray[np.float64]
LogLaw = Callable[[Floats], Floats]
_STEPS = 10
_FACTORS = np.geomspace(0.5, 8.0, 25)
_EDGE = 1e-3
"""The fitted class is not surer than this of any row."""
_MANY = 4
"""With more levels, one of them, or all but one, is what changed."""


@dataclass(frozen=True)
class Levelled:
    """The levels that follow another law, and which rows are of them.

    Attributes:
        levels: By number.
        score: The log density of each row by a fit that did not see it, `[row]`.
        probabilities: That each row is of these levels, given its target too, `[row]`.
        offsets: By how much a row of theirs is off the old mean, `[row]`.
    """

    levels: tuple[int, ...]
    score: Floats
    probabilities: Floats
    offsets: Floats


def levelled(
    chances: Floats | None, features: Floats, left: Floats, law: LogLaw, *, folds: NDArray[np.int64]
) -> Levelled | None:
    """The levels whose own law tells the rows best; None without a declared class.

    Args:
        chances: The chance of each level given a row's inputs, `[row, level]`.
        features: `[row, feature]`.
        left: What the rows leave of the old mean, `[row]`.
        law: The log density of what rows before leave of it.
        folds: The folds of the rows.
    """
    if chances is None or chances.shape[1] < 2:
        return None
    center, spread = features.mean(0), features.std(0)
    scaled = np.clip((features - center) / np.where(spread > 0, spread, 1.0), -5, 5)
    found: tuple[float, Levelled] | None = None
    for levels in _sets(chances.shape[1]):
        prior = np.clip(chances[:, levels].sum(1), _EDGE, 1 - _EDGE)
        for basis in (np.ones((len(left), 1)), design(scaled, kind="line")):
            score = np.empty(len(left))
            for fold in range(int(folds.max()) + 1):
                out = folds == fold
                fit = _fit(basis[~out], left[~out], prior[~out], law)
                score[out] = np.logaddexp.reduce(_parts(*fit, basis, left, prior, law)[out], axis=1)
            if found is not None and float(score.sum()) <= found[0]:
                continue
            own, factor = _fit(basis, left, prior, law)
            parts = _parts(own, factor, basis, left, prior, law)
            told = Levelled(levels, score, _second(parts), basis @ own)
            found = float(score.sum()), told
    return None if found is None else found[1]


def _sets(count: int) -> list[tuple[int, ...]]:
    sizes = range(1, count) if count <= _MANY else sorted({1, count - 1})
    return [each for size in sizes for each in combinations(range(count), size)]


def _fit(basis: Floats, left: Floats, prior: Floats, law: LogLaw) -> tuple[Floats, float]:
    """The mean of the rows of these levels, along the basis, and how much wider they scatter."""
    weight, last, factor = prior, -np.inf, 1.0
    own: Floats = np.zeros(basis.shape[1])
    for _ in range(_STEPS):
        weighed = basis * weight[:, None]
        ridge = np.eye(basis.shape[1])
        ridge[0, 0] = 1e-6
        own = np.asarray(np.linalg.solve(weighed.T @ basis + ridge, weighed.T @ left))
        rest = left - basis @ own
        likely = [float(weight @ (law(rest / each) - np.log(each))) for each in _FACTORS]
        factor = float(_FACTORS[int(np.argmax(likely))])
        parts = _parts(own, factor, basis, left, prior, law)
        score = float(np.logaddexp.reduce(parts, axis=1).sum())
        weight = _second(parts)
        if score - last < 1e-2:
            break
        last = score
    return own, factor


def _parts(
    own: Floats, factor: float, basis: Floats, left: Floats, prior: Floats, law: LogLaw
) -> Floats:
    """The log density of each row with the law before, and with the other, `[row, 2]`."""
    other = law((left - basis @ own) / factor) - np.log(factor)
    return np.column_stack([np.log1p(-prior) + law(left), np.log(prior) + other])


def _second(parts: Floats) -> Floats:
    found: Floats = np.exp(parts[:, 1] - np.logaddexp.reduce(parts, axis=1))
    return found


__all__ = ["Levelled", "levelled"]
