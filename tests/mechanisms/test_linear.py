from __future__ import annotations

import numpy as np
import pytest
import torch

from causalsys.errors import FitError
from causalsys.scm import specs
from causalsys.scm.supports import Categorical, Positive, Real
from tests.mechanisms.samples import fit, sample_of

ROWS = 400


def _data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    x, k = rng.normal(5, 3, ROWS), rng.integers(0, 3, ROWS)
    y = (
        2
        - 0.7 * x
        + np.array([0.0, 1.0, -2.0])[k]
        + (0.5 + 0.2 * np.abs(x)) * rng.normal(size=ROWS)
    )
    return x, k, y


def _design(x: np.ndarray, k: np.ndarray) -> np.ndarray:
    return np.column_stack([np.ones(ROWS), x, k == 1, k == 2])


def test_it_is_least_squares() -> None:
    x, k, y = _data()
    design = _design(x, k)
    coefficients, residual, *_ = np.linalg.lstsq(design, y)
    sample = sample_of(y, {"x": x, "k": k})
    fitted = fit(specs.Linear(), Real(), sample, parents={"x": Real(), "k": Categorical(3)})
    at_zero = fitted.push(torch.zeros(1, ROWS, dtype=torch.float64), sample.parents)
    np.testing.assert_allclose(at_zero[0], design @ coefficients, rtol=1e-9)
    scale = np.sqrt(residual[0] / (ROWS - 4))
    assert float(fitted.state["log_scale"].exp()) == pytest.approx(scale, rel=1e-9)


def test_members_spread_as_the_robust_covariance_says() -> None:
    x, k, y = _data()
    design = _design(x, k)
    inverse = np.linalg.inv(design.T @ design)
    residual = y - design @ (inverse @ design.T @ y)
    meat = design.T @ (design * residual[:, None] ** 2)
    expected = np.sqrt(np.diag(inverse @ meat @ inverse) * ROWS / (ROWS - 4))
    sample = sample_of(y, {"x": x, "k": k}, members=1000)
    fitted = fit(specs.Linear(), Real(), sample, parents={"x": Real(), "k": Categorical(3)})
    spread = (fitted.state["weight"][1:] / fitted.state["spread"][0]).std(0)
    # A standard deviation out of 999 draws is known to 2.2 %: 10 % is more than four of that.
    np.testing.assert_allclose(spread, expected[1:], rtol=0.1)


def test_the_log_link_gives_a_power_law() -> None:
    rng = np.random.default_rng(2)
    x = rng.lognormal(2, 1, 2000)
    y = 3 * x**0.8 * np.exp(0.1 * rng.normal(size=2000))
    sample = sample_of(y, {"x": x})
    fitted = fit(specs.Linear(link="log"), Positive(), sample, parents={"x": Positive()})
    power = fitted.state["weight"][0] / fitted.state["spread"][0, 0]
    # Its standard error is 0.1 / sqrt(2000) = 0.0022.
    assert float(power) == pytest.approx(0.8, abs=0.01)


def test_collinear_parents_are_noted_and_predict_as_one() -> None:
    x, _, y = _data()
    both = fit(
        specs.Linear(),
        Real(),
        sample_of(y, {"x": x, "z": 2 * x}),
        parents={"x": Real(), "z": Real()},
    )
    one = fit(specs.Linear(), Real(), sample_of(y, {"x": x}), parents={"x": Real()})
    noise = torch.zeros(1, ROWS, dtype=torch.float64)
    sample = sample_of(y, {"x": x, "z": 2 * x})
    assert any("collinear" in note for note in both.notes)
    assert torch.allclose(both.push(noise, sample.parents), one.push(noise, sample.parents))


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(FitError, match=r"2 rows .* at least 3 rows"):
        fit(specs.Linear(), Real(), sample_of([1.0, 2.0], {"x": [1.0, 2.0]}), parents={"x": Real()})
