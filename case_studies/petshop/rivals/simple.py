"""Two rules that anybody would try first."""

from __future__ import annotations

from case_studies.petshop.case import Case
from case_studies.petshop.rivals.anomaly import anomalous


def largest_deviation(case: Case) -> dict[str, float]:
    """The node farthest from its own normal median, in median absolute deviations."""
    return anomalous(case)


def deepest_ancestor(case: Case) -> dict[str, float]:
    """The anomalous node that is most calls away from the target; of equals, the farthest off."""
    found, depths = anomalous(case), case.depths
    order = sorted((depths.get(node, -1), score, node) for node, score in found.items())
    reached = [entry for entry in order if entry[0] >= 0]
    return {node: float(rank) for rank, (_, _, node) in enumerate(reached)}
