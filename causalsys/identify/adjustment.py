"""The simplest sufficient way to an effect: adjust, or go through mediators, or else compute.

Adjustment by the complete criterion (Shpitser, VanderWeele and Robins, UAI 2010; constructed as by
van der Zander, Liskiewicz and Textor, 2019); the front door as Pearl states it (2009, section 3.3).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from itertools import combinations, islice

from causalsys.identify.conditional import check_given, conditional_effect
from causalsys.identify.cut import separator
from causalsys.identify.effect import WAYS, Hedge, Identified, Way, check, effect
from causalsys.identify.formula import P, product, total
from causalsys.identify.known import follows, inlined, never_apart
from causalsys.identify.mixed import Mixed, Names
from causalsys.scm.frozen import FrozenDict

FRONTDOORS = 500
"""How many sets are tried as a front door; without one, the general formula says the same."""


def identify_effect(
    graph: Mixed,
    *,
    outcome: Collection[str],
    do: Collection[str],
    given: Collection[str] = (),
) -> Identified | Hedge:
    """Whether P(outcome | do(do), given) is identified, by the simplest formula there is.

    Raises:
        UnknownNameError: A name is not in the graph.
        QueryError: No outcome, or a variable has two parts.

    Example:
        >>> front = Mixed.of("xmy", directed=[("x", "m"), ("m", "y")], bidirected=[("x", "y")])
        >>> found = identify_effect(front, outcome="y", do="x")
        >>> found.way, found.mediators, str(found.formula)
        ('frontdoor', ('m',), "Σ_m P(m | x) Σ_x' P(x') P(y | m, x')")
    """
    check_given(graph, outcome=outcome, do=do, given=given)
    seen = frozenset(given) - follows(graph, {*do, *given})
    full = list(_ways(graph, outcome, do, seen))
    short = inlined(graph, keep={*outcome, *do, *given})
    plain = list(_ways(short, outcome, do, seen)) if short.nodes != graph.nodes else []
    found = sorted((one for one in (*full, *plain) if isinstance(one, Identified)), key=_rank)
    for one in found:
        if not never_apart(graph, one.formula):
            return one
    if full and isinstance(full[0], Hedge):
        return full[0]
    if plain and isinstance(plain[0], Hedge):
        return plain[0]
    fixed = never_apart(graph, found[0].formula)
    return Hedge(found[0].kernels[-1], fixed, fixed)


def _rank(found: Identified) -> int:
    return WAYS.index(found.way)


def _ways(
    graph: Mixed, outcome: Collection[str], do: Collection[str], given: Collection[str]
) -> Iterator[Identified | Hedge]:
    """All that identifies the effect, simplest first; or else what stands in the way."""
    if given:
        found = conditional_effect(graph, outcome=outcome, do=do, given=given)
        if isinstance(found, Identified):
            yield from _conditional(graph, found, outcome, do, given)
        yield found
        return
    found = effect(graph, outcome=outcome, do=do)
    acting = sorted(_acting(graph, outcome, do))
    if isinstance(found, Hedge):
        yield found
    elif not acting:
        yield replace(found, formula=P(outcome), way="no effect")
    else:
        if (sets := backdoor(graph, outcome=outcome, do=acting)) is not None:
            formula = total(sets, product([P(sets), P(outcome, {*acting, *sets})]))
            way: Way = "backdoor" if sets else "no confounding"
            yield replace(found, formula=formula, way=way, adjustment=sets)
        if (sets := frontdoor(graph, outcome=outcome, do=acting)) is not None:
            inner = total(acting, product([P(acting), P(outcome, {*acting, *sets})]))
            formula = total(sets, product([P(sets, acting), inner]))
            yield replace(found, formula=formula, way="frontdoor", mediators=sets)
        yield found


def backdoor(
    graph: Mixed, *, outcome: Collection[str], do: Collection[str]
) -> tuple[str, ...] | None:
    """The smallest set to adjust for, ties by name; None if none suffices.

    Example:
        >>> door = Mixed.of("wxy", directed=[("w", "x"), ("w", "y"), ("x", "y")])
        >>> backdoor(door, outcome="y", do="x")
        ('w',)
    """
    check(graph, outcome=outcome, do=do)
    causal = _between(graph, outcome, do)
    parents = {
        name: causes.difference(do) if name in causal else causes
        for name, causes in graph.parents.items()
    }
    rest = Mixed(graph.nodes, FrozenDict(parents), graph.siblings, graph.known)
    allowed = frozenset(graph.nodes) - graph.descendants(causal)
    return separator(rest, do, outcome, allowed=allowed)


def frontdoor(
    graph: Mixed, *, outcome: Collection[str], do: Collection[str]
) -> tuple[str, ...] | None:
    """The smallest set of mediators that is a front door, ties by name; None if none is found.

    Example:
        >>> front = Mixed.of("xmy", directed=[("x", "m"), ("m", "y")], bidirected=[("x", "y")])
        >>> frontdoor(front, outcome="y", do="x")
        ('m',)
    """
    check(graph, outcome=outcome, do=do)
    back = graph.without_out_of(do)
    between = _between(graph, outcome, do).difference(outcome)
    candidates = [name for name in sorted(between) if back.m_separated(do, [name])]
    for sets in islice(_subsets(candidates), FRONTDOORS):
        if _carries(graph, sets, outcome, do) and _unconfounded(graph, sets, outcome, do):
            return sets
    return None


def _acting(graph: Mixed, outcome: Collection[str], do: Collection[str]) -> Names:
    """Those of `do` that act on the outcome while all of `do` is held."""
    return graph.without_into(do).ancestors(outcome).intersection(do)


def _between(graph: Mixed, outcome: Collection[str], do: Collection[str]) -> Names:
    """What lies on a causal path from `do` to `outcome` that leaves `do` for good."""
    held = graph.without_into(do)
    return (held.descendants(do) & graph.without_out_of(do).ancestors(outcome)).difference(do)


def _subsets(names: list[str]) -> Iterator[tuple[str, ...]]:
    for size in range(1, len(names) + 1):
        yield from combinations(names, size)


def _carries(
    graph: Mixed, sets: tuple[str, ...], outcome: Collection[str], do: Collection[str]
) -> bool:
    """Whether all that `do` does to the outcome goes through `sets`."""
    return not graph.without_out_of(sets).ancestors(outcome).intersection(do)


def _unconfounded(
    graph: Mixed, sets: tuple[str, ...], outcome: Collection[str], do: Collection[str]
) -> bool:
    """Whether adjusting for `do` gives what `sets` do to the outcome."""
    if graph.descendants(sets).intersection(do):
        return False
    return graph.without_out_of(sets).m_separated(sets, outcome, given=do)


def _conditional(
    graph: Mixed,
    found: Identified,
    outcome: Collection[str],
    do: Collection[str],
    given: Collection[str],
) -> Iterator[Identified]:
    """The same by the classical back-door criterion, where that holds with what is given."""
    after = graph.descendants(do)
    if after.intersection(given):
        return
    allowed = frozenset(graph.nodes).difference(after, outcome, given)
    back = graph.without_out_of(do)
    sets = separator(back, do, outcome, allowed=allowed, given=given)
    if sets is not None:
        formula = total(sets, product([P(sets, given), P(outcome, {*do, *sets, *given})]))
        way: Way = "backdoor" if sets else "no confounding"
        yield replace(found, formula=formula, way=way, adjustment=sets)
