"""Traversal: anomalous nodes none of whose causal parents is anomalous.

Each must reach the target through anomalous nodes, and is scored by the sum of the anomaly scores
along the best such path. The idea of CauseInfer (Chen et al., INFOCOM 2014) and MicroHECL (Liu et
al., ICSE-SEIP 2021), in the form in which the PetShop authors run it. Their code refuses a cycle of
anomalous nodes; here the nodes of a cycle are one.
"""

from __future__ import annotations

import networkx as nx

from case_studies.petshop.case import Case
from case_studies.petshop.rivals.anomaly import anomalous


def traversal(case: Case) -> dict[str, float]:
    """The best path's score of every anomalous node without an anomalous cause."""
    found = anomalous(case)
    if not found:
        return {}
    among = case.causes.subgraph(found)
    if case.target.node not in among:
        return {}
    acyclic = nx.condensation(among)
    home = acyclic.graph["mapping"]
    best: dict[int, float] = {}
    for block in reversed(list(nx.topological_sort(acyclic))):
        onward = [best[after] for after in acyclic.successors(block) if after in best]
        if block == home[case.target.node] or onward:
            own = sum(found[node] for node in acyclic.nodes[block]["members"])
            best[block] = own + max(onward, default=0.0)
    return {
        node: score
        for block, score in best.items()
        if not acyclic.pred[block]
        for node in acyclic.nodes[block]["members"]
    }
