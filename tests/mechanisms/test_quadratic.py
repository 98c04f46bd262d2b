from __future__ import annotations

import numpy as np
import pytest
import torch

from causalsys.errors import FitError
from causalsys.mechanisms import Training, build
from causalsys.mechanisms.quadratic import QuadraticMechanism, terms_of
from causalsys.scm import specs
from causalsys.scm.supports import Categorical, Positive, Real, Support
from tests.mechanisms.samples import column, fit, sample_of

ROWS = 4000
PAIR: dict[str, Support] = {"x": Real(), "z": Real()}


def test_a_product_is_told_where_one_cause_is_moved_alone() -> None:
    # The causes move together, so x * z is seen along one curve; moved alone, they leave it.
    rng = np.random.default_rng(3)
    x, near, noise = rng.normal(size=(3, ROWS))
    z = 2 * np.tanh(2 * x) + 0.3 * near
    parents = {"x": x, "z": z}
    fitted = fit(specs.Quadratic(), Real(), sample_of(x * z / 2 + noise, parents), parents=PAIR)
    far = {"x": column([1.5, -1.5, 1.5]), "z": column([-2.0, 2.0, 0.0])}
    with torch.no_grad():
        found = fitted.push(torch.zeros(1, 3), far)[0].numpy()
    # Least squares of six terms, far out: four of its standard errors of about .1.
    np.testing.assert_allclose(found, [-1.5, -1.5, 0.0], atol=0.4)


def test_without_noise_every_coefficient_is_found() -> None:
    rng = np.random.default_rng(4)
    x, z = rng.normal(1, 2, size=(2, 50))
    value = 3 - x + 2 * z + 0.5 * x**2 - x * z + 0.25 * z**2
    sample = sample_of(value, {"x": x, "z": z})
    fitted = fit(specs.Quadratic(noise="normal"), Real(), sample, parents=PAIR)
    asked = {"x": column([10.0]), "z": column([-7.0])}
    with torch.no_grad():
        found = fitted.push(torch.zeros(1, 1), asked)
    assert float(found) == pytest.approx(3 - 10 - 14 + 50 + 70 + 0.25 * 49, rel=1e-6)


def test_the_mean_of_the_members_is_the_estimate() -> None:
    rng = np.random.default_rng(5)
    x, noise = rng.normal(size=(2, 300))
    sample = sample_of(x**2 + noise, {"x": x}, members=8)
    weight = fit(specs.Quadratic(), Real(), sample, parents={"x": Real()}).state["weight"]
    torch.testing.assert_close(weight.mean(0), weight[0])
    assert bool((weight[1:].std(0) > 0).all())


def test_positive_causes_of_a_power_law_enter_by_their_logarithm() -> None:
    rng = np.random.default_rng(6)
    x = rng.lognormal(size=500)
    spec = specs.Quadratic(link="log", noise="normal")
    parents: dict[str, Support] = {"x": Positive()}
    fitted = fit(spec, Positive(), sample_of(3 * x**1.5, {"x": x}), parents=parents)
    with torch.no_grad():
        found = fitted.push(torch.zeros(1, 1), {"x": column([4.0])})
    assert float(found) == pytest.approx(24, rel=0.02)


@pytest.mark.parametrize(("bend", "missed"), [(0.0, False), (0.05, True)])
def test_a_bend_that_it_misses_is_seen_through_unequal_noise(bend: float, missed: bool) -> None:
    rng = np.random.default_rng(9)
    x, noise = rng.normal(size=(2, ROWS))
    sample = sample_of(x**2 + bend * x**3 + 0.3 * (1 + x**2) * noise, {"x": x})
    family = build(specs.Quadratic(), Real(), parents={"x": Real()})
    assert isinstance(family, QuadraticMechanism)
    p = family.fit(sample, training=Training()).misfit(sample)
    # A cube with a weight of five of its standard errors, against a level of one in a hundred.
    assert (p < 0.01) == missed


def test_a_cause_of_two_levels_has_no_cube_to_miss() -> None:
    rng = np.random.default_rng(10)
    k, noise = rng.integers(0, 2, 500), rng.normal(size=500)
    sample = sample_of(k + noise, {"k": k})
    family = build(specs.Quadratic(), Real(), parents={"k": Categorical(2)})
    assert isinstance(family, QuadraticMechanism)
    assert family.fit(sample, training=Training()).misfit(sample) == 1.0


def test_too_few_rows_are_refused() -> None:
    x, z = np.random.default_rng(7).normal(size=(2, 6))
    with pytest.raises(FitError, match="6 rows for 6 terms"):
        fit(specs.Quadratic(), Real(), sample_of(x, {"x": x, "z": z}), parents=PAIR)


def test_what_says_the_same_twice_is_told() -> None:
    x = np.random.default_rng(8).normal(size=100)
    sample = sample_of(x, {"x": x, "k": (x > 0).astype(int)})
    parents: dict[str, Support] = {"x": Real(), "k": Categorical(2)}
    fitted = fit(specs.Quadratic(), Real(), sample, parents=parents)
    assert any("collinear" in note for note in fitted.notes)


@pytest.mark.parametrize(("width", "terms"), [(0, 1), (1, 3), (2, 6), (10, 66)])
def test_terms_are_counted(width: int, terms: int) -> None:
    assert terms_of(width) == terms
