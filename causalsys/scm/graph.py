"""The causal graph: who causes whom, and what follows from that alone.

Pure structure: no data, no parameters. A graph with lagged edges is answered by unrolling it
over the steps in question, with what came before projected out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

from causalsys.errors import QueryError, UnknownNameError
from causalsys.scm import past
from causalsys.scm.order import parts, reached
from causalsys.scm.variables import Kind, Per

if TYPE_CHECKING:
    import networkx as nx

At = tuple[str, int]
"""A variable at a step; step 0 is now, -1 the step before."""


@dataclass(frozen=True)
class Edge:
    """A cause and its effect; `lag` is how many steps the effect comes later."""

    cause: str
    effect: str
    lag: int = 0


@dataclass(frozen=True)
class Projection:
    """A mixed graph over the observed variables, with the latents projected out.

    Attributes:
        nodes: The observed variables, in causal order.
        directed: Pairs (cause, effect), directly or through latents only.
        bidirected: Pairs that share a latent cause, each in alphabetical order.
    """

    nodes: tuple[str, ...]
    directed: frozenset[tuple[str, str]]
    bidirected: frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Graph:
    """A causal graph.

    Attributes:
        name: The model's name.
        kinds: Each variable's kind, in a causal order of one step.
        per: Whether a variable belongs to a step or to a whole trace.
        edges: All edges, within a step (lag 0) and from earlier steps.
    """

    name: str
    kinds: dict[str, Kind]
    per: dict[str, Per]
    edges: tuple[Edge, ...]

    @cached_property
    def within(self) -> nx.DiGraph[str]:
        """The edges inside one step, as a networkx graph."""
        import networkx as nx

        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_nodes_from(self.kinds)
        graph.add_edges_from((e.cause, e.effect) for e in self.edges if e.lag == 0)
        return graph

    @property
    def order(self) -> tuple[str, ...]:
        """The variables in a causal order, ties by name."""
        return tuple(self.kinds)

    @property
    def latents(self) -> tuple[str, ...]:
        """The latent variables."""
        return tuple(v for v, kind in self.kinds.items() if kind == "latent")

    @property
    def observed(self) -> tuple[str, ...]:
        """The variables that are not latent."""
        return tuple(v for v, kind in self.kinds.items() if kind != "latent")

    @property
    def longest_lag(self) -> int:
        """The longest lag of any edge; 0 for a model of independent rows."""
        return max((edge.lag for edge in self.edges), default=0)

    def parents(self, name: str) -> tuple[str, ...]:
        """The causes of `name` within the step, sorted by name."""
        return tuple(sorted(self._causes.get(self._known(name), ())))

    def children(self, name: str) -> tuple[str, ...]:
        """The effects of `name` within the step, sorted by name."""
        return tuple(sorted(self._effects.get(self._known(name), ())))

    def ancestors(self, name: str) -> frozenset[str]:
        """All causes of `name` within the step, without `name`."""
        return frozenset(reached([self._known(name)], self._causes) - {name})

    def descendants(self, name: str) -> frozenset[str]:
        """All effects of `name` within the step, without `name`."""
        return frozenset(reached([self._known(name)], self._effects) - {name})

    def d_separated(
        self,
        x: str | At | Collection[str | At],
        y: str | At | Collection[str | At],
        *,
        given: str | At | Collection[str | At] = (),
    ) -> bool:
        """Whether the graph makes `x` and `y` independent given `given`.

        Args:
            x: A variable, a pair (variable, step) such as `("load", -1)`, or several.
            y: As `x`.
            given: As `x`; may be empty.

        Raises:
            UnknownNameError: A name that the graph does not have.
            QueryError: The sets overlap, or name a step in the future.

        Example:
            >>> import causalsys as cs
            >>> class Chain(cs.SCM):
            ...     a = cs.Observed(cs.Real())
            ...     b = cs.Observed(cs.Real(), parents=[a])
            ...     c = cs.Observed(cs.Real(), parents=[b])
            >>> Chain.graph.d_separated("a", "c"), Chain.graph.d_separated("a", "c", given="b")
            (False, True)
        """
        import networkx as nx

        left, right, known = (self._points(points) for points in (x, y, given))
        if left & right or left & known or right & known:
            shared = (left & right) | (left & known) | (right & known)
            raise QueryError(
                str(sorted(shared)[0][0]),
                found="in more than one of the sets of the independence",
                mend="Give three sets that do not overlap.",
            )
        back = -min(step for _, step in left | right | known)
        return bool(nx.is_d_separator(past.window(self, back), left, right, known))

    def unrolled(self, steps: int) -> nx.DiGraph[At]:
        """The graph over `steps` steps, the last one numbered 0; traces' variables once."""
        import networkx as nx

        graph: nx.DiGraph[At] = nx.DiGraph()
        for step in range(1 - steps, 1):
            graph.add_nodes_from(self._at(name, step) for name in self.kinds)
            graph.add_edges_from(
                (self._at(edge.cause, step - edge.lag), self._at(edge.effect, step))
                for edge in self.edges
                if step - edge.lag > -steps or self.per[edge.cause] == "trace"
            )
        return graph

    @cached_property
    def ties(self) -> frozenset[past.Tie]:
        """Which variables of nearby steps share a cause, at whatever step; see `past.ties`."""
        return past.ties(self)

    def districts(self) -> tuple[frozenset[str], ...]:
        """The c-components: observed variables tied by shared latents, in causal order.

        A latent also ties what it acts on at different lags: the same draw reaches both.
        """
        ties = [
            tie
            for latent in self.latents
            for tie in pairwise(sorted(self._through_latents(latent, self.edges)))
        ]
        return tuple(frozenset(part) for part in parts(self.observed, ties))

    def projection(self) -> Projection:
        """The latent projection of one step onto the observed variables (Verma, 1993)."""
        directed: set[tuple[str, str]] = set()
        bidirected: set[tuple[str, str]] = set()
        within = [edge for edge in self.edges if edge.lag == 0]
        for name in self.order:
            reached = sorted(self._through_latents(name, within))
            if self.kinds[name] == "latent":
                bidirected |= {(a, b) for a in reached for b in reached if a < b}
            else:
                directed |= {(name, effect) for effect in reached}
        return Projection(self.observed, frozenset(directed), frozenset(bidirected))

    @cached_property
    def _causes(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for edge in self.edges:
            if edge.lag == 0:
                found.setdefault(edge.effect, []).append(edge.cause)
        return found

    @cached_property
    def _effects(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for edge in self.edges:
            if edge.lag == 0:
                found.setdefault(edge.cause, []).append(edge.effect)
        return found

    def _through_latents(self, name: str, edges: Iterable[Edge]) -> set[str]:
        """The observed variables reached from `name` along directed paths of latents only."""
        effects: dict[str, list[str]] = {}
        for edge in edges:
            effects.setdefault(edge.cause, []).append(edge.effect)
        reached: set[str] = set()
        waiting = [name]
        while waiting:
            new = [effect for effect in effects.get(waiting.pop(), ()) if effect not in reached]
            reached.update(new)
            waiting += [effect for effect in new if self.kinds[effect] == "latent"]
        return {effect for effect in reached if self.kinds[effect] != "latent"}

    def _at(self, name: str, step: int) -> At:
        return (name, 0 if self.per[name] == "trace" else step)

    def _known(self, name: str) -> str:
        if name not in self.kinds:
            raise UnknownNameError.among(name, self.kinds, where=f"the graph of {self.name}")
        return name

    def _points(self, points: str | At | Collection[str | At]) -> set[At]:
        if isinstance(points, str):
            return {(self._known(points), 0)}
        if isinstance(points, tuple) and len(points) == 2 and isinstance(points[1], int):
            if points[1] > 0:
                raise QueryError(
                    str(points[0]),
                    found=f"the step {points[1]}",
                    mend="Count steps back from now: 0, -1, -2.",
                )
            return {self._at(self._known(str(points[0])), points[1])}
        singles: Iterable[str | At] = points
        return set().union(*(self._points(single) for single in singles))
