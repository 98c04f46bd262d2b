"""Aggregates against what pandas makes of all rows; merged ones against those of the whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causalsys.errors import QueryError, UnknownNameError
from causalsys.simulate.aggregate import Aggregates, Levels, Numbers
from causalsys.simulate.moments import ByTrace, Moments
from causalsys.simulate.sketch import Sketch


def moments(worlds: list[np.ndarray], lengths: np.ndarray) -> Moments:
    return Moments.of([ByTrace.of(values, lengths=lengths) for values in worlds])


def aggregates(worlds: dict[str, np.ndarray], lengths: np.ndarray) -> Aggregates:
    column = Numbers(
        tuple(worlds),
        moments(list(worlds.values()), lengths),
        tuple(Sketch.of(values) for values in worlds.values()),
    )
    codes = np.stack([np.bincount((v > 0).astype(int), minlength=2) for v in worlds.values()])
    return Aggregates(
        tuple(worlds)[1:],
        len(lengths),
        int(lengths.sum()),
        {"latency": column},
        {"late": Levels(tuple(worlds), (False, True), codes)},
        {"p99 latency": ("latency", 0.99), "latency": ("latency", None)},
    )


@pytest.fixture
def worlds() -> tuple[dict[str, np.ndarray], np.ndarray]:
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 40, 200)
    level = np.repeat(rng.normal(5, 2, 200), lengths)
    recorded = level + rng.normal(size=len(level))
    return {"recorded": recorded, "jsq": recorded - 1 + rng.normal(0, 0.1, len(level))}, lengths


def test_numbers_are_those_of_all_rows(worlds: tuple[dict[str, np.ndarray], np.ndarray]) -> None:
    values, lengths = worlds
    found = aggregates(values, lengths)
    for policy in ("recorded", "jsq"):
        rows = values[policy]
        assert found.mean("latency", policy) == pytest.approx(rows.mean(), rel=1e-14)
        assert found.std("latency", policy) == pytest.approx(rows.std(ddof=1), rel=1e-12)
        wanted = np.quantile(rows, 0.99)
        assert found.score("p99 latency", policy) == pytest.approx(wanted, rel=1e-3)
        assert found.score("p50 latency", policy) == found.quantile("latency", 0.5, policy)
        assert found.score("max latency", policy) == rows.max()
        assert found.shares("late", policy)[True] == (rows > 0).mean()
    assert found.mean("latency") == found.mean("latency", "recorded")
    table = found.to_frame()
    assert list(table.index) == ["recorded", "jsq"]
    assert table.loc["jsq", "p99 latency"] == found.score("p99 latency", "jsq")


def test_intervals_are_those_of_traces_drawn_anew(
    worlds: tuple[dict[str, np.ndarray], np.ndarray],
) -> None:
    values, lengths = worlds
    found = aggregates(values, lengths)
    owner = np.repeat(np.arange(200), lengths)
    rng = np.random.default_rng(1)
    means, differences = [], []
    totals = {name: np.bincount(owner, rows) for name, rows in values.items()}
    for _ in range(4000):
        drawn = rng.integers(0, 200, 200)
        each = {name: total[drawn].sum() / lengths[drawn].sum() for name, total in totals.items()}
        means.append(each["jsq"])
        differences.append(each["jsq"] - each["recorded"])
    # A bootstrap of traces; its own noise in a standard deviation is a hundredth.
    for base, drawn in ((None, means), ("recorded", differences)):
        low, high = found.interval("latency", "jsq", base=base, level=0.9)
        assert (high - low) / 2 == pytest.approx(1.653 * np.std(drawn), rel=0.06)
        assert (high + low) / 2 == pytest.approx(np.mean(drawn), abs=0.1 * np.std(drawn))
    # The same traces in both worlds: the difference is known twenty times better.
    low, high = found.interval("latency", "jsq", base="recorded")
    assert high - low < 0.1 * (found.interval("latency", "jsq")[1] - found.mean("latency", "jsq"))


def test_a_large_mean_costs_no_digits() -> None:
    rng = np.random.default_rng(0)
    rows = 1e9 + rng.normal(size=10_000)
    found = moments([rows], np.full(100, 100))
    assert found.std(0) == pytest.approx(rows.std(ddof=1), rel=1e-7)
    away = moments([rows - 1e9], np.full(100, 100))
    assert found.standard_error(0) == pytest.approx(away.standard_error(0), rel=1e-6)


@settings(max_examples=50)
@given(st.lists(st.integers(1, 9), min_size=2, max_size=12), st.data())
def test_merged_in_any_way_is_the_whole(lengths: list[int], data: st.DataObject) -> None:
    rng = np.random.default_rng(len(lengths))
    counts = np.array(lengths)
    worlds = {
        "recorded": rng.lognormal(0, 3, counts.sum()),
        "jsq": rng.normal(0, 1e6, counts.sum()),
    }
    cut = data.draw(st.integers(1, len(lengths) - 1))
    row = int(counts[:cut].sum())
    first = aggregates({name: rows[:row] for name, rows in worlds.items()}, counts[:cut])
    second = aggregates({name: rows[row:] for name, rows in worlds.items()}, counts[cut:])
    whole = aggregates(worlds, counts)
    for merged in (first + second, second + first):
        assert (merged.traces, merged.rows) == (whole.traces, whole.rows)
        assert merged.to_frame().equals(whole.to_frame())
        assert merged.std("latency", "jsq") == whole.std("latency", "jsq")
        assert merged.interval("latency", "jsq", base="recorded") == whole.interval(
            "latency", "jsq", base="recorded"
        )
        assert merged.shares("late", "jsq").equals(whole.shares("late", "jsq"))


def test_what_is_missing_does_not_count() -> None:
    rows = np.array([1.0, np.nan, 3.0, np.nan, np.nan, 5.0])
    found = moments([rows], np.array([3, 2, 1]))
    assert (found.count(0), found.mean(0)) == (3, 3.0)
    assert found.std(0) == pytest.approx(2.0)


def test_one_trace_has_no_interval() -> None:
    found = aggregates({"recorded": np.ones(3), "jsq": np.ones(3)}, np.array([3]))
    assert np.isnan(found.interval("latency", "jsq")).all()


def test_unknown_names_are_refused(worlds: tuple[dict[str, np.ndarray], np.ndarray]) -> None:
    found = aggregates(*worlds)
    with pytest.raises(UnknownNameError, match=r"jsk.*Did you mean jsq"):
        found.mean("latency", "jsk")
    with pytest.raises(UnknownNameError, match=r"latenzy.*Did you mean latency"):
        found.mean("latenzy")
    with pytest.raises(UnknownNameError, match="no such name in the categories"):
        found.shares("latency")
    with pytest.raises(QueryError, match="a quantile"):
        found.interval("p99 latency")
    with pytest.raises(QueryError, match="from 0 to 1"):
        found.quantile("latency", 99)
    with pytest.raises(QueryError, match="between 0 and 1"):
        found.interval("latency", level=90)


def test_aggregates_of_other_policies_do_not_add_up(
    worlds: tuple[dict[str, np.ndarray], np.ndarray],
) -> None:
    values, lengths = worlds
    renamed = {"recorded": values["recorded"], "two": values["jsq"]}
    with pytest.raises(QueryError, match="other policies"):
        aggregates(values, lengths) + aggregates(renamed, lengths)
