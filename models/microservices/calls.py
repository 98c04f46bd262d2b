"""The call graph: who calls whom, how deep each service lies, and which call each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from causalsys.errors import DataError, UnknownNameError

if TYPE_CHECKING:
    import networkx as nx
    import pandas as pd

_MEND = "Give edges (caller, callee), {caller: [callees]}, a networkx graph or an adjacency frame."


@dataclass(frozen=True)
class Calls:
    """The call graph, without what closes a cycle.

    Attributes:
        services: All services, callers before callees.
        callees: Whom each service calls, apart from calls that close a cycle.
        callers: Who calls each service, likewise.
        entries: Where load comes in.
        cycles: For each component of services that call each other: its services.
    """

    services: tuple[str, ...]
    callees: Mapping[str, tuple[str, ...]]
    callers: Mapping[str, tuple[str, ...]]
    entries: tuple[str, ...]
    cycles: Mapping[str, tuple[str, ...]]

    def component(self, service: str) -> str:
        """What a change of the service is blamed on: itself, or the cycle that it is in."""
        for name, members in self.cycles.items():
            if service in members:
                return name
        return service


def read_calls(calls: Any, *, entry: str | Iterable[str] | None = None) -> Calls:
    """Read a call graph in any usual form.

    Services that call each other, directly or not, are one component: what one of them does
    comes back to it within a step, and data of whole steps do not tell them apart. Their
    variables are factorised along the depth of the services, as a chain component may be along
    any order (Lauritzen and Richardson, 2002): calls from a deeper one back up carry no edge.

    Raises:
        DataError: It is no call graph.
        UnknownNameError: `entry` is not in it.
    """
    import networkx as nx

    graph = _digraph(calls)
    graph.remove_edges_from(list(nx.selfloop_edges(graph)))
    depth = _depths(graph, _entries(graph, entry))
    cycles: dict[str, tuple[str, ...]] = {}
    for group in nx.strongly_connected_components(graph):
        if len(group) < 2:
            continue
        inside = tuple(sorted(group, key=lambda service: (depth[service], service)))
        place = {service: n for n, service in enumerate(inside)}
        back = [(a, b) for a, b in graph.subgraph(group).edges if place[a] > place[b]]
        graph.remove_edges_from(back)
        cycles[_joint(inside)] = inside
    order = tuple(nx.lexicographical_topological_sort(graph, key=str))
    return Calls(
        order,
        {service: tuple(sorted(graph.succ[service])) for service in order},
        {service: tuple(sorted(graph.pred[service])) for service in order},
        _entries(graph, entry),
        dict(sorted(cycles.items())),
    )


def _digraph(calls: Any) -> nx.DiGraph[str]:
    import networkx as nx
    import pandas as pd

    if isinstance(calls, pd.DataFrame):
        calls = _of_frame(calls)
    graph: nx.DiGraph[str] = nx.DiGraph()
    if isinstance(calls, nx.DiGraph):
        graph.add_nodes_from(map(str, calls.nodes))
        pairs: Iterable[Any] = calls.edges(data=False)
    elif isinstance(calls, Mapping):
        graph.add_nodes_from(map(str, calls))
        pairs = [(caller, callee) for caller, several in calls.items() for callee in several]
    elif isinstance(calls, Iterable) and not isinstance(calls, str):
        pairs = calls
    else:
        raise DataError("calls", found=f"a {type(calls).__name__}", mend=_MEND)
    for pair in pairs:
        if isinstance(pair, str) or not hasattr(pair, "__len__") or len(pair) != 2:
            raise DataError("calls", found=f"{pair!r} as an edge", mend=_MEND)
        graph.add_edge(str(pair[0]), str(pair[1]))
    return graph


def _of_frame(frame: pd.DataFrame) -> Any:
    """Edges of an adjacency frame (callers in rows), or of a frame of two columns."""
    rows, columns = list(map(str, frame.index)), list(map(str, frame.columns))
    if len(columns) and set(columns) <= set(rows):
        linked = frame.to_numpy(dtype=float) > 0
        found: dict[str, list[str]] = {row: [] for row in {**dict.fromkeys(rows)}}
        for row, links in zip(rows, linked, strict=True):
            found[row] += [columns[n] for n in links.nonzero()[0]]
        return found
    if len(columns) == 2:
        return list(frame.itertuples(index=False, name=None))
    raise DataError("calls", found=f"a frame with the columns {', '.join(columns[:6])}", mend=_MEND)


def _entries(graph: nx.DiGraph[str], entry: str | Iterable[str] | None) -> tuple[str, ...]:
    """Where load comes in: as given, or else the services that nobody calls."""
    import networkx as nx

    if entry is not None:
        given = (entry,) if isinstance(entry, str) else tuple(entry)
        for service in given:
            if service not in graph:
                raise UnknownNameError.among(service, graph, where="the call graph")
        return given
    whole = nx.condensation(graph)
    top = [whole.nodes[n]["members"] for n in whole if not whole.pred[n]]
    return tuple(sorted(min(members) for members in top))


def _depths(graph: nx.DiGraph[str], entries: tuple[str, ...]) -> dict[str, int]:
    depth: dict[str, int] = {}
    layer, level = list(entries), 0
    while layer:
        depth |= dict.fromkeys(layer, level)
        below = {callee for service in layer for callee in graph.succ[service]}
        layer, level = sorted(below - depth.keys()), level + 1
    return {service: depth.get(service, len(graph)) for service in graph}


def _joint(services: tuple[str, ...]) -> str:
    shown = sorted(services)
    more = f" + {len(shown) - 3} more" if len(shown) > 4 else ""
    return " + ".join(shown[:3] if more else shown) + more
