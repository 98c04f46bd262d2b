"""Any predictor behind one face, and what is refused of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LinearRegression

import causalsys as cs
from causalsys.audit.audit import audit
from causalsys.audit.predictor import predictor_of
from causalsys.errors import (
    DataError,
    EvidenceError,
    PredictorError,
    QueryError,
    UnknownNameError,
)


class Service(cs.SCM):
    """Load and cache decide the latency; the bill follows from it."""

    heat = cs.Latent(cs.Real())
    load = cs.Observed(cs.Real("1/s"))
    warm = cs.Observed(cs.Boolean())
    zone = cs.Observed(cs.Categorical(["a", "b"]))
    latency = cs.Observed(cs.Real("ms"), parents=[load, warm, heat], mechanism=cs.Linear())
    bill = cs.Observed(cs.Real(), parents=[latency], mechanism=cs.Linear())


def rows(count: int = 200, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    load, warm = rng.normal(5, 1, count), rng.random(count) < 0.5
    latency = 3 * load - 2 * warm + rng.normal(0, 1, count)
    return pd.DataFrame(
        {
            "load": load,
            "warm": warm,
            "zone": rng.choice(["a", "b"], count),
            "latency": latency,
            "bill": latency + rng.normal(0, 1, count),
        }
    )


@pytest.fixture(scope="module")
def fitted() -> cs.FittedSCM:
    return Service.fit(rows(), seed=0)


def test_a_function_gets_every_logged_cause_and_no_effect(fitted: cs.FittedSCM) -> None:
    assert set(predictor_of(lambda r: r.load, fitted, target="latency").inputs) == {
        "load",
        "warm",
        "zone",
    }


def test_estimators_and_modules_predict_what_they_predict_alone(fitted: cs.FittedSCM) -> None:
    data = rows()
    named = LinearRegression().fit(data[["load", "warm"]], data.latency)
    bare = LinearRegression().fit(data[["load", "warm"]].to_numpy(float), data.latency)
    module = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.Dropout(0.5))
    module.train()
    inputs = ["load", "warm"]
    expected = named.predict(data[inputs])
    for given in (named, bare):
        found = audit(fitted, given, target="latency", inputs=inputs)
        np.testing.assert_allclose(found.subject.period(data).prediction, expected)
        assert found.notes == ()
    found = audit(fitted, module, target="latency", inputs=inputs)
    alone = module[0](torch.tensor(data[inputs].to_numpy(float)).float())[:, 0]
    np.testing.assert_allclose(
        found.subject.predictor.predict(data), alone.detach().numpy(), rtol=1e-5
    )
    assert module.training, "the module is left in the mode it was in"


def test_errors_are_those_of_the_loss(fitted: cs.FittedSCM) -> None:
    data = rows()
    for error, expected in (
        ("absolute", (data.latency - 15).abs()),
        ("squared", (data.latency - 15) ** 2),
        ("relative", (15 / data.latency - 1).abs()),
        (lambda truth, prediction: (prediction > truth) * 1.0, (data.latency < 15) * 1.0),
    ):
        subject = audit(
            fitted, lambda r: np.full(len(r), 15.0), target="latency", error=error
        ).subject
        np.testing.assert_allclose(subject.period(data).error, expected)


def test_a_predictor_that_answers_at_random_is_told(fitted: cs.FittedSCM) -> None:
    rng = np.random.default_rng(0)
    found = audit(fitted, lambda r: r.load + rng.normal(size=len(r)), target="latency")
    assert not found.subject.predictor.deterministic
    assert "not deterministic" in found.notes[0]


def _raises(rows: pd.DataFrame) -> pd.Series:
    raise ZeroDivisionError("no rate")


@pytest.mark.parametrize(
    ("predictor", "found"),
    [
        (_raises, "it raises ZeroDivisionError: no rate"),
        (lambda r: 1.0, r"shape \(\)"),
        (lambda r: np.zeros((len(r), 2)), r"shape \(32, 2\)"),
        (lambda r: np.zeros(len(r) - 1), r"shape \(31,\)"),
        (lambda r: r.load * np.nan, "32 of 32 predictions are no finite numbers"),
        (lambda r: ["slow"] * len(r), "which are no numbers"),
        (3.0, "neither a function nor an object"),
        (torch.nn.Linear(2, 1), "no names of the columns"),
    ],
)
def test_a_predictor_that_cannot_be_used_is_refused_at_once(
    fitted: cs.FittedSCM, predictor: Callable[[pd.DataFrame], object], found: str
) -> None:
    with pytest.raises(PredictorError, match=found):
        audit(fitted, predictor, target="latency")


@pytest.mark.parametrize(
    ("inputs", "error", "found"),
    [
        (["lod"], UnknownNameError, "Did you mean load"),
        (["heat"], PredictorError, "the latent heat"),
        (["latency"], PredictorError, "the target itself"),
        ([], PredictorError, "no inputs"),
        ("load", PredictorError, r"Give a list of names: inputs=\['load'\]"),
    ],
)
def test_inputs_are_logged_variables_of_the_model(
    fitted: cs.FittedSCM, inputs: list[str], error: type[Exception], found: str
) -> None:
    with pytest.raises(error, match=found):
        audit(fitted, lambda r: np.zeros(len(r)), target="latency", inputs=inputs)


def test_an_estimator_of_other_columns_is_refused(fitted: cs.FittedSCM) -> None:
    data = rows().assign(price=1.0)
    with pytest.raises(UnknownNameError, match="price"):
        audit(
            fitted,
            LinearRegression().fit(data[["load", "price"]], data.latency),
            target="latency",
        )
    bare = LinearRegression().fit(data[["load"]].to_numpy(), data.latency)
    with pytest.raises(PredictorError, match="2 inputs, and it was fitted to 1"):
        audit(fitted, bare, target="latency", inputs=["load", "warm"])


@pytest.mark.parametrize(
    ("target", "error", "found"),
    [
        ("latancy", UnknownNameError, "Did you mean latency"),
        ("heat", QueryError, "a latent as the target"),
        ("zone", QueryError, "a category as the target"),
    ],
)
def test_the_target_is_one_logged_number(
    fitted: cs.FittedSCM, target: str, error: type[Exception], found: str
) -> None:
    with pytest.raises(error, match=found):
        audit(fitted, lambda r: np.zeros(len(r)), target=target)


def test_a_period_needs_the_truth_of_every_row_and_the_columns_that_are_read(
    fitted: cs.FittedSCM,
) -> None:
    subject = audit(fitted, lambda r: r.load, target="latency", inputs=["load"]).subject
    data = rows()
    with pytest.raises(EvidenceError, match="latency: no value in some of the after"):
        subject.period(data.assign(latency=data.latency.where(data.index > 3)), what="after")
    with pytest.raises(UnknownNameError, match="load"):
        subject.period(data.drop(columns="load"))
    with pytest.raises(DataError, match="no rows"):
        subject.period(data.head(0))
    with pytest.raises(EvidenceError, match="Give at least 500 rows"):
        subject.period(data, least=500)
    with pytest.raises(QueryError, match="relative is inf in row 0"):
        audit(fitted, lambda r: r.load, target="latency", error="relative").subject.period(
            data.assign(latency=0.0)
        )


def test_an_unknown_loss_is_refused(fitted: cs.FittedSCM) -> None:
    with pytest.raises(QueryError, match='Write "absolute"'):
        audit(fitted, lambda r: r.load, target="latency", error="mape")
    with pytest.raises(QueryError, match="Return one loss per row"):
        audit(fitted, lambda r: r.load, target="latency", error=lambda t, p: 0.0).subject.period(
            rows()
        )


def test_what_is_not_fitted_is_refused() -> None:
    with pytest.raises(QueryError, match="Service, which is not fitted"):
        audit(Service, lambda r: r.load, target="latency")  # type: ignore[arg-type]


def test_a_model_with_a_choice_whose_rule_is_unknown_can_be_audited() -> None:
    class Server(cs.SCM):
        load = cs.Observed(cs.Real(), mechanism=cs.Linear())
        path = cs.Decision(cs.Categorical(["near", "far"]), [load], mechanism=cs.Logged())
        delay = cs.Observed(cs.Real(), parents=[load, path], mechanism=cs.Linear())

    rng = np.random.default_rng(0)
    load, far = rng.normal(size=200), rng.integers(0, 2, 200)
    rows = pd.DataFrame({"load": load, "path": np.array(["near", "far"])[far]})
    rows["delay"] = load + far + rng.normal(size=200)
    audited = audit(Server.fit(rows, ensemble=1), lambda r: r["load"], target="delay")
    assert audited.subject.period(rows).prediction.tolist() == load.tolist()
    with pytest.raises(QueryError, match="tolerance: none, and a model that cannot draw"):
        audited.explain_row(rows.iloc[0])
    assert audited.explain_row(rows.iloc[0], tolerance=100.0).changes == ()
