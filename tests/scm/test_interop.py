"""To networkx, pgmpy and dowhy and back: what is declared survives, above all the latents."""

from __future__ import annotations

import warnings
from typing import Any

import networkx as nx
import pandas as pd
import pytest
from hypothesis import given, settings

import causalsys as cs
from causalsys.errors import DeclarationError
from causalsys.scm.declaration import Declaration
from causalsys.scm.interop import (
    Imported,
    from_dowhy,
    from_networkx,
    from_pgmpy,
    to_dowhy,
    to_gcm,
    to_networkx,
    to_pgmpy,
)
from tests.strategies import declarations, odd_names

anything = declarations(names=odd_names)
static = declarations(names=odd_names, temporal=False)
finite = declarations(temporal=False, finite=True)


@pytest.fixture(autouse=True)
def _calm() -> Any:
    """The other libraries warn about themselves when they are imported and used."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class Server(cs.SCM):
    arm = cs.Arm()
    host = cs.Latent(cs.Real(), per="trace")
    backlog = cs.State(cs.Positive("ms"), initial=2.0)
    choice = cs.Decision(cs.Boolean(), [arm, backlog])
    work = cs.Observed(cs.Positive("ms"), [choice, host], mechanism=cs.Multiplicative())

    @cs.equation(cs.Positive("ms"))
    def latency(work, backlog):
        return backlog + work

    alarm = cs.Observed(cs.Boolean(), [latency, latency.lag(2, initial=3.0)])

    @cs.transition(backlog)
    def drain(backlog, work):
        return backlog + work


class Table(cs.SCM):
    load = cs.Latent(cs.Categorical(["low", "high"]))
    kind = cs.Observed(cs.Categorical(["read", "write"]))
    slow = cs.Observed(cs.Boolean(), [load, kind])


class Logged(cs.SCM):
    load = cs.Observed(cs.Real())
    time = cs.Observed(cs.Real(), [load])


def declared_again(parts: Imported, name: str = "Random") -> Declaration:
    return cs.SCM.from_graph(
        parts.graph, name=name, variables=parts.variables, transitions=parts.transitions
    ).declaration


def same(one: Declaration, other: Declaration) -> None:
    """All but the order in which a learned variable's parents were written."""
    assert set(one.nodes) == set(other.nodes)
    for node in one.nodes.values():
        twin = other.node(node.name)
        assert (node.kind, node.support, node.per) == (twin.kind, twin.support, twin.per)
        assert (node.mechanism, node.initial) == (twin.mechanism, twin.initial)
        assert node.function is twin.function
        if node.function:
            assert node.parents == twin.parents
        assert set(node.parents) == set(twin.parents)


# networkx


@given(anything)
def test_networkx_and_back_loses_nothing(model: Declaration) -> None:
    same(model, declared_again(from_networkx(to_networkx(model))))


def test_networkx_attributes() -> None:
    graph = to_networkx(Server.declaration)
    assert type(graph) is nx.DiGraph
    assert graph.graph["name"] == "Server"
    assert graph.nodes["host"] == {
        "kind": "latent",
        "support": cs.Real(),
        "per": "trace",
        "mechanism": cs.StandardNormal(),
    }
    assert graph.nodes["backlog"]["initial"] == 2.0
    assert graph.nodes["latency"]["arguments"] == ("work", "backlog")
    assert graph.edges["backlog", "backlog"] == {"lag": 1}
    assert graph.edges["choice", "work"] == {"lag": 0}
    assert graph.edges["latency", "alarm"] == {"lag": 0, "lags": {0: 0.0, 2: 3.0}}


def test_a_plain_graph_is_real_and_observed() -> None:
    parts = from_networkx(nx.DiGraph([("a", "b")]))
    assert {type(variable) for variable in parts.variables.values()} == {cs.Observed}
    assert parts.variables["a"].support == cs.Real()
    parts = from_networkx(nx.DiGraph([("a", "b")]), support=cs.Positive("ms"))
    assert parts.variables["a"].support == cs.Positive("ms")


@pytest.mark.parametrize(
    "marks",
    [
        {"kind": "latent"},
        {"observed": "no"},
        {"observed": False},
        {"hidden": True},
        {"roles": {"latents"}},
    ],
)
def test_every_way_to_mark_a_latent_is_read(marks: dict[str, Any]) -> None:
    graph = nx.DiGraph([("u", "b")])
    graph.nodes["u"].update(marks)
    assert declared_again(from_networkx(graph)).graph.latents == ("u",)


def test_an_edited_graph_is_another_model() -> None:
    graph = to_networkx(Server.declaration)
    graph.add_edge("work", "alarm", lag=1)
    graph.remove_edge("host", "work")
    graph.remove_node("host")
    model = declared_again(from_networkx(graph))
    assert [p.key for p in model.node("alarm").parents] == ["latency", "latency[-2]", "work[-1]"]
    assert [p.key for p in model.node("work").parents] == ["choice"]


@pytest.mark.parametrize(
    ("attributes", "found", "mend"),
    [
        ({"kind": "hidden"}, "the kind 'hidden'", "Use one of latent, observed"),
        ({"support": "ms"}, "the support 'ms'", r'cs\.Positive\("ms"\)'),
        ({"kind": "equation"}, "equation without its function", 'attribute "function"'),
        ({"kind": "state"}, "state without its function", 'attribute "function"'),
        ({"kind": "latent", "per": "day"}, "per='day'", '"step" or "trace"'),
    ],
)
def test_an_attribute_that_makes_no_sense_is_refused(
    attributes: dict[str, Any], found: str, mend: str
) -> None:
    graph = nx.DiGraph([("a", "b")])
    graph.nodes["a"].update(attributes)
    with pytest.raises(DeclarationError, match=rf"{found}.*{mend}"):
        from_networkx(graph)


def test_an_undirected_graph_is_refused() -> None:
    with pytest.raises(DeclarationError, match="undirected"):
        from_networkx(nx.Graph([("a", "b")]))


# pgmpy


@settings(max_examples=50)
@given(static)
def test_pgmpy_and_back_loses_nothing(model: Declaration) -> None:
    same(model, declared_again(from_pgmpy(to_pgmpy(model))))


@settings(max_examples=50)
@given(static)
def test_latents_survive_pgmpys_own_copy(model: Declaration) -> None:
    theirs = to_pgmpy(model)
    assert theirs.latents == set(model.graph.latents)
    again = declared_again(from_pgmpy(theirs.copy()))
    assert set(again.graph.latents) == set(model.graph.latents)
    assert set(again.graph.edges) == set(model.graph.edges)


@settings(max_examples=50)
@given(finite)
def test_a_finite_model_is_a_discrete_network(model: Declaration) -> None:
    from pgmpy.models import DiscreteBayesianNetwork

    theirs = to_pgmpy(model)
    assert type(theirs) is DiscreteBayesianNetwork
    assert set(theirs.edges) == {(edge.cause, edge.effect) for edge in model.graph.edges}


def test_a_model_with_real_variables_is_a_dag() -> None:
    from pgmpy.base import DAG

    assert type(to_pgmpy(Logged.declaration)) is DAG


def test_levels_come_from_state_names() -> None:
    from pgmpy.factors.discrete import TabularCPD
    from pgmpy.models import DiscreteBayesianNetwork

    theirs = DiscreteBayesianNetwork([("kind", "slow"), ("load", "slow")], latents={"load"})
    names = {"kind": ["read", "write"], "load": ["low", "high"], "slow": [False, True]}
    theirs.add_cpds(
        TabularCPD("kind", 2, [[0.5], [0.5]], state_names={"kind": names["kind"]}),
        TabularCPD("load", 2, [[0.5], [0.5]], state_names={"load": names["load"]}),
        TabularCPD(
            "slow",
            2,
            [[0.9, 0.8, 0.7, 0.6], [0.1, 0.2, 0.3, 0.4]],
            evidence=["kind", "load"],
            evidence_card=[2, 2],
            state_names=names,
        ),
    )
    assert theirs.check_model()
    model = declared_again(from_pgmpy(theirs))
    assert model.graph.latents == ("load",)
    assert model.node("kind").support == cs.Categorical(["read", "write"])
    assert model.node("load").support == cs.Categorical(["low", "high"])
    assert model.node("slow").support == cs.Boolean()


def test_an_exported_network_can_be_fitted_by_pgmpy() -> None:
    class Both(cs.SCM):
        kind = cs.Observed(cs.Categorical(["read", "write"]))
        slow = cs.Observed(cs.Categorical(["no", "yes"]), [kind])

    frame = pd.DataFrame({"kind": ["read", "write"] * 20, "slow": ["no", "yes", "no", "no"] * 10})
    theirs = to_pgmpy(Both.declaration).fit(frame)
    assert theirs.get_cpds("slow").get_value(kind="write", slow="yes") == pytest.approx(0.5)


def test_one_state_is_no_choice() -> None:
    from pgmpy.factors.discrete import TabularCPD
    from pgmpy.models import DiscreteBayesianNetwork

    theirs = DiscreteBayesianNetwork([("a", "b")])
    theirs.add_cpds(TabularCPD("a", 1, [[1.0]], state_names={"a": ["only"]}))
    with pytest.raises(DeclarationError, match="at least two different levels") as caught:
        from_pgmpy(theirs)
    assert caught.value.variable == "a"


def test_what_is_no_dag_of_pgmpy_is_refused() -> None:
    from pgmpy.models import DynamicBayesianNetwork

    with pytest.raises(DeclarationError, match=r"a DiGraph.*Give a pgmpy DAG"):
        from_pgmpy(nx.DiGraph([("a", "b")]))  # type: ignore[arg-type]
    with pytest.raises(DeclarationError, match="describe steps by a networkx graph with lags"):
        from_pgmpy(DynamicBayesianNetwork())


# dowhy


@settings(max_examples=50)
@given(static)
def test_dowhy_and_back_loses_nothing(model: Declaration) -> None:
    same(model, declared_again(from_dowhy(to_dowhy(model))))


def test_dowhy_sees_the_latent_as_unobserved() -> None:
    from dowhy import CausalModel

    class Confounded(cs.SCM):
        load = cs.Latent(cs.Real())
        cache = cs.Decision(cs.Boolean(), [load])
        time = cs.Observed(cs.Positive("ms"), [cache, load])

    data = pd.DataFrame({"cache": [0, 1] * 10, "time": [1.0, 2.0] * 10})
    model = CausalModel(data, "cache", "time", graph=to_dowhy(Confounded.declaration))
    assert model._graph._graph.nodes["load"]["observed"] == "no"
    estimand = model.identify_effect(proceed_when_unidentifiable=False)
    assert estimand.estimands["backdoor"] is None
    same(Confounded.declaration, declared_again(from_dowhy(model)))


def test_dowhy_adjusts_for_what_is_logged() -> None:
    from dowhy.causal_identifier import identify_effect_auto
    from dowhy.causal_identifier.identify_effect import EstimandType

    class Measured(cs.SCM):
        load = cs.Observed(cs.Real())
        noise = cs.Latent(cs.Real())
        cache = cs.Decision(cs.Real(), [load])
        time = cs.Observed(cs.Positive("ms"), [cache, load, noise])

    graph, observed = to_dowhy(Measured.declaration), list(Measured.graph.observed)
    kind = EstimandType.NONPARAMETRIC_ATE
    found = identify_effect_auto(graph, ["cache"], ["time"], observed, kind)
    assert found.get_adjustment_set("backdoor") == ["load"]


def test_a_column_that_dowhy_lacks_is_a_latent() -> None:
    from dowhy import CausalModel

    graph = nx.DiGraph([("u", "x"), ("u", "y"), ("x", "y")])
    data = pd.DataFrame({"x": [0.0, 1.0], "y": [0.0, 1.0]})
    model = CausalModel(data, "x", "y", graph=graph)
    assert declared_again(from_dowhy(model)).graph.latents == ("u",)


def test_gcm_takes_a_model_without_latents() -> None:
    from dowhy import gcm

    theirs = to_gcm(Logged.declaration)
    frame = pd.DataFrame({"load": [0.0, 1.0, 2.0, 3.0] * 5, "time": [0.1, 1.0, 2.1, 3.0] * 5})
    gcm.auto.assign_causal_mechanisms(theirs, frame)
    gcm.fit(theirs, frame)
    assert list(gcm.draw_samples(theirs, 3).columns) == ["load", "time"]
    same(Logged.declaration, declared_again(from_dowhy(theirs)))


def test_gcm_is_refused_a_latent() -> None:
    with pytest.raises(
        DeclarationError, match=r"assumes that there are none.*Ask Table itself"
    ) as caught:
        to_gcm(Table.declaration)
    assert caught.value.variable == "load"


@pytest.mark.parametrize("model", [5, "digraph {}", None])
def test_what_is_no_model_of_dowhy_is_refused(model: object) -> None:
    with pytest.raises(DeclarationError, match=r"Give a dowhy\.CausalModel"):
        from_dowhy(model)


@pytest.mark.parametrize("export", [to_pgmpy, to_dowhy, to_gcm])
def test_lags_are_refused_where_there_are_no_steps(export: Any) -> None:
    with pytest.raises(DeclarationError, match=r"has no steps.*Unroll it") as caught:
        export(Server.declaration)
    assert caught.value.variable == "Server"
    assert "Server.graph.unrolled(3)" in caught.value.mend
    assert Server.graph.unrolled(3).number_of_nodes() > 0


def test_a_long_lag_is_put_into_words() -> None:
    class Slow(cs.SCM):
        a = cs.Observed(cs.Real())
        b = cs.Observed(cs.Real(), [a.lag(3)])

    with pytest.raises(DeclarationError, match="a acts on b 3 steps later"):
        to_pgmpy(Slow.declaration)
