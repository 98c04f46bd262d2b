"""Missing cells: inferred, and part of the uncertainty."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import causalsys as cs
from tests import models
from tests.models import Bent, Classes, Confounded, Zoo
from tests.truth import Chain, chain, line_of


@pytest.fixture(scope="module")
def at_random() -> pd.DataFrame:
    """Half of `m` is lost, and mostly where `y`, which is always logged, is low."""
    data = chain(3000)
    lost = np.random.default_rng(1).random(3000) < 1 / (1 + np.exp(3 * data["y"]))
    return data.assign(m=data["m"].where(~lost))


def test_coefficients_are_recovered_from_data_missing_at_random(at_random: pd.DataFrame) -> None:
    """Complete rows alone are a biased sample; with 3000 rows the standard errors are 0.02."""
    complete = at_random.dropna()
    assert np.polyfit(complete["x"], complete["m"], 1)[0] < 1.75
    fitted = Chain.fit(at_random)
    m, y = line_of(fitted, "m"), line_of(fitted, "y")
    assert m.slopes["x"] == pytest.approx(2.0, abs=0.08)
    assert m.constant == pytest.approx(0.0, abs=0.1)
    assert m.scale == pytest.approx(1.0, rel=0.06)
    assert (y.slopes["x"], y.slopes["m"]) == pytest.approx((1.0, -1.0), abs=0.08)
    assert "m (" in fitted.diagnostics.notes[0]


def test_lost_cells_cost_certainty(at_random: pd.DataFrame) -> None:
    """The members spread more than they do with all cells known."""

    def spread(data: pd.DataFrame) -> float:
        fitted = Chain.fit(data, ensemble=40)
        return float(np.std([line_of(fitted, "m", member).slopes["x"] for member in range(1, 40)]))

    assert spread(at_random) > 1.1 * spread(chain(3000))


@pytest.mark.parametrize("name", ["x", "k", "count", "level", "pair", "power"])
def test_any_column_may_have_gaps(name: str) -> None:
    data = models.zoo()
    columns = [column for column in data if column.rstrip("_01") == name]
    for column in columns:
        data[column] = data[column].where(np.arange(len(data)) % 7 > 0)
    kept = ("x", "k", "count", "level", "pair", "power", "linear", "product")
    variables = {n: getattr(Zoo, n) for n in kept}
    edges = [("x", "linear"), ("k", "linear"), ("x", "count"), ("k", "level"), ("x", "pair")]
    edges += [("k", "power"), ("power", "product"), ("count", "pair"), ("level", "linear")]
    model = cs.SCM.from_graph(edges, variables=variables)
    fitted = model.fit(data, ensemble=2)
    assert name in fitted.diagnostics.notes[0]
    answer = fitted.counterfactual(data[:8], do={"x": 0.0, "k": "b"}, samples=4)
    assert all(bool(value.isfinite().all()) for value in answer.values.values())


@pytest.mark.parametrize(
    ("model", "data", "name"),
    [
        (Confounded, models.confounded, "x"),
        (Confounded, models.confounded, "y"),
        (Bent, models.bent, "y"),
        (Classes, models.classes, "q"),
    ],
    ids=["exact x", "exact y", "variational", "classes"],
)
def test_districts_with_latents_may_have_gaps(model: type[cs.SCM], data, name: str) -> None:
    frame = data()[:300]
    lost = np.arange(len(frame)) % 5 == 0
    fitted = model.fit(frame.assign(**{name: frame[name].where(~lost)}), ensemble=2, steps=60)
    found = fitted.counterfactual(frame[:20].drop(columns=name), do={}, samples=50)
    seen, inferred = frame[name][:20].astype(float), found.observed(name).values.mean(0)
    # What is inferred goes with what was lost.
    assert np.corrcoef(seen, inferred)[0, 1] > 0.4


def test_gaps_of_an_equation_follow_from_its_parents() -> None:
    class Sum(cs.SCM):
        a = cs.Observed(cs.Real(), mechanism=cs.Linear())
        b = cs.Observed(cs.Real(), mechanism=cs.Linear())

        @cs.equation(cs.Real())
        def total(a, b):
            return a + b

    data = pd.DataFrame({"a": [1.0, np.nan, 3.0, 4.0], "b": [1.0, 2.0, 2.5, 7.0]})
    fitted = Sum.fit(data, ensemble=2)
    answer = fitted.counterfactual(data, do={}, samples=5)
    a, total = answer.observed("a").values, answer.observed("total").values
    np.testing.assert_allclose(total, a + data["b"].to_numpy())
    assert np.ptp(a[:, 1]) > 0
    assert np.ptp(a[:, [0, 2, 3]], axis=0).max() == 0


def test_rows_without_gaps_are_not_touched_by_others_gaps() -> None:
    """A full row's answer is the same, whatever is missing in the rows beside it."""
    fitted, rows = models.fitted_zoo(), models.zoo()[:10]
    gappy = rows.assign(spline=rows["spline"].where(rows.index != 4))
    names = ("linear", "spline", "trees", "neural")
    full, beside = (
        fitted.counterfactual(frame, do={"x": 1.0}, samples=2) for frame in (rows, gappy)
    )
    others = np.arange(10) != 4
    for name in names:
        found, wanted = (a.draws(name).values[:, others] for a in (beside, full))
        np.testing.assert_allclose(found, wanted, atol=1e-9)
