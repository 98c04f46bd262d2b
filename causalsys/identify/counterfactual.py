"""May a question across worlds be answered from what was observed?"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Literal

from causalsys.errors import EvidenceError, QueryError, UnknownNameError
from causalsys.identify.ancestral import Clash, Event, Factor, ancestral
from causalsys.identify.mixed import Mixed, Names

__all__ = ["Determined", "Event", "Undetermined", "counterfactual"]


@dataclass(frozen=True)
class Determined:
    """The observed distribution and the graph settle the answer.

    Attributes:
        factors: What it is made of: P(outcome | given) is the sum of their product over all
            numbered values, divided by its own sum over the outcome.
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
            identified.
        variable: The mechanism that is needed twice, or the variable that has two values; of a
            hedge, the last variable of the district.
        district: The variables that share latents with each other.
        reason: The same in words.
    """

    kind: Literal["two worlds", "hedge"]
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
    which is complete. Observed probabilities are taken to be positive, as always in this room.

    Example:
        >>> bow = Mixed.of("xy", directed=[("x", "y")], bidirected=[("x", "y")])
        >>> treated = Event("x", {}, "x")
        >>> counterfactual(bow, outcome=[Event("y", {"x": "x'"})], given=[treated]).reason
        "x and y share a latent, and are needed with x = x and with x = x' at once"
    """
    _check(graph, [*outcome, *given], given)
    evidence = ancestral(graph, given)
    if isinstance(evidence, Clash):
        mend = "Leave out what cannot be, or name its values alike."
        raise EvidenceError(evidence.variable, found="two values in one world", mend=mend)
    both = ancestral(graph, [*given, *outcome])
    if isinstance(both, Clash):
        return Determined(impossible=True)
    relevant = _relevant(graph, outcome, given)
    asked = tuple(factor for factor in both.factors if factor.district <= relevant)
    known = tuple(factor for factor in evidence.factors if factor.district <= relevant)
    for factor in (*asked, *known):
        trouble = _two_worlds(graph, factor) or _hedge(graph, factor.district)
        if trouble:
            return trouble
    return Determined(asked)


def _check(graph: Mixed, events: Iterable[Event], given: Iterable[Event]) -> None:
    for event in events:
        for name in (event.variable, *event.do):
            if name not in graph.parents:
                raise UnknownNameError.among(name, graph.nodes, where="the graph")
    for event in given:
        if event.value is None:
            raise QueryError(event.variable, found="no value given", mend="Give its label.")


def _relevant(graph: Mixed, outcome: Collection[Event], given: Collection[Event]) -> Names:
    """The variables of all factors that the outcome cannot be parted from.

    Factors are tied by the values that are summed over in both; what is given ties nothing
    (ancestral components: Correa, Lee and Bareinboim, ICML 2022, section 5).
    """
    whole = ancestral(graph, [*given, *(replace(event, value=None) for event in outcome)])
    if isinstance(whole, Clash):
        return frozenset()
    reach = {whole.values[event.variable, event.world] for event in outcome}
    found: set[str] = set()
    left = list(whole.factors)
    while near := [f for f in left if reach & _summed(f)]:
        left = [f for f in left if f not in near]
        for factor in near:
            found |= factor.district
            reach |= _summed(factor)
    return frozenset(found)


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
    settings = " and ".join(f"with {under} = {_shown(value)}" for value in values[under])
    again = [name for name in graph.nodes if variables.count(name) > 1]
    if again:
        words = f"the mechanism of {again[0]} is needed {settings} at once"
    else:
        ties = " and ".join(name for name in graph.nodes if name in factor.district)
        words = f"{ties} share a latent, and are needed {settings} at once"
    return Undetermined("two worlds", (again or twice)[0], factor.district, words)


def _shown(value: str | int) -> str:
    return value if isinstance(value, str) else "any value"


def _hedge(graph: Mixed, district: Names) -> Undetermined | None:
    """Why Q[district] does not follow from the observed distribution, if it does not.

    Tian's recursion (Tian and Pearl, "On the Identification of Causal Effects", 2003, figure 7).
    """
    inside = graph.district(next(iter(district)))
    while True:
        part = graph.keep(inside)
        upstream = part.ancestors(district)
        if upstream == district:
            return None
        if upstream == inside:
            break
        inside = part.keep(upstream).district(next(iter(district)))
    last = [name for name in graph.nodes if name in district][-1]
    shared = ", ".join(name for name in graph.nodes if name in inside)
    words = f"latents tie {shared} to each other, and all of them act on {last}"
    return Undetermined("hedge", last, inside, words)
