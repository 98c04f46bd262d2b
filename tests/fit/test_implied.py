"""Which independences a graph implies, and the covariance measure that tests them."""

from __future__ import annotations

from itertools import chain, combinations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import causalsys as cs
from causalsys.fit.covariance import Column, Given, covaries
from causalsys.fit.implied import Window
from tests import models

NAMES = "abcdef"


class Instrument(cs.SCM):
    """`z` acts on `y` through `x` only, and a latent on both."""

    u = cs.Latent(cs.Real())
    z = cs.Observed(cs.Real())
    x = cs.Observed(cs.Real(), parents=[z, u])
    m = cs.Observed(cs.Real(), parents=[x])
    y = cs.Observed(cs.Real(), parents=[m, u])


def implied(model: type[cs.SCM]) -> list[tuple[str, str, tuple[str, ...]]]:
    found = Window.of(model.declaration).implied(model.graph.observed)
    return [(test.variable, test.other, test.given) for test in found]


def test_variables_under_a_latent_are_tested_where_something_separates_them() -> None:
    """`y` and `z` are separated by nothing: a test of them is no ordinary independence."""
    assert implied(Instrument) == [("m", "z", ("x",))]


def test_selection_is_conditioned_on() -> None:
    """Of rows that were logged because of `c`, its causes depend on each other."""

    class Logged(cs.SCM):
        a = cs.Observed(cs.Real())
        b = cs.Observed(cs.Real())
        c = cs.Observed(cs.Real(), parents=[a, b])
        only = cs.Selected([c])

    assert implied(Logged) == []


def test_lags_are_part_of_the_independences() -> None:
    found = implied(models.Line)
    assert ("served", "work[-1]", ("cost[-1]", "queue")) in found
    assert all(variable in models.Line.graph.order for variable, _, _ in found)


@st.composite
def graphs(draw: st.DrawFn) -> type[cs.SCM]:
    edges = [pair for pair in combinations(NAMES, 2) if draw(st.booleans())]
    hidden = draw(st.sampled_from(NAMES[:3]))
    graph = nx.DiGraph(edges)
    graph.add_nodes_from(NAMES)
    latent = {hidden: cs.Latent(cs.Real())} if graph.out_degree(hidden) else {}
    return cs.SCM.from_graph(graph, variables=latent)


@given(graphs())
@settings(max_examples=40, deadline=None)
def test_all_pairs_that_anything_separates_are_found(model: type[cs.SCM]) -> None:
    """Against every subset, by d-separation in the graph that still has its latent."""
    found = {frozenset({a, b}): given for a, b, given in implied(model)}
    logged = model.graph.observed
    for a, b in combinations(logged, 2):
        rest = [name for name in logged if name not in (a, b)]
        sets = chain.from_iterable(combinations(rest, size) for size in range(len(rest) + 1))
        some = any(model.graph.d_separated(a, b, given=chosen) for chosen in sets)
        assert (frozenset({a, b}) in found) == some
        if some:
            assert model.graph.d_separated(a, b, given=found[frozenset({a, b})])


def p_value(x: NDArray[np.float64], y: NDArray[np.float64], *z: NDArray[np.float64]) -> float:
    given = Given([Column(each) for each in z], rows=len(x))
    return covaries(Column(x), Column(y), given, cluster=np.arange(len(x)))[1]


def nonlinear(seed: int, effect: float) -> float:
    """Both sides bend in two causes that they share; the test is right only if it bends, too."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, 800))
    x = np.sin(2 * a) + a * b + 0.5 * rng.normal(size=800)
    y = np.exp(0.5 * np.cos(2 * a) + 0.5 * a * b + 0.3 * rng.normal(size=800) + effect * x)
    return p_value(x, y, a, b)


def test_the_covariance_measure_keeps_its_level_where_regressions_bend() -> None:
    """At 5 %, more than six of 40 are fewer than 1 in 100 such tests."""
    assert sum(nonlinear(seed, effect=0.0) < 0.05 for seed in range(40)) <= 6


def test_the_covariance_measure_sees_a_small_effect() -> None:
    """A tenth of x against a noise of 0.3 is a partial correlation of 0.16 in 800 rows."""
    assert sum(nonlinear(seed, effect=0.1) < 0.05 for seed in range(8)) >= 6


def test_a_bend_without_a_slope_is_seen() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=500)
    assert p_value(x, x**2 + rng.normal(size=500)) < 1e-6


def test_rows_of_one_trace_count_as_one() -> None:
    """Thirty traces whose rows are alike say as much as thirty rows: not enough to reject."""
    rng = np.random.default_rng(5)
    trace = np.repeat(np.arange(30), 50)
    x, y = rng.normal(size=30), rng.normal(size=30)
    y = y + 0.3 * x
    apart, given = np.arange(1500), Given([], rows=1500)
    one, other = Column(x[trace]), Column(y[trace])
    assert covaries(one, other, given, cluster=apart)[1] < 1e-4
    assert covaries(one, other, given, cluster=trace)[1] > 0.01


def test_a_category_is_regressed_and_tested_by_its_levels() -> None:
    rng = np.random.default_rng(1)
    k = rng.integers(0, 3, 600).astype(float)
    x, y = k + rng.normal(size=600), (k == 1) * 2 + rng.normal(size=600)
    cluster = np.arange(600)
    given = Given([Column(k, categorical=True)], rows=600)
    assert covaries(Column(x), Column(y), given, cluster=cluster)[1] > 0.05
    nothing = Given([], rows=600)
    assert covaries(Column(k, categorical=True), Column(y), nothing, cluster=cluster)[1] < 1e-9


@pytest.mark.parametrize("seed", range(3))
def test_the_test_does_not_depend_on_the_scale(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, x, y = rng.normal(size=(3, 200))
    assert p_value(x, y, a) == pytest.approx(p_value(np.exp(x), y**3, a * 7), abs=1e-9)
