"""What would mend a graph that the data reject: an edge, or a latent that two variables share.

An addition mends an independence that failed if the graph with it no longer implies that one.
Additions are taken one by one, each time the one that mends most of what still fails, less what
it would undo of the independences that hold (a greedy cover).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, permutations

from causalsys.fit.implied import Implied, Window, key
from causalsys.identify.mixed import Mixed

_MOST = 4
"""The most alternatives that are told in words."""


@dataclass(frozen=True, order=True)
class Addition:
    """An edge, or a latent that acts on two variables.

    Attributes:
        latent: Whether it is a latent.
        cause: The cause; of a latent the first of the two.
        effect: The effect; of a latent the second of the two.
        lag: How many steps later the effect comes.
    """

    latent: bool
    cause: str
    effect: str
    lag: int = 0

    def __str__(self) -> str:
        if self.latent:
            return f"a latent that acts on {self.cause} and {self.effect}"
        return f"the edge {key(self.cause, self.lag)} -> {self.effect}"


@dataclass(frozen=True)
class Mend:
    """Additions of which any one would do.

    Attributes:
        alternatives: The additions, the plainest first. The tests cannot choose among them.
        tests: The rejected independences (variable, other) that each of them mends.
        undoes: How many independences that hold each of them would no longer imply.
    """

    alternatives: tuple[Addition, ...]
    tests: tuple[tuple[str, str], ...]
    undoes: int

    def __str__(self) -> str:
        told = [str(addition) for addition in self.alternatives[:_MOST]]
        first = self.alternatives[0]
        both = replace(first, latent=True, lag=0)
        if not first.latent and not first.lag and _ordered(both) in self.alternatives[1:_MOST]:
            told.remove(str(_ordered(both)))
            told.insert(1, "a latent that acts on both")
        more = len(self.alternatives) - _MOST
        return f"add {', or '.join(told)}" + (f", or one of {more} others" if more > 0 else "")


def candidates(window: Window) -> Iterator[Addition]:
    """Every single addition that keeps the model a model, edges first."""
    declaration, graph = window.declaration, window.declaration.graph
    logged = [name for name in graph.order if graph.kinds[name] != "latent"]
    free = [n for n in logged if declaration.nodes[n].learned and graph.kinds[n] != "arm"]
    for lag in range(graph.longest_lag + 1):
        for cause, effect in sorted([*permutations(logged, 2), *((n, n) for n in logged if lag)]):
            if effect not in free or key(cause, lag) in window.mixed.parents[effect]:
                continue
            traced = graph.per[cause] == "trace"
            if (lag and traced) or (graph.per[effect] == "trace" and not traced):
                continue
            if lag or cause not in graph.descendants(effect):
                yield Addition(False, cause, effect, lag)
    for one, other in combinations(sorted(free), 2):
        if other not in window.mixed.siblings[one]:
            yield Addition(True, one, other)


def added(window: Window, addition: Addition) -> Window:
    """The window of the model with an addition, in all of its steps."""
    mixed, places = window.mixed, window.places
    points = {place: point for point, place in places.items()}
    directed = {name: set(causes) for name, causes in mixed.parents.items()}
    siblings = {name: set(ties) for name, ties in mixed.siblings.items()}
    for (name, lag), point in points.items():
        if name != addition.effect:
            continue
        trace = (
            (addition.cause, 0) if window.declaration.graph.per[addition.cause] == "trace" else None
        )
        cause = points.get(trace or (addition.cause, lag + addition.lag))
        if cause is None:
            continue
        if addition.latent:
            siblings[point].add(cause)
            siblings[cause].add(point)
        else:
            directed[point].add(cause)
    grown = Mixed.of(
        mixed.nodes,
        directed=[(cause, effect) for effect, causes in directed.items() for cause in causes],
        bidirected=[(one, other) for one, ties in siblings.items() for other in ties],
    )
    return replace(window, mixed=grown)


def mends_of(window: Window, test: Implied) -> tuple[Addition, ...]:
    """Every single addition that mends one independence, that of its own pair first."""
    found = [
        addition for addition in candidates(window) if not _holds(test, added(window, addition))
    ]
    return tuple(sorted(found, key=lambda addition: _plainness(addition, [test])))


def mends(window: Window, rejected: Sequence[Implied], held: Sequence[Implied]) -> tuple[Mend, ...]:
    """A few additions that together mend all that was rejected and can be mended.

    Args:
        window: The graph.
        rejected: The independences that failed, the plainest failure first.
        held: Those that did not, and not nearly.
    """
    left, kept, found = list(rejected), list(held), list[Mend]()
    while left:
        best: tuple[int, int] | None = None
        ties: dict[Addition, list[Implied]] = {}
        for addition in candidates(window):
            grown = added(window, addition)
            cured = [test for test in left if not _holds(test, grown)]
            if not cured:
                continue
            undone = sum(not _holds(test, grown) for test in kept)
            score = (len(cured), -undone)
            if best is None or score > best:
                best, ties = score, {}
            if score == best:
                ties[addition] = cured
        if best is None:
            break
        order = sorted(ties, key=lambda addition: _plainness(addition, ties[addition]))
        first = order[0]
        same = tuple(addition for addition in order if ties[addition] == ties[first])
        tests = tuple((test.variable, test.other) for test in ties[first])
        found.append(Mend(same, tests, -best[1]))
        window = added(window, first)
        left = [test for test in left if test not in ties[first]]
        kept = [test for test in kept if _holds(test, window)]
    return tuple(found)


def _holds(test: Implied, window: Window) -> bool:
    """Whether the graph of a window still implies an independence."""
    return window.separates(test.variable, test.other, test.given)


def _plainness(addition: Addition, tests: Sequence[Implied]) -> tuple[int, Addition]:
    """Additions between the two variables of an early test come first, edges before latents."""
    own = {addition.effect, key(addition.cause, addition.lag)}
    places = [place for place, test in enumerate(tests) if {test.variable, test.other} == own]
    return min(places, default=len(tests)), addition


def _ordered(addition: Addition) -> Addition:
    cause, effect = sorted((addition.cause, addition.effect))
    return replace(addition, cause=cause, effect=effect)
