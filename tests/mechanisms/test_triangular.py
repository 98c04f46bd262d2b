from __future__ import annotations

import numpy as np
import torch
from scipy.stats import multivariate_normal

from causalsys.scm import specs
from causalsys.scm.supports import Categorical, Real
from tests.mechanisms.samples import fit, sample_of


def test_linear_components_make_a_multivariate_normal() -> None:
    rng = np.random.default_rng(15)
    covariance = np.array([[2.0, 0.8, -0.3], [0.8, 1.0, 0.2], [-0.3, 0.2, 0.5]])
    values = rng.multivariate_normal([1.0, 2.0, 3.0], covariance, size=4000)
    sample = sample_of(values, {})
    fitted = fit(specs.Linear(), Real(size=3), sample)
    expected = multivariate_normal(values.mean(0), np.cov(values.T)).logpdf(values)
    # Only the degrees of freedom of the scales differ: a part in 4000 of a few nats.
    np.testing.assert_allclose(fitted.log_prob(sample.value, {})[0], expected, atol=0.02)
    assert fitted.bijective
    assert set(fitted.state) >= {"constant@0", "weight@1", "weight@2"}


def test_categorical_components_may_depend_on_each_other() -> None:
    rng = np.random.default_rng(16)
    first = rng.integers(0, 2, 2000)
    second = np.where(rng.random(2000) < 0.9, first, 1 - first)
    sample = sample_of(np.column_stack([first, second]), {})
    fitted = fit(specs.GumbelMax(), Categorical(2, size=2), sample)
    drawn = fitted.push(
        fitted.draw_noise((1, 20_000), generator=torch.Generator().manual_seed(0)), {}
    )[0]
    # Both the fit (2000 rows) and the draws have a standard error below .01.
    assert abs(float((drawn[:, 0] == drawn[:, 1]).double().mean()) - 0.9) < 0.03
    assert (fitted.noise, fitted.bijective, fitted.noise_shape) == ("gumbel", False, (2, 2))
