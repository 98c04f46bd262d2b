from __future__ import annotations

import numpy as np
import pytest
import torch

from causalsys.errors import DeclarationError
from causalsys.scm import specs
from causalsys.scm.supports import Boolean, Categorical, Positive, Real
from tests.mechanisms.samples import fit, sample_of


def test_each_action_has_its_own_map() -> None:
    rng = np.random.default_rng(0)
    action, noise = rng.integers(0, 3, 30_000), rng.normal(size=30_000)
    rate, bend, add = np.array([1, 3, 0.5]), np.array([1, 0.6, 1.4]), np.array([0, 4, 1])
    size = np.exp(noise)
    value = rate[action] * size ** bend[action] + add[action]
    sample = sample_of(value, {"a": action})
    found = fit(specs.Monotone(), Positive(), sample, parents={"a": Categorical(3)})
    other = (action + 1) % 3
    carried = found.carry(sample.value, sample.parents, {"a": torch.as_tensor(other)[None]})
    truth = rate[other] * size ** bend[other] + add[other]
    # Quantiles of 10,000 rows are known to sqrt(p q / n) / density, some .02 of the noise, and the
    # maps rise by up to 1.4 in its logarithm.
    error = np.abs(carried[0].numpy() / truth - 1)
    assert np.median(error) < 0.02
    assert np.quantile(error, 0.9) < 0.05


def test_other_parents_shift_and_stretch() -> None:
    rng = np.random.default_rng(1)
    x, action, noise = rng.normal(size=2000), rng.random(2000) < 0.5, rng.normal(size=2000)
    value = 2 * x + np.where(action, 1, 3) * np.exp(0.3 * x) * np.sinh(noise)
    sample = sample_of(value, {"x": x, "a": action.astype(np.int64)})
    parents = {"x": Real(), "a": Boolean()}
    found = fit(specs.Monotone(), Real(), sample, parents=parents)
    noises = found.pull(sample.value, sample.parents)[0].numpy()
    assert np.corrcoef(noises, noise)[0, 1] > 0.99
    assert np.median(np.abs(noises - noise)) < 0.1


def test_an_action_without_rows_takes_the_map_of_all() -> None:
    rng = np.random.default_rng(2)
    sample = sample_of(rng.normal(5, 2, 4000), {"a": rng.integers(0, 2, 4000)})
    found = fit(specs.Monotone(), Real(), sample, parents={"a": Categorical(4)})
    unseen = {"a": torch.full((1, 4000), 3)}
    gap = found.pull(sample.value, unseen) - (sample.value - 5) / 2
    # Quantiles of 4000 rows: .02 in the middle, and .1 where one in a hundred lies beyond.
    assert float(gap.abs().median()) < 0.05


@pytest.mark.parametrize("knots", [2, 2.5, True])
def test_it_needs_whole_knots(knots: object) -> None:
    with pytest.raises(DeclarationError, match="at least three knots"):
        specs.Monotone(knots=knots)  # type: ignore[arg-type]
