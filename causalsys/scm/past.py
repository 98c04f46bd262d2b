"""A window of steps, with all that the steps before it do to it: exact, however far back.

Two series may share a cause only many steps back (cycles of lengths 4 and 5 meet after 20), so
unrolling "far enough" has no small bound. Instead the past is projected out: nothing in it is
conditioned on, so it ties two variables of the window where they share a cause there, and no
other way. Traces are taken to have begun long ago, which can only add dependence.
"""

from __future__ import annotations

from itertools import combinations, product
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import networkx as nx

    from causalsys.scm.graph import At, Graph

Tie = tuple[str, str, int]
"""A later variable, an earlier one, and how many steps lie between."""


def window(graph: Graph, back: int) -> nx.DiGraph[Any]:
    """The graph over the steps from `-back` to 0, in which ties by the past are common causes.

    Returns:
        Nodes are (variable, step), a trace's variables at step 0; and one more for each tie.
    """
    import networkx as nx

    unrolled: nx.DiGraph[Any] = graph.unrolled(back + 1)
    before = _causes_before(graph, back)
    place = {name: i for i, name in enumerate(graph.order)}
    summary = _summary(graph)
    traces = [name for name in graph.order if graph.per[name] == "trace"]
    reached = {name: nx.descendants(summary, name) for name in traces}
    for effect, causes in before.items():
        for name, descendants in reached.items():
            if any(cause in descendants for cause, _ in causes):
                unrolled.add_edge((name, 0), effect)
    for (first, mine), (second, yours) in combinations(before.items(), 2):
        pairs = product(mine, yours)
        if any(_tie(a, b, place=place) in graph.ties for a, b in pairs):
            unrolled.add_edge((first, second), first)
            unrolled.add_edge((first, second), second)
    return unrolled


def ties(graph: Graph) -> frozenset[Tie]:
    """Which variables, at most the longest lag apart, share a cause or are one another's cause.

    Of two points, the later is no cause of the earlier, so they are tied where a cause of the
    later is tied to the earlier, or they are the same. The least fixed point of that rule.
    """
    place = {name: i for i, name in enumerate(graph.order)}
    effects: dict[str, list[tuple[str, int]]] = {name: [] for name in graph.order}
    for edge in graph.edges:
        if graph.per[edge.cause] == "step":
            effects[edge.cause].append((edge.effect, edge.lag))
    found: set[Tie] = {(name, name, 0) for name in graph.order if graph.per[name] == "step"}
    waiting = list(found)
    while waiting:
        later, earlier, gap = waiting.pop()
        grown = [((effect, lag), (earlier, -gap)) for effect, lag in effects[later]]
        grown += [((effect, lag - gap), (later, 0)) for effect, lag in effects[earlier]]
        for (effect, step), other in grown:
            tie = _tie((effect, step), other, place=place)
            follows = (step, place[effect]) > (other[1], place[other[0]])
            if follows and tie[2] <= graph.longest_lag and tie not in found:
                found.add(tie)
                waiting.append(tie)
    return frozenset(found)


def _tie(a: At, b: At, *, place: dict[str, int]) -> Tie:
    if (a[1], place[a[0]]) < (b[1], place[b[0]]):
        a, b = b, a
    return a[0], b[0], a[1] - b[1]


def _causes_before(graph: Graph, back: int) -> dict[At, set[At]]:
    """The causes before the window of each variable in it that has some."""
    found: dict[At, set[At]] = {}
    for edge in graph.edges:
        if graph.per[edge.cause] == "step":
            for step in range(-back, min(edge.lag - back, 1)):
                found.setdefault((edge.effect, step), set()).add((edge.cause, step - edge.lag))
    return found


def _summary(graph: Graph) -> nx.DiGraph[str]:
    """Who causes whom at any lag."""
    import networkx as nx

    summary: nx.DiGraph[str] = nx.DiGraph()
    summary.add_nodes_from(graph.order)
    summary.add_edges_from((edge.cause, edge.effect) for edge in graph.edges)
    return summary
