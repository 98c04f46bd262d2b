from __future__ import annotations

import numpy as np
import torch

from causalsys.scm import specs
from causalsys.scm.supports import Categorical, Positive, Real
from tests.mechanisms.samples import fit, sample_of

PARENTS = {"k": Categorical(5), "h": Positive(), "x": Real()}


def _data(rows: int) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    rng = np.random.default_rng(11)
    k, h, x = rng.integers(0, 5, rows), rng.lognormal(size=rows), rng.normal(size=rows)
    one, two = np.exp(rng.normal(size=5)), np.exp(rng.normal(size=5))
    location = one[k] * h**0.7 * np.exp(0.3 * x) + two[k] * h**-0.5 * np.exp(-0.6 * x)
    return {"k": k, "h": h, "x": x}, location, location * np.exp(0.1 * rng.normal(size=rows))


def test_rank_one_is_linear_in_logarithms() -> None:
    parents, _, value = _data(500)
    sample = sample_of(value, parents, members=3)
    product = fit(specs.Multiplicative(), Positive(), sample, parents=PARENTS)
    linear = fit(specs.Linear(link="log"), Positive(), sample, parents=PARENTS)
    ours = product.log_prob(sample.value, sample.parents)
    assert torch.allclose(ours, linear.log_prob(sample.value, sample.parents))


def test_a_sum_of_two_products_is_recovered() -> None:
    parents, location, value = _data(5000)
    sample = sample_of(value, parents, members=2)
    noise = torch.zeros(2, 5000, dtype=torch.float64)
    errors = []
    for rank in (1, 2):
        fitted = fit(specs.Multiplicative(rank=rank), Positive(), sample, parents=PARENTS)
        at_zero = fitted.push(noise, sample.parents).log()
        errors.append(float((at_zero - torch.as_tensor(np.log(location))).std(-1).max()))
    # 14 parameters and noise of .1 on 5000 rows: .1 sqrt(14 / 5000) = .005, more in a bootstrap.
    assert errors[1] < 0.015
    assert errors[0] > 0.2
