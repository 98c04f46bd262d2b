"""Known equations: what they let us leave out, and what the data can never show because of them.

Identification takes every combination of values to occur. Where a variable is a known function of
others, most do not: no table has a row with `m = f(x)` and another `x`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from causalsys.identify.formula import Formula, Probability, Product, Quotient, Sum
from causalsys.identify.mixed import Mixed, Names
from causalsys.scm.frozen import FrozenDict
from causalsys.scm.order import reached


def inlined(graph: Mixed, *, keep: Collection[str]) -> Mixed:
    """The graph without the known equations that nobody asks about, each put into its children.

    Functional elimination: Chen and Darwiche ("Identifying Causal Effects Under Functional
    Dependencies", UAI 2024).

    Example:
        >>> chain = Mixed.of("xmy", directed=[("x", "m"), ("m", "y")], known="m")
        >>> inlined(chain, keep="xy").parents["y"]
        frozenset({'x'})
    """
    gone = {name for name in graph.known.difference(keep) if not graph.siblings[name]}
    through = {name: graph.parents[name] for name in gone}
    parents = {
        name: frozenset(reached(graph.parents[name], through) - gone)
        for name in graph.nodes
        if name not in gone
    }
    kept = graph.keep(parents)
    return Mixed(kept.nodes, FrozenDict(parents), kept.siblings, kept.known)


def follows(graph: Mixed, names: Collection[str]) -> Names:
    """Those of `names` that known equations give from the others before them."""
    fixed = set(names)
    for name in graph.nodes:
        if name in graph.known and graph.parents[name] and graph.parents[name] <= fixed:
            fixed.add(name)
    return frozenset(n for n in names if n in graph.known and graph.parents[n] <= fixed)


def never_apart(graph: Mixed, formula: Formula) -> Names:
    """What a formula conditions on at values that known equations do not let occur together.

    Each equation that is conditioned on needs a source of its own that is not conditioned on as
    well; then all values may occur together, as far as the graph tells.

    Example:
        >>> from causalsys.identify.formula import P
        >>> chain = Mixed.of("xmy", directed=[("x", "m"), ("m", "y")], known="m")
        >>> sorted(never_apart(chain, P("y", "mx"))), sorted(never_apart(chain, P("y", "m")))
        (['m', 'x'], [])
    """
    if graph.known:
        for names in _conditions(formula):
            if not _vary(graph, names):
                return names
    return frozenset()


def _conditions(formula: Formula) -> Iterator[Names]:
    """The sets of variables on whose values a formula conditions."""
    match formula:
        case Probability(_, given):
            yield frozenset(given)
        case Product(factors):
            for factor in factors:
                yield from _conditions(factor)
        case Sum(_, body):
            yield from _conditions(body)
        case Quotient(above, below):
            yield below.free
            yield from _conditions(above)
            yield from _conditions(below)


def _vary(graph: Mixed, names: Names) -> bool:
    """Whether every equation among `names` has a source of its own (a matching, after Kuhn)."""
    through = {name: graph.parents[name] for name in graph.known}
    sources = {
        name: sorted(reached([name], through) - graph.known - names)
        for name in sorted(names & graph.known)
    }
    taken: dict[str, str] = {}

    def assign(name: str, tried: set[str]) -> bool:
        for source in sources[name]:
            if source not in tried:
                tried.add(source)
                if source not in taken or assign(taken[source], tried):
                    taken[source] = name
                    return True
        return False

    return all(assign(name, set()) for name in sources)
