"""Which nodes are anomalous, as the authors of the PetShop data set detect it.

A node's score is its distance from the normal median in median absolute deviations; it is anomalous
above 5. Where the normal series is constant, any distance is anomalous; with fewer than ten normal
values there is no detector. The row that is judged is the first, from the third on, in which the
target is anomalous: the third gives a fault the time to show. (Hardt et al., arXiv 2311.04806,
appendix on methods, and the code published with it.)
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from case_studies.petshop.case import Case

THRESHOLD = 5.0
FIRST_ROW = 2
LEAST = 10
# To the standard deviation of a normal distribution, as statsmodels and so dowhy scale it.
TO_SIGMA = 0.6744897501960817


def anomalous(case: Case) -> dict[str, float]:
    """Scores of the anomalous nodes in the judged row; empty where the target never was."""
    window, normal = case.series(), case.series(normal=True)
    nodes = [str(node) for node in window]
    scores = pd.DataFrame({node: deviations(window[node], normal.get(node)) for node in nodes})
    limits = {node: _limit(normal.get(node)) for node in nodes}
    target = case.target.node
    for row in range(FIRST_ROW, len(window)):
        if scores[target].iloc[row] > limits[target]:
            here = scores.iloc[row]
            return {node: float(here[node]) for node in nodes if here[node] > limits[node]}
    return {}


def deviations(window: pd.Series, normal: pd.Series | None) -> pd.Series:
    """Distance from the normal median in MADs, row by row; 0 where nothing can be said."""
    values = _values(normal)
    if len(values) < LEAST:
        return window * 0.0
    if np.std(values) == 0:
        distance = (window - values.mean()).abs()
    else:
        median = np.median(values)
        mad = np.median(np.abs(values - median)) / TO_SIGMA
        with np.errstate(divide="ignore", invalid="ignore"):
            distance = (window - median).abs() / mad
    return distance.fillna(0.0)


def _limit(normal: pd.Series | None) -> float:
    values = _values(normal)
    return 0.0 if len(values) >= LEAST and np.std(values) == 0 else THRESHOLD


def _values(normal: pd.Series | None) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.empty(0) if normal is None else normal.dropna().to_numpy(dtype=np.float64)
