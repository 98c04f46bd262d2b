"""Interventional questions: which effects the graph alone identifies, and by what formula.

Tian's method (Tian and Pearl, AAAI 2002; complete: Huang and Valtorta, AAAI 2006; Shpitser and
Pearl, AAAI 2006). An effect is a product of kernels Q[D](d | parents), the distribution of a set D
when all else is held, over the districts D of what still varies; it is identified if and only if
each of these kernels is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from causalsys.errors import QueryError, UnknownNameError
from causalsys.identify.formula import Formula, P, product, quotient, total
from causalsys.identify.mixed import Mixed, Names

Way: TypeAlias = Literal[
    "no effect", "no confounding", "backdoor", "frontdoor", "general ID", "conditional ID"
]
WAYS: tuple[Way, ...] = get_args(Way)
"""The simplest first."""


@dataclass(frozen=True)
class Identified:
    """The graph alone gives the answer from what is observed.

    Attributes:
        formula: How. What is asked for, held or given stands under its own name; a variable that
            is none of these and yet free may be held at any value.
        kernels: The districts whose mechanisms it puts together.
        way: What the field calls the argument.
        adjustment: The variables to adjust for, where that suffices.
        mediators: The variables that carry the whole effect, where it is found through them.
    """

    formula: Formula
    kernels: tuple[Names, ...]
    way: Way = "general ID"
    adjustment: tuple[str, ...] | None = None
    mediators: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Hedge:
    """What stands in the way: two models agree on all that is observed, and not on the answer.

    Attributes:
        district: The variables whose joint mechanism would be needed.
        within: These and others that latents tie to them, and that would have to be told apart;
            no fewer are in the way.
        fixed: Instead of latents, known equations may be in the way: what would have to vary
            independently, and never does; empty where latents are in the way.
    """

    district: Names
    within: Names
    fixed: Names = frozenset()


Factors = list[tuple[str, Formula]]
"""A kernel in causal order: each variable's distribution given all before it and what is held."""


def effect(graph: Mixed, *, outcome: Collection[str], do: Collection[str]) -> Identified | Hedge:
    """Whether P(outcome | do(do)) is identified; complete.

    Raises:
        UnknownNameError: A name is not in the graph.
        QueryError: No outcome, or a variable is both outcome and held.

    Example:
        >>> bow = Mixed.of("xy", directed=[("x", "y")], bidirected=[("x", "y")])
        >>> sorted(effect(bow, outcome="y", do="x").within)
        ['x', 'y']
        >>> door = Mixed.of("wxy", directed=[("w", "x"), ("w", "y"), ("x", "y")])
        >>> print(effect(door, outcome="y", do="x").formula)
        Σ_w P(w) P(y | w, x)
    """
    check(graph, outcome=outcome, do=do)
    varying = graph.keep(set(graph.nodes).difference(do)).ancestors(outcome)
    districts = graph.keep(varying).districts()
    found = []
    for district in districts:
        one = kernel(graph, district)
        if isinstance(one, Hedge):
            return one
        found.append(one.formula)
    return Identified(total(varying.difference(outcome), product(found)), districts)


def kernel(graph: Mixed, part: Names) -> Identified | Hedge:
    """Whether Q[part] is identified: the distribution of `part` when all else is held.

    Args:
        graph: The graph.
        part: Variables that form one district of their own subgraph.

    Example:
        >>> napkin = Mixed.of(
        ...     "wrxy",
        ...     directed=[("w", "r"), ("r", "x"), ("x", "y")],
        ...     bidirected=[("w", "x"), ("w", "y")],
        ... )
        >>> print(kernel(napkin, frozenset("y")).formula)
        [Σ_w P(w) P(x, y | r, w)] / [Σ_w P(w) P(x | r, w)]
    """
    # What is not an ancestor can be left out before anything is multiplied.
    whole = graph.keep(graph.ancestors(part))
    within = whole.district(min(part))
    factors = [(name, P([name], given)) for name, given in _pillows(whole, within)]
    while True:
        inside = whole.keep(within)
        above = inside.ancestors(part)
        if above == part:
            return Identified(_joint(factors, above), (part,))
        if above == within:
            return Hedge(part, _fewest(inside, part))
        within = inside.keep(above).district(min(part))
        factors = [(name, f) for name, f in _without(factors, above) if name in within]


def _fewest(graph: Mixed, part: Names) -> Names:
    """A part of a graph that is in the way of Q[part] already, where the whole graph is."""
    for name in graph.nodes:
        if name not in part:
            rest = graph.keep(set(graph.nodes) - {name})
            while True:
                tied = rest.keep(rest.district(min(part)))
                above = tied.keep(tied.ancestors(part))
                if above.nodes == rest.nodes:
                    break
                rest = above
            if len(rest.nodes) > len(part):
                return _fewest(rest, part)
    return frozenset(graph.nodes)


def check(graph: Mixed, *, outcome: Collection[str], do: Collection[str]) -> None:
    """Refuse names that are not there, no outcome at all, and a variable in two parts."""
    for name in (*outcome, *do):
        if name not in graph.parents:
            raise UnknownNameError.among(name, graph.nodes, where="the graph")
    if not outcome:
        raise QueryError("outcome", found="none is named", mend="Name what you ask about.")
    for name in sorted(set(outcome).intersection(do)):
        found = "it is asked about and held at once"
        raise QueryError(name, found=found, mend="Take it out of one of the two.")


def _pillows(graph: Mixed, district: Names) -> Iterator[tuple[str, Names]]:
    """Each variable of a district, and what it depends on among all that comes before it."""
    for at, name in enumerate(graph.nodes):
        if name in district:
            before = graph.keep(graph.nodes[: at + 1])
            tied = before.district(name)
            yield name, tied.union(*(graph.parents[other] for other in tied)) - {name}


def _joint(factors: Sequence[tuple[str, Formula]], kept: Names) -> Formula:
    """The kernel of `kept`: the rest is summed over, and what follows the last of it left out."""
    last = max(at for at, (name, _) in enumerate(factors) if name in kept)
    used = factors[: last + 1]
    gone = {name for name, _ in used} - kept
    return total(gone, product(factor for _, factor in used))


def _without(factors: Factors, kept: Names) -> Factors:
    """The kernel of `kept`, again factor by factor."""
    found: Factors = []
    gone = False
    for at, (name, factor) in enumerate(factors):
        if name not in kept:
            gone = True
        elif not gone:
            found.append((name, factor))
        else:
            upto = factors[: at + 1]
            before = kept - {name}
            below = _joint(upto, before) if before & {n for n, _ in upto} else None
            above = _joint(upto, kept)
            found.append((name, above if below is None else quotient(above, below)))
    return found
