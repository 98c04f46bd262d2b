"""A causal predictor: known truths, scikit-learn's own suite, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import causalsys as cs
from causalsys.detect.loss import loss_of
from causalsys.errors import (
    CausalSysError,
    DataError,
    EvidenceError,
    MissingColumnError,
    QueryError,
    UnknownNameError,
)
from causalsys.fitted import FittedSCM
from causalsys.replace.predictor import CausalPredictor
from tests.replace.systems import Heat, Hosts, Path, heat, hosts, hosts_mean, path

INPUTS = ["a", "b", "load"]


@pytest.fixture(scope="module")
def known_hosts() -> FittedSCM:
    return Hosts.fit(hosts(1, 4000)[0])


@pytest.fixture(scope="module")
def known_heat() -> FittedSCM:
    return Heat.fit(heat(2, 4000))


@pytest.fixture(scope="module")
def known_path() -> FittedSCM:
    return Path.fit(path(3, 2000))


def test_it_passes_the_suite_of_scikit_learn() -> None:
    """Without one expected failure; a check that asks for another array library is skipped."""
    found = check_estimator(CausalPredictor(), on_skip=None)
    assert {each["status"] for each in found} <= {"passed", "skipped"}
    skipped = {each["check_name"] for each in found if each["status"] == "skipped"}
    assert skipped <= {"check_array_api_input"}


def test_the_mean_sums_a_hidden_class_out(known_hosts: FittedSCM) -> None:
    """The regression on the same inputs has about 2; what 4000 rows leave open is about .1."""
    rows, _ = hosts(11, 5000)
    mean = CausalPredictor(known_hosts, target="y", error="squared").predict(rows)
    assert np.sqrt(np.mean((mean - hosts_mean(rows)) ** 2)) < 0.25


def test_the_mean_of_a_linear_district_is_its_normal_posterior(known_heat: FittedSCM) -> None:
    """E[heat | p, q, r] = (p + 2 q + 2 r) / 7: loadings over variances, precision 1 + 1 + 4 + 1."""
    rows = heat(12, 3000)
    found = CausalPredictor(known_heat, target="y", error="squared").predict(rows)
    expected = 3 * (rows.p + 2 * rows.q + 2 * rows.r) / 7
    assert np.sqrt(np.mean((found - expected) ** 2)) < 0.1
    believed = CausalPredictor(known_heat, target="y").latents(rows)
    assert list(believed.columns) == ["heat", "heat_sd"]
    assert believed["heat_sd"].to_numpy() == pytest.approx(7**-0.5, abs=0.03)


def test_a_missing_cell_is_inferred(known_heat: FittedSCM) -> None:
    """Without q the posterior is (p + 2 r) / 3; rows that know it are not touched."""
    rows = heat(13, 1000)
    predictor = CausalPredictor(known_heat, target="y", error="squared")
    gappy = rows.assign(q=rows.q.where(np.arange(1000) % 2 == 0))
    found, whole = predictor.predict(gappy), predictor.predict(rows)
    assert found[::2] == pytest.approx(whole[::2], abs=1e-9)
    expected = (3 * (rows.p + 2 * rows.r) / 3).to_numpy()[1::2]
    assert np.sqrt(np.mean((found[1::2] - expected) ** 2)) < 0.15
    assert predictor.predict(rows.drop(columns="q"))[1::2] == pytest.approx(found[1::2], abs=1e-9)


def test_a_missing_cause_of_a_known_one_is_inferred(known_path: FittedSCM) -> None:
    """E[load | queue] by hand: 4 + 2 / (4 + .25) (queue - 8); drawn, so to within a tenth."""
    rows = path(14, 200).assign(load=np.nan)
    found = CausalPredictor(known_path, target="latency", error="squared").predict(rows)
    load = 4 + 2 / 4.25 * (rows.queue - 8)
    assert np.sqrt(np.mean((found - (5 + load + 3 * rows.queue)) ** 2)) < 0.1


@pytest.mark.parametrize("error", ["absolute", "squared", "relative"])
def test_no_other_point_of_the_law_loses_less(known_hosts: FittedSCM, error: str) -> None:
    """On rows that the model itself draws, whose law the predictor then knows."""
    rows, _ = hosts(15, 20_000)
    points = {
        each: CausalPredictor(known_hosts, target="y", error=each).predict(rows)
        for each in ("absolute", "squared", "relative")
    }
    truth = rows.y.to_numpy()
    loss = loss_of(error)
    own = loss(truth, points[error]).mean()
    for each, point in points.items():
        # By luck a near tie may turn: its difference is within three standard errors.
        spread = (loss(truth, point) - loss(truth, points[error])).std() / len(truth) ** 0.5
        assert own <= loss(truth, point).mean() + 3 * spread, each


def test_a_loss_of_the_users_own_is_minimised(known_path: FittedSCM) -> None:
    """The pinball loss of level .9 has the quantile as its minimum."""

    def pinball(truth: np.ndarray, guess: np.ndarray) -> np.ndarray:
        return np.maximum(0.9 * (truth - guess), 0.1 * (guess - truth))

    rows = path(16, 300)
    predictor = CausalPredictor(known_path, target="latency", error=pinball)
    expected = predictor.predict_quantiles(rows, [0.9])[:, 0]
    assert predictor.predict(rows) == pytest.approx(expected, abs=0.03)


def test_a_prediction_does_not_depend_on_the_rows_beside_it(known_hosts: FittedSCM) -> None:
    rows, _ = hosts(17, 300)
    predictor = CausalPredictor(known_hosts, target="y")
    assert predictor.predict(rows.iloc[::-1])[::-1] == pytest.approx(predictor.predict(rows))
    assert predictor.predict(rows.iloc[7:8]) == pytest.approx(predictor.predict(rows)[7:8])


def test_labels_may_repeat(known_path: FittedSCM) -> None:
    rows = path(30, 200).iloc[[3, 3, 5]]
    predictor = CausalPredictor(known_path, target="latency")
    found = predictor.predict(rows)
    assert found[0] == found[1]
    assert predictor.fit(pd.concat([rows] * 20), np.ones(60)).predict(rows).shape == (3,)


def test_latents_are_probabilities(known_hosts: FittedSCM) -> None:
    rows, second = hosts(18, 3000)
    found = CausalPredictor(known_hosts, target="y").latents(rows)
    assert found.sum(axis=1).to_numpy() == pytest.approx(1.0)
    # Which level is which is not identified: the one whose share is nearer to .4 is the second.
    chosen = min(found.columns, key=lambda name: abs(found[name].mean() - 0.4))
    assert ((found[chosen] > 0.5) == second).mean() > 0.9


def test_intervals_cover_what_was_not_fitted() -> None:
    """Conformal, so at least .9 on exchangeable rows, up to the spread over 400 held-out ones."""
    rows, _ = hosts(19, 2000)
    predictor = CausalPredictor(Hosts, target="y").fit(rows[INPUTS], rows.y)
    fresh, _ = hosts(20, 4000)
    for level in (0.9, 0.5):
        low, high = predictor.predict_interval(fresh, level).T
        covered = ((low <= fresh.y) & (fresh.y <= high)).mean()
        assert covered == pytest.approx(level, abs=0.06)
    narrow, wide = (np.ptp(predictor.predict_interval(fresh, at), axis=1) for at in (0.5, 0.9))
    assert (narrow < wide).all()


def test_calibration_mends_a_noise_that_has_grown(known_path: FittedSCM) -> None:
    rows = path(21, 2000)
    rows["latency"] += np.random.default_rng(21).normal(0, 2, len(rows))
    predictor = CausalPredictor(known_path, target="latency")

    def covered() -> float:
        low, high = predictor.predict_interval(rows.iloc[1000:]).T
        return float(((low <= rows.latency[1000:]) & (rows.latency[1000:] <= high)).mean())

    assert covered() < 0.5
    predictor.calibrate(rows.iloc[:1000], rows.latency[:1000])
    assert covered() == pytest.approx(0.9, abs=0.03)


def test_the_test_of_coverage_has_its_rate(known_path: FittedSCM) -> None:
    """On exchangeable rows it alarms at the stated rate; after a change always."""
    predictor = CausalPredictor(known_path, target="latency")
    alarms = []
    for seed in range(60):
        held, rows = path(100 + seed, 200), path(200 + seed, 200)
        predictor.calibrate(held, held.latency)
        alarms.append(predictor.holds(rows, rows.latency, false_alarms=0.1).alarm)
    # Six expected of 60; more than 12 with a chance of .01.
    assert sum(alarms) <= 12
    rows = path(300, 200)
    found = predictor.holds(rows, rows.latency + 3)
    assert found.alarm
    assert "do not hold" in str(found)


def test_a_changed_mix_is_taken_from_rows_without_truths(known_hosts: FittedSCM) -> None:
    """The share of the second kind goes from .4 to .9; the true posterior has the new odds."""
    few, many = hosts(31, 1000, share=0.9)[0], hosts(32, 5000, share=0.9)[0]
    predictor = CausalPredictor(known_hosts, target="y", error="squared")
    ideal = hosts_mean(many, share=0.9)
    before = np.sqrt(np.mean((predictor.predict(many) - ideal) ** 2))
    predictor.adapt(few[INPUTS])
    after = np.sqrt(np.mean((predictor.predict(many) - ideal) ** 2))
    assert before > 0.8
    assert after < 0.3
    shares = predictor.latents(many).mean()
    assert shares.max() == pytest.approx(0.9, abs=0.03)
    # The model that was given stays as it was.
    assert predictor.model is known_hosts


def test_a_model_without_hidden_classes_has_no_mix(known_path: FittedSCM) -> None:
    with pytest.raises(QueryError, match="no hidden class"):
        CausalPredictor(known_path, target="latency").adapt(path(1, 50))


def test_fit_refits_the_targets_mechanism_alone(known_path: FittedSCM) -> None:
    rows = path(22, 500)
    rows["latency"] += 100
    predictor = CausalPredictor(known_path, target="latency")
    predictor.fit(rows[["load", "queue"]], rows.latency)
    assert np.abs(predictor.predict(rows) - rows.latency).mean() < 1
    again = predictor.fitted_
    assert again.mechanisms["queue"] is known_path.mechanisms["queue"]
    assert isinstance(again, FittedSCM)


def test_a_default_model_finds_a_hidden_class() -> None:
    """Linear regression leaves the jump of 8 in its error; the class is told by three columns."""
    rng = np.random.default_rng(23)
    second = rng.random(1500) < 0.4
    inputs = rng.normal(size=(1500, 3)) + 4 * second[:, None]
    truth = inputs[:, 0] + 8 * second * (1 + 0 * inputs[:, 0]) + 0.3 * rng.normal(size=1500)
    predictor = CausalPredictor(classes=2).fit(inputs[:1000], truth[:1000])
    line = LinearRegression().fit(inputs[:1000], truth[:1000])
    own, plain = (np.abs(p.predict(inputs[1000:]) - truth[1000:]).mean() for p in (predictor, line))
    assert own < 0.5 * plain


def test_it_works_inside_scikit_learn(known_path: FittedSCM) -> None:
    rows = path(24, 300)
    chain = make_pipeline(StandardScaler(), CausalPredictor(error="squared"))
    assert (
        chain.fit(rows[["load", "queue"]], rows.latency).score(
            rows[["load", "queue"]], rows.latency
        )
        > 0.9
    )
    copy = clone(CausalPredictor(known_path, target="latency", level=0.8))
    assert copy.level == 0.8
    assert copy.predict(rows).shape == (300,)


def test_the_audit_takes_it(known_path: FittedSCM) -> None:
    from causalsys.audit.audit import audit

    found = audit(known_path, CausalPredictor(known_path, target="latency"), target="latency")
    assert found.subject.predictor.inputs == ("load", "queue")
    assert found.notes == ()


def test_the_target_in_the_rows_is_not_looked_at(known_path: FittedSCM) -> None:
    rows = path(25, 50)
    predictor = CausalPredictor(known_path, target="latency")
    assert predictor.predict(rows.assign(latency=0.0)) == pytest.approx(predictor.predict(rows))


def test_an_equation_is_computed_and_no_input() -> None:
    class Ratio(cs.SCM):
        work = cs.Observed(cs.Positive())
        cores = cs.Observed(cs.Positive())

        @cs.equation(cs.Positive())
        def each(work, cores):  # type: ignore[no-untyped-def]
            """Work of each core."""
            return work / cores

        time = cs.Observed(cs.Positive(), parents=["each"], mechanism=cs.Linear(link="log"))

    rng = np.random.default_rng(29)
    work, cores = np.exp(rng.normal(size=(2, 500)))
    time = work / cores * np.exp(0.1 * rng.normal(size=500))
    rows = pd.DataFrame({"work": work, "cores": cores, "time": time})
    predictor = CausalPredictor(Ratio, target="time").fit(rows[["work", "cores"]], rows.time)
    assert list(predictor.feature_names_in_) == ["work", "cores"]
    assert predictor.predict(rows) == pytest.approx((rows.work / rows.cores).to_numpy(), rel=0.1)
    given = CausalPredictor(predictor.fitted_, target="time")
    assert sorted(given.feature_names_in_) == ["cores", "work"]
    assert given.parts(rows).sum(axis=1).to_numpy() == pytest.approx(given.predict(rows))


def test_what_is_not_fitted_says_so() -> None:
    with pytest.raises(NotFittedError):
        CausalPredictor(Path, target="latency").predict(path(1, 5))


def test_a_gap_without_a_model_is_refused() -> None:
    rows = path(26, 50)
    predictor = CausalPredictor().fit(rows[["load", "queue"]], rows.latency)
    with pytest.raises(ValueError, match="NaN"):
        predictor.predict(rows[["load", "queue"]].assign(load=np.nan))


@pytest.mark.parametrize("level", [0.0, 1.0, 1.5, True, "most", float("nan")])
def test_a_level_outside_is_refused(known_path: FittedSCM, level: object) -> None:
    with pytest.raises(QueryError, match="between 0 and 1"):
        CausalPredictor(known_path, target="latency").predict_interval(path(1, 5), level)  # type: ignore[arg-type]


def test_a_target_that_does_not_vary_is_predicted() -> None:
    rows = path(27, 200)
    predictor = CausalPredictor().fit(rows[["load", "queue"]], np.full(200, 7.0))
    assert predictor.predict(rows[["load", "queue"]]) == pytest.approx(7.0, abs=1e-3)


@pytest.mark.parametrize(
    ("rows", "refusal"),
    [
        (pd.DataFrame({"nothing": [1.0]}), EvidenceError),
        (pd.DataFrame({"load": ["fast"], "queue": [1.0]}), CausalSysError),
        (pd.DataFrame({"load": [1.0], "queues": [1.0]}), MissingColumnError),
        (pd.DataFrame({"load": [], "queue": []}), DataError),
        (np.ones((3, 2)), EvidenceError),
    ],
)
def test_rows_that_cannot_be_used_are_refused(
    known_path: FittedSCM, rows: object, refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        CausalPredictor(known_path, target="latency").predict(rows)


def test_names_that_do_not_fit_are_refused(known_path: FittedSCM) -> None:
    rows = path(28, 50)
    with pytest.raises(UnknownNameError, match="queue"):
        CausalPredictor(known_path, target="latency", inputs=["queu"]).predict(rows)
    with pytest.raises(QueryError, match="effect"):
        CausalPredictor(known_path, target="queue", inputs=["latency"]).predict(rows)
    with pytest.raises(UnknownNameError):
        CausalPredictor(known_path, target="lateness").predict(rows)
    with pytest.raises(QueryError, match="fitted model"):
        CausalPredictor(LinearRegression()).fit(rows[["load", "queue"]], rows.latency)
    with pytest.raises(EvidenceError, match="y"):
        CausalPredictor(known_path, target="latency").fit(rows, rows.latency.where(rows.load > 4))


def test_a_class_of_hosts_is_no_target() -> None:
    model = cs.SCM.from_graph(
        [("load", "host")], variables={"host": cs.Observed(cs.Boolean())}
    ).fit({"load": np.arange(40.0), "host": np.arange(40) % 3 == 0}, ensemble=1)
    with pytest.raises(QueryError, match="logged number"):
        CausalPredictor(model, target="host").predict({"load": [1.0]})
