"""y0's ID* and IDC*: what they say of a question across worlds.

They write an answer in terms of experiments; by y0's own ID it is then asked whether each of these
follows from what was observed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from benchmarks.trust.discrete import latent_pairs
from benchmarks.trust.with_y0 import by_y0
from causalsys.identify.ancestral import Event
from causalsys.identify.mixed import Mixed


def by_y0_star(
    graph: Mixed, *, outcome: Collection[Event], given: Collection[Event]
) -> bool | None:
    """Whether y0 identifies it; None where it breaks off with an error.

    Args:
        graph: The graph.
        outcome: What is asked, in the labels "0" and "1".
        given: What is known, in the same; "1" is what was seen of anything that is also set.
    """
    from y0.algorithm.identify import Unidentifiable, id_star, idc_star
    from y0.graph import NxMixedGraph

    directed = [(cause, name) for name in graph.nodes for cause in sorted(graph.parents[name])]
    drawn = NxMixedGraph.from_str_edges(
        nodes=graph.nodes, directed=directed, undirected=latent_pairs(graph)
    )
    try:
        if given:
            found = idc_star(drawn, _events(outcome), _events(given))
        else:
            found = id_star(drawn, _events(outcome))
    except Unidentifiable:
        return False
    except (ValueError, LookupError, TypeError, AssertionError, RuntimeError, ArithmeticError):
        return None
    return all(by_y0(graph, outcome=of, do=do) for of, do in _experiments([found]))


def _events(events: Iterable[Event]) -> dict[Any, Any]:
    from y0.dsl import Variable

    # An unmarked value is both what was seen and what is summed over, so "1" must be what was seen.
    def marked(name: str, label: str | None) -> Any:
        return -Variable(name) if label == "1" else +Variable(name)

    found = {}
    for event in events:
        variable: Any = Variable(event.variable)
        if event.do:
            variable = variable @ [marked(*pair) for pair in sorted(event.do.items())]
        found[variable] = marked(event.variable, event.value)
    return found


def _experiments(expressions: Iterable[Any]) -> Iterator[tuple[set[str], set[str]]]:
    """The variables of each distribution in an answer, and what is set in it."""
    from y0.dsl import CounterfactualVariable, Fraction, Probability, Product, Sum

    for found in expressions:
        match found:
            case Probability():
                variables = [*found.children, *found.parents]
                of = {variable.name for variable in variables}
                worlds = [v for v in variables if isinstance(v, CounterfactualVariable)]
                yield of, {each.name for v in worlds for each in v.interventions} - of
            case Sum():
                yield from _experiments([found.expression])
            case Product():
                yield from _experiments(found.expressions)
            case Fraction():
                yield from _experiments([found.numerator, found.denominator])
