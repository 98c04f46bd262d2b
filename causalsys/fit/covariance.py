"""The generalised covariance measure: is x independent of y, given z?

Both sides are regressed on z, and the residuals must not covary. The product of two small
regression errors is smaller still, so the test keeps its level where either regression is only
roughly right (Shah and Peters, The Annals of Statistics, 2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_BUMPS = 15
_WAVES = 150
_LINE, _BUMP = 10.0, 3.0
"""How much less a ridge shrinks lines and bends of one variable than waves of several."""
_RARE = 10
"""A level in fewer rows than this is not tested on its own."""
_PENALTIES = np.logspace(-8, 1, 18)
_FOLDS = 3
_DOUBT = 0.05
"""A smaller p-value must be confirmed by a regression of another kind."""


@dataclass(frozen=True, eq=False)
class Column:
    """A variable's values.

    Attributes:
        values: `[row]`; codes for a category.
        categorical: Whether it is one.
    """

    values: Floats
    categorical: bool = False

    @cached_property
    def line(self) -> Floats:
        """Indicators of the levels, or ranks as normal quantiles, `[row, column]`.

        Independence does not see a variable's scale, and heavy tails grow tame.
        """
        if self.categorical:
            return _levels(self.values)
        from scipy.special import ndtri
        from scipy.stats import rankdata

        score = ndtri((rankdata(self.values) - 0.5) / len(self.values))
        return np.asarray(score, dtype=np.float64)[:, None]


class Given:
    """What is conditioned on, ready to regress many columns on it.

    A ridge over bends of each variable and random waves of all together (Rahimi and Recht, NIPS
    2007), its penalty chosen by generalised cross-validation (Golub, Heath and Wahba, 1979);
    each row's residual is that of a fit without the row.
    """

    def __init__(self, columns: Sequence[Column], *, rows: int) -> None:
        self._columns = tuple(columns)
        design = _features(self._columns, rows)
        values, vectors = np.linalg.eigh(design.T @ design / rows)
        self._values, self._turned = np.clip(values, 0, None), design @ vectors
        self._known: dict[tuple[Column, bool], Floats] = {}

    def residual(self, column: Column) -> Floats:
        """What is left of a column, and for numbers how large that is, `[row, part]`.

        The size shows dependence in spread, and bends, that the residual is blind to.
        """
        if (column, False) not in self._known:
            self._known[column, False] = self._with_size(column, self._ridge(column.line))
        return self._known[column, False]

    def other_residual(self, column: Column) -> Floats:
        """The same by boosted trees, where these predict better: steps, gates, interactions."""
        if (column, True) not in self._known:
            self._known[column, True] = self._with_size(column, self._by_trees(column))
        return self._known[column, True]

    def _by_trees(self, column: Column) -> Floats:
        from sklearn.ensemble import HistGradientBoostingRegressor

        left = self._ridge(column.line)
        if not self._columns:
            return left
        given = np.stack([each.values for each in self._columns], axis=-1)
        fold = np.random.default_rng(0).permutation(len(given)) % _FOLDS
        for part in range(left.shape[1]):
            target, grown = column.line[:, part], np.empty(len(given))
            for k in range(_FOLDS):
                trees = HistGradientBoostingRegressor(
                    max_iter=60, learning_rate=0.15, max_leaf_nodes=15, early_stopping=False
                )
                trees.fit(given[fold != k], target[fold != k])
                grown[fold == k] = target[fold == k] - trees.predict(given[fold == k])
            if (grown**2).sum() < (left[:, part] ** 2).sum():
                left[:, part] = grown
        return left

    def _with_size(self, column: Column, left: Floats) -> Floats:
        if column.categorical:
            return left
        return np.concatenate([left, self._ridge(np.abs(left))], axis=1)

    def _ridge(self, targets: Floats) -> Floats:
        rows = len(targets)
        targets = targets - targets.mean(axis=0)
        moment = self._turned.T @ targets / rows
        left = np.empty_like(targets)
        for part in range(targets.shape[1]):
            total = float((targets[:, part] ** 2).mean())
            best, shrunk = np.inf, np.zeros_like(self._values)
            for penalty in _PENALTIES:
                share = 1 / (self._values + penalty)
                # The mean squared error in the basis of principal axes, without passing the rows.
                gain = (2 * share - self._values * share**2) @ moment[:, part] ** 2
                used = min(float((self._values * share).sum()) + 1, rows - 1.0)
                score = (total - float(gain)) / (1 - used / rows) ** 2
                if score < best:
                    best, shrunk = score, share
            error = targets[:, part] - self._turned @ (shrunk * moment[:, part])
            leverage = (self._turned**2) @ shrunk / rows + 1 / rows
            left[:, part] = error / np.clip(1 - leverage, 0.05, None)
        return left


def covaries(
    one: Column,
    other: Column,
    given: Given,
    *,
    cluster: NDArray[np.int64],
    confirm: bool = True,
) -> tuple[float, float]:
    """Test whether two columns are independent given others.

    Args:
        one: A column.
        other: A column.
        given: What is conditioned on.
        cluster: `[row]`, which rows may depend on one another, numbered from 0.
        confirm: Whether a small p-value must be confirmed by boosted trees, which takes longer.

    Returns:
        The strongest correlation of the residuals, and the p-value of independence.
    """
    found = strongest(given.residual(one), given.residual(other), cluster=cluster)
    if found[1] >= _DOUBT or not confirm:
        return found
    again = strongest(given.other_residual(one), given.other_residual(other), cluster=cluster)
    return max(found, again, key=lambda test: test[1])


def strongest(one: Floats, other: Floats, *, cluster: NDArray[np.int64]) -> tuple[float, float]:
    """The strongest of the correlations of two sets of residuals, with its p-value.

    The p-value is corrected for the number of pairs (Bonferroni) and for dependence in clusters.
    """
    from scipy.stats import norm

    count = int(cluster.max()) + 1
    found: list[tuple[float, float]] = []
    for mine in one.T:
        for yours in other.T:
            product = mine * yours
            size = float(np.sqrt((mine**2).sum() * (yours**2).sum()))
            sums = product if count == len(product) else np.bincount(cluster, product, count)
            spread = float(np.sqrt(((sums - sums.mean()) ** 2).sum()))
            if size > 0 and spread > 0:
                found.append((abs(float(sums.sum())) / spread, float(product.sum()) / size))
    if not found:
        return 0.0, 1.0
    statistic, correlation = max(found)
    return correlation, float(min(1.0, 2 * len(found) * norm.sf(statistic)))


def _levels(codes: Floats, *, rare: int = _RARE) -> Floats:
    """Indicators of the levels that are not rare; of two levels, one says all."""
    found, counts = np.unique(codes, return_counts=True)
    kept = found[1:] if len(found) == 2 else found[counts >= rare]
    return (codes[:, None] == kept).astype(np.float64)


def _features(columns: Sequence[Column], rows: int) -> Floats:
    """Centred columns that a ridge can bend into any smooth function."""
    if not columns:
        return np.zeros((rows, 1))
    lines, parts = [], []
    for column in columns:
        if column.categorical:
            lines.append(_levels(column.values, rare=1))
            parts.append(_LINE * lines[-1])
            continue
        places = np.linspace(-3, 3, _BUMPS)
        bumps = np.exp(-0.5 * ((column.line - places) / (places[1] - places[0])) ** 2)
        scale = _BUMP / ((bumps.std(axis=0) + 0.02) * np.sqrt(_BUMPS))
        lines.append(column.line)
        parts += [_LINE * lines[-1], scale * bumps]
    if len(columns) > 1:
        # The same waves in every call, so that a test does not depend on its neighbours.
        draw = np.random.default_rng(0)
        together = np.concatenate(lines, axis=1)
        width = together.shape[1]
        turn = draw.normal(size=(width, _WAVES)) * draw.uniform(0.3, 2, _WAVES) / np.sqrt(width)
        waves = np.cos(together @ turn + draw.uniform(0, 2 * np.pi, _WAVES))
        parts.append(waves / ((waves.std(axis=0) + 1e-9) * np.sqrt(_WAVES)))
    design = np.concatenate(parts, axis=1)
    return np.asarray(design - design.mean(axis=0), dtype=np.float64)
