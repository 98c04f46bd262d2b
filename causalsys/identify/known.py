"""Known equations: what they let us leave out, and what the data can never show because of them.

Identification takes every combination of values to occur. Where a variable is a known function of
others, most do not: no table has a row with `m = f(x)` and another `x`.
"""

from __future__ import annotations

from collections.abc import Collection

from causalsys.identify.cut import disjoint_paths
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

    What is weighed by the probability of values that never occur is of no account.

    Example:
        >>> from causalsys.identify.formula import P
        >>> chain = Mixed.of("xmy", directed=[("x", "m"), ("m", "y")], known="m")
        >>> sorted(never_apart(chain, P("y", "mx"))), sorted(never_apart(chain, P("y", "m")))
        (['m', 'x'], [])
    """
    none: Names = frozenset()
    return _gap(graph, formula, none) if graph.known else none


def _gap(graph: Mixed, formula: Formula, sure: Names) -> Names:
    """The same, where equations of which the values agree, or weigh nothing, are `sure`."""
    none: Names = frozenset()
    conditions: Names = none
    parts: tuple[Formula, ...] = ()
    match formula:
        case Probability(of, given):
            by_equation = len(of) == 1 and of[0] in graph.known
            if not (by_equation and graph.parents[of[0]] == frozenset(given)):
                conditions = frozenset(given)
        case Product(parts):
            sure |= _weighed(graph, parts)
        case Sum(over, body):
            parts = (body,)
            sure = frozenset(k for k in sure if not graph.parents[k].union([k]) & set(over))
        case Quotient(above, below):
            conditions, parts = below.free, (above, below)
    if not _vary(graph, conditions, sure):
        return conditions
    return next((gap for part in parts if (gap := _gap(graph, part, sure))), none)


def _weighed(graph: Mixed, factors: Collection[Formula]) -> Names:
    """The equations whose violation a factor, as the data show it, gives the probability zero."""
    return frozenset(
        name
        for name in graph.known
        for factor in factors
        if isinstance(factor, Probability)
        and graph.parents[name].union([name]) <= factor.free
        and graph.parents[name].union([name]).intersection(factor.of)
        and _vary(graph, frozenset(factor.given), frozenset())
    )


def _vary(graph: Mixed, names: Names, sure: Names) -> bool:
    """Whether all values of `names` occur together, as far as the graph tells.

    They do if paths from what is not held lead to every equation among them, and share nothing:
    the structural rank of what the equations say (Murota, 2000, section 2).
    """
    told = {name for name in names & sure if graph.parents[name] <= names}
    ends = names.intersection(graph.known) - told
    held = names - graph.known
    effects = {name: graph.children[name] & graph.known for name in graph.nodes if name not in held}
    for name in ends:
        effects[name] |= {END}
    sources = frozenset(effects) - graph.known
    paths = disjoint_paths(effects, sources, frozenset([END]), single=frozenset(effects))
    return paths == len(ends)


END = ""
"""Where all paths end; no variable has this name."""
