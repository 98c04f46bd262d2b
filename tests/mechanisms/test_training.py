from __future__ import annotations

import numpy as np
import pytest
import torch

from causalsys.errors import FitError
from causalsys.mechanisms.training import _stages
from causalsys.scm import specs
from causalsys.scm.supports import Real
from tests.mechanisms.samples import fit, sample_of


def test_columns_far_from_zero_keep_their_digits() -> None:
    rng = np.random.default_rng(18)
    x, noise = rng.normal(size=(2, 500))
    near = fit(
        specs.NeuralAdditive(), Real(), sample_of(x + noise, {"x": x}), parents={"x": Real()}
    )
    shifted = sample_of(1.7e9 + x + noise, {"x": 1.7e9 + x})
    far = fit(specs.NeuralAdditive(), Real(), shifted, parents={"x": Real()})
    scales = [float(fitted.state["log_scale"].exp()) for fitted in (near, far)]
    # In single precision, a time stamp of 1.7e9 has steps of 128.
    assert scales[0] == pytest.approx(scales[1], rel=0.02)


def test_few_rows_are_refused() -> None:
    with pytest.raises(FitError, match=r"NeuralAdditive: 9 rows .* at least 10"):
        fit(specs.NeuralAdditive(), Real(), sample_of(np.arange(9.0), {}))


def test_many_rows_come_in_stages_and_all_rows_come_last() -> None:
    assert _stages(900) == [(900, 160)]
    for rows in (5000, 80_000, 200_000):
        stages = _stages(rows)
        assert stages[-1][0] == rows
        assert sorted(stages) == stages
        assert sum(size * steps for size, steps in stages) < 2.5e6 + 20 * rows


def test_a_seed_changes_the_fit_and_nothing_else_does() -> None:
    rng = np.random.default_rng(19)
    x, noise = rng.normal(size=(2, 200))
    sample = sample_of(x + noise, {"x": x})
    fits = [
        fit(specs.NeuralAdditive(), Real(), sample, parents={"x": Real()}, seed=seed).state
        for seed in (0, 0, 1)
    ]
    assert torch.equal(fits[0]["net.out"], fits[1]["net.out"])
    assert not torch.equal(fits[0]["net.out"], fits[2]["net.out"])
