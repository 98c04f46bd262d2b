"""Metrics are recognised in any usual naming, and what cannot be read is said."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from causalsys.errors import DataError
from models.microservices.kept import Spelling, best, read_raw
from models.microservices.names import read_metric, read_name
from models.microservices.vocabulary import WORDS, statistic_of


@pytest.mark.parametrize(
    ("label", "service", "kind", "form", "statistic"),
    [
        ("carts_cpu", "carts", "cpu", "cpu", ""),
        ("carts-db_latency-90", "carts-db", "latency", "latency", "p90"),
        ("front-end_lat_50", "front-end", "latency", "latency", "p50"),
        ("frontend.latency.p99", "frontend", "latency", "latency", "p99"),
        ("payment|requests", "payment", "requests", "requests", ""),
        ("payment|gc_pause", "payment", "gc_pause", "resource", ""),
        ("ts-order-service_mem", "ts-order-service", "memory", "memory", ""),
        ("user_response_time_ms", "user", "latency", "latency", ""),
        ("frontendLatency", "frontend", "latency", "latency", ""),
        ("frontend_http_requests_total", "frontend", "requests", "requests", "sum"),
        ("orders-p99-latency", "orders", "latency", "latency", "p99"),
        ("latency_p99_frontend", "frontend", "latency", "latency", "p99"),
        ("cpu.frontend", "frontend", "cpu", "cpu", ""),
        ("load-balancer_cpu", "load-balancer", "cpu", "cpu", ""),
        ("requests-service_error_rate", "requests-service", "errors", "error_rate", ""),
        ("svc_5xx", "svc", "errors", "errors", ""),
        ("A_AWS::ECS::Fargate_availability", "A_AWS::ECS::Fargate", "errors", "availability", ""),
        ('latency_p99{service="pay"}', "pay", "latency", "latency", "p99"),
        ('http_requests_total{app="pay",code="503"}', "pay", "errors", "errors", "sum"),
        ('request_duration_seconds{job="a",quantile="0.95"}', "a", "latency", "latency", "p95"),
        ('request_duration_seconds_sum{job="a"}', "a", "latency", "seconds", "sum"),
        ('request_duration_seconds_count{job="a"}', "a", "requests", "requests", "count"),
        ('container_cpu_usage_seconds_total{pod="a-1"}', "a-1", "cpu", "cpu", "sum"),
    ],
)
def test_a_flat_name(label: str, service: str, kind: str, form: str, statistic: str) -> None:
    found = read_name(label)
    assert found is not None
    assert (found.service, found.kind, found.form) == (service, kind, form)
    assert found.statistic == statistic


@pytest.mark.parametrize("label", ["time", "carts", "p99", "", "{}", "|", 'latency{le="1"}'])
def test_a_name_without_a_service_or_a_metric_is_none(label: str) -> None:
    assert read_name(label) is None


def test_what_follows_a_known_service_is_a_metric_whatever_it_is_called() -> None:
    found = read_name("carts-db_diskio", known=frozenset({"carts", "carts-db"}))
    assert found is not None
    assert (found.service, found.kind) == ("carts-db", "diskio")


def test_of_two_ways_to_cut_a_name_the_one_that_gives_a_known_service_is_taken() -> None:
    assert read_name("shop_http_requests") == read_name("shop|http_requests")
    found = read_name("shop_http_requests", known=frozenset({"shop_http"}))
    assert found is not None
    assert found.service == "shop_http"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("CPUUtilization", "cpu"),
        ("ResponseTime", "latency"),
        ("Request Count", "requests"),
        ("istio_request_duration_milliseconds", "latency"),
        ("success_rate", "errors"),
        ("Queue Depth", "queue_depth"),
        ("net_bytes", "net"),
    ],
)
def test_a_metric_of_its_own(text: str, kind: str) -> None:
    assert read_metric(text).kind == kind


services = st.from_regex(r"[a-z]{2,8}(-[a-z]{2,8})?", fullmatch=True).filter(
    lambda name: not any(word in WORDS or statistic_of(word) for word in name.split("-"))
)
kinds = st.sampled_from(sorted(WORDS))
statistics = st.sampled_from(["", "p50", "p90", "p95", "p99", "mean", "max"])


@given(services, kinds, statistics, st.sampled_from(["_", ".", "|", "/", "-"]))
def test_a_name_that_was_put_together_is_taken_apart(
    service: str, word: str, statistic: str, between: str
) -> None:
    metric = word + (between if between != "|" else "_") * bool(statistic) + statistic
    found = read_name(f"{service}{between}{metric}", known=frozenset({service}))
    assert found is not None
    assert (found.service, found.kind) == (service, WORDS[word][0])
    assert found.statistic == statistic


def frame(columns: object, rows: int = 4) -> pd.DataFrame:
    made = pd.DataFrame(np.arange(rows * len(columns)).reshape(rows, -1) + 1.0)  # type: ignore[arg-type]
    made.columns = columns  # type: ignore[assignment]
    return made


def test_the_levels_of_a_multi_index_are_told_by_what_is_in_them() -> None:
    rows = [("a", "latency", "Average"), ("a", "latency", "p99"), ("b", "requests", "Sum")]
    expected = {
        ("a", "latency", "latency", "mean"),
        ("a", "latency", "latency", "p99"),
        ("b", "requests", "requests", "sum"),
    }
    for order in [(0, 1, 2), (1, 0, 2), (2, 1, 0), (1, 2, 0)]:
        labels = pd.MultiIndex.from_tuples([tuple(row[n] for n in order) for row in rows])
        assert set(read_raw(frame(labels)).columns) == expected


def test_a_long_table_is_made_wide() -> None:
    wide = frame(pd.MultiIndex.from_product([["a", "b"], ["cpu", "requests"]]))
    wide.columns.names, wide.index.name = ["service", "metric"], "time"
    long = wide.stack(["service", "metric"]).rename("value").reset_index()
    found, same = read_raw(long), read_raw(wide)
    assert set(found.columns) == set(same.columns)
    for key, values in same.columns.items():
        np.testing.assert_array_equal(found.columns[key], values)


def test_a_long_table_without_a_time_is_refused() -> None:
    long = pd.DataFrame({"service": ["a"], "metric": ["cpu"], "value": [1.0]})
    with pytest.raises(DataError, match="without a time"):
        read_raw(long)


def test_clear_names_tell_the_services_of_the_others() -> None:
    found = read_raw(frame(["time", "cart_cpu", "cart_latency", "cart_diskio", "cart_x"]))
    assert {key[1] for key in found.columns} == {"cpu", "latency", "diskio", "x"}
    assert found.unread == ()


def test_columns_of_one_metric_are_put_together() -> None:
    """Two pods of a service: requests add up, use is averaged; NaN where neither was seen."""
    raw = pd.DataFrame([[1.0, 2.0, 0.2, 0.4], [np.nan, 5.0, np.nan, np.nan]])
    raw.columns = pd.MultiIndex.from_tuples([("a", "requests")] * 2 + [("a", "cpu")] * 2)
    found = read_raw(raw)
    np.testing.assert_allclose(found.columns["a", "requests", "requests", ""], [3, 5])
    np.testing.assert_allclose(found.columns["a", "cpu", "cpu", ""], [0.3, np.nan])
    assert len(found.doubled) == 2


@pytest.mark.parametrize("columns", [["foo", "bar"], [0, 1], ["time", "when"]])
def test_names_that_say_nothing_are_refused_with_an_example(columns: list[object]) -> None:
    with pytest.raises(DataError, match="cart_latency_p99"):
        read_raw(frame(columns))


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        ([[1.0]], "a list"),
        (pd.DataFrame({"a_cpu": []}), "no rows"),
        (pd.DataFrame({"a_cpu": ["low"]}), "no numbers"),
    ],
)
def test_what_is_no_frame_of_numbers_is_refused(raw: object, found: str) -> None:
    with pytest.raises(DataError, match=found):
        read_raw(raw)


def test_case_and_separators_do_not_part_a_service_from_its_name_in_the_graph() -> None:
    spelled = Spelling(["carts-db", "Search", "search"])
    assert spelled("carts_db") == "carts-db"
    assert spelled("search") == "search"
    assert spelled("SEARCH") == "SEARCH"  # two could be meant


def test_of_several_latencies_the_mean_is_taken_or_else_the_median_most() -> None:
    keys = [("a", "latency", "latency", which) for which in ("p99", "p90", "p50", "mean", "max")]
    assert best(keys, statistic="mean") == keys[3]
    assert best(keys[:3], statistic="mean") == keys[2]
    assert best(keys[:2], statistic="mean") == keys[1]
    assert best(keys, statistic="p99") == keys[0]
    assert best(keys[3:], statistic="p99") == keys[3]
    errors = [("a", "errors", form, "") for form in ("availability", "error_rate", "errors")]
    assert best(errors, statistic="mean") == errors[2]
