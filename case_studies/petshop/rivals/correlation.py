"""Ranked correlation: the anomalous node whose rows in the window correlate most with the target's.

By the p-value of Pearson's correlation within the window, at most three nodes: the best of the
variants which the authors of the PetShop data set publish (Hardt et al., arXiv 2311.04806).
"""

from __future__ import annotations

import numpy as np

from case_studies.petshop.case import Case, ranked
from case_studies.petshop.rivals.anomaly import anomalous

AT_MOST = 3


def ranked_correlation(case: Case) -> dict[str, float]:
    """Minus the p-value of every anomalous node's correlation with the target."""
    from scipy.stats import pearsonr

    window = case.series()
    target = window[case.target.node]
    scores: dict[str, float] = {}
    for node in anomalous(case):
        both = window[node].notna() & target.notna()
        if node == case.target.node or both.sum() < 2:
            continue
        mine, its = window[node][both].to_numpy(), target[both].to_numpy()
        if np.ptp(mine) == 0 or np.ptp(its) == 0:
            continue
        scores[node] = -float(pearsonr(mine, its).pvalue)
    return {node: scores[node] for node in ranked(case, scores)[:AT_MOST]}
