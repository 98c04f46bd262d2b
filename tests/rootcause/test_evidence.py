"""Bayes factors against the mixture written out with scipy; ordinary scale from known windows."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm

from causalsys.rootcause.evidence import follows, weigh
from causalsys.rootcause.ordinary import Ordinary, blocked, ordinary, window_log_density, windows

SIZES = [4.0**power for power in range(8)]


def _grids(rng: np.random.Generator, variables: int) -> Ordinary:
    noise, drift = np.array([0.5, 1.0, 1.0, 4.0]), np.array([0.0, 0.5, 2.0, 1.0])
    weight = rng.dirichlet(np.ones(4) * 5, size=variables)
    return Ordinary(
        torch.ones(variables, dtype=torch.float64),
        torch.tensor(noise),
        torch.tensor(drift),
        torch.tensor(np.log(weight)),
        torch.full((variables,), 50),
    )


def written_out(
    residual: np.ndarray,
    shape: np.ndarray,
    doubts: np.ndarray,
    known: np.ndarray,
    parts: list[tuple[float, float, float]],
) -> float:
    """The log Bayes factor as its definition has it; what is not known is left out."""
    ones = np.ones((len(residual), len(residual)))

    def total(size: float) -> float:
        fits = []
        for (noise, drift, weight), doubt in itertools.product(parts, doubts):
            covariance = noise**2 * np.eye(len(residual)) + drift**2 * ones
            covariance += doubt + size**2 * shape
            inside = covariance[np.ix_(known, known)]
            fits.append(math.log(weight) + multivariate_normal(cov=inside).logpdf(residual[known]))
        return float(logsumexp(fits))

    changed = logsumexp([total(size) for size in SIZES]) - math.log(len(SIZES))
    return float(changed - total(0.0))


@pytest.mark.parametrize("contrast", [False, True])
@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_the_bayes_factor_is_that_of_the_mixture(seed: int, gaps: bool, contrast: bool) -> None:
    rng = np.random.default_rng(seed)
    variables, blocks = 4, 5
    grids = _grids(rng, variables)
    residual = rng.normal(size=(variables, blocks)) * np.array([1, 3, 30, 0.1])[:, None]
    known = np.ones((variables, blocks), dtype=bool)
    if gaps:
        known[:, 1] = False
        known[1, 3] = False
    profile = torch.tensor(rng.normal(size=(variables, blocks)))
    moved = torch.tensor(rng.normal(size=(variables, 2, blocks)))
    doubts = torch.stack([(follows(moved) * size).sum(1) for size in (0.0, 0.1, 2.0)], 1)
    shapes = follows(profile)
    found = weigh(
        torch.tensor(residual),
        shapes,
        doubts=doubts,
        known=torch.tensor(known),
        ordinary=grids,
        contrast=contrast,
    )
    for at in range(variables):
        weight = grids.log_weight[at].exp().tolist()
        parts = list(zip(grids.noise.tolist(), grids.drift.tolist(), weight, strict=True))
        if contrast:
            wide = [
                (noise, drift, sum(w for n, _, w in parts if n == noise) / 4 / 2)
                for noise in (0.5, 1.0, 4.0)
                for drift in (16.0, 64.0, 256.0, 1024.0)
            ]
            parts = [(n, d, w / 2) for n, d, w in parts] + wide
        wanted = written_out(residual[at], shapes[at].numpy(), doubts[at].numpy(), known[at], parts)
        # A value that is not known is one with a variance of 1e8.
        assert float(found.log_bayes_factor[at]) == pytest.approx(wanted, abs=1e-4)


def test_what_follows_a_profile_has_the_covariance_that_is_said() -> None:
    rng = np.random.default_rng(0)
    profile = np.array([0.0, 1.0, -2.0, 0.5])
    level, wobble = rng.normal(size=(200_000, 1)), rng.normal(size=(200_000, 4))
    drawn = profile * (level + 0.3 * wobble)
    found = follows(torch.tensor(profile)).numpy()
    # The standard error of a variance of 4.4 over 200 000 draws is .014.
    np.testing.assert_allclose(np.cov(drawn.T), found, atol=0.06)


def test_under_no_change_a_bayes_factor_seldom_speaks_for_one() -> None:
    rng = np.random.default_rng(1)
    variables, blocks = 1000, 8
    normal = [torch.tensor(rng.normal(size=400)) for _ in range(20)]
    grids = ordinary(normal, [torch.tensor(1e-6).double()] * 20, rows=blocks, blocks=blocks)
    at = torch.arange(variables) % 20
    picked = Ordinary(
        grids.scale[at], grids.noise, grids.drift, grids.log_weight[at], grids.windows[at]
    )
    profile = torch.tensor([0.0, 0, 1, 1, 1, 1, 1, 1]).double()
    residual = torch.tensor(rng.normal(size=(variables, blocks))) / picked.scale[:, None]
    none = torch.zeros(variables, 1, blocks, blocks, dtype=torch.float64)
    for size, low, high in ((0.0, 0.0, 0.01), (5.0, 0.99, 1.0)):
        found = weigh(
            residual + size * profile,
            follows(profile).expand(variables, -1, -1),
            doubts=none,
            known=torch.ones(variables, blocks, dtype=torch.bool),
            ordinary=picked,
            contrast=False,
        )
        # E[BF] = 1 where nothing changed: 3 nats are passed with probability .05 at most.
        assert low <= float((found.log_bayes_factor > 3).double().mean()) <= high


@pytest.mark.parametrize(("noise", "drift"), [(1.0, 0.0), (2.0, 1.0), (0.3, 0.4), (50.0, 50.0)])
def test_scale_and_drift_are_recovered_from_normal_windows(noise: float, drift: float) -> None:
    rng = np.random.default_rng(2)
    rows = 6
    series = [
        torch.tensor((rng.normal(0, noise, (60, rows)) + rng.normal(0, drift, (60, 1))).ravel())
        for _ in range(12)
    ]
    least = [torch.tensor(1e-9, dtype=torch.float64)] * len(series)
    found = ordinary(series, least, rows=rows, blocks=rows)
    assert found.windows.tolist() == [60] * 12
    weight = found.log_weight.exp()
    np.testing.assert_allclose(weight.sum(1), 1)
    own = (weight * found.noise**2).sum(1).sqrt() * found.scale
    level = (weight * found.drift**2).sum(1).sqrt() * found.scale
    # The grid's steps are factors of two, and it keeps some weight for tails.
    assert float(own.median()) == pytest.approx(noise, rel=0.5)
    if drift:
        assert float(level.median()) == pytest.approx(drift, rel=0.6)
    else:
        assert float(level.median()) < 0.7 * noise


def test_glitches_make_tails_heavy() -> None:
    rng = np.random.default_rng(3)
    calm = rng.normal(size=(12, 480))
    wild = np.where(rng.random((12, 480)) < 0.05, 30 * calm, calm)
    least = [torch.tensor(1e-9, dtype=torch.float64)] * 12
    tails = []
    for series in (calm, wild):
        found = ordinary(list(torch.tensor(series)), least, rows=6, blocks=6)
        tails.append(float(found.log_weight.exp()[:, found.noise >= 4].sum(1).mean()))
    assert tails[1] > 3 * tails[0]


def test_a_constant_has_the_least_step_as_its_scale() -> None:
    least = torch.tensor(0.25, dtype=torch.float64)
    still = [torch.zeros(80, dtype=torch.float64)] * 2
    found = ordinary(still, [least, 4 * least], rows=4, blocks=4)
    assert found.scale.tolist() == [0.25, 1.0]
    assert bool(found.log_weight.isfinite().all())


def test_windows_are_the_last_rows_and_blocks_are_means() -> None:
    series = torch.arange(11, dtype=torch.float64)
    assert windows(series, rows=4, blocks=2).tolist() == [[3.5, 5.5], [7.5, 9.5]]
    assert windows(series, rows=20, blocks=2).tolist() == [[2.0, 7.0]]
    assert windows(series[:1], rows=20, blocks=2).shape == (0, 2)
    assert blocked(series[:6], 4).tolist() == [0.0, 1.5, 3.0, 4.5]
    assert blocked(series, 11).equal(series)


def test_the_density_of_a_window_is_the_normal_one() -> None:
    rng = np.random.default_rng(4)
    value = rng.normal(size=(3, 5))
    found = window_log_density(
        torch.tensor(value.sum(1)),
        torch.tensor((value**2).sum(1)),
        noise=torch.tensor(1.3).double(),
        drift=torch.tensor(0.7).double(),
        blocks=5,
    )
    covariance = 1.69 * np.eye(5) + 0.49 * np.ones((5, 5))
    np.testing.assert_allclose(found, multivariate_normal(cov=covariance).logpdf(value))
    single = window_log_density(
        torch.tensor([2.0]).double(),
        torch.tensor([4.0]).double(),
        noise=torch.tensor(1.0).double(),
        drift=torch.tensor(0.0).double(),
        blocks=1,
    )
    assert float(single) == pytest.approx(norm.logpdf(2.0))
