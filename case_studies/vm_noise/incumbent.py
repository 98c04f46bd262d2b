"""The predictor that goes wrong: throughput as a power law of the other benchmarks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.vm_noise import INPUTS, TARGET

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LogLinear:
    """`log target = weights · (1, log inputs)`, by least squares.

    Attributes:
        weights: The constant first, `[1 + input]`.
    """

    weights: Floats
    feature_names_in_ = np.array(INPUTS, dtype=object)
    n_features_in_ = len(INPUTS)

    @classmethod
    def fit(cls, rows: pd.DataFrame) -> Self:
        """Fitted to rows that have the target."""
        line = np.log(rows[TARGET].to_numpy())
        return cls(np.linalg.lstsq(_design(rows), line, rcond=None)[0])

    def predict(self, rows: pd.DataFrame) -> Floats:
        """The throughput, `[row]`."""
        found: Floats = np.exp(_design(rows) @ self.weights)
        return found


def relative(truth: Floats, prediction: Floats) -> Floats:
    """The relative error of each row."""
    found: Floats = np.abs(prediction - truth) / truth
    return found


def blind_errors(rows: pd.DataFrame, folds: int = 5) -> Floats:
    """Each row's error by an incumbent fitted without the row's own fifth of the time, `[row]`."""
    fold = np.arange(len(rows)) * folds // len(rows)
    errors = np.empty(len(rows))
    for each in range(folds):
        held = rows[fold == each]
        told = LogLinear.fit(rows[fold != each]).predict(held)
        errors[fold == each] = relative(held[TARGET].to_numpy(), told)
    return errors


def _design(rows: pd.DataFrame) -> Floats:
    logs = np.log(rows[list(INPUTS)].to_numpy(np.float64))
    return np.column_stack([np.ones(len(rows)), logs])
