"""Parts of a graph that no edge joins: each is laid out on its own, then all are put on a page."""

from __future__ import annotations

from collections.abc import Sequence

from causalsys.scm.graph import Graph
from causalsys.scm.order import parts as joined

_GAP = 22.0


def parts(graph: Graph) -> list[Graph]:
    """The connected parts, the largest first, then in causal order."""
    found = joined(graph.order, [(edge.cause, edge.effect) for edge in graph.edges])
    return [_only(graph, set(names)) for names in sorted(found, key=len, reverse=True)]


def _only(graph: Graph, names: set[str]) -> Graph:
    return Graph(
        graph.name,
        {name: kind for name, kind in graph.kinds.items() if name in names},
        {name: per for name, per in graph.per.items() if name in names},
        tuple(edge for edge in graph.edges if edge.cause in names),
    )


def shelves(sizes: Sequence[tuple[float, float]], page: float) -> list[tuple[float, float]]:
    """The upper left corner of each block: in rows, as wide as the page or the widest block."""
    across = max([page, *(width for width, _ in sizes)])
    corners, x, y, tall = [], 0.0, 0.0, 0.0
    for width, height in sizes:
        if x and x + width > across:
            x, y, tall = 0.0, y + tall + _GAP, 0.0
        corners.append((x, y))
        x, tall = x + width + _GAP, max(tall, height)
    return corners
