"""May a question across worlds be answered from what was observed?"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from causalsys.errors import EvidenceError, QueryError, UnknownNameError
from causalsys.identify.ancestral import Clash, Event, Factor, ancestral
from causalsys.identify.effect import Hedge, kernel
from causalsys.identify.known import inlined, never_apart
from causalsys.identify.mixed import Mixed, Names

__all__ = ["Determined", "Event", "Undetermined", "counterfactual"]


@dataclass(frozen=True)
class Determined:
    """The observed distribution and the graph settle the answer.

    Attributes:
        factors: What it is made of: P(outcome | given) is the sum of their product over all
            numbered values, divided by its own sum over the outcome. Of known equations, their
            inputs stand here.
        impossible: Whether the outcome contradicts what is given, so that the answer is zero.
    """

    factors: tuple[Factor, ...] = ()
    impossible: bool = False


@dataclass(frozen=True)
class Undetermined:
    """Models that agree on all that is observed answer differently.

    Attributes:
        kind: "two worlds" where mechanisms that share their noise are needed under two values of
            one variable at once; "hedge" where already the effect inside a district is not
            identified; "never apart" where known equations keep the data from showing it.
        variable: The mechanism that is needed twice, or the variable that has two values; of a
            hedge or a known equation, the last variable of the district.
        district: The variables that share latents with each other.
        reason: The same in words.
    """

    kind: Literal["two worlds", "hedge", "never apart"]
    variable: str
    district: Names
    reason: str


def counterfactual(
    graph: Mixed, *, outcome: Collection[Event], given: Collection[Event] = ()
) -> Determined | Undetermined:
    """Whether P(outcome | given) follows from the observed distribution, by the graph alone.

    Args:
        graph: The graph over the observed variables.
        outcome: The events asked for, in any worlds.
        given: What is known, in any worlds; each with its value.

    Raises:
        UnknownNameError: The graph has no such variable.
        EvidenceError: The events given exclude each other.
        QueryError: An event given has no value.

    The method is that of Correa, Lee and Bareinboim ("Nested Counterfactual Identification from
    Arbitrary Surrogate Experiments", NeurIPS 2021; "Counterfactual Transportability", ICML 2022),
    which is complete where no equation is known and no value is found by exclusion (seen to be
    neither of two, it must be the third). Observed probabilities are taken to be positive, but for
    what known equations rule out.

    Example:
        >>> bow = Mixed.of("xy", directed=[("x", "y")], bidirected=[("x", "y")])
        >>> treated = Event("x", {}, "x")
        >>> counterfactual(bow, outcome=[Event("y", {"x": "x'"})], given=[treated]).reason
        "x and y share latents, and are needed with x = x and with x = x' at once"
    """
    _check(graph, [*outcome, *given], given)
    if isinstance(clash := ancestral(graph, given), Clash):
        mend = "Leave out what cannot be, or name its values alike."
        raise EvidenceError(clash.variable, found="two values in one world", mend=mend)
    if isinstance(ancestral(graph, [*given, *outcome]), Clash):
        return Determined(impossible=True)
    # A known equation may be asked in as many worlds as one likes: only its inputs matter.
    asked = [each for event in outcome for each in _inputs(graph, event)]
    told = [tuple(_inputs(graph, event)) for event in given]
    seen = [each for events in told for each in events]
    plain = inlined(graph, keep={name for event in (*asked, *seen) for name in event.do})
    relevant = _relevant(plain, asked, told)
    above = _factors(plain, [*seen, *asked], relevant)
    below = _factors(plain, seen, relevant)
    for factor in (*above, *below):
        if factor in above and factor in below and not _summed(factor):
            continue  # It cancels.
        trouble = _two_worlds(plain, factor) or _kernel(plain, factor.district)
        if trouble:
            return trouble
    return Determined(above)


def _check(graph: Mixed, events: Iterable[Event], given: Iterable[Event]) -> None:
    for event in events:
        for name in (event.variable, *event.do):
            if name not in graph.parents:
                raise UnknownNameError.among(name, graph.nodes, where="the graph")
    for event in given:
        if event.value is None:
            raise QueryError(event.variable, found="no value given", mend="Give its label.")


def _relevant(graph: Mixed, outcome: Iterable[Event], given: Iterable[Collection[Event]]) -> Names:
    """The variables of all factors that the outcome cannot be parted from.

    Factors are tied by the values that are summed over in both, and by an equation whose value is
    given; any other value that is given ties nothing (ancestral components: Correa, Lee and
    Bareinboim, ICML 2022, section 5).
    """
    seen = [event for events in given for event in events]
    whole = ancestral(graph, [*seen, *(replace(event, value=None) for event in outcome)])
    assert not isinstance(whole, Clash)
    nothing: Names = frozenset()
    ties = [(factor.district, _summed(factor)) for factor in whole.factors]
    ties += [(nothing, {whole.values[e.variable, e.world] for e in events}) for events in given]
    reach = {whole.values[event.variable, event.world] for event in outcome}
    found: set[str] = set()
    while near := [tie for tie in ties if any(isinstance(v, int) for v in reach & tie[1])]:
        ties = [tie for tie in ties if tie not in near]
        for district, summed in near:
            found |= district
            reach |= summed
    return frozenset(found)


def _factors(graph: Mixed, events: Iterable[Event], relevant: Names) -> tuple[Factor, ...]:
    whole = ancestral(graph, events)
    assert not isinstance(whole, Clash)
    return tuple(factor for factor in whole.factors if factor.district <= relevant)


def _summed(factor: Factor) -> set[str | int]:
    return {v for values in factor.values.values() for v in values if isinstance(v, int)}


def _two_worlds(graph: Mixed, factor: Factor) -> Undetermined | None:
    """What is needed in two worlds at once, if anything is (an inconsistent ctf-factor)."""
    values = factor.values
    twice = [name for name in graph.nodes if len(values.get(name, ())) > 1]
    if not twice:
        return None
    variables = [term.variable for term in factor.terms]
    under = twice[0]
    settings = f"under different values of {under}"
    if all(isinstance(value, str) for value in values[under]):
        settings = " and ".join(f"with {under} = {value}" for value in values[under])
    again = [name for name in graph.nodes if variables.count(name) > 1]
    if again:
        words = f"the mechanism of {again[0]} is needed {settings} at once"
    else:
        tied = _listed(graph, factor.district)
        words = f"{tied} share latents, and are needed {settings} at once"
    return Undetermined("two worlds", (again or twice)[0], factor.district, words)


def _kernel(graph: Mixed, district: Names) -> Undetermined | None:
    """Why Q[district] does not follow from the observed distribution, if it does not."""
    found = kernel(graph, district)
    last = [name for name in graph.nodes if name in district][-1]
    if isinstance(found, Hedge):
        words = f"latents tie {_listed(graph, found.within)} to each other, and all act on {last}"
        return Undetermined("hedge", last, found.within, words)
    if fixed := never_apart(graph, found.formula):
        words = f"by known equations, no row has other combinations of {_listed(graph, fixed)}"
        return Undetermined("never apart", last, district, words)
    return None


def _listed(graph: Mixed, names: Names) -> str:
    *most, last = [name for name in graph.nodes if name in names]
    return f"{', '.join(most)} and {last}" if most else last


def _inputs(graph: Mixed, event: Event) -> Iterator[Event]:
    """The event; of a known equation, the values that it is computed from in that world."""
    known = event.variable in graph.known and not graph.siblings[event.variable]
    if not known or event.variable in event.do:
        yield event
        return
    for parent in sorted(graph.parents[event.variable] - event.do.keys()):
        yield from _inputs(graph, Event(parent, event.do))
