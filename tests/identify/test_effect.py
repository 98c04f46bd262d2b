"""Verdicts on effects: cases from the literature, brute force, pairs of models, and y0."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from causalsys.errors import QueryError, UnknownNameError
from causalsys.identify.conditional import conditional_effect
from causalsys.identify.effect import Hedge, Identified, effect, kernel
from causalsys.identify.mixed import Mixed
from tests.identify.oracles import Discrete, Question, by_y0, cases, disagreement

BOW = Mixed.of("xy", directed=["xy"], bidirected=["xy"])
FRONT = Mixed.of("xmy", directed=["xm", "my"], bidirected=["xy"])
NAPKIN = Mixed.of("wrxy", directed=["wr", "rx", "xy"], bidirected=["wx", "wy"])
INSTRUMENT = Mixed.of("zxy", directed=["zx", "xy"], bidirected=["xy"])
VERMA = Mixed.of("abcd", directed=["ab", "bc", "cd"], bidirected=["bd"])
TIGHT = 1e-9
"""Both sides are sums of a few hundred products of probabilities, in double precision."""


@pytest.mark.parametrize(
    ("graph", "do", "formula"),
    [
        (Mixed.of("xy", directed=["xy"]), "x", "P(y | x)"),
        (Mixed.of("xy", directed=["xy"]), "", "P(y)"),
        (Mixed.of("yx", directed=["yx"]), "x", "P(y)"),
        (Mixed.of("wxy", directed=["wx", "wy", "xy"]), "x", "Σ_w P(w) P(y | w, x)"),
        (FRONT, "x", "Σ_m P(m | x) Σ_x' P(x') P(y | m, x')"),
        (NAPKIN, "x", "[Σ_w P(w) P(x, y | r, w)] / [Σ_w P(w) P(x | r, w)]"),
    ],
)
def test_formulas_read_as_in_textbooks(graph: Mixed, do: str, formula: str) -> None:
    found = effect(graph, outcome="y", do=do)
    assert isinstance(found, Identified)
    assert str(found.formula) == formula


@pytest.mark.parametrize("graph", [BOW, INSTRUMENT])
def test_a_latent_behind_cause_and_effect_stands_in_the_way(graph: Mixed) -> None:
    assert effect(graph, outcome="y", do="x") == Hedge(frozenset("y"), frozenset("xy"))


def test_a_hedge_names_the_latents_that_matter_alone() -> None:
    graph = Mixed.of("axyb", directed=["ax", "xy", "yb"], bidirected=["ax", "xy", "yb"])
    assert effect(graph, outcome="y", do="x") == Hedge(frozenset("y"), frozenset("xy"))


def test_vermas_constraint_is_a_kernel() -> None:
    found = kernel(VERMA, frozenset("d"))
    assert isinstance(found, Identified)
    assert str(found.formula) == "Σ_b P(b | a) P(d | a, b, c)"
    assert "a" in found.formula.free  # and yet the value of a is of no matter:
    model = Discrete(VERMA)
    joint = model.distribution(model.draw(0)).numpy()
    values = found.formula.evaluate(joint, VERMA.nodes)
    assert np.ptp(values, axis=0).max() < TIGHT


def test_what_is_asked_must_be_there() -> None:
    with pytest.raises(UnknownNameError, match="q: no such name in the graph"):
        effect(BOW, outcome="q", do="x")
    with pytest.raises(UnknownNameError, match="q"):
        conditional_effect(BOW, outcome="y", do="x", given="q")
    with pytest.raises(QueryError, match="x: it is asked about and held at once"):
        effect(BOW, outcome="xy", do="x")
    with pytest.raises(QueryError, match="x: it is given, and asked about or held as well"):
        conditional_effect(BOW, outcome="y", do="x", given="x")
    with pytest.raises(QueryError, match="none is named"):
        effect(BOW, outcome="", do="x")


@given(cases())
def test_what_is_identified_equals_what_is_true(case: tuple[Mixed, Question]) -> None:
    graph, question = case
    found = effect(graph, outcome=question.outcome, do=question.do)
    if isinstance(found, Identified):
        assert_true(graph, question, found)


@given(cases(given=2))
def test_so_does_what_is_identified_given_something(case: tuple[Mixed, Question]) -> None:
    graph, question = case
    found = conditional_effect(graph, **question.parts)
    if isinstance(found, Identified):
        assert_true(graph, question, found)


@given(cases(given=2))
def test_another_implementation_agrees(case: tuple[Mixed, Question]) -> None:
    graph, question = case
    found = conditional_effect(graph, **question.parts)
    assert isinstance(found, Identified) == by_y0(graph, **question.parts)


@settings(max_examples=50)
@given(cases(given=1, largest=4, ties=4))
def test_two_models_prove_what_is_not_identified(case: tuple[Mixed, Question]) -> None:
    """And where it is identified, no two models near a random one differ."""
    graph, question = case
    found = conditional_effect(graph, **question.parts)
    apart = disagreement(graph, **question.parts)
    # Models that agree do so to 1e-12; the walk is long enough to move an effect a thousand times
    # as far, unless it stays.
    assert (apart > 1e-7) == isinstance(found, Hedge)


def assert_true(graph: Mixed, question: Question, found: Identified) -> None:
    """The formula's values, on what is observed of a random model, are its effect."""
    model = Discrete(graph)
    logits = model.draw(seed=len(str(question)))
    joint = model.distribution(logits).numpy()
    truth = model.effect(logits, **question.parts).numpy()
    values = found.formula.evaluate(joint, graph.nodes)
    # Broadcast: a variable that is free and yet of no matter has an axis of its own.
    assert np.abs(values - truth).max() < TIGHT
