"""Declaring a model, and every refusal: it names the variable, what was found, and the mend."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import networkx as nx
import pytest
from hypothesis import given

import causalsys as cs
from causalsys.errors import (
    CausalSysError,
    CycleError,
    DeclarationError,
    SupportError,
    UnknownNameError,
)
from causalsys.scm.declaration import Declaration
from causalsys.scm.resolve import resolve
from causalsys.scm.specs import Auto, StandardNormal
from causalsys.scm.variables import Lagged
from tests.strategies import declarations, odd_names


class LoadBalancer(cs.SCM):
    """Jobs of unknown size."""

    arm = cs.Arm()
    size = cs.Latent(cs.Positive())
    gap = cs.Observed(cs.Positive("ms"))
    backlog = cs.State(cs.Positive("ms", size=8), initial=2.0)
    server = cs.Decision(cs.Categorical(8), parents=[arm, backlog])
    work = cs.Observed(cs.Positive("ms"), parents=[size, server], mechanism=cs.Multiplicative())

    @cs.equation(cs.Positive("ms"))
    def latency(backlog, server, work):
        """Waiting, then working."""
        return cs.pick(backlog, server) + work

    @cs.transition(backlog)
    def drain(backlog, server, work, gap):
        return (cs.add_at(backlog, server, work) - gap).clamp(min=0)


def test_a_class_body_is_a_declaration() -> None:
    declared = LoadBalancer.declaration.as_written
    assert declared.name == "LoadBalancer"
    assert declared.doc == "Jobs of unknown size."
    assert declared.temporal
    assert list(declared.nodes) == list(declared.graph.order)
    assert {name: node.kind for name, node in declared.nodes.items()} == {
        "arm": "arm",
        "size": "latent",
        "gap": "observed",
        "backlog": "state",
        "server": "decision",
        "work": "observed",
        "latency": "equation",
    }
    assert [parent.key for parent in declared.node("latency").parents] == [
        "backlog",
        "server",
        "work",
    ]
    assert [parent.key for parent in declared.node("backlog").parents] == [
        "backlog[-1]",
        "server[-1]",
        "work[-1]",
        "gap[-1]",
    ]
    assert declared.node("backlog").initial == 2.0
    assert declared.node("arm").per == "trace"
    assert not declared.node("latency").learned
    assert declared.node("work").learned
    assert declared.node("size").mechanism == StandardNormal()


def test_a_model_shows_itself() -> None:
    shown = repr(LoadBalancer).splitlines()
    assert shown[0] == "LoadBalancer:"
    assert "  work: observed, positive [ms] ← size, server" in shown
    assert "  size: latent, positive ← ·" in shown


def test_a_model_can_be_pickled_by_name() -> None:
    assert pickle.loads(pickle.dumps(LoadBalancer)) is LoadBalancer  # noqa: S301


def test_a_subclass_adds_and_replaces() -> None:
    class Slower(LoadBalancer):
        gap = cs.Observed(cs.Positive("s"))
        alarm = cs.Observed(cs.Boolean(), parents=["latency", LoadBalancer.gap])

    assert str(Slower.declaration.node("gap").support) == "positive [s]"
    assert Slower.graph.parents("alarm") == ("gap", "latency")
    assert "alarm" not in LoadBalancer.declaration.nodes
    assert LoadBalancer.declaration.fingerprint != Slower.declaration.fingerprint


def test_a_model_does_not_change() -> None:
    with pytest.raises(DeclarationError, match="Declare a subclass instead"):
        LoadBalancer.gap = cs.Observed(cs.Real())
    with pytest.raises(DeclarationError, match="Declare a subclass instead"):
        del LoadBalancer.gap
    with pytest.raises(DeclarationError, match=r"LoadBalancer\.fit\(data\)"):
        LoadBalancer()


def twice() -> None:
    class Model(cs.SCM):
        load = cs.Observed(cs.Real())
        load = cs.Observed(cs.Positive())  # noqa: PIE794


def twice_by_a_function() -> None:
    class Model(cs.SCM):
        load = cs.Observed(cs.Real())

        @cs.equation(cs.Real())
        def load(load):  # noqa: F811
            return load


def two_names() -> None:
    class Model(cs.SCM):
        load = cs.Observed(cs.Real())
        also = load


def a_verb() -> None:
    class Model(cs.SCM):
        fit = cs.Observed(cs.Real())


def the_declaration() -> None:
    class Model(cs.SCM):
        declaration = cs.Observed(cs.Real())


def the_mark_of_bases() -> None:
    class Model(cs.SCM):
        abstract = cs.Observed(cs.Real())


def empty() -> None:
    class Model(cs.SCM):
        pass


def cycle() -> None:
    class Model(cs.SCM):
        c = cs.Observed(cs.Real(), parents=["b"])
        a = cs.Observed(cs.Real(), parents=["c"])
        b = cs.Observed(cs.Real(), parents=["a"])


def its_own_parent() -> None:
    class Model(cs.SCM):
        a = cs.Observed(cs.Real(), parents=["a"])


def misspelt() -> None:
    class Model(cs.SCM):
        latency = cs.Observed(cs.Positive())
        alarm = cs.Observed(cs.Boolean(), parents=["latncy"])


def misspelt_argument() -> None:
    class Model(cs.SCM):
        latency = cs.Observed(cs.Positive())

        @cs.equation(cs.Positive())
        def total(latncy):
            return latncy


def a_number_as_parent() -> None:
    class Model(cs.SCM):
        a = cs.Observed(cs.Real(), parents=[5])  # type: ignore[list-item]


def a_nameless_parent() -> None:
    class Model(cs.SCM):
        a = cs.Observed(cs.Real(), parents=[cs.Observed(cs.Real())])


def parents_not_in_a_list() -> None:
    class Model(cs.SCM):
        a = cs.Observed(cs.Real())
        b = cs.Observed(cs.Real(), parents=a)  # type: ignore[arg-type]


def a_parent_twice() -> None:
    class Model(cs.SCM):
        a = cs.Observed(cs.Real())
        b = cs.Observed(cs.Real(), parents=[a, "a"])


def a_lagged_parent_twice() -> None:
    class Model(cs.SCM):
        a = cs.Observed(cs.Real())
        b = cs.Observed(cs.Real(), parents=[a.lag(1), a.lag(1, initial=3.0)])


def a_lag_of_nothing() -> None:
    class Model(cs.SCM):
        a = cs.Observed(cs.Real())
        b = cs.Observed(cs.Real(), parents=[a.lag(0)])


def a_step_above_a_trace() -> None:
    class Model(cs.SCM):
        load = cs.Observed(cs.Real())
        host = cs.Latent(cs.Real(), parents=[load], per="trace")
        time = cs.Observed(cs.Real(), parents=[host])


def per_row() -> None:
    cs.Latent(cs.Real(), per="row")  # type: ignore[arg-type]


def no_support() -> None:
    cs.Observed("ms")  # type: ignore[arg-type]


def no_mechanism() -> None:
    cs.Observed(cs.Real(), mechanism="linear")  # type: ignore[arg-type]


def childless() -> None:
    class Model(cs.SCM):
        load = cs.Latent(cs.Real())
        time = cs.Observed(cs.Real())


def latents_only_below() -> None:
    class Model(cs.SCM):
        load = cs.Latent(cs.Real(), parents=["load_of_before"])
        load_of_before = cs.Latent(cs.Real(), parents=[Lagged("load")])
        time = cs.Observed(cs.Real())


def a_count_from_a_line() -> None:
    class Model(cs.SCM):
        errors = cs.Observed(cs.Count(), mechanism=cs.Linear())


def a_positive_from_a_line() -> None:
    class Model(cs.SCM):
        time = cs.Observed(cs.Positive("ms"), mechanism=cs.Linear())


def a_latent_count() -> None:
    class Model(cs.SCM):
        jobs = cs.Latent(cs.Count())
        time = cs.Observed(cs.Real(), parents=[jobs])


def a_marginal_with_parents() -> None:
    class Model(cs.SCM):
        a = cs.Observed(cs.Real())
        b = cs.Observed(cs.Real(), parents=[a], mechanism=cs.Marginal())


def trees_below_a_latent() -> None:
    class Model(cs.SCM):
        load = cs.Latent(cs.Real())
        time = cs.Observed(cs.Real(), parents=[load], mechanism=cs.BoostedTrees())


def two_transitions() -> None:
    class Model(cs.SCM):
        queue = cs.State(cs.Real())

        @cs.transition(queue)
        def first(queue):
            return queue

        @cs.transition(queue)
        def second(queue):
            return queue + 1


def no_transition() -> None:
    class Model(cs.SCM):
        queue = cs.State(cs.Real())


def transition_of_no_state() -> None:
    class Model(cs.SCM):
        queue = cs.Observed(cs.Real())

        @cs.transition(queue)  # type: ignore[arg-type]
        def following(queue):
            return queue


def transition_of_a_stranger() -> None:
    class Model(cs.SCM):
        queue = cs.Observed(cs.Real())

        @cs.transition("quue")
        def following(queue):
            return queue


def transition_of_a_number() -> None:
    cs.transition(5)(lambda queue: queue)  # type: ignore[arg-type]


def transition_of_a_nameless_state() -> None:
    class Model(cs.SCM):
        queue = cs.Observed(cs.Real())

        @cs.transition(cs.State(cs.Real()))
        def following(queue):
            return queue


def transition_of_an_unknown_argument() -> None:
    class Model(cs.SCM):
        queue = cs.State(cs.Real())

        @cs.transition(queue)
        def following(queue, arrivals):
            return queue + arrivals


def a_start_outside_the_support() -> None:
    class Model(cs.SCM):
        queue = cs.State(cs.Positive("ms"), initial=-1.0)

        @cs.transition(queue)
        def following(queue):
            return queue


def a_past_outside_the_support() -> None:
    class Model(cs.SCM):
        rate = cs.Observed(cs.Fraction())
        time = cs.Observed(cs.Real(), parents=[rate.lag(1, initial=1.5)])


def a_start_in_words() -> None:
    class Model(cs.SCM):
        queue = cs.State(cs.Positive("ms"), initial="empty")  # type: ignore[arg-type]

        @cs.transition(queue)
        def following(queue):
            return queue


def starred() -> None:
    cs.equation(cs.Real())(lambda *all_of_them: all_of_them)


def keywords() -> None:
    cs.equation(cs.Real())(lambda **all_of_them: all_of_them)


def unreadable() -> None:
    cs.equation(cs.Real())(type)


def too_many_parents() -> None:
    cs.equation(cs.Real(), parents=["a b", "c d"])(lambda x: x)


REFUSED: list[tuple[Callable[[], None], type[CausalSysError], str, str, str]] = [
    (twice, DeclarationError, "load", "declared twice", "Rename one of the two"),
    (twice_by_a_function, DeclarationError, "load", "declared twice", "Rename one of the two"),
    (two_names, DeclarationError, "also", "load under a second name", "on its own"),
    (a_verb, DeclarationError, "fit", "every model already has", "fit_"),
    (the_declaration, DeclarationError, "declaration", "every model already has", "declaration_"),
    (the_mark_of_bases, DeclarationError, "abstract", "every model already has", "abstract_"),
    (empty, DeclarationError, "Model", "no variables", "cs.Observed"),
    (cycle, CycleError, "a", "a → b → c → a", "x.lag(1)"),
    (its_own_parent, CycleError, "a", "a → a", "x.lag(1)"),
    (misspelt, UnknownNameError, "latncy", "as a parent of alarm", "Did you mean latency"),
    (misspelt_argument, UnknownNameError, "latncy", "as a parent of total", "mean latency"),
    (a_number_as_parent, DeclarationError, "a", "5 among its parents", "a variable of this model"),
    (a_nameless_parent, DeclarationError, "a", "(unnamed)", "Declare it first"),
    (parents_not_in_a_list, DeclarationError, "Observed", "as the parents", "parents=[load"),
    (a_parent_twice, DeclarationError, "b", "the parent a twice", "once"),
    (a_lagged_parent_twice, DeclarationError, "b", "the parent a[-1] twice", "once"),
    (a_lag_of_nothing, DeclarationError, "b", "a lag of 0 steps", "Lag by 1"),
    (a_step_above_a_trace, DeclarationError, "host", "load has one per step", 'per="step"'),
    (per_row, DeclarationError, "Latent", "per='row'", '"step" or "trace"'),
    (no_support, DeclarationError, "Observed", "'ms' as the support", 'Positive("ms")'),
    (no_mechanism, DeclarationError, "Observed", "'linear' as the mechanism", "cs.Linear()"),
    (childless, DeclarationError, "load", "a latent without children", "drop it"),
    (latents_only_below, DeclarationError, "load_of_before", "without children", "drop it"),
    (a_count_from_a_line, SupportError, "errors", "Linear produces", "Change one"),
    (a_positive_from_a_line, SupportError, "time", "link='log'", "Change one"),
    (a_latent_count, SupportError, "jobs", "a latent count", "cs.Latent(cs.Positive())"),
    (a_marginal_with_parents, DeclarationError, "b", "Marginal() together", "Drop the parents"),
    (trees_below_a_latent, DeclarationError, "time", "BoostedTrees cannot", "cs.NeuralAdditive"),
    (two_transitions, DeclarationError, "queue", "two transitions", "Keep one"),
    (no_transition, DeclarationError, "queue", "without a transition", "@cs.transition(queue)"),
    (transition_of_no_state, DeclarationError, "queue", "which is no State", "cs.State"),
    (transition_of_a_stranger, UnknownNameError, "quue", "as a state", "Did you mean queue"),
    (transition_of_a_number, DeclarationError, "<lambda>", "a transition of 5", "Give the state"),
    (transition_of_a_nameless_state, DeclarationError, "following", "(unnamed)", "first"),
    (transition_of_an_unknown_argument, UnknownNameError, "arrivals", "of queue", "queue"),
    (a_start_outside_the_support, DeclarationError, "queue", "-1.0", "initial=0.0"),
    (a_past_outside_the_support, DeclarationError, "rate", "1.5, which is not fraction", "0.0"),
    (a_start_in_words, DeclarationError, "queue", "'empty'", "Give a number"),
    (starred, DeclarationError, "<lambda>", "*all_of_them", "an argument of its own"),
    (keywords, DeclarationError, "<lambda>", "*all_of_them", "an argument of its own"),
    (unreadable, DeclarationError, "type", "arguments cannot be read", "plain function"),
    (too_many_parents, DeclarationError, "<lambda>", "1 arguments for 2 parents", "one argument"),
]


@pytest.mark.parametrize(
    ("declare", "error", "variable", "found", "mend"),
    REFUSED,
    ids=[declare.__name__ for declare, *_ in REFUSED],
)
def test_refused(
    declare: Callable[[], None],
    error: type[CausalSysError],
    variable: str,
    found: str,
    mend: str,
) -> None:
    with pytest.raises(error) as caught:
        declare()
    assert caught.value.variable == variable
    assert found in caught.value.found
    assert mend in caught.value.mend
    assert str(caught.value).startswith(f"{variable}: ")


def test_an_error_survives_a_pipe() -> None:
    with pytest.raises(CycleError) as caught:
        cycle()
    copy = pickle.loads(pickle.dumps(caught.value))  # noqa: S301
    assert (type(copy), str(copy)) == (CycleError, str(caught.value))


# From a graph


def test_a_graph_is_a_model() -> None:
    graph = nx.DiGraph([("load", "time"), ("time", "alarm now")])
    graph.add_edge("time", "load", lag=2, initial=1.0)
    model = cs.SCM.from_graph(
        graph,
        name="Calls",
        variables={"load": cs.Latent(cs.Real()), "alarm now": cs.Observed(cs.Boolean())},
        default=cs.Observed(cs.Positive("ms")),
    )
    assert issubclass(model, cs.SCM)
    assert model.graph.latents == ("load",)
    assert str(model.declaration.node("time").support) == "positive [ms]"
    (parent,) = model.declaration.node("load").parents
    assert (parent.key, parent.initial) == ("time[-2]", 1.0)


def test_a_latent_with_causes_in_the_graph_learns_how_they_act() -> None:
    model = cs.SCM.from_graph(
        [("a", "u"), ("u", "b")], name="M", variables={"u": cs.Latent(cs.Real())}
    )
    assert model.declaration.node("u").mechanism == Auto()
    assert (
        cs.SCM.from_graph([("u", "b")], name="M", variables={"u": cs.Latent(cs.Real())})
        .declaration.node("u")
        .mechanism
        == StandardNormal()
    )


def test_parallel_edges_are_lags() -> None:
    graph = nx.MultiDiGraph()
    graph.add_edge("a", "b")
    graph.add_edge("a", "b", lag=1)
    model = cs.SCM.from_graph(graph, name="M")
    assert [parent.key for parent in model.declaration.node("b").parents] == ["a", "a[-1]"]


def test_an_equation_with_a_lag_agrees_with_its_edge() -> None:
    before = Lagged("y")

    def smooth(x, y=before):
        return x + y

    graph = nx.DiGraph([("x", "y")])
    graph.add_edge("y", "y", lag=1)
    variables = {"y": cs.equation(cs.Real())(smooth)}
    model = cs.SCM.from_graph(graph, name="M", variables=variables)
    assert [parent.key for parent in model.declaration.node("y").parents] == ["x", "y[-1]"]


def test_order_does_not_depend_on_the_order_of_the_edges() -> None:
    edges = [("a", "c"), ("b", "c"), ("c", "d")]
    first, second = (cs.SCM.from_graph(e, name="M").declaration for e in (edges, edges[::-1]))
    assert first.fingerprint == second.fingerprint


@pytest.mark.parametrize(
    ("graph", "variables", "variable", "words"),
    [
        (nx.Graph([("a", "b")]), {}, "graph", "an undirected graph"),
        (5, {}, "graph", "a int"),
        ([("a",)], {}, "graph", "a list"),
        ([("a", "b")], {"c": cs.Arm()}, "c", "the nodes of the graph"),
        ([("a", "b")], {"b": cs.Arm()}, "b", "an arm with the cause a"),
        ([("a", "b")], {"b": cs.Real()}, "b", "Describe it by"),
        ([("a", "b")], {"b": cs.State(cs.Real())}, "b", "without a transition"),
        ([("a", 1)], {}, "1", "not a usable name"),
        ([("a", "b\n")], {}, r"'b\n'", "not a usable name"),
        ([("a", "b"), ("b", "a")], {}, "a", "a → b → a"),
        (
            [("a", "b")],
            {"b": cs.equation(cs.Real())(lambda c: c)},
            "b",
            "a → b, which its equation",
        ),
        (nx.DiGraph(), {}, "M", "no variables"),
    ],
)
def test_a_graph_that_is_no_model_is_refused(
    graph: Any, variables: Any, variable: str, words: str
) -> None:
    with pytest.raises(CausalSysError) as caught:
        cs.SCM.from_graph(graph, name="M", variables=variables)
    assert caught.value.variable == variable
    assert words in str(caught.value)


@pytest.mark.parametrize("lag", [-1, 1.5, "1"])
def test_a_lag_is_a_number_of_steps(lag: Any) -> None:
    graph = nx.DiGraph()
    graph.add_edge("a", "b", lag=lag)
    with pytest.raises(DeclarationError, match="Lag by 1, 2"):
        cs.SCM.from_graph(graph, name="M")


def test_an_edge_into_a_state_is_one_of_its_transition() -> None:
    def following(queue, arrivals):
        return queue + arrivals

    variables = {"queue": cs.State(cs.Count())}
    steps = {"queue": following}
    ours = [("arrivals", "queue")]
    model = cs.SCM.from_graph(ours, name="M", variables=variables, transitions=steps)
    assert [p.key for p in model.declaration.node("queue").parents] == ["queue[-1]", "arrivals[-1]"]
    with pytest.raises(DeclarationError, match="other → queue, which its transition does not use"):
        cs.SCM.from_graph(
            [*ours, ("other", "queue")], name="M", variables=variables, transitions=steps
        )


# Fingerprints


def scaled(by: float) -> type[cs.SCM]:
    equation = cs.equation(cs.Real())(lambda a: a * by)
    return cs.SCM.from_graph([("a", "b")], name="M", variables={"b": equation})


def compiled(text: str) -> type[cs.SCM]:
    equation = cs.equation(cs.Real())(eval(text))  # noqa: S307
    return cs.SCM.from_graph([("a", "b")], name="M", variables={"b": equation})


def test_a_fingerprint_sees_constants_outside_a_function() -> None:
    assert scaled(2.0).declaration.fingerprint == scaled(2.0).declaration.fingerprint
    assert scaled(2.0).declaration.fingerprint != scaled(3.0).declaration.fingerprint


def test_a_fingerprint_sees_tuples_of_constants_outside_a_function() -> None:
    def bent(by: tuple[Any, ...]) -> type[cs.SCM]:
        equation = cs.equation(cs.Real())(lambda a: a * by[0])
        return cs.SCM.from_graph([("a", "b")], name="M", variables={"b": equation})

    assert bent((2.0, "x")).declaration.fingerprint == bent((2.0, "x")).declaration.fingerprint
    assert bent((2.0, "x")).declaration.fingerprint != bent((3.0, "x")).declaration.fingerprint
    # What is no constant has no text that lasts from one run to the next.
    assert bent((object(),)).declaration.fingerprint == bent((object(),)).declaration.fingerprint


def test_a_fingerprint_sees_constants_of_a_function_without_source() -> None:
    two, three = compiled("lambda a: a * 2.0"), compiled("lambda a: a * 3.0")
    assert two.declaration.fingerprint != three.declaration.fingerprint
    assert compiled("lambda a: a * 2.0").declaration.fingerprint == two.declaration.fingerprint


def test_a_fingerprint_does_not_see_comments() -> None:
    def plain(a):
        return a + 1

    first = plain

    def plain(a):
        # One is added.
        return a + 1

    def model(function: Any) -> type[cs.SCM]:
        equation = cs.equation(cs.Real())(function)
        return cs.SCM.from_graph([("a", "b")], name="M", variables={"b": equation})

    assert model(first).declaration.fingerprint == model(plain).declaration.fingerprint


@given(declarations())
def test_a_declaration_is_in_causal_order(declared: Declaration) -> None:
    seen: set[str] = set()
    for node in declared.nodes.values():
        assert {parent.name for parent in node.parents if not parent.lag} <= seen
        seen.add(node.name)
    assert declared.temporal == any(p.lag for n in declared.nodes.values() for p in n.parents)


@given(declarations(names=odd_names))
def test_any_visible_text_is_a_name(declared: Declaration) -> None:
    assert len(declared.fingerprint) == 64
    for name in declared.nodes:
        assert declared.node(name).name == name


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a\tb", "\x00"])
def test_what_is_no_visible_line_is_no_name(name: str) -> None:
    with pytest.raises(DeclarationError, match="one line of visible text"):
        resolve("M", {name: cs.Observed(cs.Real())})
