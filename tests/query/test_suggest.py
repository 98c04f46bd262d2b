"""Suggested graphs: what is recovered, what the user knows, and what is refused."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pandas as pd
import pytest

import causalsys as cs
from causalsys.errors import CycleError, DataError, QueryError, UnknownNameError
from causalsys.query.suggest import suggest_graph
from causalsys.query.suggestion import Known

TRUE = {("a", "c"), ("b", "c"), ("c", "d"), ("d", "e"), ("b", "f")}
SKELETON = {frozenset(edge) for edge in TRUE}


def numbers(seed: int, rows: int = 1000) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    a, b, *noise = rng.normal(size=(6, rows))
    c = a + b + noise[0]
    d = c + noise[1]
    return pd.DataFrame({"a": a, "b": b, "c": c, "d": d, "e": d + noise[2], "f": b + noise[3]})


def mixed(seed: int, rows: int = 1000) -> pd.DataFrame:
    """A name of three, and a flag that falls under a number and acts on another."""
    rng = np.random.default_rng(seed)
    a, one, two = rng.normal(size=(3, rows))
    b = rng.integers(0, 3, rows)
    c = a + b + one
    d = rng.random(rows) < 1 / (1 + np.exp(2 - 2 * c))
    f = rng.random(rows) < np.array([0.2, 0.5, 0.8])[b]
    level = np.array(list("xyz"))[b]
    return pd.DataFrame({"a": a, "b": level, "c": c, "d": d, "e": 1.5 * d + two, "f": f})


def categories(seed: int, rows: int = 2000) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    a, b = rng.random((2, rows)) < 0.5
    c = rng.random(rows) < 0.1 + 0.4 * a + 0.4 * b
    d = rng.random(rows) < 0.2 + 0.6 * c
    e = rng.random(rows) < 0.2 + 0.6 * d
    f = rng.random(rows) < 0.2 + 0.6 * b
    return pd.DataFrame({"a": a, "b": b, "c": c, "d": d, "e": e, "f": f})


@pytest.mark.parametrize("draw", [numbers, mixed, categories])
def test_known_skeletons_are_recovered(draw: Any) -> None:
    """Strong effects in 1000 rows: of 25 edges, and 25 suggested, at most two are wrong."""
    missed = extra = 0
    for seed in range(5):
        found = suggest_graph(draw(seed), level=0.01)
        joined = {frozenset(edge) for edge in (*found.directed, *found.undirected)}
        missed += len(SKELETON - joined)
        extra += len(joined - SKELETON)
    assert missed <= 2
    assert extra <= 2


def test_directions_are_those_that_data_can_tell() -> None:
    """`a -> c <- b` is a collider, and what lies below it follows; `b -- f` stays open."""
    found = suggest_graph(numbers(0), level=0.01)
    assert set(found.directed) == TRUE - {("b", "f")}
    assert found.undirected == (("b", "f"),)
    text = str(found)
    assert text.startswith("A suggestion, not a finding")
    assert "from the data: a -> c" in text
    assert "direction open: b -- f" in text
    assert "generalised covariance" in text


def test_knowledge_is_never_overruled() -> None:
    known = {"edges": [("b", "f"), ("a", "e")], "forbidden": [("c", "d")]}
    found = suggest_graph(numbers(0), known=known, level=0.01)
    assert {("b", "f"), ("a", "e")} <= set(found.directed)
    assert ("c", "d") not in found.directed
    assert ("a", "e") not in found.suggested
    assert "from you: a -> e, b -> f" in str(found)
    assert found.to_networkx().edges["b", "f"]["source"] == "user"


def test_an_order_directs_what_it_decides() -> None:
    known = Known(order=[["b"], ["f", "c"], ["d"], ["e"]])
    found = suggest_graph(numbers(1), known=known, level=0.01)
    assert set(found.directed) >= {("b", "f"), ("b", "c"), ("c", "d"), ("d", "e")}


def test_a_pair_that_is_forbidden_both_ways_is_not_joined() -> None:
    known = Known(forbidden=[("c", "d"), ("d", "c")])
    found = suggest_graph(numbers(0), known=known)
    assert {"c", "d"} not in [set(edge) for edge in (*found.directed, *found.undirected)]


def test_a_directed_suggestion_can_be_declared() -> None:
    found = suggest_graph(numbers(0), known=Known(edges=[("b", "f")]), level=0.01)
    model = cs.SCM.from_graph(found.edges)
    assert model.graph.parents("c") == ("a", "b")


def test_an_open_direction_is_not_declared_in_silence() -> None:
    found = suggest_graph(numbers(0), level=0.01)
    with pytest.raises(QueryError, match="open direction"):
        _ = found.edges
    drawn = found.to_networkx()
    assert drawn.edges["b", "f"]["open"]
    assert drawn.edges["f", "b"]["open"]


def test_a_suggestion_has_no_cycle_and_does_not_depend_on_the_order_of_columns() -> None:
    rng = np.random.default_rng(3)
    rows = pd.DataFrame(
        rng.normal(size=(300, 7)) @ rng.normal(size=(7, 7)), columns=list("abcdefg")
    )
    found, turned = suggest_graph(rows), suggest_graph(rows[list("gbdface")])
    assert (found.directed, found.undirected) == (turned.directed, turned.undirected)
    assert nx.is_directed_acyclic_graph(nx.DiGraph(found.directed))


def test_a_declared_category_is_tested_as_one() -> None:
    rows = numbers(0).assign(a=np.random.default_rng(0).integers(0, 4, 1000))
    found = suggest_graph(rows[["a", "b"]], supports={"a": cs.Categorical(4)})
    assert found.directed == found.undirected == ()
    assert "alone: a, b" in str(found)


@pytest.mark.parametrize(
    ("known", "error", "match"),
    [
        ({"edges": [("a", "zz")]}, UnknownNameError, "zz"),
        ({"order": [["a"], ["zz"]]}, UnknownNameError, "zz"),
        ({"edge": [("a", "b")]}, UnknownNameError, "edges"),
        ({"edges": [("a", "b"), ("b", "a")]}, CycleError, "cycle of known edges"),
        ({"edges": [("a", "b")], "forbidden": [("a", "b")]}, QueryError, "both known and"),
        ({"edges": [("a", "b")], "order": [["b"], ["a"]]}, QueryError, "later group"),
        ({"order": [["a"], ["a"]]}, QueryError, "twice"),
        ({"edges": ["ab"]}, QueryError, "pairs"),
        ({"edges": [("a", "a")]}, QueryError, "pairs"),
        ({"order": ["a", "b"]}, QueryError, "groups"),
        ("a -> b", QueryError, "Known"),
    ],
)
def test_impossible_knowledge_is_refused(known: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        suggest_graph(numbers(0, rows=60), known=known)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"a": np.nan}, "missing cells"),
        ({"a": 1.0}, "constant"),
        ({"a": np.inf}, "constant"),
        ({"a": [f"row {i}" for i in range(60)]}, "60 levels"),
        ({"a": [np.inf, *range(59)]}, "not finite"),
    ],
)
def test_columns_that_cannot_be_tested_are_refused(change: Any, match: str) -> None:
    with pytest.raises(DataError, match=match):
        suggest_graph(numbers(0, rows=60).assign(**change))


def test_too_little_and_wrong_data_are_refused() -> None:
    with pytest.raises(DataError, match="10 rows"):
        suggest_graph(numbers(0, rows=10))
    with pytest.raises(QueryError, match="between 0 and 1"):
        suggest_graph(numbers(0), level=5)
    traces = cs.Traces(numbers(0).assign(trace=0, step=range(1000)))
    with pytest.raises(DataError, match="across steps"):
        suggest_graph(traces)
    with pytest.raises(UnknownNameError):
        suggest_graph(numbers(0), supports={"q": cs.Real()})
