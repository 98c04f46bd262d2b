"""The conditional means of the public SCMs, from 5000 rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from causalsys.scm import specs
from causalsys.scm.supports import Real
from tests.mechanisms.samples import column, fit, sample_of

Location = Callable[[np.ndarray], np.ndarray]
NODES: dict[str, tuple[Location, float]] = {
    "triangle x2": (lambda x: 2 * x**2, 1.0),
    "chain x2": (lambda x: np.exp(x / 2), 0.25),
    "Simpson x2": (lambda x: np.log1p(np.exp(1 - x)), np.sqrt(3 / 20)),
    "Simpson, product, x4": (lambda x: np.tanh(1.5 * x), np.sqrt(0.3)),
}


@pytest.mark.parametrize("node", NODES)
def test_the_conditional_mean_is_found(node: str) -> None:
    location, scale = NODES[node]
    rng = np.random.default_rng(12)
    x = rng.normal(size=5000)
    value = location(x) + scale * rng.normal(size=5000)
    fitted = fit(specs.NeuralAdditive(), Real(), sample_of(value, {"x": x}), parents={"x": Real()})
    fresh = rng.normal(size=4000)
    noise = torch.linspace(-3, 3, 61, dtype=torch.float64).reshape(-1, 1, 1).expand(-1, 1, 4000)
    share = torch.softmax(-(noise**2) / 2, 0)
    mean = (share * fitted.push(noise, {"x": column(fresh)})).sum(0)[0]
    error = (mean - torch.as_tensor(location(fresh))).abs().mean() / value.std()
    # About ten effective parameters: a noise of at most .5 sd times sqrt(10 / 5000) is .022.
    assert float(error) < 0.03


def test_members_agree_inside_the_data_and_not_outside() -> None:
    rng = np.random.default_rng(13)
    x = rng.normal(size=1000)
    sample = sample_of(np.sin(x) + 0.1 * rng.normal(size=1000), {"x": x}, members=6)
    fitted = fit(specs.NeuralAdditive(), Real(), sample, parents={"x": Real()})
    places = column([0.0, 1.0, 8.0, 12.0])
    spread = fitted.push(torch.zeros(6, 4, dtype=torch.float64), {"x": places}).std(0)
    assert float(spread[:2].max()) < 0.05
    assert float(spread[2:].min()) > 4 * float(spread[:2].max())
