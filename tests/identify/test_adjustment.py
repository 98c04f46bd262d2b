"""The simplest way to an effect: what to adjust for, front doors, and known equations."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings

from causalsys.identify.adjustment import backdoor, frontdoor, identify_effect
from causalsys.identify.effect import Hedge, Identified
from causalsys.identify.formula import P, product, total
from causalsys.identify.mixed import Mixed
from tests.identify.oracles import Discrete, Question, by_y0, cases, disagreement
from tests.identify.test_effect import BOW, FRONT, INSTRUMENT, NAPKIN, TIGHT, assert_true

DOOR = Mixed.of("wxy", directed=["wx", "wy", "xy"])
M_BIAS = Mixed.of("mxy", directed=["xy"], bidirected=["mx", "my"])
BUTTERFLY = Mixed.of("mxy", directed=["mx", "my", "xy"], bidirected=["mx", "my"])
TWO_LONG_WAYS = Mixed.of("abcxy", directed=["ab", "bx", "ac", "cy", "xy"])


@pytest.mark.parametrize(
    ("graph", "way", "adjustment", "formula"),
    [
        (Mixed.of("xy", directed=["xy"]), "no confounding", (), "P(y | x)"),
        (Mixed.of("yx", bidirected=["yx"]), "no effect", None, "P(y)"),
        (DOOR, "backdoor", ("w",), "Σ_w P(w) P(y | w, x)"),
        (M_BIAS, "no confounding", (), "P(y | x)"),
        (TWO_LONG_WAYS, "backdoor", ("a",), "Σ_a P(a) P(y | a, x)"),
        (FRONT, "frontdoor", None, "Σ_m P(m | x) Σ_x' P(x') P(y | m, x')"),
        (NAPKIN, "general ID", None, "[Σ_w P(w) P(x, y | r, w)] / [Σ_w P(w) P(x | r, w)]"),
    ],
)
def test_the_simplest_way_is_told(
    graph: Mixed, way: str, adjustment: tuple[str, ...] | None, formula: str
) -> None:
    found = identify_effect(graph, outcome="y", do="x")
    assert isinstance(found, Identified)
    assert (found.way, found.adjustment) == (way, adjustment)
    assert str(found.formula) == formula


@pytest.mark.parametrize("graph", [BOW, INSTRUMENT, BUTTERFLY])
def test_nothing_suffices(graph: Mixed) -> None:
    assert isinstance(identify_effect(graph, outcome="y", do="x"), Hedge)
    assert backdoor(graph, outcome="y", do="x") is None
    assert frontdoor(graph, outcome="y", do="x") is None


def test_mediators_are_named() -> None:
    two = Mixed.of("xmny", directed=["xm", "xn", "my", "ny"], bidirected=["xy"])
    assert frontdoor(two, outcome="y", do="x") == ("m", "n")
    leaky = Mixed.of("xmy", directed=["xm", "my", "xy"], bidirected=["xy"])
    assert frontdoor(leaky, outcome="y", do="x") is None


def test_effects_within_groups() -> None:
    graph = Mixed.of("vwxy", directed=["wx", "wy", "xy", "vw", "vy"])
    found = identify_effect(graph, outcome="y", do="x", given="v")
    assert isinstance(found, Identified)
    assert found.adjustment == ("w",)
    assert str(found.formula) == "Σ_w P(w | v) P(y | v, w, x)"
    after = Mixed.of("xsy", directed=["xs", "xy"], bidirected=["sy"])
    found = identify_effect(after, outcome="y", do="x", given="s")
    assert isinstance(found, Identified)
    assert (found.way, str(found.formula)) == ("conditional ID", "P(y | s, x)")


@given(cases(given=2))
def test_every_way_gives_the_truth(case: tuple[Mixed, Question]) -> None:
    graph, question = case
    found = identify_effect(graph, **question.parts)
    assert isinstance(found, Identified) == by_y0(graph, **question.parts)
    if isinstance(found, Identified):
        assert_true(graph, question, found)


@given(cases(largest=5))
def test_the_adjustment_set_is_a_smallest_one(case: tuple[Mixed, Question]) -> None:
    """Against all sets, each judged by whether adjusting for it gives a random model's effect."""
    graph, question = case
    found = backdoor(graph, outcome=question.outcome, do=question.do)
    model = Discrete(graph)
    logits = model.draw(1)
    joint = model.distribution(logits).numpy()
    truth = model.effect(logits, outcome=question.outcome, do=question.do).numpy()

    def valid(names: tuple[str, ...]) -> bool:
        parts = [P(names), P(question.outcome, {*question.do, *names})]
        values = total(names, product(parts)).evaluate(joint, graph.nodes)
        return bool(np.abs(values - truth).max() < TIGHT)

    others = [name for name in graph.nodes if name not in (*question.outcome, *question.do)]
    sets = [s for size in range(len(others) + 1) for s in combinations(others, size) if valid(s)]
    if found is None:
        assert not sets
    else:
        assert found in sets
        assert len(found) == len(sets[0])


class TestKnownEquations:
    """What is computed has no noise, so the data lack most combinations of values."""

    def test_a_computed_mediator_is_no_front_door(self) -> None:
        front = Mixed.of("xmy", directed=["xm", "my"], bidirected=["xy"], known="m")
        found = identify_effect(front, outcome="y", do="x")
        assert isinstance(found, Hedge)
        assert found == Hedge(frozenset("y"), frozenset("xy"))
        assert disagreement(front, outcome="y", do="x") > 1e-3

    def test_it_is_one_where_something_else_moves_it(self) -> None:
        front = Mixed.of("xzmy", directed=["xm", "zm", "my"], bidirected=["xy"], known="m")
        found = identify_effect(front, outcome="y", do="x")
        assert isinstance(found, Identified)
        assert found.mediators == ("m",)
        assert_true(front, Question(("y",), ("x",)), found)

    def test_what_is_computed_cannot_be_told_from_what_it_is_computed_from(self) -> None:
        graph = Mixed.of("wdy", directed=["wd", "dy", "wy"], known="d")
        found = identify_effect(graph, outcome="y", do="d")
        assert isinstance(found, Hedge)
        assert found.fixed == frozenset("dw")
        assert disagreement(graph, outcome="y", do="d") > 1e-3

    def test_a_total_can_be_asked_about(self) -> None:
        graph = Mixed.of("xwl", directed=["xw", "wl", "xl"], known="l")
        found = identify_effect(graph, outcome="l", do="x")
        assert isinstance(found, Identified)
        assert found.adjustment == ()

    @settings(max_examples=100)
    @given(cases(given=1, largest=5, ties=3, equations=2))
    def test_none_is_called_identified_that_is_not(self, case: tuple[Mixed, Question]) -> None:
        graph, question = case
        found = identify_effect(graph, **question.parts)
        model = Discrete(graph)
        joint = model.distribution(model.draw(0)).numpy()
        axes = range(len(graph.nodes))
        single = [joint.sum(axis=tuple(i for i in axes if i != axis)) for axis in axes]
        if isinstance(found, Identified) and all(values.min() > 0 for values in single):
            # An equation whose parity cancels is a constant, of which nobody can ask.
            assert disagreement(graph, **question.parts) < 1e-7
