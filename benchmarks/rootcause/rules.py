"""Simple rules, to stand beside ours: each ranks services, most suspect first.

That such rules do as well as published methods on popular benchmarks is the finding of
arXiv 2510.04711; so no figure of ours means anything without theirs.
"""

from __future__ import annotations

import networkx as nx
import numpy as np
import pandas as pd

from benchmarks.rootcause.cases import Case
from benchmarks.rootcause.topology import Floats

_ANOMALOUS = 5.0
"""Robust spreads: what the second rule calls anomalous."""


def largest_deviation(case: Case) -> list[str]:
    """Services by the largest robust deviation of any of their metrics over the window's rows."""
    return _ranked(_by_service(_deviations(case)))


def deepest_anomalous(case: Case) -> list[str]:
    """Anomalous services that the target reaches through anomalous ones, the deepest first.

    From the entry down the calls, only through services of which some metric deviates; those with
    no anomalous callee come first, by depth, then by deviation.
    """
    score = _by_service(_deviations(case))
    anomalous = {name for name, each in score.items() if each > _ANOMALOUS} | {case.target[0]}
    among = case.calls.subgraph(anomalous)
    depth = nx.single_source_shortest_path_length(among, case.target[0])
    last = {name: not any(True for _ in among.successors(name)) for name in depth}
    found = sorted(depth, key=lambda name: (not last[name], -depth[name], -score[name], name))
    return found + [name for name in _ranked(score) if name not in depth]


def ranked_correlation(case: Case) -> list[str]:
    """Anomalous services by the correlation, over the window, of the target's metric at both.

    The best of the variants that the authors of PetShop publish (arXiv 2311.04806).
    """
    score = _by_service(_deviations(case))
    metric = case.target[1]
    target = case.incident[case.target].to_numpy()
    found = {}
    for name in score:
        if name == case.target[0] or (name, metric) not in case.incident.columns:
            continue
        mine = case.incident[name, metric].to_numpy()
        both = np.isfinite(mine) & np.isfinite(target)
        if both.sum() < 3 or np.ptp(mine[both]) == 0 or np.ptp(target[both]) == 0:
            continue
        found[name] = abs(float(np.corrcoef(mine[both], target[both])[0, 1]))
    anomalous = {name for name in found if score[name] > _ANOMALOUS}
    return sorted(score, key=lambda name: (name not in anomalous, -found.get(name, 0.0), name))


RULES = {
    "largest deviation": largest_deviation,
    "deepest anomalous": deepest_anomalous,
    "ranked correlation": ranked_correlation,
}


def _deviations(case: Case) -> pd.Series:
    """The largest deviation from the normal median, in robust spreads, of each column."""
    normal, incident = _filled(case.normal), _filled(case.incident)
    middle = np.median(normal, axis=0)
    spread = 1.4826 * np.median(np.abs(normal - middle), axis=0)
    # A column that is constant more than half of the time has its standard deviation instead.
    spread = np.where(spread > 0, spread, normal.std(axis=0))
    floor = np.maximum(1e-3 * np.abs(middle), 1e-9)
    found = np.abs(incident - middle).max(axis=0) / np.maximum(spread, floor)
    return pd.Series(found, index=case.normal.columns)


def _filled(frame: pd.DataFrame) -> Floats:
    return np.asarray(frame.ffill().bfill().fillna(0.0).to_numpy(), dtype=float)


def _by_service(scores: pd.Series) -> dict[str, float]:
    best = scores.groupby(level="service").max()
    return {str(name): float(each) for name, each in best.items()}


def _ranked(scores: dict[str, float]) -> list[str]:
    return sorted(scores, key=lambda name: (-scores[name], name))
