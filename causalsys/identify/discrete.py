"""Whether the data leave sharp bounds: the system is one of categories, and small."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from causalsys.identify.mixed import Mixed, Names
from causalsys.identify.question import Question
from causalsys.identify.view import View
from causalsys.scm.supports import Categorical

_CELLS = 5_000
_TYPES = 200_000


def bounded(view: View, question: Question) -> bool:
    """Whether a question that is not identified has bounds from a linear program."""
    names = {question.outcome, *question.do, *question.given, *(question.evidence or ())}
    if question.reads or view.untrue(question) or not categories(view, names):
        return False
    graph, cards = part(view, names)
    cells = math.prod(cards.values())
    types = max(_types(graph, cards, district) for district in graph.districts())
    return cells <= _CELLS and types <= _TYPES


def categories(view: View, names: Iterable[str]) -> bool:
    """Whether these and all logged causes of them are plain categories of independent rows."""
    if view.declaration.temporal or not set(names) <= set(view.steps.mixed.nodes):
        return False
    above = view.steps.variables(view.steps.mixed.ancestors(list(names)))
    supports = [view.supports[name] for name in above]
    plain = [isinstance(s, Categorical) and not s.size and s.levels is not None for s in supports]
    return all(plain) and all(view.declaration.nodes[name].learned for name in above)


def part(view: View, names: Iterable[str]) -> tuple[Mixed, Mapping[str, int]]:
    """The graph of these variables and their observed causes, and how many levels each has."""
    graph = view.steps.mixed.keep(view.steps.mixed.ancestors(list(names)))
    cards = {}
    for name in graph.nodes:
        support = view.supports[name]
        assert isinstance(support, Categorical)
        cards[name] = support.cardinality
    return graph, cards


def _types(graph: Mixed, cards: Mapping[str, int], district: Names) -> float:
    """How many response types a district has, what causes all of it being held."""
    held = frozenset.intersection(*(graph.parents[name] for name in district)) - district
    combinations = {
        name: math.prod(cards[cause] for cause in graph.parents[name] - held) for name in district
    }
    logs = sum(count * math.log(cards[name]) for name, count in sorted(combinations.items()))
    return math.exp(min(logs, 700.0))
