from __future__ import annotations

import numpy as np
import torch
from scipy.stats import lognorm, norm

from causalsys.mechanisms import build
from causalsys.scm import specs
from causalsys.scm.supports import Fraction, Positive, Real
from tests.mechanisms.samples import column, fit, sample_of


def test_the_laws_are_normal_log_normal_and_logistic_normal() -> None:
    values = np.array([0.1, 0.4, 0.7])
    odds = np.log(values / (1 - values))
    expected = {
        Real: norm.logpdf(values),
        Positive: lognorm.logpdf(values, 1.0),
        Fraction: norm.logpdf(odds) - np.log(values * (1 - values)),
    }
    for support, density in expected.items():
        prior = fit(specs.StandardNormal(), support(), sample_of(values, {}))
        # Fractions are kept a millionth off their ends.
        np.testing.assert_allclose(prior.log_prob(column(values), {})[0], density, rtol=1e-4)


def test_a_vectors_components_are_independent() -> None:
    prior = build(specs.StandardNormal(), Real(size=3), parents={})
    prior = prior.fit(sample_of(np.zeros((1, 3)), {}), training=None)  # type: ignore[arg-type]
    noise = prior.draw_noise((2, 5), generator=torch.Generator().manual_seed(0))
    assert noise.shape == (2, 5, 3)
    np.testing.assert_allclose(prior.log_prob(noise, {}), norm.logpdf(noise).sum(-1))
