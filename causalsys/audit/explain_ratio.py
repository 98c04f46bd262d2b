"""How much likelier a row's features are after than before: logistic regression, cross-fitted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from causalsys.audit.explain_regression import design

Floats = NDArray[np.float64]
_STEPS = 25
_RIDGE = 2.0
_CAP = 20.0
"""No row counts more than so many rows."""


def logistic(
    basis: Floats, label: Floats, *, start: Floats | None = None, steps: int = _STEPS
) -> Floats:
    """The weights of a logistic regression by Newton's steps; the first column is a constant.

    Args:
        basis: `[row, column]`.
        label: `[row]`, from 0 to 1.
        start: Where to begin; at zero by default.
        steps: The most steps.
    """
    if basis.shape[1] == 1:
        mean = np.clip(label.mean(), 1e-6, 1 - 1e-6)
        return np.array([np.log(mean / (1 - mean))])
    found = np.zeros(basis.shape[1]) if start is None else start
    penalty = _RIDGE * np.eye(basis.shape[1])
    penalty[0, 0] = 1e-6
    for _ in range(steps):
        chance = sigmoid(basis @ found)
        slope = basis.T @ (label - chance) - penalty @ found
        bend = (basis * np.maximum(chance * (1 - chance), 1e-6)[:, None]).T @ basis
        step = np.linalg.solve(bend + penalty, slope)
        step *= min(1.0, 4.0 / max(float(np.abs(step).max()), 1e-12))
        found = found + step
        if float(np.abs(step).max()) < 1e-6:
            break
    return found


def sigmoid(value: Floats) -> Floats:
    """1 / (1 + exp(-value)), without overflow."""
    found: Floats = 0.5 * (1 + np.tanh(0.5 * value))
    return found


def ratio(
    before: Floats, after: Floats, *, folds: tuple[NDArray[np.int64], NDArray[np.int64]]
) -> Floats:
    """The density ratio after/before of the rows before, `[row]`, of mean 1.

    Args:
        before: `[row, feature]`.
        after: `[row, feature]`.
        folds: The folds of both.
    """
    if not before.shape[1]:
        return np.ones(len(before))
    both = np.concatenate([before, after])
    center, spread = both.mean(0), both.std(0)
    scaled = (both - center) / np.where(spread > 0, spread, 1.0)
    basis = design(np.clip(scaled, -5, 5), kind="square")
    label = np.repeat([0.0, 1.0], [len(before), len(after)])
    fold = np.concatenate(folds)
    found = np.ones(len(before))
    for each in range(int(fold.max()) + 1):
        out = fold == each
        weights = logistic(basis[~out], label[~out])
        mine = out[: len(before)]
        found[mine] = np.exp(np.clip(basis[: len(before)][mine] @ weights, -6, 6))
    found = np.minimum(found / found.mean(), _CAP)
    return found / found.mean()


__all__ = ["logistic", "ratio", "sigmoid"]
