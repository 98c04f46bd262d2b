"""CIRCA: regression-based hypothesis testing (Li et al., KDD 2022, sections 3 and 4).

A linear regression of every node on its causal parents, fitted to normal rows; a node's score is
its largest standardised residual in the window. Descendant adjustment: a score above 3 gets the
largest score of the node's children added, looking through children below 3. Missing values take
their column's mean, nodes without data are bridged, at most three nodes: as the PetShop authors run
it (they use PyRCA's implementation).
"""

from __future__ import annotations

import networkx as nx
import numpy as np
import pandas as pd

from case_studies.petshop.case import Case, ranked

ADJUSTED_FROM = 3.0
AT_MOST = 3


def circa(case: Case) -> dict[str, float]:
    """Adjusted scores of the three most suspicious nodes; it never stays silent."""
    normal, window = case.series(normal=True), case.series()
    normal, window = normal.dropna(axis=1, how="all"), window.dropna(axis=1, how="all")
    nodes = [str(node) for node in normal if node in window and node in case.calls]
    normal = normal[nodes].fillna(normal[nodes].mean())
    window = window[nodes].fillna(window[nodes].mean())
    graph = bridged(case.causes, nodes)
    scores = {node: _score(node, list(graph.pred[node]), normal, window) for node in graph}
    adjusted = _adjusted(graph, scores)
    return {node: adjusted[node] for node in ranked(case, adjusted)[:AT_MOST]}


def bridged(causes: nx.DiGraph[str], kept: list[str]) -> nx.DiGraph[str]:
    """The graph over `kept`: where a node is taken out, its causes become its effects' causes."""
    graph = causes.copy()
    for node in sorted(set(graph) - set(kept)):
        graph.add_edges_from(
            (before, after)
            for before in list(graph.pred[node])
            for after in list(graph.succ[node])
            if before != after
        )
        graph.remove_node(node)
    return graph


def _score(node: str, parents: list[str], normal: pd.DataFrame, window: pd.DataFrame) -> float:
    mine, new = normal[node].to_numpy(), window[node].to_numpy()
    causes, now = normal[parents].to_numpy(), window[parents].to_numpy()
    centre = causes.mean(axis=0)
    slopes = np.linalg.lstsq(causes - centre, mine - mine.mean(), rcond=None)[0]
    spread = np.std(mine - mine.mean() - (causes - centre) @ slopes)
    off = new - mine.mean() - (now - centre) @ slopes
    # A constant residual keeps its own units, as scikit-learn's StandardScaler has it.
    constant = spread <= 10 * np.finfo(float).eps * max(1.0, float(np.abs(mine).max()))
    return float(np.abs(off / (1.0 if constant else spread)).max())


def _adjusted(graph: nx.DiGraph[str], scores: dict[str, float]) -> dict[str, float]:
    blamed: dict[str, set[str]] = {}
    order = nx.topological_sort(graph) if nx.is_directed_acyclic_graph(graph) else ()
    for node in reversed(list(order)):
        blamed[node] = set(graph.succ[node])
        for child in graph.succ[node]:
            if scores[child] < ADJUSTED_FROM:
                blamed[node] |= blamed[child]
    return {
        node: score
        + (
            max((scores[child] for child in blamed.get(node, ())), default=0.0)
            if score > ADJUSTED_FROM
            else 0.0
        )
        for node, score in scores.items()
    }
