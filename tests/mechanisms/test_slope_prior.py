"""Priors on slopes: the closed form of Bayesian linear regression, and where data are silent."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from causalsys.scm import specs
from causalsys.scm.supports import Real
from tests.mechanisms.samples import fit, sample_of

ROWS = 80
Prior = Mapping[str, tuple[float, float]]
Array = NDArray[np.float64]


def _data(seed: int, *, rows: int = ROWS) -> tuple[dict[str, Array], Array]:
    rng = np.random.default_rng(seed)
    x, z = rng.normal(50, 2, rows), rng.normal(3, 0.4, rows)
    y = 3 + 0.8 * x - z + 2 * rng.normal(size=rows)
    return {"x": x, "z": z}, y


def _closed(parents: Mapping[str, Array], y: Array, prior: Prior) -> tuple[Array, Array, float]:
    """Mode and covariance of the slopes by dense algebra, the variance by plain repetition."""
    design = np.column_stack([np.ones(len(y)), *parents.values()])
    mean = np.array([0, *(prior.get(key, (0, 1))[0] for key in parents)])
    precision = np.diag([0, *(prior[k][1] ** -2.0 if k in prior else 0 for k in parents)])
    variance, mode, covariance = float(np.var(y)), mean, precision
    for _ in range(5000):
        covariance = np.linalg.inv(design.T @ design / variance + precision)
        mode = covariance @ (design.T @ y / variance + precision @ mean)
        decided = np.trace(covariance @ design.T @ design) / variance
        variance = float(((y - design @ mode) ** 2).sum() / (len(y) - decided))
    return mode[1:].astype(np.float64), covariance[1:, 1:].astype(np.float64), variance


def _fitted(
    parents: Mapping[str, Array], y: Array, prior: Prior, *, members: int = 1
) -> tuple[Array, float]:
    """The slopes in natural units, `[member, parent]`, and the residual's variance."""
    supports = {key: Real() for key in parents}
    sample = sample_of(y, parents, members=members)
    found = fit(specs.Linear(prior=prior), Real(), sample, parents=supports)
    slopes = found.state["weight"] / found.state["spread"].reshape(-1)
    return slopes.numpy(), float(found.state["log_scale"][0].exp() ** 2)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "prior", [{"x": (1.0, 0.1)}, {"x": (0.0, 0.02), "z": (4.0, 0.3)}, {"z": (2.0, 1e6)}]
)
def test_the_mode_is_that_of_bayesian_regression(prior: Prior, seed: int) -> None:
    parents, y = _data(seed)
    mode, _, variance = _closed(parents, y, prior)
    slopes, found = _fitted(parents, y, prior)
    np.testing.assert_allclose(slopes[0], mode, rtol=1e-6)
    assert found == pytest.approx(variance, rel=1e-6)


def test_a_wide_prior_is_least_squares() -> None:
    parents, y = _data(0)
    flat, variance = _fitted(parents, y, {}, members=50)
    wide, found = _fitted(parents, y, {"x": (9.0, 1e8)}, members=50)
    np.testing.assert_allclose(wide[0], flat[0], rtol=1e-9)
    np.testing.assert_allclose(wide[1:].std(0), flat[1:].std(0), rtol=0.5)
    assert found == pytest.approx(variance, rel=1e-9)


def test_members_are_draws_from_the_posterior() -> None:
    # With so many rows of normal noise the robust covariance is the classical one, to 3 %.
    parents, y = _data(1, rows=4000)
    prior = {"x": (1.0, 0.02), "z": (0.0, 0.05)}
    _, covariance, _ = _closed(parents, y, prior)
    slopes, _ = _fitted(parents, y, prior, members=4000)
    # 4000 draws know a deviation to 1.1 %.
    np.testing.assert_allclose(slopes[1:].std(0), np.sqrt(np.diag(covariance)), rtol=0.07)


def test_the_datas_part_stays_robust() -> None:
    """Noise that grows with the parent: members spread as estimates do from data to data."""
    rng, estimates, told = np.random.default_rng(5), [], []
    for _ in range(300):
        x = rng.lognormal(size=80)
        slope = rng.normal(1.0, 0.5)
        y = slope * x + x * rng.normal(size=80)
        slopes, _ = _fitted({"x": x}, y, {"x": (1.0, 0.5)}, members=40)
        estimates.append(slopes[0, 0] - slope)
        told.append(slopes[1:, 0].var())
    # The truth is drawn from the prior, so this is the error's own deviation; 300 draws know it
    # to 4 %, and HC3 is meant to be a little too wide.
    assert 0.85 < np.sqrt(np.mean(told)) / np.std(estimates) < 1.4


def test_a_constant_parent_keeps_its_prior_and_changes_nothing_else() -> None:
    parents, y = _data(2)
    prior = {"x": (1.0, 0.1), "k": (0.7, 0.25)}
    with_k = {**parents, "k": np.full(ROWS, 7.3)}
    slopes, _ = _fitted(with_k, y, prior, members=4000)
    alone, _ = _fitted(parents, y, {"x": (1.0, 0.1)})
    assert slopes[0, 2] == pytest.approx(0.7, rel=1e-12)
    np.testing.assert_allclose(slopes[0, :2], alone[0], rtol=1e-9)
    assert slopes[1:, 2].std() == pytest.approx(0.25, rel=0.05)
    assert abs(np.corrcoef(slopes[1:, 0], slopes[1:, 2])[0, 1]) < 0.06


def test_collinear_parents_share_what_the_data_say_and_keep_the_prior_across_it() -> None:
    parents, y = _data(3)
    parents["twin"] = 2 * parents["x"]
    prior = {"x": (1.0, 0.5), "twin": (0.2, 0.3)}
    mode, covariance, _ = _closed(parents, y, prior)
    slopes, _ = _fitted(parents, y, prior, members=4000)
    np.testing.assert_allclose(slopes[0], mode, rtol=1e-5)
    deviations = np.sqrt(np.diag(covariance))
    # `z`, flat, is the data's: its robust deviation may be off the classical one.
    np.testing.assert_allclose(slopes[1:].std(0)[[0, 2]], deviations[[0, 2]], rtol=0.06)
    total = slopes[1:, 0] + 2 * slopes[1:, 2]
    direction = np.array([1, 0, 2])
    assert total.std() == pytest.approx(np.sqrt(direction @ covariance @ direction), rel=0.3)


def test_one_of_two_collinear_parents_with_a_prior_settles_both() -> None:
    parents, y = _data(4)
    parents["twin"] = 2 * parents["x"]
    slopes, _ = _fitted(parents, y, {"twin": (0.3, 1e-3)}, members=100)
    alone, _ = _fitted({"x": parents["x"], "z": parents["z"]}, y, {})
    assert slopes[0, 2] == pytest.approx(0.3, abs=1e-6)
    assert slopes[0, 0] == pytest.approx(alone[0, 0] - 0.6, abs=1e-6)


def test_priors_of_very_different_width_do_not_disturb_each_other() -> None:
    parents, y = _data(5)
    parents |= {"twin": 2 * parents["x"], "k": np.full(ROWS, 1e4)}
    prior = {"twin": (0.3, 1e-3), "x": (0.2, 1e4), "k": (1.0, 1e-4)}
    slopes, _ = _fitted(parents, y, prior, members=4000)
    assert slopes[1:, 2].std() == pytest.approx(1e-3, rel=0.06)
    assert slopes[1:, 3].std() == pytest.approx(1e-4, rel=0.06)


def test_no_noise_at_all() -> None:
    x = np.random.default_rng(6).normal(size=ROWS)
    slopes, _ = _fitted({"x": x, "k": np.ones(ROWS)}, 2 * x + 1, {"x": (0.0, 1.0), "k": (1, 1)})
    np.testing.assert_allclose(slopes[0], [2, 1], rtol=1e-6)
