"""Least squares slice by slice is least squares; rows are drawn evenly."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from causalsys.mechanisms import features, least_squares
from causalsys.mechanisms.draws import some_rows
from causalsys.scm import specs
from causalsys.scm.supports import Categorical, Positive, Real
from tests.mechanisms.samples import fit, sample_of

ROWS = 500
PARENTS = {"x": Real(), "k": Categorical(3), "p": Positive(), "v": Real(size=2)}


def _sample():
    rng = np.random.default_rng(0)
    parents = {
        "x": rng.normal(1e4, 3, ROWS),
        "k": rng.integers(0, 3, ROWS),
        "p": rng.lognormal(size=ROWS),
        "v": rng.normal(size=(ROWS, 2)),
    }
    y = parents["x"] - parents["k"] + parents["v"] @ [1, -2] + rng.standard_t(5, ROWS)
    return sample_of(y, parents, members=4)


@pytest.mark.parametrize("noise", ["normal", "empirical"])
def test_slices_change_nothing(monkeypatch: pytest.MonkeyPatch, noise: specs.Noise) -> None:
    whole = fit(specs.Linear(noise=noise), Real(), _sample(), parents=PARENTS)
    for module in (features, least_squares):
        monkeypatch.setattr(module, "_SLICE", 64)
    sliced = fit(specs.Linear(noise=noise), Real(), _sample(), parents=PARENTS)
    for name, tensor in whole.state.items():
        torch.testing.assert_close(sliced.state[name], tensor, rtol=1e-7, atol=1e-9)


def test_members_know_the_scale_as_well_as_the_rows_say() -> None:
    rng = np.random.default_rng(1)
    sample = sample_of(rng.standard_t(8, 4000), {}, members=2000)
    scales = fit(specs.Linear(), Real(), sample).state["log_scale"][1:, 0]
    # Of a t law with 8 degrees of freedom the kurtosis is 4.5.
    expected = np.sqrt((4.5 - 1) / (4 * 4000))
    assert float(scales.std()) == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize(("rows", "most"), [(10, 20), (1000, 300), (300_000, 2000)])
def test_some_rows_are_distinct_and_even(rows: int, most: int) -> None:
    generator = torch.Generator().manual_seed(0)
    found = some_rows(rows, most, generator=generator)
    assert len(found.unique()) == min(rows, most)
    # The mean of a uniform draw: its standard error is rows / sqrt(12 most).
    assert float(found.double().mean()) == pytest.approx(rows / 2, abs=4 * rows / most**0.5)


def test_slopes_vary_as_they_do_from_data_to_data_where_few_rows_are_far_out() -> None:
    """Skewed parents, noise that grows with them, 40 rows: White's own errors are a third short."""
    rng = np.random.default_rng(2)
    slopes, told = [], []
    for _ in range(400):
        x = rng.lognormal(size=40)
        sample = sample_of(x + x * rng.normal(size=40), {"x": x}, members=40)
        fitted = fit(specs.Linear(), Real(), sample, parents={"x": Real()})
        drawn = fitted.state["weight"][:, 0] / fitted.state["spread"].squeeze()
        slopes.append(float(drawn[0]))
        told.append(float(drawn[1:].var()))
    # 400 draws know a deviation to 4 %; HC3 is meant to be a little too wide.
    assert 0.9 < np.sqrt(np.mean(told)) / np.std(slopes) < 1.4
