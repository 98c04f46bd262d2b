"""Independence, districts and projections: against networkx, pgmpy and y0 on random graphs."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import causalsys as cs
from causalsys.errors import QueryError, UnknownNameError
from causalsys.scm.declaration import Declaration
from causalsys.scm.graph import At, Edge, Graph
from tests.strategies import declarations

static = declarations(temporal=False)
temporal = declarations(largest=4)


class Server(cs.SCM):
    arm = cs.Arm()
    host = cs.Latent(cs.Real(), per="trace")
    size = cs.Latent(cs.Positive())
    backlog = cs.State(cs.Positive())
    choice = cs.Decision(cs.Real(), [arm, backlog])
    work = cs.Observed(cs.Positive(), [size, choice, host])

    @cs.equation(cs.Positive())
    def latency(backlog, work):
        return backlog + work

    @cs.transition(backlog)
    def drain(backlog, work):
        return backlog + work


def edges(*pairs: str, latents: str = "") -> Graph:
    """A graph from "ab" for a → b and "ab1" for the same one step later."""
    drawn = tuple(Edge(pair[0], pair[1], int(pair[2:] or 0)) for pair in pairs)
    within: nx.DiGraph[str] = nx.DiGraph()
    within.add_nodes_from(letter for pair in pairs for letter in pair[:2])
    within.add_edges_from((edge.cause, edge.effect) for edge in drawn if not edge.lag)
    names = list(nx.lexicographical_topological_sort(within))
    kinds = {name: "latent" if name in latents else "observed" for name in names}
    return Graph("Letters", kinds, dict.fromkeys(names, "step"), drawn)


def by_hand(graph: Graph) -> nx.DiGraph[At]:
    """The unrolled graph, over more steps than any two paths need to meet.

    Walk back from two variables, always from the later one: the pair and its distance in steps
    repeat after variables² · (2 · lag + 1) moves.
    """
    lag = graph.longest_lag
    steps = 4 + lag * (len(graph.kinds) ** 2 * (2 * lag + 1) + 2 * len(graph.kinds))
    unrolled: nx.DiGraph[At] = nx.DiGraph()

    def at(name: str, step: int) -> At:
        return name, 0 if graph.per[name] == "trace" else step

    for step in range(-steps, 1):
        for name in graph.kinds:
            unrolled.add_node(at(name, step))
        for edge in graph.edges:
            if step - edge.lag >= -steps:
                unrolled.add_edge(at(edge.cause, step - edge.lag), at(edge.effect, step))
    return unrolled


def questions(points: list[At], seed: int) -> Iterator[tuple[At, At, set[At]]]:
    draw = random.Random(seed)
    for _ in range(6):
        if len(points) < 2:
            return
        x, y, *rest = draw.sample(points, len(points))
        yield x, y, set(rest[: draw.randint(0, len(rest))])


@settings(max_examples=40)
@given(temporal, st.integers(0, 1000))
def test_d_separation_is_that_of_the_unrolled_graph(model: Declaration, seed: int) -> None:
    graph = model.graph
    unrolled = by_hand(graph)
    points = sorted({(name, step) for name, step in unrolled if step > -3})
    for x, y, given_ in questions(points, seed):
        expected = nx.is_d_separator(unrolled, {x}, {y}, given_)
        assert graph.d_separated(x, y, given=given_) == expected, (x, y, given_)


@pytest.mark.parametrize("lags", [(4, 5), (2, 3), (11, 7), (1, 6)])
def test_a_common_cause_far_back_is_found(lags: tuple[int, int]) -> None:
    """Two series that repeat every p and q steps and share a driver meet once in p · q steps."""
    p, q = lags
    for offset in range(q):
        graph = edges(f"aa{p}", f"bb{q}", "ca", f"cb{offset}")
        assert not graph.d_separated("a", "b")


def test_a_cause_of_both_that_is_the_longest_lag_back_is_found() -> None:
    graph = edges("za3", "zb3", "ap1", "bq1")
    assert not graph.d_separated("p", "q")
    assert graph.d_separated("p", ("q", -1))
    assert graph.d_separated("p", "q", given=[("z", -4)])


def test_series_that_never_meet_are_separated() -> None:
    graph = edges("aa2", "bb2", "ca", "cb1")
    assert graph.d_separated("a", "b")
    assert not graph.d_separated("a", ("b", -1))


@given(static, st.integers(0, 1000))
def test_d_separation_is_that_of_pgmpy(model: Declaration, seed: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pgmpy.base import DAG
    graph = model.graph
    theirs = DAG()
    theirs.add_nodes_from(graph.order)
    theirs.add_edges_from((edge.cause, edge.effect) for edge in graph.edges)
    for (x, _), (y, _), given_ in questions([(name, 0) for name in graph.order], seed):
        names = [name for name, _ in given_]
        connected = theirs.is_dconnected(x, y, observed=names)
        assert graph.d_separated(x, y, given=names) != connected


@given(static)
def test_projection_and_districts_are_those_of_y0(model: Declaration) -> None:
    from y0.algorithm.simplify_latent import simplify_latent_dag
    from y0.dsl import Variable
    from y0.graph import NxMixedGraph

    graph = model.graph
    dag: nx.DiGraph[Variable] = nx.DiGraph()
    for name in graph.order:
        dag.add_node(Variable(name), hidden=name in graph.latents)
    dag.add_edges_from((Variable(e.cause), Variable(e.effect)) for e in graph.edges)
    theirs = NxMixedGraph.from_latent_variable_dag(simplify_latent_dag(dag).graph)
    for name in graph.observed:
        theirs.add_node(Variable(name))
    projection = graph.projection()
    assert {(a.name, b.name) for a, b in theirs.directed.edges} == projection.directed
    assert {tuple(sorted((a.name, b.name))) for a, b in theirs.undirected.edges} == (
        projection.bidirected
    )
    found = {frozenset(variable.name for variable in part) for part in theirs.districts()}
    assert set(graph.districts()) == found


@given(static, st.integers(0, 1000))
def test_the_projection_keeps_every_independence(model: Declaration, seed: int) -> None:
    graph = model.graph
    projection = graph.projection()
    canonical: nx.DiGraph[object] = nx.DiGraph(projection.directed)
    canonical.add_nodes_from(projection.nodes)
    for pair in projection.bidirected:
        canonical.add_edges_from((pair, end) for end in pair)
    for (x, _), (y, _), given_ in questions([(name, 0) for name in graph.observed], seed):
        names = {name for name, _ in given_}
        expected = nx.is_d_separator(canonical, {x}, {y}, names)
        assert graph.d_separated(x, y, given=names) == expected


def test_a_randomised_arm_is_independent_of_latents_now_and_before() -> None:
    graph = Server.graph
    assert graph.d_separated("arm", "size")
    assert graph.d_separated("arm", ["size", ("size", -3), "host"])
    assert not graph.d_separated("arm", "size", given="latency")
    assert not graph.d_separated("arm", "backlog")


def test_steps_are_tied_by_a_state_and_by_a_latent_of_the_trace() -> None:
    graph = Server.graph
    assert not graph.d_separated("work", ("work", -4))
    known = [("backlog", 0), ("backlog", -1), ("choice", 0), ("choice", -1), "arm"]
    assert not graph.d_separated("work", ("work", -1), given=known)
    assert graph.d_separated("work", ("work", -1), given=[*known, "host"])


def test_districts_join_what_a_latent_reaches_at_any_lag() -> None:
    assert set(edges("ua", "ub1", latents="u").districts()) == {frozenset("ab")}
    assert set(edges("ua", "uu1", "ub1", latents="u").districts()) == {frozenset("ab")}
    assert set(edges("ua", "ac", "vb", latents="uv").districts()) == set(map(frozenset, "abc"))
    assert Server.graph.districts() == tuple(
        frozenset({name}) for name in Server.graph.order if name not in ("host", "size")
    )


def test_latents_in_a_lattice_do_not_take_exponential_time() -> None:
    pairs = []
    for i in range(40):
        pairs += [Edge(f"{side}{i}", f"{other}{i + 1}") for side in "lr" for other in "lr"]
    names = [f"{side}{i}" for i in range(42) for side in "lr"]
    pairs += [Edge("l40", "l41"), Edge("r40", "r41")]
    kinds = {name: "observed" if name.endswith("41") else "latent" for name in names}
    graph = Graph("Lattice", kinds, dict.fromkeys(names, "step"), tuple(pairs))
    assert graph.projection().bidirected == {("l41", "r41")}


def test_relatives_are_those_within_the_step() -> None:
    graph = Server.graph
    assert graph.parents("work") == ("choice", "host", "size")
    assert graph.children("backlog") == ("choice", "latency")
    assert graph.ancestors("latency") == {"arm", "backlog", "choice", "host", "size", "work"}
    assert graph.descendants("arm") == {"choice", "work", "latency"}
    assert graph.parents("backlog") == ()
    assert graph.latents == ("host", "size")
    assert set(graph.observed) | set(graph.latents) == set(graph.order)
    assert graph.longest_lag == 1


def test_order_is_causal_with_ties_by_name() -> None:
    assert Server.graph.order == tuple(nx.lexicographical_topological_sort(Server.graph.within))


@pytest.mark.parametrize("call", ["parents", "children", "ancestors", "descendants"])
def test_an_unknown_name_is_refused_with_a_guess(call: str) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean latency"):
        getattr(Server.graph, call)("latncy")


@pytest.mark.parametrize(
    ("x", "y", "given_", "error", "found"),
    [
        ("latncy", "arm", (), UnknownNameError, "Did you mean latency"),
        ("arm", "arm", (), QueryError, "more than one of the sets"),
        ("arm", "work", "arm", QueryError, "more than one of the sets"),
        ("arm", ("work", 1), (), QueryError, "Count steps back from now"),
        (("host", -1), "host", (), QueryError, "more than one of the sets"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(
    x: At, y: At, given_: str, error: type[Exception], found: str
) -> None:
    with pytest.raises(error, match=found):
        Server.graph.d_separated(x, y, given=given_)


def test_unrolling_keeps_one_node_for_a_trace() -> None:
    unrolled = Server.graph.unrolled(3)
    assert [node for node in unrolled if node[0] == "host"] == [("host", 0)]
    assert unrolled.has_edge(("work", -1), ("backlog", 0))
    assert unrolled.has_edge(("host", 0), ("work", -2))
    assert not unrolled.pred["backlog", -2]
