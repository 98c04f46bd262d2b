"""Anomaly attribution: dowhy's values, closed forms, intervals that cover, and bad input."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import halfnorm, truncexpon

import causalsys as cs
from causalsys.errors import (
    DataError,
    EvidenceError,
    MissingColumnError,
    NotIdentifiedError,
    QueryError,
    UnknownNameError,
)
from causalsys.rootcause.attribution import attribute_anomalies
from causalsys.rootcause.attribution_game import NoiseGame
from causalsys.scm.specs import MechanismSpec
from tests.rootcause import with_gcm

CHAIN = [("x", "y"), ("y", "z")]
_LATENCY = [
    ("www", "website"),
    ("auth", "www"),
    ("api", "www"),
    ("customer_db", "auth"),
    ("customer_db", "api"),
    ("product", "api"),
    ("auth", "api"),
    ("order", "api"),
    ("shipping", "product"),
    ("caching", "product"),
    ("product_db", "caching"),
    ("customer_db", "product"),
    ("order_db", "order"),
]


def _chain(rows: int, *, seed: int) -> pd.DataFrame:
    """dowhy's first example of an anomaly: X -> Y -> Z, linear and normal."""
    random = np.random.default_rng(seed)
    x = random.normal(size=rows)
    y = 2 * x + random.normal(size=rows)
    return pd.DataFrame({"x": x, "y": y, "z": 3 * y + random.normal(size=rows)})


def _linear(
    edges: Sequence[tuple[str, str]], mechanism: MechanismSpec | None = None
) -> type[cs.SCM]:
    variable = cs.Observed(cs.Real(), mechanism=mechanism or cs.Linear())
    return cs.SCM.from_graph(list(edges), default=variable)


def _latencies(rows: int, *, seed: int, slower: float = 0.0) -> pd.DataFrame:
    """The online shop of dowhy's study of latencies; its caching service may be slower."""
    random = np.random.default_rng(seed)

    def half(least: float, scale: float) -> np.ndarray:
        return halfnorm.rvs(least, scale, size=rows, random_state=random)

    def tail(most: float) -> np.ndarray:
        return truncexpon.rvs(most, scale=0.2, size=rows, random_state=random)

    found = {"product_db": tail(10), "customer_db": tail(6), "order_db": tail(5)}
    found["shipping"] = half(0.1, 0.2)
    missed = random.random(rows) < 0.5
    found["caching"] = slower + half(0.1, 0.1) + missed * found["product_db"]
    slowest = np.maximum(found["shipping"], np.maximum(found["caching"], found["customer_db"]))
    found["product"] = slowest + half(0.1, 0.2)
    found["auth"] = found["customer_db"] + half(0.1, 0.2)
    found["order"] = found["order_db"] + half(0.5, 0.2)
    parts = ("product", "customer_db", "auth", "order")
    found["api"] = sum(found[each] for each in parts) + half(0.5, 0.2)
    found["www"] = found["api"] + found["auth"] + tail(2)
    found["website"] = found["www"] + tail(3)
    return pd.DataFrame(found)


@pytest.fixture(scope="module")
def fitted() -> cs.FittedSCM:
    return _linear(CHAIN).fit(_chain(1000, seed=0))


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """A change of y's noise, one of x's, and one of z's."""
    return pd.DataFrame({"x": [0.1, 3.0, 0.5], "y": [6.2, 6.0, 1.5], "z": [18.6, 18.0, 11.0]})


@pytest.mark.parametrize("measure", ["surprise", "rank"])
def test_the_chain_is_attributed_as_dowhy_does(
    fitted: cs.FittedSCM, rows: pd.DataFrame, measure: str
) -> None:
    ours = attribute_anomalies(fitted, rows, target="z", measure=measure, draws=200)  # type: ignore[arg-type]
    theirs, error = with_gcm.anomalies(
        fitted, rows, "z", names=ours.names, draws=200, runs=8, deviation=measure == "rank"
    )
    # Nine comparisons with standard errors of eight runs.
    together = np.hypot(error, ours.contributions.error)
    assert np.all(np.abs(ours.values - theirs) < 5.5 * together + 1e-3)
    assert [ours.names[at] for at in ours.values.argmax(axis=1)] == ["y", "x", "z"]


@pytest.mark.slow
def test_the_online_shop_is_attributed_as_dowhy_does() -> None:
    # Eleven variables: both sample orders.
    model = _linear(_LATENCY, cs.Linear(noise="empirical"))
    fitted = model.fit(_latencies(5000, seed=0), ensemble=2)
    rows = _latencies(1, seed=10, slower=2.0)
    ours = attribute_anomalies(fitted, rows, target="website", draws=200)
    theirs, error = with_gcm.anomalies(fitted, rows, "website", names=ours.names, draws=200, runs=6)
    # Student's t of 6.5 with five degrees of freedom has 1e-3; dowhy's errors are of six runs.
    together = np.hypot(error, ours.contributions.error)
    assert np.all(np.abs(ours.values - theirs) < 6.5 * together + 0.02)
    assert ours.names[int(ours.values[0].argmax())] == "caching"


def test_the_slow_cache_of_the_online_shop_is_found() -> None:
    model = _linear(_LATENCY, cs.Linear(noise="empirical"))
    fitted = model.fit(_latencies(3000, seed=3))
    found = attribute_anomalies(fitted, _latencies(20, seed=4, slower=2.0), target="website")
    assert {found.names[at] for at in found.values.argmax(axis=1)} == {"caching"}
    # Of 3000 draws, one half at least is counted.
    assert 6 < found.scores.max() <= np.log(2 * 3000 + 1) + 1e-9


@pytest.mark.parametrize("measure", ["surprise", "rank", "value"])
@pytest.mark.parametrize("tail", ["both", "upper"])
def test_contributions_add_up_to_the_score(
    fitted: cs.FittedSCM, rows: pd.DataFrame, measure: str, tail: str
) -> None:
    found = attribute_anomalies(fitted, rows, target="z", measure=measure, tail=tail)  # type: ignore[arg-type]
    assert found.values.sum(axis=1) == pytest.approx(found.scores, abs=1e-9)


def test_what_a_linear_chain_owes_to_each_noise_is_known(fitted: cs.FittedSCM) -> None:
    row = pd.DataFrame({"x": [1.0], "y": [5.0], "z": [16.0]})
    found = attribute_anomalies(fitted, row, target="z", measure="value", precision=0.005)
    # Noises 1, 3 and 1 act by 6, 3 and 1; the fit of 1000 rows has errors of about 0.2.
    assert found.values[0] == pytest.approx([6.0, 9.0, 1.0], abs=0.7)
    assert found.of(0, "y").low < 9 < found.of(0, "y").high


def test_sums_and_sweeps_agree(
    fitted: cs.FittedSCM, rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    for measure in ("surprise", "rank", "value"):
        by_sums = attribute_anomalies(fitted, rows, target="z", measure=measure, draws=300)  # type: ignore[arg-type]
        with monkeypatch.context() as patched:
            patched.setattr(NoiseGame, "_sums", lambda _: False)
            swept = attribute_anomalies(fitted, rows, target="z", measure=measure, draws=300)  # type: ignore[arg-type]
        assert swept.values == pytest.approx(by_sums.values, abs=1e-9)


def test_sums_and_sweeps_agree_along_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    model = _linear(_LATENCY, cs.Linear(noise="empirical"))
    fitted = model.fit(_latencies(500, seed=0), ensemble=2)
    rows = _latencies(3, seed=1, slower=0.5)
    by_sums = attribute_anomalies(fitted, rows, target="website", draws=60, precision=0.9)
    assert by_sums.values.sum(axis=1) == pytest.approx(by_sums.scores, abs=1e-9)
    monkeypatch.setattr(NoiseGame, "_sums", lambda _: False)
    swept = attribute_anomalies(fitted, rows, target="website", draws=60, precision=0.9)
    assert swept.values == pytest.approx(by_sums.values, abs=1e-9)


def test_parts_of_rows_and_draws_do_not_matter(
    rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = _chain(400, seed=2)
    model = _linear(CHAIN, cs.Quadratic()).fit(frame, ensemble=2)
    whole = attribute_anomalies(model, rows, target="z", draws=100)
    game = importlib.import_module("causalsys.rootcause.attribution_game")
    monkeypatch.setattr(game, "_CELLS", 128)
    parts = attribute_anomalies(model, rows, target="z", draws=100)
    assert parts.values == pytest.approx(whole.values, abs=1e-9)


class Shop(cs.SCM):
    """Categories, counts, a known equation and a bend."""

    region = cs.Observed(cs.Categorical(["eu", "us"]))
    calls = cs.Observed(cs.Count(), parents=[region])
    work = cs.Observed(cs.Positive(), parents=[calls, region])

    @cs.equation(cs.Positive())
    def twice(work: torch.Tensor) -> torch.Tensor:
        return 2 * work

    latency = cs.Observed(cs.Positive(), parents=[twice, calls])


def test_categories_counts_and_equations_are_swept() -> None:
    random = np.random.default_rng(0)
    size = 600
    region = random.choice(["eu", "us"], size=size)
    calls = random.poisson(np.where(region == "eu", 3, 8))
    work = np.exp(0.1 * calls + 0.3 * random.normal(size=size))
    latency = 2 * work * np.exp(0.2 * random.normal(size=size))
    frame = pd.DataFrame({"region": region, "calls": calls, "work": work, "latency": latency})
    fitted = Shop.fit(frame, ensemble=2)
    row = frame.iloc[:3].assign(work=lambda f: 5 * f.work, latency=lambda f: 5 * f.latency)
    found = attribute_anomalies(fitted, row, target="latency", draws=200)
    assert set(found.names) == {"region", "calls", "work", "latency"}
    assert found.values.sum(axis=1) == pytest.approx(found.scores, abs=1e-9)
    assert {found.names[at] for at in found.values.argmax(axis=1)} == {"work"}
    # A count and a category leave their noise open: it is drawn, and that is said.
    assert "calls" in found.notes[0]
    assert "monotone count noise" in str(found.verdict)


def test_the_interval_by_the_fit_covers_the_truth() -> None:
    # The true contribution of y's noise is 3 * (5 - 2 * 1) = 9; of 60 fits, 90 % intervals cover
    # it 54 times, with a standard deviation of 2.3.
    covered = 0
    row = {"x": [1.0], "y": [5.0], "z": [16.0]}
    for seed in range(60):
        fitted = _linear(CHAIN).fit(_chain(200, seed=seed), seed=seed)
        found = attribute_anomalies(fitted, row, target="z", measure="value", draws=500, seed=seed)
        estimate = found.of(0, "y")
        covered += estimate.low <= 9 <= estimate.high
    assert 47 <= covered <= 60


def test_the_reported_error_is_the_actual_one(fitted: cs.FittedSCM, rows: pd.DataFrame) -> None:
    runs = [
        attribute_anomalies(fitted, rows, target="z", draws=300, precision=0.5, seed=seed)
        for seed in range(40)
    ]
    actual = np.stack([run.values for run in runs]).std(axis=0, ddof=1)
    told = np.sqrt(np.mean([run.contributions.error**2 for run in runs], axis=0))
    # Each of nine ratios of deviations over 40 runs is known to a ninth.
    assert np.all((told / actual > 0.6) & (told / actual < 1.7))


def test_the_same_seed_gives_the_same_numbers(fitted: cs.FittedSCM, rows: pd.DataFrame) -> None:
    once, again, other = (
        attribute_anomalies(fitted, rows, target="z", seed=seed) for seed in (3, 3, 4)
    )
    assert np.array_equal(once.values, again.values)
    assert not np.array_equal(once.values, other.values)


def test_only_the_causes_of_the_target_take_part(fitted: cs.FittedSCM) -> None:
    found = attribute_anomalies(fitted, {"x": [3.0], "y": [6.0]}, target="y")
    assert found.names == ("x", "y")
    alone = attribute_anomalies(fitted, {"x": [3.0]}, target="x")
    assert alone.values[0] == pytest.approx(alone.scores)


def test_a_frame_has_a_row_for_each_row_and_variable(fitted: cs.FittedSCM) -> None:
    row = pd.DataFrame({"x": [3.0], "y": [6.0], "z": [18.0]}, index=["tuesday"])
    found = attribute_anomalies(fitted, row, target="z")
    frame = found.to_frame()
    assert list(frame.index) == [("tuesday", name) for name in ("x", "y", "z")]
    assert frame.contribution.sum() == pytest.approx(found.scores[0])
    assert (frame.low <= frame.contribution).all()
    assert (frame.low <= frame.fit_low + 1e-12).all()
    assert frame.share.sum() == pytest.approx(1)
    assert "surprise of z" in str(found)


def test_a_confounder_of_two_causes_is_refused() -> None:
    class Confounded(cs.SCM):
        host = cs.Latent(cs.Real())
        x = cs.Observed(cs.Real(), parents=[host])
        y = cs.Observed(cs.Real(), parents=[x, host])

    random = np.random.default_rng(0)
    host = random.normal(size=300)
    x = host + random.normal(size=300)
    frame = pd.DataFrame({"x": x, "y": x + host + random.normal(size=300)})
    fitted = Confounded.fit(frame, ensemble=2, steps=50)
    with pytest.raises(NotIdentifiedError, match="host"):
        attribute_anomalies(fitted, frame.iloc[:1], target="y")


def test_the_verdict_tells_what_it_rests_on(fitted: cs.FittedSCM, rows: pd.DataFrame) -> None:
    verdict = attribute_anomalies(fitted, rows, target="z").verdict
    assert verdict.status == "identified under"
    assert [each.name for each in verdict.assumptions] == ["monotone one-dimensional noise"]


def test_bad_input_is_refused(fitted: cs.FittedSCM, rows: pd.DataFrame) -> None:
    with pytest.raises(UnknownNameError):
        attribute_anomalies(fitted, rows, target="latency")
    with pytest.raises(MissingColumnError, match="x"):
        attribute_anomalies(fitted, rows.drop(columns="x"), target="z")
    with pytest.raises(DataError, match="no rows"):
        attribute_anomalies(fitted, rows.iloc[:0], target="z")
    with pytest.raises(EvidenceError, match="z"):
        attribute_anomalies(fitted, rows.assign(z=np.nan), target="z")
    for wrong in (
        {"measure": "it"},
        {"tail": "left"},
        {"draws": 0},
        {"precision": 0.0},
        {"level": 1.0},
        {"seed": -1},
    ):
        with pytest.raises(QueryError):
            attribute_anomalies(fitted, rows, target="z", **wrong)  # type: ignore[arg-type]
    with pytest.raises(QueryError, match="not fitted"):
        attribute_anomalies(_linear(CHAIN), rows, target="z")  # type: ignore[arg-type]


def test_a_category_or_a_model_with_a_memory_is_refused() -> None:
    frame = pd.DataFrame({"x": np.arange(60) % 2 == 0})
    model = cs.SCM.from_graph({"x": []}, default=cs.Observed(cs.Boolean()))
    with pytest.raises(QueryError, match="category"):
        attribute_anomalies(model.fit(frame, ensemble=2), frame.iloc[:1], target="x")

    class Walk(cs.SCM):
        x = cs.Observed(cs.Real(), mechanism=cs.Linear())
        y = cs.Observed(cs.Real(), parents=[x.lag(1)], mechanism=cs.Linear())

    wave = np.sin(np.arange(60.0))
    trace = pd.DataFrame({"trace": 0, "step": range(60), "x": wave, "y": np.roll(wave, 1)})
    walk = Walk.fit(trace, ensemble=2)
    with pytest.raises(QueryError, match="lags"):
        attribute_anomalies(walk, trace, target="y")
