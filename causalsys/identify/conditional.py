"""Interventional questions about part of the population: those in which something is seen.

The method is IDC (Shpitser and Pearl, UAI 2006). What is seen may as well be done where it tells of
the outcome only by what it causes; then the rest is a quotient of two effects.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from causalsys.errors import QueryError, UnknownNameError
from causalsys.identify.effect import Hedge, Identified, check, effect
from causalsys.identify.formula import quotient, total
from causalsys.identify.mixed import Mixed


def conditional_effect(
    graph: Mixed, *, outcome: Collection[str], do: Collection[str], given: Collection[str]
) -> Identified | Hedge:
    """Whether P(outcome | do(do), given) is identified; complete.

    Raises:
        UnknownNameError: A name is not in the graph.
        QueryError: No outcome, or a variable has two parts.

    Example:
        >>> iv = Mixed.of("zxy", directed=[("z", "x"), ("x", "y")], bidirected=[("z", "y")])
        >>> print(conditional_effect(iv, outcome="y", do="x", given="z").formula)
        P(y | x, z)
    """
    check_given(graph, outcome=outcome, do=do, given=given)
    held, seen = moved(graph, outcome=outcome, do=do, given=given)
    found = effect(graph, outcome={*outcome, *seen}, do=held)
    if isinstance(found, Hedge):
        return found
    formula = quotient(found.formula, total(outcome, found.formula)) if seen else found.formula
    return replace(found, formula=formula, way="conditional ID")


def moved(
    graph: Mixed, *, outcome: Collection[str], do: Collection[str], given: Collection[str]
) -> tuple[frozenset[str], frozenset[str]]:
    """What may be held, of what is held or given, and what only be given: do-calculus, rule 2.

    There is one largest such set (Shpitser and Pearl, 2006, theorem 6), so the order is free.
    """
    held, seen = frozenset(do), frozenset(given)
    for name in graph.nodes:
        if name in seen:
            cut = graph.without_into(held).without_out_of([name])
            if cut.m_separated(outcome, [name], given=held | seen - {name}):
                return moved(graph, outcome=outcome, do=held | {name}, given=seen - {name})
    return held, seen


def check_given(
    graph: Mixed, *, outcome: Collection[str], do: Collection[str], given: Collection[str]
) -> None:
    """Refuse names that are not there, no outcome at all, and a variable with two parts."""
    check(graph, outcome=outcome, do=do)
    for name in given:
        if name not in graph.parents:
            raise UnknownNameError.among(name, graph.nodes, where="the graph")
    for name in sorted({*outcome, *do}.intersection(given)):
        found = "it is given, and asked about or held as well"
        raise QueryError(name, found=found, mend="Take it out of one of the two.")
