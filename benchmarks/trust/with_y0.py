"""y0, the strongest other implementation of ID and IDC: what it says of a question."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from unittest.mock import patch

from benchmarks.trust.discrete import latent_pairs
from causalsys.identify.mixed import Mixed


def by_y0(
    graph: Mixed,
    *,
    outcome: Collection[str],
    do: Collection[str],
    given: Collection[str] = (),
) -> bool:
    """Whether y0's ID, or IDC, identifies it.

    Two faults of y0 0.2.11 are mended here: cutting arrows loses nodes, and its m-separation takes
    no notice of colliders at two-headed edges. networkx decides the latter.
    """
    from y0.algorithm.identify import id_c, identify_outcomes
    from y0.dsl import Variable
    from y0.graph import NxMixedGraph

    directed = [(cause, name) for name in graph.nodes for cause in sorted(graph.parents[name])]
    drawn = NxMixedGraph.from_str_edges(
        nodes=graph.nodes, directed=directed, undirected=latent_pairs(graph)
    )
    with (
        patch.object(NxMixedGraph, "remove_in_edges", _cut_and_kept),
        patch.object(id_c, "are_d_separated", _separated),
    ):
        found = identify_outcomes(
            drawn,
            outcomes={Variable(name) for name in outcome},
            treatments={Variable(name) for name in do},
            conditions={Variable(name) for name in given} or None,
        )
    return found is not None


def _cut_and_kept(graph: Any, vertices: Any) -> Any:
    """y0's own, but with the nodes that are left without edges."""
    names = {vertices} if not isinstance(vertices, Collection) else set(vertices)
    return graph.from_edges(
        nodes=graph.nodes(),
        directed=[(u, v) for u, v in graph.directed.edges() if v not in names],
        undirected=[e for e in graph.undirected.edges() if not names.intersection(e)],
    )


def _separated(graph: Any, one: Any, other: Any, *, conditions: Any) -> bool:
    """m-separation in a graph of y0's, with its two-headed edges as latents."""
    import networkx as nx

    whole = nx.DiGraph(graph.directed.edges())
    whole.add_nodes_from(graph.nodes())
    for latent, pair in enumerate(graph.undirected.edges()):
        whole.add_edges_from((latent, name) for name in pair)
    return bool(nx.is_d_separator(whole, {one}, {other}, set(conditions)))
