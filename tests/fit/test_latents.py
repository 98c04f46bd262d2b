"""Latents: what fitting recovers of known systems."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

import causalsys as cs
from tests import models
from tests.models import Bent, Confounded
from tests.truth import line_of

SMALL = (8,)


@pytest.mark.parametrize("seed", range(3))
def test_a_confounded_effect_is_recovered(seed: int) -> None:
    """Regression of y on x gives 1.8, since the latent acts on both; the truth is 1.

    With 2000 rows the effect's standard error is about 0.05: three of them.
    """
    data = models.confounded(2000, seed=seed)
    assert np.polyfit(data["x"], data["y"], 1)[0] > 1.7
    fitted = Confounded.fit(data, seed=seed)
    effect = fitted.sample(do=[{"x": 0.0}, {"x": 1.0}]).contrast("y", world=1, against=0).average()
    assert effect.value == pytest.approx(1.0, abs=0.15)
    assert effect.low < 1.0 < effect.high
    assert fitted.diagnostics.warnings == ()


def test_no_effect_is_found_where_there_is_none() -> None:
    fitted = Confounded.fit(models.confounded(2000, seed=5, effect=0.0))
    effect = fitted.sample(do=[{"x": 0.0}, {"x": 1.0}]).contrast("y", world=1, against=0).average()
    assert effect.value == pytest.approx(0.0, abs=0.15)


class Curved(cs.SCM):
    """As `Confounded`, but a network gives `y`: fitted by variational inference."""

    u = cs.Latent(cs.Real())
    w1 = cs.Observed(cs.Real(), parents=[u], mechanism=cs.Linear())
    w2 = cs.Observed(cs.Real(), parents=[u], mechanism=cs.Linear())
    x = cs.Observed(cs.Real(), parents=[u], mechanism=cs.Linear())
    y = cs.Observed(
        cs.Real(), parents=[u, x], mechanism=cs.NeuralAdditive(hidden=SMALL, noise="normal")
    )


@pytest.mark.parametrize("seed", range(3))
def test_variational_inference_recovers_the_effect(seed: int) -> None:
    """As above; training adds its own error, for which the tolerance is doubled."""
    data = models.confounded(1000, seed=seed)
    fitted = Curved.fit(data, seed=seed, steps=1000, ensemble=4)
    worlds = [{"x": -0.5}, {"x": 0.5}]
    effect = fitted.sample(4000, do=worlds).contrast("y", world=1, against=0).average()
    assert effect.value == pytest.approx(1.0, abs=0.3)


def test_the_exact_fit_beats_the_truth_on_its_own_rows() -> None:
    """A maximum of the likelihood is at least as likely as the parameters behind the data."""
    data = models.confounded(500, seed=1)
    fitted = Confounded.fit(data, ensemble=1)
    covariance = np.full((4, 4), 1.0) + 0.25 * np.eye(4)
    covariance[3] += covariance[2]
    covariance[:, 3] += covariance[:, 2]
    truth = torch.distributions.MultivariateNormal(
        torch.zeros(4).double(), torch.tensor(covariance)
    )
    given = truth.log_prob(torch.tensor(data.to_numpy())).mean()
    assert fitted.log_prob(data).mean() >= float(given) - 1e-6
    reported = fitted.diagnostics.districts[0].log_likelihood
    assert fitted.log_prob(data).mean() == pytest.approx(reported, abs=1e-6)


def test_the_likelihood_of_rows_integrates_the_latent_out() -> None:
    """Of a linear district: the density of a normal law with the fitted covariance."""
    fitted = Confounded.fit(models.confounded(200), ensemble=1)
    lines = {name: line_of(fitted, name) for name in ("w1", "w2", "x", "y")}
    # All as linear combinations of u and of the four noises.
    rows = {n: np.array([lines[n].slopes["u"], *np.zeros(4)]) for n in lines}
    means = {n: lines[n].constant for n in lines}
    for place, name in enumerate(lines, start=1):
        rows[name][place] = lines[name].scale
    rows["y"] += lines["y"].slopes["x"] * rows["x"]
    means["y"] += lines["y"].slopes["x"] * means["x"]
    mix = np.stack(list(rows.values()))
    law = torch.distributions.MultivariateNormal(
        torch.tensor(list(means.values())), torch.tensor(mix @ mix.T)
    )
    data = models.confounded(30, seed=9)
    wanted = law.log_prob(torch.tensor(data[list(rows)].to_numpy()))
    np.testing.assert_allclose(fitted.log_prob(data), wanted, atol=1e-6)


def test_a_latent_posterior_has_its_closed_form() -> None:
    fitted = Confounded.fit(models.confounded(400), ensemble=1)
    rows = models.confounded(10, seed=7)
    gain, precision = 0.0, 1.0
    for name in ("w1", "w2", "x", "y"):
        line = line_of(fitted, name)
        rest = rows[name] - line.constant - line.slopes.get("x", 0.0) * rows["x"]
        gain = gain + line.slopes["u"] * rest / line.scale**2
        precision += (line.slopes["u"] / line.scale) ** 2
    drawn = fitted.counterfactual(rows, do={}, samples=4000).observed("u").values
    deviation = precision**-0.5
    # 4000 draws: a mean is within deviation / 15 (four standard errors).
    np.testing.assert_allclose(drawn.mean(0), gain / precision, atol=deviation / 15)
    np.testing.assert_allclose(drawn.std(0), deviation, rtol=0.06)


def test_a_counterfactual_keeps_the_latent() -> None:
    """With the latent known up to its posterior, y moves by the effect of x alone."""
    fitted = Confounded.fit(models.confounded(400), ensemble=1)
    rows = models.confounded(10, seed=7)
    answer = fitted.counterfactual(rows, do={"x": lambda x: x + 2.0})
    moved = answer.contrast("y").values
    np.testing.assert_allclose(moved, 2 * line_of(fitted, "y").slopes["x"], atol=1e-9)


def test_variational_fits_use_their_latent() -> None:
    """The inferred latent is the true one, up to its sign; a collapsed one would be noise."""
    rng = np.random.default_rng(2)
    truth = rng.normal(size=200)  # as `models.bent` draws it first
    answer = models.fitted_bent().counterfactual(models.bent(), do={})
    found = answer.observed("u").values.mean(0)
    assert abs(np.corrcoef(found, truth)[0, 1]) > 0.8


def test_positive_and_vector_latents() -> None:
    class Sizes(cs.SCM):
        size = cs.Latent(cs.Positive())
        where = cs.Latent(cs.Real(size=2))
        a = cs.Observed(cs.Positive(), parents=[size, where], mechanism=cs.Linear(link="log"))
        b = cs.Observed(cs.Positive(), parents=[size], mechanism=cs.Linear(link="log"))
        c = cs.Observed(cs.Real(), parents=[where], mechanism=cs.Linear())

    rng = np.random.default_rng(0)
    size, where = rng.normal(size=300), rng.normal(size=(300, 2))
    data = pd.DataFrame(
        {
            "a": np.exp(size + where @ [0.5, -0.5] + 0.3 * rng.normal(size=300)),
            "b": np.exp(size + 0.3 * rng.normal(size=300)),
            "c": where @ [1.0, 1.0] + 0.3 * rng.normal(size=300),
        }
    )
    fitted = Sizes.fit(data, ensemble=2)
    answer = fitted.counterfactual(data[:5], do={"b": 1.0}, samples=20)
    assert (answer.observed("size").values > 0).all()
    assert answer.observed("where").values.shape == (20, 5, 2)
    # b causes nothing, so what is done to it leaves a alone.
    np.testing.assert_array_equal(answer.mean("a"), data["a"][:5])


@pytest.mark.parametrize("seed", [0, 1, 3])
def test_an_equation_of_a_latent_ties_its_effects(seed: int) -> None:
    """`u` reaches `x` and `y` through equations that nobody logs."""

    class Hidden(cs.SCM):
        u = cs.Latent(cs.Real())

        @cs.equation(cs.Real())
        def twice(u):
            return 2 * u

        x = cs.Observed(cs.Real(), parents=[twice], mechanism=cs.Linear())
        y = cs.Observed(cs.Real(), parents=[u], mechanism=cs.Linear())
        z = cs.Observed(cs.Real(), parents=[twice], mechanism=cs.Linear())

    rng = np.random.default_rng(0)
    u = rng.normal(size=300)
    columns = {n: u + 0.4 * rng.normal(size=300) for n in "xyz"}
    data = pd.DataFrame(columns)
    # Seeds 1 and 3 have restarts that end in mirror images of each other.
    fitted = Hidden.fit(data, ensemble=4, steps=300, seed=seed)
    assert [d.latents for d in fitted.diagnostics.districts] == [("u",)]
    answer = fitted.counterfactual(data[:50], do={}, samples=50)
    found = answer.observed("u").values
    assert abs(np.corrcoef(found.mean(0), u[:50])[0, 1]) > 0.85
    np.testing.assert_allclose(answer.observed("twice").values, 2 * found)


def test_districts_are_told() -> None:
    report = models.fitted_bent().diagnostics.districts[0]
    assert report.latents == ("u",)
    assert set(report.variables) == {"x", "y", "k", "w"}
    assert report.method == "variational"
    assert models.fitted_confounded().diagnostics.districts[0].method == "exact"
    assert Bent.graph.districts() == (frozenset({"k", "w", "x", "y"}),)
