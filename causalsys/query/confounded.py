"""Which causes and effects of a question a hidden confounder could tie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from causalsys.errors import InterventionError, QueryError
from causalsys.fit.fitted import Fitted
from causalsys.scm.declaration import Node
from causalsys.scm.order import reached
from causalsys.scm.supports import Categorical


@dataclass(frozen=True)
class Pair:
    """A cause that is set, and a variable it acts on, whose noises a confounder would tie.

    Attributes:
        cause: The variable in `do`.
        effect: The learned variable that it acts on: a child, directly or through equations.
    """

    cause: str
    effect: str

    def __str__(self) -> str:
        return f"{self.cause} and {self.effect}"


def pairs_of(
    fitted: Fitted,
    dos: Sequence[Mapping[str, Any]],
    *,
    outcome: str,
    between: tuple[str, str] | None,
) -> tuple[Pair, ...]:
    """The pairs through which the worlds act on the outcome, by name.

    Raises:
        QueryError: The outcome is not affected, or no pair can be tied: see `_refuse`.
        UnknownNameError: A name is not in the model.
    """
    target = fitted.node(outcome).name
    causes = sorted({fitted.node(name).name for do in dos for name in do})
    everywhere = {n for n in causes if all(n in do and not callable(do[n]) for do in dos)}
    effects: dict[str, list[str]] = {}
    for edge in fitted.declaration.graph.edges:
        if edge.effect not in everywhere:
            effects.setdefault(edge.cause, []).append(edge.effect)
    if not any(target in reached({cause}, effects) - {cause} for cause in causes):
        raise QueryError(
            target,
            found=f"not affected by {', '.join(causes) or 'anything'}",
            mend="Ask about a variable that `do` acts on.",
        )
    open_ = [name for name in fitted.declaration.nodes if name not in everywhere]
    found = [
        Pair(cause, effect)
        for cause in causes
        for effect in _children(fitted, cause)
        if effect in open_ and target in reached({effect}, effects)
    ]
    if between is not None:
        found = [_named(fitted, between, found)]
    if not found:
        raise QueryError(
            target,
            found=f"reached from {', '.join(causes)} through equations alone, within one step",
            mend="A hidden confounder cannot change a declared equation: nothing to ask.",
        )
    for pair in found:
        _refuse_cause(fitted, fitted.node(pair.cause))
        _refuse_effect(fitted, fitted.node(pair.effect), pair.cause)
    return tuple(found)


def _children(fitted: Fitted, cause: str) -> list[str]:
    """The learned variables that a variable acts on in the same step, directly or by equations."""
    found: list[str] = []
    waiting, seen = [cause], {cause}
    while waiting:
        name = waiting.pop(0)
        for node in fitted.declaration.nodes.values():
            acts = any(parent.name == name and not parent.lag for parent in node.parents)
            if not acts or node.name in seen or node.kind == "state":
                continue
            seen.add(node.name)
            (found if node.learned else waiting).append(node.name)
    return sorted(found)


def _named(fitted: Fitted, between: object, found: Sequence[Pair]) -> Pair:
    if not isinstance(between, Sequence) or isinstance(between, str) or len(between) != 2:
        raise QueryError(
            "between", found=repr(between), mend='Give a cause and an effect: between=("x", "y").'
        )
    wanted = Pair(*(fitted.node(name).name for name in between))
    if wanted not in found:
        known = "; ".join(f'("{pair.cause}", "{pair.effect}")' for pair in found) or "none"
        raise QueryError(
            "between",
            found=f'("{wanted.cause}", "{wanted.effect}"), through which this effect does not go',
            mend=f"Choose among {known}.",
        )
    return wanted


def _refuse_cause(fitted: Fitted, node: Node) -> None:
    """Refuse a cause that has no noise which a confounder could tie."""
    reasons = {
        "latent": ("a latent", "Ask about a variable that is logged."),
        "arm": ("assigned at random, which no confounder reaches", "Nothing to ask: trust it."),
        "equation": ("an equation, which has no noise", "Ask about one of its causes."),
        "state": ("a state, which has no noise", "Ask about what its transition reads."),
    }
    if node.kind in reasons:
        found, mend = reasons[node.kind]
        raise InterventionError(node.name, found=found, mend=mend)
    if fitted.schema.supports[node.name].size:
        raise InterventionError(
            node.name,
            found="a vector, which has no one score",
            mend="Declare its components as variables.",
        )


def _refuse_effect(fitted: Fitted, node: Node, cause: str) -> None:
    """Refuse an effect whose noise cannot be moved along one line."""
    support = fitted.schema.supports[node.name]
    levels = support.cardinality if isinstance(support, Categorical) else 0
    if support.size or levels > 2:
        kind = "a vector" if support.size else f"a category of {levels} levels"
        raise QueryError(
            node.name,
            found=f"{kind}, whose noise has no one direction that {cause} could share",
            mend="Name another pair: between=(cause, effect), or declare it as booleans.",
        )
