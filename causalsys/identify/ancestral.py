"""Counterfactual events, written as factors over the districts of the graph.

The probability of events in several worlds is a sum of products of factors, one to a district, in
which every variable stands under values of its own parents (Correa, Lee and Bareinboim, "Nested
Counterfactual Identification from Arbitrary Surrogate Experiments", NeurIPS 2021, section 3).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count

from causalsys.identify.mixed import Mixed, Names
from causalsys.scm.frozen import FrozenDict
from causalsys.scm.order import reached

Value = str | int
"""A label, or the number of a value that is summed over."""
World = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Event:
    """That a variable has a value in some world: W_t = w.

    Attributes:
        variable: The variable W.
        do: What that world sets, by label; nothing for the world that was seen. Within a variable,
            equal labels are equal values and other labels are other values.
        value: The label of its value; None asks for its whole distribution.

    Example:
        >>> print(Event("y", {"x": "x'"}, "y"))
        y[x=x'] = y
    """

    variable: str
    do: Mapping[str, str] = field(default_factory=FrozenDict)
    value: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "do", FrozenDict(self.do))

    @property
    def world(self) -> World:
        """What is set, in a form that can be looked up."""
        return frozenset(self.do.items())

    def __str__(self) -> str:
        done = ", ".join(f"{name}={label}" for name, label in sorted(self.do.items()))
        term = f"{self.variable}[{done}]" if done else self.variable
        return term if self.value is None else f"{term} = {self.value}"


@dataclass(frozen=True)
class Term:
    """A variable under values of all its parents, and the value that it takes there."""

    variable: str
    parents: Mapping[str, Value]
    value: Value


@dataclass(frozen=True)
class Factor:
    """The terms whose variables share latents: P of all of them at once."""

    district: Names
    terms: tuple[Term, ...]

    @property
    def values(self) -> dict[str, list[Value]]:
        """The values under which each variable stands here, those of parents among them."""
        found: dict[str, list[Value]] = {}
        for term in self.terms:
            for name, value in [*term.parents.items(), (term.variable, term.value)]:
                held = found.setdefault(name, [])
                if value not in held:
                    held.append(value)
        return found


@dataclass(frozen=True)
class Clash:
    """A variable that would need two values at once: the events exclude each other."""

    variable: str


@dataclass(frozen=True)
class Ancestral:
    """All that some events depend on.

    Attributes:
        factors: One to a district of the variables concerned, in causal order.
        values: What each variable concerned is in each world.
    """

    factors: tuple[Factor, ...]
    values: Mapping[tuple[str, World], Value]


def ancestral(graph: Mixed, events: Iterable[Event]) -> Ancestral | Clash:
    """The events and their ancestors in every world, as factors.

    Where the parents of a variable have the same values in two worlds, so has the variable, and
    it is one term (Shpitser and Pearl, "What Counterfactuals Can Be Tested", UAI 2007, lemma 24);
    in causal order that also leaves out what a world sets without an effect.

    Returns:
        The factors; or the variable that would need two values at once.
    """
    asked = _by_world(events)
    if isinstance(asked, Clash):
        return asked
    needed = {
        world: reached(seen, {n: p - dict(world).keys() for n, p in graph.parents.items()})
        for world, seen in asked.items()
    }
    held: dict[tuple[str, World], Value] = {
        (name, world): label for world in asked for name, label in world
    }
    fresh = count()
    terms: list[Term] = []
    for name in graph.nodes:
        alike: dict[tuple[tuple[str, Value], ...], list[World]] = {}
        for world in asked:
            if name in needed[world]:
                setting = tuple((p, held[p, world]) for p in sorted(graph.parents[name]))
                alike.setdefault(setting, []).append(world)
        for setting, worlds in alike.items():
            labels = {label for world in worlds if (label := asked[world].get(name)) is not None}
            if len(labels) > 1:
                return Clash(name)
            value: Value = labels.pop() if labels else next(fresh)
            held.update(((name, world), value) for world in worlds)
            terms.append(Term(name, FrozenDict(setting), value))
    districts = graph.keep({term.variable for term in terms}).districts()
    factors = (Factor(d, tuple(t for t in terms if t.variable in d)) for d in districts)
    return Ancestral(tuple(factors), FrozenDict(held))


def _by_world(events: Iterable[Event]) -> dict[World, dict[str, str | None]] | Clash:
    """The labels asked for in each world, of what it does not set."""
    found: dict[World, dict[str, str | None]] = {}
    for event in events:
        name = event.variable
        labels = found.setdefault(event.world, {})
        held = event.do.get(name, labels.get(name))
        if None not in (held, event.value) and held != event.value:
            return Clash(name)
        if name not in event.do:
            labels[name] = held if event.value is None else event.value
    return found
