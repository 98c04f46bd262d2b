"""The mean of a number given features, by the simplest of a few families that predicts as well.

Least squares with a small ridge: on the features, on bends of each, or on their squares and
products; and boosted trees on what bends leave. Which one is chosen by five folds of the rows: the
simplest whose squared error is within one standard error of the best (Breiman, Friedman, Olshen
and Stone, 1984, section 3.4.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
FOLDS = 5
_RIDGE = 1.0
_FAMILIES = ("mean", "line", "bend", "square", "trees")


@dataclass(frozen=True)
class Curve:
    """A fitted mean.

    Attributes:
        center: Of each feature.
        spread: Of each feature.
        kind: "line", "bend" (squares and steps of each feature) or "square" (products too).
        weights: Of the features, the first of a constant.
        trees: What is added to it; None for nothing.
    """

    center: Floats
    spread: Floats
    kind: str
    weights: Floats
    trees: Any = None

    def __call__(self, features: Floats) -> Floats:
        """The means `[row]` at `[row, feature]`."""
        basis = design((features - self.center) / self.spread, kind=self.kind)
        found: Floats = basis[:, : len(self.weights)] @ self.weights
        if self.trees is not None:
            found = found + self.trees.predict(features)
        return found


def design(features: Floats, *, kind: str) -> Floats:
    """A constant, the features, and what else is made of them: `[row, column]`."""
    parts = [np.ones((len(features), 1)), features]
    if kind == "bend":
        parts += [features**2, np.tanh(features), np.maximum(features, 0.0)]
    if kind == "square":
        first, second = np.triu_indices(features.shape[1])
        parts.append(features[:, first] * features[:, second])
    return np.concatenate(parts, axis=1)


def curve(features: Floats, value: Floats, *, weight: Floats, family: str) -> Curve:
    """Fit one family.

    Args:
        features: `[row, feature]`.
        value: `[row]`.
        weight: `[row]`, counts.
        family: "mean", "line", "bend", "square" or "trees" (on a bend).
    """
    total = weight.sum()
    center = weight @ features / total
    spread = np.sqrt(np.maximum(weight @ (features - center) ** 2 / total, 0.0))
    spread = np.where(spread > 1e-9 * (1 + np.abs(center)), spread, 1.0)
    kind = {"mean": "line", "trees": "bend"}.get(family, family)
    basis = design((features - center) / spread, kind=kind)
    basis = basis[:, :1] if family == "mean" else basis
    weighed = basis * weight[:, None]
    ridge = _RIDGE * np.eye(basis.shape[1])
    ridge[0, 0] = 1e-9
    weights = np.asarray(
        np.linalg.solve(weighed.T @ basis + ridge, weighed.T @ value), dtype=np.float64
    )
    trees = None
    if family == "trees":
        from sklearn.ensemble import HistGradientBoostingRegressor

        boosted = HistGradientBoostingRegressor(
            max_iter=40, max_leaf_nodes=8, min_samples_leaf=20, random_state=0
        )
        # Rows are repeated, for weights make its bins slow; counts are what weights are here.
        several = np.repeat(np.arange(len(value)), weight.astype(int))
        trees = boosted.fit(features[several], (value - basis @ weights)[several])
    return Curve(center, spread, kind, weights, trees)


def chosen(features: Floats, value: Floats, *, folds: NDArray[np.int64], trees: bool = True) -> str:
    """The family that is as good as the best, and simplest; with or without trees."""
    errors = {}
    families = _FAMILIES if trees else _FAMILIES[:-1]
    for family in families if features.shape[1] else _FAMILIES[:1]:
        told, _ = crossed(features, value, features[:0], folds=folds, family=family)
        errors[family] = (value - told) ** 2
    best = min(errors, key=lambda family: float(errors[family].mean()))
    # With a third of a standard error, wrong families are bent sooner (on some generated mix shifts
    # the mix's part errs by .08 of the rise and not by .25), but straight laws are bent for nothing
    # where the rows after lie two deviations out, and err as much.
    for family, error in errors.items():
        worse = error - errors[best]
        if worse.mean() <= worse.std() / np.sqrt(len(worse)):
            return family
    return best


def crossed(
    features: Floats,
    value: Floats,
    others: Floats,
    *,
    folds: NDArray[np.int64],
    family: str,
    weight: Floats | None = None,
) -> tuple[Floats, Floats]:
    """Means of rows by fits that did not see them, and of other rows by all fits.

    Args:
        features: `[row, feature]`.
        value: `[row]`.
        others: `[other row, feature]`.
        folds: Which fold each row is in.
        family: The family of the mean.
        weight: `[row]`; ones by default.
    """
    weight = np.ones(len(value)) if weight is None else weight
    own, rest = np.empty(len(value)), np.zeros(len(others))
    count = int(folds.max()) + 1
    for fold in range(count):
        out = folds == fold
        fit = curve(features[~out], value[~out], weight=weight[~out], family=family)
        own[out] = fit(features[out])
        rest += fit(others) / count if len(others) else 0.0
    return own, rest


def folds_of(rows: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Folds of equal size, at random."""
    found: NDArray[np.int64] = random.permutation(np.arange(rows) % FOLDS)
    return found


__all__ = ["FOLDS", "Curve", "chosen", "crossed", "curve", "design", "folds_of"]
