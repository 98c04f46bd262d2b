"""Incumbents: predictors as users have them, trained on rows from before."""

from __future__ import annotations

import warnings
from typing import Any

import pandas as pd

from benchmarks.mispredictions.systems import System


def trained(learner: str, rows: pd.DataFrame, system: System, *, seed: int) -> Any:
    """A fitted estimator of the target from the system's inputs.

    Args:
        learner: "linear", "trees" (boosted) or "net" (one small hidden layer).
        rows: What it is fitted to.
        system: Names target and inputs.
        seed: Fixes what is drawn.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LinearRegression
    from sklearn.neural_network import MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    made = {
        "linear": LinearRegression,
        "trees": lambda: HistGradientBoostingRegressor(max_iter=60, max_leaf_nodes=8),
        "net": lambda: make_pipeline(
            StandardScaler(),
            MLPRegressor(
                hidden_layer_sizes=(16,),
                alpha=0.01,
                max_iter=200,
                early_stopping=True,
                random_state=seed,
            ),
        ),
    }[learner]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return made.fit(rows[list(system.inputs)], rows[system.target])


__all__ = ["trained"]
