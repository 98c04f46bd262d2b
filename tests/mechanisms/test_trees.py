from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.ensemble import HistGradientBoostingRegressor

from causalsys.errors import FitError
from causalsys.mechanisms.forest import evaluate, stack
from causalsys.scm import specs
from causalsys.scm.supports import Categorical, Real
from tests.mechanisms.samples import column, fit, sample_of

PARENTS = {"x": Real(), "y": Real(), "k": Categorical(3)}


def _data(rows: int = 4000) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    rng = np.random.default_rng(9)
    x, y, k = rng.normal(size=rows), rng.normal(size=rows), rng.integers(0, 3, rows)
    location = np.sin(2 * x) + (y > 0.3) + 0.5 * k
    return {"x": x, "y": y, "k": k}, location, location + 0.3 * rng.normal(size=rows)


def test_the_tensors_say_what_scikit_learn_says() -> None:
    rng = np.random.default_rng(10)
    design = rng.normal(size=(500, 3))
    target = design[:, 0] * design[:, 1] + rng.normal(size=500)
    growers = [
        HistGradientBoostingRegressor(max_iter=20, random_state=seed).fit(
            design, target, sample_weight=rng.exponential(size=500)
        )
        for seed in range(2)
    ]
    state = stack([[tree.nodes for (tree,) in grower._predictors] for grower in growers])
    base = torch.tensor([[float(grower._baseline_prediction[0, 0])] for grower in growers])
    ours = base + evaluate(torch.as_tensor(design).unsqueeze(0), state)
    for member, grower in enumerate(growers):
        np.testing.assert_allclose(ours[member], grower.predict(design), rtol=1e-9, atol=1e-9)


def test_rows_in_pieces_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    parents, _, value = _data(500)
    sample = sample_of(value, parents, members=3)
    fitted = fit(specs.BoostedTrees(rounds=10), Real(), sample, parents=PARENTS)
    whole = fitted.log_prob(sample.value, sample.parents)
    monkeypatch.setattr("causalsys.mechanisms.forest._AT_ONCE", 100)
    torch.testing.assert_close(fitted.log_prob(sample.value, sample.parents), whole)


def test_the_noise_is_that_of_rows_not_seen() -> None:
    parents, location, value = _data()
    sample = sample_of(value, parents)
    fitted = fit(specs.BoostedTrees(), Real(), sample, parents=PARENTS)
    at_zero = fitted.push(torch.zeros(1, len(value), dtype=torch.float64), sample.parents)[0]
    seen = float((sample.value[0] - at_zero).std())
    promised = float(fitted.state["log_scale"].exp())
    # The true noise has .3; unseen rows add the error of the trees, rows that they saw hide it.
    assert seen < 0.28 < 0.3 < promised < 0.36
    assert float((at_zero - torch.as_tensor(location)).abs().mean()) < 0.12


def test_too_few_rows_are_refused() -> None:
    parents, _, value = _data(9)
    with pytest.raises(FitError, match=r"9 rows.*cs\.Linear"):
        fit(specs.BoostedTrees(), Real(), sample_of(value, parents), parents=PARENTS)


def test_members_are_grown_on_halves_and_the_first_on_all_rows() -> None:
    """A level that only some rows have: no half has them all, and their spread says so."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=400)
    value = np.where(x > 0, 1.0, 0.0) + 0.3 * rng.normal(size=400)
    sample = sample_of(value, {"x": x}, members=60)
    trees = fit(specs.BoostedTrees(rounds=20), Real(), sample, parents={"x": Real()})
    at = trees.location({"x": column([-1.0])})[:, 0]
    alone = fit(
        specs.BoostedTrees(rounds=20), Real(), sample_of(value, {"x": x}), parents={"x": Real()}
    )
    assert float(at[0]) == pytest.approx(float(alone.location({"x": column([-1.0])})[0, 0]))
    # Half the rows leave a mean of a few dozen of them about as uncertain as it is.
    assert 0.02 < float(at[1:].std()) < 0.15
