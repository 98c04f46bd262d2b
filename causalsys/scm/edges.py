"""Edges of networkx graphs that say how many steps later they act.

An edge's attribute `lag` counts the steps, 0 where it is missing, and `initial` is the cause's
value before the trace began. Where one variable acts on another at several lags, a `DiGraph`,
which holds one edge for a pair, carries them all in `lags`: a mapping from lag to initial value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from causalsys.errors import DeclarationError

if TYPE_CHECKING:
    import networkx as nx


def lags_of(data: Mapping[str, Any]) -> dict[int, float]:
    """The lags of an edge with these attributes, shortest first, each with its initial value."""
    lag = data.get("lag", 0)
    several = data.get("lags", {})
    found = dict(several) if lag in several else {lag: data.get("initial", 0.0)}
    return dict(sorted(found.items()))


def with_lags(lags: Mapping[int, float]) -> dict[str, Any]:
    """The attributes of an edge that acts at these lags; `lags_of` reads them."""
    shortest = min(lags)
    data: dict[str, Any] = {"lag": shortest}
    if lags[shortest]:
        data["initial"] = lags[shortest]
    if len(lags) > 1:
        data["lags"] = dict(lags)
    return data


def as_digraph(graph: object) -> nx.DiGraph[str]:
    """A networkx graph with one edge for a pair, from whatever says who causes whom.

    Raises:
        DeclarationError: It does not say so: an undirected graph, a number, a table.
    """
    import networkx as nx

    if isinstance(graph, nx.Graph) and not graph.is_directed():
        raise DeclarationError(
            "graph",
            found="an undirected graph",
            mend="Give a networkx.DiGraph: an edge leads from a cause to its effect.",
        )
    if isinstance(graph, nx.MultiDiGraph):
        return _merged(graph)
    if isinstance(graph, nx.DiGraph):
        return graph
    try:
        return nx.DiGraph(graph)
    except (nx.NetworkXError, TypeError, ValueError):
        raise DeclarationError(
            "graph",
            found=f"a {type(graph).__name__}",
            mend="Give a networkx.DiGraph, a list of (cause, effect), or {cause: [effects]}.",
        ) from None


def _merged(graph: nx.MultiDiGraph[str]) -> nx.DiGraph[str]:
    """Parallel edges as one edge that acts at all their lags."""
    import networkx as nx

    merged: nx.DiGraph[str] = nx.DiGraph(**graph.graph)
    merged.add_nodes_from(graph.nodes(data=True))
    for cause, effect, data in graph.edges(data=True):
        before = lags_of(merged[cause][effect]) if merged.has_edge(cause, effect) else {}
        merged.add_edge(cause, effect, **with_lags({**before, **lags_of(data)}))
    return merged
