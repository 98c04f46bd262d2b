"""The error as a node of its own: its mechanism, learned from the rows on which it was seen.

The target is a function of its parents and of its noise, and the prediction of its inputs. Where
no latent is among the target's parents, its noise is independent of all of these, so that the
error's mean given them is what it would be if they were set (the back-door criterion; Pearl,
Causality, 3.3.1). This asks nothing of the family of the target's mechanism, which may be wrong
exactly where the error is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causalsys.audit.subject import Period, Subject
from causalsys.scm.supports import Categorical

_MEMBERS = 8
"""Regressions of resampled rows: their spread is the regression's uncertainty."""


@dataclass(frozen=True)
class Regression:
    """The mean error given the target's parents and the predictor's inputs.

    Attributes:
        reads: The columns it reads.
        models: One for each resampling.
        subject: What is audited.
        rows: The rows' own columns, as it reads them.
    """

    reads: tuple[str, ...]
    models: tuple[Any, ...]
    subject: Subject
    rows: NDArray[np.float64]

    def errors(self, found: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """The mean error in one world, `[member, row]`.

        Each regression sees one draw of what was reached, in turn.
        """
        told = []
        for at, model in enumerate(self.models):
            matrix = self.rows.copy()
            for column, name in enumerate(self.reads):
                if name in found:
                    matrix[:, column] = found[name][at % len(found[name])]
            told.append(model.predict(matrix))
        return np.stack(told)


def regression(subject: Subject, period: Period, *, seed: int) -> Regression | None:
    """Learn the error; None where a latent is among the target's parents, or an input below it."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    graph, nodes = subject.fitted.declaration.graph, subject.fitted.declaration.nodes
    names = [parent.name for parent in nodes[subject.target].parents]
    inputs = subject.predictor.inputs
    below = graph.descendants(subject.target)
    if any(nodes[name].kind == "latent" for name in names) or below.intersection(inputs):
        return None
    reads = tuple(dict.fromkeys([*names, *inputs]))
    supports = subject.fitted.schema.supports
    if any(name not in period.rows.columns or supports[name].size for name in reads):
        return None
    matrix = np.stack(
        [coded(subject, period.rows[name].to_numpy(), name) for name in reads], axis=1
    )
    rng = np.random.default_rng(seed)
    models = []
    for _ in range(_MEMBERS):
        chosen = rng.integers(0, len(period), len(period))
        model = HistGradientBoostingRegressor(
            max_iter=60,
            min_samples_leaf=20,
            early_stopping=False,
            categorical_features=[isinstance(supports[name], Categorical) for name in reads],
            random_state=seed % 2**32,
        )
        models.append(model.fit(matrix[chosen], period.error[chosen]))
    return Regression(reads, tuple(models), subject, matrix)


def coded(subject: Subject, values: NDArray[Any], name: str) -> NDArray[np.float64]:
    """A column as numbers: codes of a category; NaN where missing."""
    import pandas as pd

    support = subject.fitted.schema.supports[name]
    if isinstance(support, Categorical):
        places = {level: at for at, level in enumerate(support.levels or ())}
        return np.asarray(pd.Series(values).map(places), dtype=np.float64)
    return np.asarray(
        pd.Series(values).to_numpy(dtype=np.float64, na_value=np.nan), dtype=np.float64
    )


__all__ = ["Regression", "coded", "regression"]
