"""Counterfactual events as what response types must answer.

A conjunction of events in several worlds is a sum over the levels of all that causes them there.
Each summand asks every variable to answer some combinations of its causes with some levels; a
variable that meets the same causes in two worlds answers alike in both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from causalsys.identify.mixed import Mixed
from causalsys.identify.responses import Levels, Wants
from causalsys.scm.frozen import FrozenDict


@dataclass(frozen=True)
class Event:
    """A variable has a level, in the world as it is or under an intervention.

    Attributes:
        variable: The variable.
        level: The index of its level.
        do: What is set, to which levels; empty for the world as it is.
    """

    variable: str
    level: int
    do: Mapping[str, int] = field(default_factory=FrozenDict)


@dataclass(frozen=True)
class _Place:
    """A variable in a world, and what it must be there."""

    world: int
    name: str
    parents: tuple[str, ...]
    fixed: tuple[int, ...]


def unfold(graph: Mixed, cards: Mapping[str, int], events: Sequence[Event]) -> Iterator[Wants]:
    """The disjoint ways in which all events come about.

    Example:
        >>> bow = Mixed.of("xy", directed=["xy"], bidirected=["xy"])
        >>> ways = unfold(bow, {"x": 2, "y": 2}, [Event("x", 0), Event("y", 1, do={"x": 1})])
        >>> [sorted(way) for way in ways]
        [[('x', (), 0), ('y', (1,), 1)]]
    """
    worlds = list(dict.fromkeys(frozenset(event.do.items()) for event in events))
    wanted: dict[tuple[int, str], set[int]] = {}
    for event in events:
        at = worlds.index(frozenset(event.do.items()))
        wanted.setdefault((at, event.variable), set()).add(event.level)
    done = [dict(world) for world in worlds]
    for (at, name), levels in wanted.items():
        if len(levels | ({done[at][name]} if name in done[at] else set())) > 1:
            return
    reach = [
        graph.without_into(done[at]).ancestors([n for w, n in wanted if w == at])
        for at in range(len(worlds))
    ]
    places = [
        _Place(
            at,
            name,
            tuple(sorted(graph.parents[name])),
            tuple(wanted.get((at, name), range(cards[name]))),
        )
        for name in graph.nodes
        for at in range(len(worlds))
        if name in reach[at] and name not in done[at]
    ]
    yield from _ways(places, done, {})


def _ways(
    places: Sequence[_Place],
    values: Sequence[Mapping[str, int]],
    answers: Mapping[tuple[str, Levels], int],
) -> Iterator[Wants]:
    if not places:
        yield frozenset((name, levels, level) for (name, levels), level in answers.items())
        return
    place, rest = places[0], places[1:]
    key = place.name, tuple(values[place.world][cause] for cause in place.parents)
    for level in place.fixed:
        if answers.get(key, level) == level:
            world = {**values[place.world], place.name: level}
            others = [*values[: place.world], world, *values[place.world + 1 :]]
            yield from _ways(rest, others, {**answers, key: level})
