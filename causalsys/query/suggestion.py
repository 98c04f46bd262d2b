"""What a user knows of a graph, and what data suggest beyond it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from causalsys.errors import CycleError, QueryError, UnknownNameError
from causalsys.scm.order import causal_order, some_cycle

if TYPE_CHECKING:
    import networkx as nx

Edge = tuple[str, str]


@dataclass(frozen=True)
class Known:
    """What is known of a causal graph before any data.

    Args:
        edges: Edges (cause, effect) that there are.
        forbidden: Edges (cause, effect) that there are not.
        order: Groups of variables: none acts on a variable of an earlier group. Variables that
            no group has may stand anywhere.

    Example:
        >>> Known(edges=[("load", "latency")], order=[["load"], ["latency", "errors"]]).after(
        ...     "errors", "load"
        ... )
        True
    """

    edges: Collection[Edge] = ()
    forbidden: Collection[Edge] = ()
    order: Collection[Collection[str]] = ()

    def __post_init__(self) -> None:
        for name in ("edges", "forbidden"):
            object.__setattr__(self, name, _pairs(getattr(self, name), name))
        if isinstance(self.order, str) or any(isinstance(group, str) for group in self.order):
            raise QueryError(
                "order", found=repr(self.order), mend='Give groups: order=[["load"], ["latency"]].'
            )
        object.__setattr__(self, "order", tuple(tuple(group) for group in self.order))

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Known:
        """Knowledge from a mapping with the names of the arguments."""
        names = [item.name for item in fields(cls)]
        if not isinstance(given, Mapping):
            raise QueryError("known", found=repr(given), mend="Give cs.Known(edges=[...]).")
        for name in given:
            if name not in names:
                raise UnknownNameError.among(name, names, where="what can be known of a graph")
        return cls(**given)

    def check(self, names: Collection[str]) -> None:
        """Refuse what cannot be true of a graph over these variables.

        Raises:
            UnknownNameError: A name is not among them.
            CycleError: The edges form a cycle.
            QueryError: Edges and order contradict each other.
        """
        listed = [name for group in self.order for name in group]
        for name in (*(n for edge in (*self.edges, *self.forbidden) for n in edge), *listed):
            if name not in names:
                raise UnknownNameError.among(name, names, where="the data")
        for name in listed:
            if listed.count(name) > 1:
                raise QueryError(name, found="twice in the order", mend="Name it once.")
        causes = {name: [c for c, e in self.edges if e == name] for name in names}
        if causal_order(causes) is None:
            cycle = some_cycle(causes)
            raise CycleError(
                cycle[0],
                found="a cycle of known edges: " + " → ".join([*cycle, cycle[0]]),
                mend="Drop one of them.",
            )
        for cause, effect in self.edges:
            if (cause, effect) in self.forbidden:
                raise QueryError(
                    effect, found=f"{cause} → {effect} both known and forbidden", mend="Choose one."
                )
            if self.after(cause, effect):
                raise QueryError(
                    effect,
                    found=f"{cause} → {effect} known, but {cause} in a later group of the order",
                    mend="Drop the edge, or change the order.",
                )

    def after(self, one: str, other: str) -> bool:
        """Whether the order puts `one` after `other`."""
        place = {name: i for i, group in enumerate(self.order) for name in group}
        return one in place and other in place and place[one] > place[other]

    def joins(self, one: str, other: str) -> bool:
        """Whether there is an edge between two variables."""
        return (one, other) in self.edges or (other, one) in self.edges

    def bars(self, cause: str, effect: str) -> bool:
        """Whether there cannot be this edge."""
        reverse = (effect, cause) in self.edges
        return reverse or (cause, effect) in self.forbidden or self.after(cause, effect)

    def parts(self, one: str, other: str) -> bool:
        """Whether there cannot be an edge between two variables."""
        return self.bars(one, other) and self.bars(other, one)


@dataclass(frozen=True)
class Suggestion:
    """A graph that data suggest. It is a suggestion and not a finding.

    Attributes:
        nodes: The variables.
        directed: Edges (cause, effect), sorted.
        undirected: Edges whose direction is open, each in alphabetical order.
        known: What the user said.
        test: Which test of independence was used.
        level: Its level.
        rows: How many rows were tested.
    """

    nodes: tuple[str, ...]
    directed: tuple[Edge, ...]
    undirected: tuple[Edge, ...]
    known: Known
    test: str
    level: float
    rows: int

    @property
    def suggested(self) -> tuple[Edge, ...]:
        """The directed edges that do not come from the user."""
        return tuple(edge for edge in self.directed if edge not in self.known.edges)

    @property
    def edges(self) -> list[Edge]:
        """All edges, as `SCM.from_graph` takes them.

        Raises:
            QueryError: The direction of some is open.
        """
        if self.undirected:
            one, other = self.undirected[0]
            raise QueryError(
                f"{one}, {other}",
                found=f"{len(self.undirected)} edges of the suggestion with an open direction",
                mend=f'Decide, for example known=cs.Known(edges=[("{one}", "{other}")]), '
                "and ask again.",
            )
        return list(self.directed)

    def to_networkx(self) -> nx.DiGraph[str]:
        """A graph whose edges say where they come from, by the attribute `source`.

        It is "user" or "data"; an open direction is a pair of edges, both with `open=True`.
        """
        import networkx as nx

        graph: nx.DiGraph[str] = nx.DiGraph(suggestion=True)
        graph.add_nodes_from(self.nodes)
        for edge in self.directed:
            source = "user" if edge in self.known.edges else "data"
            graph.add_edge(*edge, source=source, open=False)
        for one, other in self.undirected:
            graph.add_edge(one, other, source="data", open=True)
            graph.add_edge(other, one, source="data", open=True)
        return graph

    def __str__(self) -> str:
        lines = [
            f"A suggestion, not a finding: from {self.rows} rows, at a level of {self.level:g} of "
            f"the {self.test}, if no latent acts on two of the variables",
            *_listed("from you", [f"{a} -> {b}" for a, b in self.known.edges]),
            *_listed("from the data", [f"{a} -> {b}" for a, b in self.suggested]),
            *_listed("direction open", [f"{a} -- {b}" for a, b in self.undirected]),
        ]
        joined = {name for edge in (*self.directed, *self.undirected) for name in edge}
        return "\n".join([*lines, *_listed("alone", [n for n in self.nodes if n not in joined])])


def _listed(title: str, found: Iterable[str]) -> list[str]:
    told = ", ".join(found)
    return [f"  {title}: {told}"] if told else []


def _pairs(given: Any, name: str) -> tuple[Edge, ...]:
    found = []
    for edge in given:
        pair = () if isinstance(edge, str) else tuple(edge)
        if len(pair) != 2 or pair[0] == pair[1] or not all(isinstance(n, str) for n in pair):
            raise QueryError(name, found=repr(edge), mend='Give pairs: [("load", "latency")].')
        found.append((pair[0], pair[1]))
    return tuple(sorted(set(found)))
