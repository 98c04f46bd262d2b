from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import nbinom, poisson

from causalsys.mechanisms.nbinom import LARGEST, log_tails, quantile
from causalsys.scm import specs
from causalsys.scm.supports import Count, Positive, Real
from tests.mechanisms.samples import column, fit, sample_of

PARENTS = {"x": Real(), "h": Positive()}


def test_it_recovers_the_mean_and_the_dispersion() -> None:
    rng = np.random.default_rng(5)
    x, h = rng.normal(size=5000), rng.lognormal(4, 1, 5000)
    mean = np.exp(1 + 0.5 * x) * h**0.8
    counts = rng.poisson(rng.gamma(3.0, mean / 3.0)).astype(float)
    sample = sample_of(counts, {"x": x, "h": h})
    fitted = fit(specs.CountRegression(), Count(), sample, parents=PARENTS)
    slope = fitted.state["weight"][0] / fitted.state["spread"][0, 0]
    # Standard errors: slopes .6 / sqrt(5000) = .009, size 3 sqrt(2 / 5000) = .06 or a little more.
    np.testing.assert_allclose(slope, [0.5, 0.8], atol=0.03)
    assert float(fitted.state["log_size"].exp()) == pytest.approx(3.0, abs=0.3)


def test_the_mass_is_scipys() -> None:
    rng = np.random.default_rng(6)
    counts = rng.negative_binomial(2, 0.1, 500).astype(float)
    fitted = fit(specs.CountRegression(), Count(), sample_of(counts, {}))
    size, mean = (float(fitted.state[name].exp()) for name in ("log_size", "constant"))
    grid = np.arange(200)
    ours = fitted.log_prob(column(grid.astype(float)), {})[0]
    np.testing.assert_allclose(ours, nbinom.logpmf(grid, size, size / (size + mean)), rtol=1e-9)


@pytest.mark.parametrize("size", [0.05, 1.0, 30.0, 1e6])
@pytest.mark.parametrize("mean", [0.01, 1.0, 50.0, 1e4])
def test_tails_and_quantiles_are_scipys_where_scipy_reaches(size: float, mean: float) -> None:
    noise = np.linspace(-4, 4, 33)
    full = np.full_like(noise, 1.0)
    counts = quantile(noise, np.log(mean) * full, size * full)
    law = nbinom(size, size / (size + mean))
    lower, upper = log_tails(counts, np.log(mean) * full, size * full)
    np.testing.assert_allclose(lower, law.logcdf(counts), rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(upper, law.logsf(counts), rtol=1e-7, atol=1e-12)


def test_tails_beyond_doubles_are_poissons_in_the_limit() -> None:
    size = np.full(3, 1e12)
    lower, _ = log_tails(np.zeros(3), np.log([1e3, 5e3, 1e5]), size)
    np.testing.assert_allclose(lower, [-1e3, -5e3, -1e5], rtol=1e-6)
    _, upper = log_tails(np.full(1, 1000.0), np.log([10.0]), size[:1])
    terms = poisson.logpmf(np.arange(1001, 1100), 10.0)
    assert upper[0] == pytest.approx(terms.max() + np.log(np.exp(terms - terms.max()).sum()))


def test_an_incident_that_the_normal_days_rule_out_is_given_back() -> None:
    rng = np.random.default_rng(7)
    fitted = fit(specs.CountRegression(), Count(), sample_of(rng.poisson(5000, 500) * 1.0, {}))
    incident = column([0.0, 1.0, 4000.0, 90_000.0, 1e9])
    for seed in range(20):
        noise = fitted.pull(incident, {}, generator=torch.Generator().manual_seed(seed))
        assert torch.equal(fitted.push(noise, {}), incident)


def test_extreme_noise_gives_counts() -> None:
    noise = np.array([-1e300, -40.0, 0.0, 40.0, 1e300])
    for log_mean in (-30.0, 0.0, 30.0):
        for size in (np.exp(-10), 1.0, np.exp(14)):
            counts = quantile(noise, np.full(5, log_mean), np.full(5, size))
            assert (np.diff(counts) >= 0).all()
            assert ((counts >= 0) & (counts <= LARGEST) & (counts == np.floor(counts))).all()


def test_counts_as_parents_enter_by_their_logarithm() -> None:
    rng = np.random.default_rng(8)
    requests = rng.negative_binomial(2, 0.002, 3000).astype(float)
    errors = rng.poisson(0.02 * requests).astype(float)
    sample = sample_of(errors, {"requests": requests})
    fitted = fit(specs.CountRegression(), Count(), sample, parents={"requests": Count()})
    power = fitted.state["weight"][0] / fitted.state["spread"][0, 0]
    # The standard error is about 1 / sqrt(60 000 errors) / sd(log requests) = .006.
    assert float(power) == pytest.approx(1.0, abs=0.03)
