"""Hypothesis strategies for what many tests want: supports, and whole declarations."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from keyword import iskeyword
from typing import Any

from hypothesis import strategies as st

from causalsys.scm.declaration import Declaration
from causalsys.scm.resolve import resolve
from causalsys.scm.supports import (
    Boolean,
    Categorical,
    Count,
    Fraction,
    Positive,
    Real,
    Support,
)
from causalsys.scm.variables import (
    Arm,
    Decision,
    Equation,
    Lagged,
    Latent,
    Observed,
    State,
    Transition,
    Variable,
)

identifiers = st.from_regex(r"[a-z][a-z_]{0,6}", fullmatch=True).map(lambda name: name + "_v")
"""Names that a function's argument may have."""

odd_names = (
    st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=40)
    | st.sampled_from(["a b", 'say "hi"', "back\\slash\\", "<b>&amp;", "p99 [ms]", "\\N", "]]>"])
    | st.sampled_from(["x" * 80, "$x_1$", "延迟", "-->", "label=x; y", "a\\", 'a\\"', "{", "}"])
).filter(lambda name: name.isprintable() and bool(name.strip()))
"""Any name that a variable may have."""

levels = st.lists(st.from_regex(r"[a-z]{1,4}", fullmatch=True), min_size=2, max_size=4, unique=True)
sizes = st.none() | st.integers(1, 3)


@st.composite
def supports(draw: st.DrawFn, *, latent: bool = False, finite: bool = False) -> Support:
    """Any support; with `latent`, one that a latent may have; with `finite`, known levels."""
    named = st.builds(Categorical, levels) | st.just(Boolean())
    if finite:
        return draw(named)
    continuous = [
        st.builds(kind, st.sampled_from(["", "ms", "Mbit/s"]), size=sizes)
        for kind in (Real, Positive, Fraction)
    ]
    rest = [] if latent else [st.builds(Count), st.builds(Categorical)]
    return draw(st.one_of(named, *continuous, *rest))


@st.composite
def declarations(
    draw: st.DrawFn,
    *,
    names: st.SearchStrategy[str] = identifiers,
    temporal: bool = True,
    latents: bool = True,
    finite: bool = False,
    largest: int = 8,
) -> Declaration:
    """A valid declaration, with every kind of variable.

    Args:
        draw: Hypothesis's.
        names: What its variables are called; states only occur among identifiers.
        temporal: Whether it may have states and lags.
        latents: Whether it may have latents.
        finite: Whether every support has finitely many known levels.
        largest: The most variables.
    """
    labels = draw(st.lists(names, min_size=1, max_size=largest, unique=True))
    plan = {label: draw(_kinds(label, temporal=temporal, latents=latents)) for label in labels}
    causes = {label: draw(_causes(label, plan, temporal=temporal)) for label in labels}
    plan = _logged_where_unrevealed(plan, causes)
    variables: dict[str, Variable] = {}
    transitions = []
    for label, kind in plan.items():
        latent = kind in ("latent", "trace latent")
        support = draw(supports(latent=latent, finite=finite))
        variables[label] = _variable(kind, support, causes[label])
        if kind == "state":
            arguments = sorted(set(map(_name, causes[label])))
            transitions.append(Transition(label, function_of(arguments)))
    return resolve("Random", variables, transitions=transitions, doc="drawn at random")


def function_of(arguments: list[str]) -> Callable[..., Any]:
    """A function with these arguments, for models that nobody evaluates."""

    def function() -> None: ...

    function.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in arguments]
    )
    return function


def _kinds(label: str, *, temporal: bool, latents: bool) -> st.SearchStrategy[str]:
    kinds = ["observed", "observed", "decision", "arm", "equation"]
    if temporal and label.isidentifier():
        kinds.append("state")
    if latents:
        kinds += ["latent", "latent", "trace latent"]
    return st.sampled_from(kinds)


@st.composite
def _causes(
    draw: st.DrawFn, label: str, plan: dict[str, str], *, temporal: bool
) -> tuple[str | Lagged, ...]:
    kind = plan[label]
    if kind == "arm":
        return ()
    earlier = list(plan)[: list(plan).index(label)]
    if kind == "trace latent":
        earlier = [name for name in earlier if plan[name] in ("arm", "trace latent")]
    found: list[str | Lagged] = [name for name in earlier if draw(st.integers(0, 2)) == 0]
    if temporal and kind != "trace latent":
        steps = [name for name in plan if plan[name] not in ("arm", "trace latent")]
        lags = {(name, draw(st.integers(1, 2))) for name in steps if draw(st.integers(0, 5)) == 0}
        found += [Lagged(name, steps=steps) for name, steps in sorted(lags)]
    if kind == "state":
        found = [cause for cause in found if _is_argument(_name(cause))]
    return tuple(found[:3] if kind == "equation" else found)


def _name(cause: str | Lagged) -> str:
    return cause if isinstance(cause, str) else str(cause.variable)


def _is_argument(name: str) -> bool:
    return name.isidentifier() and not iskeyword(name)


def _logged_where_unrevealed(
    plan: dict[str, str], causes: dict[str, tuple[str | Lagged, ...]]
) -> dict[str, str]:
    """The same kinds, but a latent that affects nothing logged is observed itself."""
    effects: dict[str, set[str]] = {label: set() for label in plan}
    for label, parents in causes.items():
        for parent in parents:
            effects[_name(parent)].add(label)
    logged = {label for label, kind in plan.items() if "latent" not in kind}
    revealed = set(logged)
    while True:
        more = {label for label in plan if effects[label] & revealed} - revealed
        if not more:
            break
        revealed |= more
    fixed = {"latent": "observed", "trace latent": "arm"}
    kinds = {label: kind if label in revealed else fixed[kind] for label, kind in plan.items()}
    for label, kind in kinds.items():
        if kind == "arm":
            causes[label] = ()
    return kinds


def _variable(kind: str, support: Support, causes: tuple[str | Lagged, ...]) -> Variable:
    if kind in ("latent", "trace latent"):
        return Latent(support, causes, per="trace" if kind == "trace latent" else "step")
    if kind == "arm":
        return Arm(support if isinstance(support, Categorical) else None)
    if kind == "state":
        return State(support)
    if kind == "equation":
        arguments = [f"argument_{i}" for i in range(len(causes))]
        return Equation(support, function_of(arguments), parents=causes)
    return (Decision if kind == "decision" else Observed)(support, causes)
