"""The smallest additions that would identify a question: try each on the model, and ask again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations

from causalsys.identify.question import Question
from causalsys.identify.shapes import shape
from causalsys.identify.verdict import Addition, Verdict
from causalsys.identify.view import View
from causalsys.scm.declaration import Declaration, Node
from causalsys.scm.specs import Auto, Linear, natural_link
from causalsys.scm.supports import Fraction, Positive, Real

_MOST = 8
"""Single candidates of which pairs are tried."""
_TOLD = 4
Judge = Callable[[View, Question], Verdict]


@dataclass(frozen=True)
class _Change:
    addition: Addition
    apply: Callable[[View, Question], tuple[View, Question]]


def additions(view: View, question: Question, judge: Judge) -> tuple[Addition, ...]:
    """The additions, single ones or else pairs, under which the question is identified.

    Args:
        view: The model.
        question: A question that is not identified in it.
        judge: Gives a verdict, without looking for additions itself.
    """
    changes = list(_changes(view, question))
    for size, among in ((1, changes), (2, changes[:_MOST])):
        found = []
        for chosen in combinations(among, size):
            there, asked = view, question
            for change in chosen:
                there, asked = change.apply(there, asked)
            if judge(there, asked).answerable:
                found.append(_both([change.addition for change in chosen]))
            if len(found) == _TOLD:
                break
        if found:
            return tuple(found)
    return ()


def _both(parts: list[Addition]) -> Addition:
    return Addition(
        tuple(name for part in parts for name in part.variables),
        " and ".join(part.words for part in parts),
    )


def _changes(view: View, question: Question) -> Iterator[_Change]:
    """What could be changed, what is near to the question first."""
    if view.declaration.selected:
        words = "log a random sample of all rows, beside those that are selected"
        yield _Change(Addition(view.declaration.selected, words), _unselected)
    if question.differs:
        names = tuple(sorted(question.differs))
        words = f"refit {', '.join(names)} to data from where the question is asked"
        yield _Change(Addition(names, words), lambda v, q: (v, replace(q, differs=frozenset())))
    near = view.declaration.graph
    inside = {question.outcome, *question.do}
    latents = sorted(near.latents, key=lambda u: (not inside & set(near.children(u)), u))
    for name in latents:
        yield _Change(Addition((name,), f"log {name}"), _logged(name))
    for name in question.do:
        if view.declaration.nodes[name].parents and view.declaration.nodes[name].kind != "latent":
            yield _Change(Addition((name,), f"randomise {name}"), _randomised(name))
    between = near.ancestors(question.outcome) | {question.outcome}
    for name in sorted(between & set(near.observed)):
        if change := _shaped(view, name):
            yield change


def _unselected(view: View, question: Question) -> tuple[View, Question]:
    return replace(view, declaration=replace(view.declaration, selected=())), question


def _logged(name: str) -> Callable[[View, Question], tuple[View, Question]]:
    def apply(view: View, question: Question) -> tuple[View, Question]:
        node = view.declaration.nodes[name]
        told = replace(node, kind="observed", mechanism=Auto())
        evidence = question.evidence
        # Rows that tell everything tell this, too.
        if evidence is not None:
            question = replace(question, evidence=evidence | {name})
        return _with(view, name, told), question

    return apply


def _randomised(name: str) -> Callable[[View, Question], tuple[View, Question]]:
    def apply(view: View, question: Question) -> tuple[View, Question]:
        return _with(view, name, replace(view.declaration.nodes[name], parents=())), question

    return apply


def _shaped(view: View, name: str) -> _Change | None:
    """Whether a variable under latents could be declared linear; it must then be so."""
    node, mine = view.declaration.nodes[name], view.shapes.get(name)
    under = view.blocks[name].latents if name in view.blocks else ()
    if not under or mine is None or mine.link:
        return None
    if node.support.size or type(node.support) not in (Real, Positive, Fraction):
        return None
    link = natural_link(node.support)
    told = "cs.Linear()" if link == "identity" else f'cs.Linear(link="{link}")'

    def apply(there: View, question: Question) -> tuple[View, Question]:
        shapes = {**there.shapes, name: shape(Linear(link=link), node.support)}
        return replace(there, shapes=shapes), question

    return _Change(Addition((name,), f"declare {name} as {told}, if it is so"), apply)


def _with(view: View, name: str, node: Node) -> View:
    nodes = {**view.declaration.nodes, name: node}
    declaration: Declaration = replace(view.declaration, nodes=nodes)
    shapes = dict(view.shapes)
    changed = declaration.nodes[name]
    if changed.mechanism is not None:
        shapes[name] = shape(changed.mechanism, changed.support)
    return View(declaration, shapes, view.supports)
