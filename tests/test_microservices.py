"""From a call graph and raw metrics to a model whose totals add up along the calls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from causalsys.errors import DataError, MissingColumnError, UnknownNameError
from models.microservices import Microservices
from models.microservices.calls import read_calls
from models.microservices.gaps import filled
from models.microservices.priors import shares

CALLS = [("shop", "cart"), ("shop", "pay"), ("cart", "store"), ("pay", "bank")]
DEEPEST_FIRST = ["bank", "store", "pay", "cart", "shop"]


def raw_metrics(rows: int = 300, seed: int = 0, **more: Any) -> pd.DataFrame:
    """Metrics of `CALLS`: every request of a caller makes one call; seconds add up."""
    rng = np.random.default_rng(seed)
    load = rng.poisson(rng.uniform(200, 600, rows)).astype(float)
    seconds: dict[str, np.ndarray] = {}
    columns: dict[tuple[str, str], np.ndarray] = {}
    for node in DEEPEST_FIRST:
        own = load * 0.01 * rng.gamma(100, 0.01, rows)
        seconds[node] = own + sum(seconds[b] for a, b in CALLS if a == node)
        columns[node, "requests"] = load
        columns[node, "latency"] = seconds[node] / load
        columns[node, "availability"] = np.full(rows, 100.0)
        columns[node, "cpu"] = rng.uniform(0.2, 0.4, rows)
    columns |= more
    return pd.DataFrame(columns)


@pytest.fixture(scope="module")
def system() -> Microservices:
    return Microservices.of(CALLS, raw_metrics())


def parents(system: Microservices, variable: str) -> set[str]:
    return set(system.model.graph.parents(variable))


def component(system: Microservices, variable: str) -> str | None:
    return system.model.declaration.nodes[variable].component


def test_requests_flow_down_and_seconds_and_errors_flow_up(system: Microservices) -> None:
    assert parents(system, "shop/requests") == set()
    assert parents(system, "store/requests") == {"cart/requests"}
    assert parents(system, "shop/errors") == {"shop/requests", "cart/errors", "pay/errors"}
    assert parents(system, "cart/cpu") == {"cart/requests"}
    own = {"cart/requests", "cart/cpu", "cart/waiting"}
    assert parents(system, "cart/latency") == own | {"store/latency"}
    assert parents(system, "cart/waiting") == {"cart/requests", "cart/cpu"}


def test_components_are_services_and_what_comes_in_is_the_load(system: Microservices) -> None:
    assert component(system, "shop/requests") == "load"
    assert component(system, "shop/latency") == "shop"
    assert component(system, "cart/requests") == "cart"


@pytest.mark.parametrize("seed", range(3))
def test_a_fit_finds_that_seconds_enter_once(seed: int) -> None:
    """True slopes are 1; the prior's deviation is .5, and 300 rows leave about .05."""
    raw = raw_metrics(seed=seed)
    system = Microservices.of(CALLS, raw)
    mechanism = system.fit(raw).mechanisms["shop/latency"]
    slope = mechanism.state["weight"] / mechanism.state["spread"].squeeze(-2)
    found = dict(zip(mechanism.parents, slope[0].tolist(), strict=True))
    assert found["cart/latency"] == pytest.approx(1, abs=0.15)
    assert found["pay/latency"] == pytest.approx(1, abs=0.15)


def test_a_slope_on_errors_that_never_were_keeps_its_prior(system: Microservices) -> None:
    mechanism = system.fit(raw_metrics()).mechanisms["shop/errors"]
    slope = mechanism.state["weight"] / mechanism.state["spread"].squeeze(-2)
    at = list(mechanism.parents).index("cart/errors")
    assert float(slope[0, at]) == pytest.approx(1, abs=0.01)
    assert 0.2 < float(slope[1:, at].std()) < 1
    assert any("Constant in normal rows" in note for note in system.notes)


def test_latency_and_availability_become_totals_of_the_step() -> None:
    raw = pd.DataFrame(
        {
            ("a", "requests"): [10.0, 0.0, np.nan, 20.0],
            ("a", "latency"): [0.5, np.nan, 0.5, np.nan],
            ("a", "availability"): [90.0, np.nan, np.nan, 100.0],
            ("b", "requests"): [1.0, 1.0, 2.0, 3.0],
        }
    )
    table = Microservices.of([("b", "a")], raw).table(raw)
    np.testing.assert_allclose(table["a/latency"], [5, 0, np.nan, np.nan])
    np.testing.assert_allclose(table["a/errors"], [1, 0, np.nan, 0])


@given(
    st.lists(st.tuples(st.integers(0, 50), st.floats(0, 1)), min_size=2, max_size=8),
    st.booleans(),
)
def test_errors_are_the_same_however_they_are_told(
    rows: list[tuple[int, float]], percent: bool
) -> None:
    requests = np.array([n for n, _ in rows], dtype=float)
    failing = np.array([share for _, share in rows])
    failing[0], requests[0] = 0.25, 8
    scale = 100 if percent else 1
    told = {
        "availability": scale * (1 - failing),
        "error_rate": scale * failing,
        "errors": failing * requests,
    }
    for metric, values in told.items():
        if metric == "error_rate" and percent and values.max() <= 1:
            continue
        raw = pd.DataFrame({("a", "requests"): requests, ("a", metric): values})
        if metric == "errors" and values.max() <= 1:
            continue
        table = Microservices.of(None, raw).table(raw)
        np.testing.assert_allclose(table["a/errors"], failing * requests, atol=1e-9)


def test_the_scale_of_normal_rows_holds_in_an_incident() -> None:
    """Availabilities all below 1.5 %, where normal rows have 100: a whole outage, not 150 %."""
    raw = raw_metrics()
    system = Microservices.of(CALLS, raw)
    incident = raw.head(5).copy()
    for service in DEEPEST_FIRST:
        incident[service, "availability"] = 1.0
    requests = incident["shop", "requests"]
    np.testing.assert_allclose(system.table(incident)["shop/errors"], 0.99 * requests)


def test_percent_and_fractions_of_errors_are_told_apart() -> None:
    requests = np.array([10.0, 20.0, 40.0])
    base = {("a", "requests"): requests, ("b", "requests"): requests}
    for metric, values in [
        ("error_percent", [0.0, 0.5, 1.0]),
        ("error_rate", [0.0, 0.5, 4.0]),
        ("error_rate", [0.0, 0.005, 0.01]),
        ("errors", [0.0, 0.005, 0.01]),  # no counts: fractions
    ]:
        raw = pd.DataFrame(base | {("a", metric): values, ("b", metric): [0.0, 0.0, 0.0]})
        system = Microservices.of(None, raw)
        scale = 100 if max(values) > 1 or metric == "error_percent" else 1
        table = system.table(raw)
        np.testing.assert_allclose(table["a/errors"], requests * values / scale)
        # A service that never failed is read as the others are.
        later = raw.copy()
        later["b", metric] = values
        np.testing.assert_allclose(system.table(later)["b/errors"], table["a/errors"])


def test_without_requests_metrics_stay_as_they_are_and_it_is_said() -> None:
    raw = raw_metrics().drop(columns=[(node, "requests") for node in DEEPEST_FIRST])
    system = Microservices.of(CALLS, raw)
    np.testing.assert_array_equal(system.table(raw)["shop/latency"], raw["shop", "latency"])
    assert any("No requests are known" in note for note in system.notes)
    assert parents(system, "cart/latency") == {"cart/cpu", "store/latency"}


def test_the_statistic_may_be_chosen_for_all_or_for_one() -> None:
    raw = pd.DataFrame(
        {
            (node, "latency", which): [value + n for value in range(20)]
            for node in ("shop", "cart")
            for n, which in enumerate(["Average", "p50", "p99"])
        }
    )
    calls = [("shop", "cart")]
    for statistic, shop, cart in [
        ("mean", 0, 0),
        ("p99", 2, 2),
        ({"shop": "p99"}, 2, 0),
        ("p50", 1, 1),
    ]:
        table = Microservices.of(calls, raw, statistic=statistic).table(raw)
        assert table[["shop/latency", "cart/latency"]].iloc[0].tolist() == [shop, cart]


def test_a_service_without_metrics_is_a_latent_and_calls_go_through_it() -> None:
    lost = [("cart", metric) for metric in ("requests", "latency", "availability", "cpu")]
    system = Microservices.of(CALLS, raw_metrics().drop(columns=lost))
    assert parents(system, "shop/latency") >= {"store/latency", "cart/latency"}
    assert parents(system, "store/requests") == {"shop/requests"}
    assert system.model.declaration.nodes["cart/latency"].kind == "latent"
    assert component(system, "cart/latency") == "cart"
    assert set(system.hidden["cart"]) == {"shop/latency", "shop/errors"}
    # The errors of its caller never moved, so no latent behind them can be told.
    assert "cart/errors" not in system.model.declaration.nodes


def test_use_of_a_service_without_latency_is_seen_by_its_callers() -> None:
    system = Microservices.of(CALLS, raw_metrics().drop(columns=[("cart", "latency")]))
    assert parents(system, "shop/latency") >= {"cart/cpu", "store/latency"}


def test_what_is_all_missing_is_left_out_and_constants_are_kept() -> None:
    raw = raw_metrics()
    raw["pay", "memory"] = np.nan
    raw["pay", "threads"] = 8.0
    raw["bank", "memory"] = [1.0] * 30 + [np.nan] * 270
    system = Microservices.of(CALLS, raw)
    names = system.model.declaration.nodes
    assert "pay/memory" not in names
    assert "bank/memory" not in names
    assert "pay/threads" in names
    assert any("left out: bank/memory, pay/memory" in note for note in system.notes)


def test_few_gaps_are_filled_per_request_for_the_fit() -> None:
    """Latency per request is level and load rises by one a step, so what was lost is known."""
    requests = np.arange(100.0, 180.0)
    raw = pd.DataFrame({("a", "requests"): requests, ("a", "latency"): np.full(80, 0.5)})
    raw["a", "cpu"] = requests / 1000
    system = Microservices.of(None, raw)
    holes = raw.copy()
    holes.iloc[5, 1] = holes.iloc[7, 0] = np.nan
    holes.iloc[20] = np.nan
    table = filled(system.table(holes), system._columns)
    expected = system.table(raw).drop(index=20)
    np.testing.assert_allclose(table, expected)
    many = raw.copy()
    many.iloc[3:9, 1] = np.nan
    assert filled(system.table(many), system._columns)["a/latency"].isna().sum() == 6


def test_services_that_call_each_other_are_one_component() -> None:
    calls = [*CALLS, ("store", "cart"), ("bank", "bank")]
    system = Microservices.of(calls, raw_metrics())
    assert system.cycles == {"cart + store": ("cart", "store")}
    assert component(system, "store/latency") == component(system, "cart/cpu") == "cart + store"
    assert any("call each other" in note for note in system.notes)
    assert parents(system, "store/requests") == {"cart/requests"}


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef")), max_size=20))
def test_any_call_graph_becomes_acyclic_and_keeps_its_services(
    edges: list[tuple[str, str]],
) -> None:
    calls = read_calls(edges)
    kept = nx.DiGraph([(a, b) for a, several in calls.callees.items() for b in several])
    whole = nx.DiGraph(edges)
    assert nx.is_directed_acyclic_graph(kept)
    assert set(calls.services) == set(whole)
    groups = [sorted(g) for g in nx.strongly_connected_components(whole) if len(g) > 1]
    assert sorted(map(sorted, calls.cycles.values())) == sorted(groups)
    between = {e for e in whole.edges if calls.component(e[0]) != calls.component(e[1])}
    assert between <= set(kept.edges)


def test_a_call_graph_may_come_in_any_form() -> None:
    graph = nx.DiGraph(CALLS)
    several: dict[str, list[str]] = {a: list(graph.succ[a]) for a in graph}
    frame = pd.DataFrame(CALLS, columns=["caller", "callee"])
    forms = [CALLS, graph, several, nx.to_pandas_adjacency(graph), frame]
    assert all(read_calls(form) == read_calls(CALLS) for form in forms)


@pytest.mark.parametrize("calls", [3, "shop", [("a", "b", "c")], ["ab"], pd.DataFrame({"x": [1]})])
def test_what_is_no_call_graph_is_refused(calls: Any) -> None:
    with pytest.raises(DataError, match="caller, callee"):
        read_calls(calls)


def test_without_calls_nothing_passes_between_services() -> None:
    system = Microservices.of(None, raw_metrics())
    for node in system.model.graph.kinds:
        assert {p.split("/")[0] for p in parents(system, node)} <= {node.split("/")[0]}
    assert component(system, "shop/requests") == "shop"
    assert any("No call graph" in note for note in system.notes)


def test_a_service_outside_the_graph_is_on_its_own_and_it_is_said() -> None:
    raw = raw_metrics()
    raw["batch", "cpu"] = np.arange(len(raw)) * 1.0
    system = Microservices.of(CALLS, raw)
    assert parents(system, "batch/cpu") == set()
    assert any("on their own: batch" in note for note in system.notes)


def with_view(seed: int, *, name: str, follows: bool) -> tuple[list[tuple[str, str]], pd.DataFrame]:
    """A leaf that the shop calls beside `cart`: `cart` as a client sees it, or a service."""
    rng = np.random.default_rng(seed)
    raw = raw_metrics(seed=seed)
    rows = len(raw)
    swing = rng.gamma(30, 1 / 30, rows)
    raw["cart", "latency"] *= swing
    network = 0.004 * rng.gamma(30, 1 / 30, rows)
    own = 0.05 * rng.gamma(30, 1 / 30, rows)
    raw[name, "requests"] = np.floor(raw["cart", "requests"] * 0.3)
    raw[name, "latency"] = (raw["cart", "latency"] if follows else own) + network
    return [*CALLS, ("shop", name)], raw


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["cart_remote", "lb-7"])
def test_a_clients_view_is_an_effect_of_the_service(name: str, seed: int) -> None:
    calls, raw = with_view(seed, name=name, follows=True)
    system = Microservices.of(calls, raw)
    assert system.twins == {name: "cart"}
    assert parents(system, f"{name}/latency") == {"cart/latency", f"{name}/requests"}
    assert parents(system, "shop/latency") >= {f"{name}/latency", "cart/latency"}
    assert any("client's view of cart" in note for note in system.notes)
    assert Microservices.of(calls, raw, twins=False).twins == {}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["cart_remote", "cache"])
def test_a_leaf_with_a_latency_of_its_own_is_no_view(name: str, seed: int) -> None:
    """Its requests are exactly proportional to the service's, and its name may be alike."""
    calls, raw = with_view(seed, name=name, follows=False)
    assert Microservices.of(calls, raw).twins == {}


@pytest.mark.parametrize("seed", range(3))
def test_a_leaf_that_is_slow_under_the_same_load_is_no_view(seed: int) -> None:
    """Both queue: latency per request goes along with the load, at a rank correlation of .99."""
    calls, raw = with_view(seed, name="cache", follows=False)
    queue = 1 / (1.1 - raw["shop", "requests"] / raw["shop", "requests"].max())
    rng = np.random.default_rng(seed)
    for service in ("cart", "cache"):
        raw[service, "latency"] = 0.1 * queue * rng.gamma(1000, 1e-3, len(raw))
    assert raw["cart", "latency"].corr(raw["cache", "latency"], method="spearman") > 0.9
    assert Microservices.of(calls, raw).twins == {}


@pytest.mark.parametrize("seed", range(3))
def test_a_leaf_that_the_service_calls_is_no_view_of_it(seed: int) -> None:
    calls, raw = with_view(seed, name="cart_db", follows=True)
    assert Microservices.of([*calls, ("cart", "cart_db")], raw).twins == {}


def test_hosts_and_latents_are_declared_where_they_can_be_told() -> None:
    hosts = {"cart": "n1", "pay": "n1", "shop": "n2"}
    raw = raw_metrics().drop(columns=[("shop", "cpu")])
    system = Microservices.of(CALLS, raw, hosts=hosts, latents=True)
    children = system.model.graph.children("host:n1")
    assert set(children) == {"cart/latency", "cart/cpu", "pay/latency", "pay/cpu"}
    assert component(system, "host:n1") == "host:n1"
    assert "host:n2" not in system.model.declaration.nodes  # one child: its own noise
    assert any("host n2" in note for note in system.notes)
    assert set(system.model.graph.children("pay/latent")) == {"pay/latency", "pay/cpu"}
    with pytest.raises(UnknownNameError, match="cart"):
        Microservices.of(CALLS, raw_metrics(), hosts={"carts": "n1"})


def test_columns_that_lack_or_are_too_many(system: Microservices) -> None:
    raw = raw_metrics().head(5)
    raw["new", "cpu"] = 1.0
    table = system.table(raw)
    assert table.attrs["notes"] == ("Not in the model, and ignored: the metrics of new.",)
    lacking = raw.drop(columns=[("pay", "latency")])
    with pytest.raises(MissingColumnError, match=r"pay/latency.*absent"):
        system.table(lacking)
    filled = system.table(lacking, absent="missing")
    assert filled["pay/latency"].isna().all()
    assert "pay/latency" in filled.attrs["notes"][0]


def test_an_incident_may_be_named_in_another_way(system: Microservices) -> None:
    raw = raw_metrics().head(5)
    flat = raw.set_axis([f"{service}_{metric}" for service, metric in raw.columns], axis=1)
    pd.testing.assert_frame_equal(system.table(flat), system.table(raw))


def test_a_variable_is_found_by_any_word_for_it(system: Microservices) -> None:
    assert system.variable("shop", "availability") == "shop/errors"
    assert system.variable("Shop", "response_time") == "shop/latency"
    with pytest.raises(UnknownNameError, match="shop/latency"):
        system.variable("shops", "latency")


def test_kinds_may_be_chosen() -> None:
    system = Microservices.of(CALLS, raw_metrics(), metrics=("lat",))
    assert {name.split("/")[1] for name in system.model.graph.kinds} == {"latency", "requests"}


def test_an_unknown_entry_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="shop"):
        Microservices.of(CALLS, raw_metrics(), entry="shp")


@pytest.mark.parametrize("seed", range(3))
def test_shares_of_callers_whose_loads_differ_are_found(seed: int) -> None:
    """Callers of which one makes two calls a request, the other one in five requests."""
    rng = np.random.default_rng(seed)
    first, second = rng.uniform(100, 200, 300), rng.uniform(300, 900, 300)
    callee = 2 * first + 0.2 * second
    expected = 2 * first.mean() / callee.mean()
    found = shares(callee, [first, second])
    assert found == pytest.approx([expected, 1 - expected], abs=0.03)


def test_shares_of_callers_that_rise_and_fall_together_are_by_load() -> None:
    load = np.random.default_rng(0).uniform(100, 200, 300)
    assert shares(load, [3 * load, load]) == pytest.approx([0.75, 0.25])


def test_petshop(data_dir: Path) -> None:
    folder = data_dir / "petshop" / "low_traffic"
    calls = pd.read_csv(folder / "graph.csv", index_col=0)
    normal = pd.read_csv(folder / "noissue" / "metrics.csv", index_col=0, header=[0, 1, 2])
    system = Microservices.of(calls, normal)
    table = system.table(normal)
    # Availability, latency and requests of 41 services, NaN only where nothing was requested.
    assert table.shape == (589, 3 * 41)
    assert not table.isna().any().any()
    search, lists = "PetSearch_AWS::ECS::Fargate", "petlistadoptions_AWS::ECS::Fargate"
    assert set(system.twins.values()) == {search, lists}
    assert all("elb.amazonaws.com_remote" in view for view in system.twins)
    assert set(system.hidden) == {"invalid_AWS::DynamoDB::Table"}
    assert system.cycles == {}
    for issue in sorted(folder.glob("t*/issue_*/metrics.csv")):
        incident = pd.read_csv(issue, index_col=0, header=[0, 1, 2])
        assert list(system.table(incident)) == list(table)
    assert system.variable("PetSite", "availability") == "PetSite/errors"


def test_an_infinite_value_is_refused_with_its_column_and_row() -> None:
    raw = raw_metrics()
    system = Microservices.of(CALLS, raw)
    raw.loc[7, ("pay", "latency")] = np.inf
    with pytest.raises(DataError, match=r"pay.*latency.*infinite value in row 7"):
        system.table(raw)
