from __future__ import annotations

import numpy as np
import torch
from zuko.transforms import MonotonicRQSTransform

from causalsys.mechanisms.rational_quadratic import BOUND, Spline
from causalsys.scm import specs
from causalsys.scm.supports import Real
from tests.mechanisms.samples import column, fit, sample_of


def test_the_splines_are_zukos() -> None:
    generator = torch.Generator().manual_seed(0)
    parameters = 3 * torch.randn(23, 4, 500, generator=generator, dtype=torch.float64)
    value = 3 * torch.randn(4, 500, generator=generator, dtype=torch.float64)
    ours = Spline.of(parameters, bins=8)
    theirs = MonotonicRQSTransform(*parameters.movedim(0, -1).split([8, 8, 7], -1), bound=BOUND)
    image, slope = ours.forward(value)
    expected, expected_slope = theirs.call_and_ladj(value)
    torch.testing.assert_close(image, expected)
    torch.testing.assert_close(slope, expected_slope)
    torch.testing.assert_close(ours.inverse(image), value)


def test_a_skewed_noise_whose_spread_varies_is_learned() -> None:
    def truth(x: np.ndarray, noise: np.ndarray) -> np.ndarray:
        return np.sin(x) + np.exp(0.6 * x - 0.5) * (np.exp(0.6 * noise) - 1)

    rng = np.random.default_rng(14)
    x, noise = rng.normal(size=(2, 5000))
    value = truth(x, noise)
    fitted = fit(specs.SplineFlow(), Real(), sample_of(value, {"x": x}), parents={"x": Real()})
    fresh, moved, hidden = rng.normal(size=(3, 4000))
    pulled = fitted.pull(column(truth(fresh, hidden)), {"x": column(fresh)})
    # A flow of one noise is identified: it is the true one, up to what 5000 rows do not tell.
    assert float((pulled[0] - torch.as_tensor(hidden)).abs().mean()) < 0.06
    answer = fitted.push(pulled, {"x": column(moved)})[0].numpy()
    error = np.abs(answer - truth(moved, hidden))
    assert np.median(error) / value.std() < 0.02
    # The mean is ruled by counterfactuals far into the tail, where there are few rows.
    assert error.mean() / value.std() < 0.06
