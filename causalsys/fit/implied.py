"""The independences that a graph implies between variables that are logged.

Decided on the latent projection, over a window of as many steps as the longest lag.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from causalsys.identify.mixed import Mixed
from causalsys.identify.question import logged
from causalsys.scm.declaration import Declaration

_SELECTED = "(selected)"


@dataclass(frozen=True)
class Implied:
    """An independence that a graph implies.

    Attributes:
        variable: One of the two, in this step, and no cause of the other.
        other: The other one, with its lag: `load`, `load[-1]`.
        given: What makes them independent, with lags, in causal order.
    """

    variable: str
    other: str
    given: tuple[str, ...]


@dataclass(frozen=True)
class Window:
    """The points of a window of steps.

    Attributes:
        declaration: The model.
        mixed: The latent projection onto the logged variables of these steps; each point is
            named like a parent, `load` or `load[-1]`.
        places: Each point's variable and lag.
    """

    declaration: Declaration
    mixed: Mixed
    places: dict[str, tuple[str, int]]

    @classmethod
    def of(cls, declaration: Declaration) -> Window:
        """The window of a model; one step where it has no lags."""
        from causalsys.scm import past

        graph, told = declaration.graph, logged(declaration)
        order = {name: i for i, name in enumerate(graph.order)}
        unrolled = past.window(graph, graph.longest_lag)
        seen = [point for point in unrolled if isinstance(point[0], str) and point[0] in told]
        seen.sort(key=lambda p: (graph.per[p[0]] == "step", p[1], order[p[0]]))
        names = {point: key(point[0], -point[1]) for point in seen}
        directed: list[tuple[str, str]] = []
        bidirected: list[tuple[str, str]] = []
        for point in unrolled:
            effects = sorted(names[effect] for effect in _revealed(point, unrolled, names))
            if point in names:
                directed += [(names[point], effect) for effect in effects]
            else:
                bidirected += [(a, b) for a in effects for b in effects if a < b]
        nodes = [names[point] for point in seen]
        if declaration.selected:
            nodes.append(_SELECTED)
            directed += [(name, _SELECTED) for name in declaration.selected]
        mixed = Mixed.of(nodes, directed=directed, bidirected=bidirected)
        return cls(declaration, mixed, {names[p]: (p[0], -p[1]) for p in seen})

    @cached_property
    def always(self) -> frozenset[str]:
        """What is conditioned on whether one wants or not: that a row was logged."""
        return frozenset({_SELECTED} & set(self.mixed.nodes))

    def implied(self, usable: Collection[str]) -> tuple[Implied, ...]:
        """One independence for each pair that some set of usable variables separates.

        Args:
            usable: The variables whose columns can be tested and conditioned on.
        """
        nodes = self.declaration.nodes
        points = [p for p, (name, _) in self.places.items() if name in usable]
        found = []
        for point, (name, lag) in self.places.items():
            if lag or not nodes[name].learned:
                continue
            for other in points[: sum(p in points for p in self._before(point))]:
                one, two = (other, point) if self._sharper(other, point) else (point, other)
                given = self.separator(one, two, among=points)
                if given is not None and not self._follows(two, given):
                    found.append(Implied(one, two, given))
        return tuple(found)

    def separator(self, one: str, other: str, *, among: Collection[str]) -> tuple[str, ...] | None:
        """A set from which nothing can be left out, of causes of the two; None if there is none.

        The parents of `one`, where no latent acts on it. Else, if any set separates two variables,
        their ancestors do (Richardson and Spirtes, The Annals of Statistics, 2002); the causes
        of the later one are kept longest, since they leave least noise.
        """
        mixed, always = self.mixed, self.always
        if other in mixed.parents[one] | mixed.siblings[one] or one in mixed.parents[other]:
            return None
        if not mixed.siblings[one] and self.separates(one, other, mixed.parents[one]):
            return tuple(p for p in mixed.nodes if p in mixed.parents[one])
        causes = mixed.ancestors({one, other} | always) - {one, other} - always
        kept = [p for p in mixed.nodes if p in causes.intersection(among)]
        if not self.separates(one, other, kept):
            return None
        for point in tuple(kept):
            fewer = [p for p in kept if p != point]
            if self.separates(one, other, fewer):
                kept = fewer
        return tuple(kept)

    def separates(self, one: str, other: str, given: Collection[str]) -> bool:
        """Whether `given` makes two points independent, in rows that were logged."""
        return self.mixed.m_separated({one}, {other}, given={*given, *self.always})

    def _sharper(self, one: str, other: str) -> bool:
        """Whether `one`, by itself or given its parents, is the better one of two to test.

        Of two variables that neither cause the other, the noise of the one with more parents
        is the smaller one; under a latent there is none.
        """
        name, lag = self.places[one]
        mixed = self.mixed
        if lag or not self.declaration.nodes[name].learned or mixed.siblings[one]:
            return False
        if one in mixed.ancestors({other}):
            return False
        parents = len(mixed.parents[one]), len(mixed.parents[other])
        return bool(mixed.siblings[other]) or parents[0] > parents[1]

    def _before(self, point: str) -> tuple[str, ...]:
        return self.mixed.nodes[: self.mixed.nodes.index(point)]

    def _follows(self, point: str, given: Collection[str]) -> bool:
        """Whether a point is a known function of others, so that nothing of it is left to test."""
        return not self.declaration.nodes[self.places[point][0]].learned and set(given).issuperset(
            self.mixed.parents[point]
        )


def key(name: str, lag: int) -> str:
    """A variable some steps ago, named as a parent is."""
    return f"{name}[-{lag}]" if lag else name


def _revealed(point: Any, unrolled: Any, names: dict[Any, str]) -> set[Any]:
    """The logged points that a point acts on directly, or through points that are not logged."""
    found: set[Any] = set()
    waiting = [point]
    while waiting:
        for effect in unrolled.successors(waiting.pop()):
            if effect not in found:
                found.add(effect)
                if effect not in names:
                    waiting.append(effect)
    return {effect for effect in found if effect in names}
