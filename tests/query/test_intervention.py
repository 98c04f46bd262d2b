"""What `do` may be given."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, Distribution, Normal

from tests import models
from tests.models import Confounded, Zoo

ROWS = 12


@pytest.fixture
def rows() -> pd.DataFrame:
    return models.zoo()[:ROWS].set_axis(range(100, 100 + ROWS))


def drawn(rows: pd.DataFrame, name: str, given: object, **how: object) -> np.ndarray:
    """What `do` makes of a variable, `[sample, row]`."""
    answer = models.fitted_zoo().counterfactual(rows, do={name: given}, **how)
    return answer.draws(name).values


EVERY_ROW = np.linspace(0.5, 3, ROWS)


@pytest.mark.parametrize(
    "given",
    [2, 2.0, np.float32(2), np.int64(2), np.array(2.0), [2.0], torch.tensor(2.0), True + 1],
    ids=lambda given: type(given).__name__,
)
def test_one_value_for_all_rows(rows: pd.DataFrame, given: object) -> None:
    assert (drawn(rows, "power", given) == 2.0).all()


@pytest.mark.parametrize(
    "given",
    [
        EVERY_ROW,
        EVERY_ROW.tolist(),
        tuple(EVERY_ROW),
        torch.tensor(EVERY_ROW),
        pd.Series(EVERY_ROW, index=range(100, 100 + ROWS)),
        pd.Series(EVERY_ROW, index=range(100, 100 + ROWS)).sample(frac=1, random_state=0),
        pd.Index(EVERY_ROW),
    ],
    ids=["array", "list", "tuple", "tensor", "series", "shuffled series", "index"],
)
def test_one_value_per_row(rows: pd.DataFrame, given: object) -> None:
    np.testing.assert_array_equal(drawn(rows, "power", given)[0], EVERY_ROW)


@pytest.mark.parametrize(
    ("name", "given", "code"),
    [
        ("k", "b", 1),
        ("k", np.str_("b"), 1),
        ("level", 2, 2),
        ("level", 2.0, 2),
        ("level", "2", 2),
        ("level", np.int32(2), 2),
        ("flag", True, 1),
        ("flag", np.bool_(True), 1),
        ("flag", 1, 1),
        ("flag", "True", 1),
        ("count", 3, 3),
    ],
)
def test_levels_by_name(rows: pd.DataFrame, name: str, given: object, code: int) -> None:
    assert (drawn(rows, name, given) == code).all()
    assert (drawn(rows, name, [given] * ROWS) == code).all()
    assert (drawn(rows, name, pd.Series([given] * ROWS, index=rows.index)) == code).all()


def test_a_categorical_column(rows: pd.DataFrame) -> None:
    column = rows["k"].iloc[::-1].astype("category")
    codes = np.array(["abc".index(level) for level in column])
    np.testing.assert_array_equal(drawn(rows, "k", column.to_numpy())[0], codes)


def test_vectors(rows: pd.DataFrame) -> None:
    assert (drawn(rows, "pair", [1.0, 2.0]) == [1.0, 2.0]).all()
    each = np.arange(2.0 * ROWS).reshape(ROWS, 2)
    np.testing.assert_array_equal(drawn(rows, "pair", each)[0], each)
    shifted = drawn(rows, "pair", lambda pair: pair + 1)
    seen = rows[["pair_0", "pair_1"]].to_numpy()
    np.testing.assert_allclose(shifted, np.broadcast_to(seen + 1, shifted.shape), atol=1e-9)


def test_a_shift_of_the_natural_value(rows: pd.DataFrame) -> None:
    found = drawn(rows, "power", lambda power: 2 * power)
    np.testing.assert_allclose(found[0], 2 * rows["power"], rtol=1e-9)


def test_a_policy_of_other_variables(rows: pd.DataFrame) -> None:
    found = drawn(rows, "flag", lambda x, level: (x > 0) & (level == 1))
    np.testing.assert_array_equal(found[0], (rows["x"] > 0) & (rows["level"] == 1))


def test_booleans_are_given_as_booleans(rows: pd.DataFrame) -> None:
    answer = models.fitted_zoo().counterfactual(rows, do={"flag": lambda flag: ~flag})
    np.testing.assert_array_equal(answer.draws("flag").values[0], ~rows["flag"].astype(bool))


class Threshold:
    """A policy with parameters of its own."""

    def __init__(self, least: float) -> None:
        self.least = least

    def __call__(self, x: Tensor) -> Tensor:
        return x > self.least


def test_policies_are_any_callables(rows: pd.DataFrame) -> None:
    wanted = rows["x"] > 0.5

    def above(x: Tensor, least: float = 0.5) -> Tensor:
        return x > least

    given = {"object": Threshold(0.5), "default": above, "partial": partial(above, least=0.5)}
    for label, policy in given.items():
        np.testing.assert_array_equal(drawn(rows, "flag", policy)[0], wanted, err_msg=label)


def test_a_policy_may_return_a_number_or_an_array(rows: pd.DataFrame) -> None:
    assert (drawn(rows, "power", lambda x: 3) == 3).all()
    found = drawn(rows, "power", lambda x: np.exp(x.numpy()))
    np.testing.assert_allclose(found[0], np.exp(rows["x"]))


def test_distributions_are_drawn_for_each_sample_and_row(rows: pd.DataFrame) -> None:
    values = drawn(rows, "x", Normal(1.0, 2.0), samples=2000)
    assert len(np.unique(values)) > 0.99 * values.size  # single precision ties
    # 24,000 draws: four standard errors.
    assert values.mean() == pytest.approx(1.0, abs=8 / np.sqrt(values.size))
    assert values.std() == pytest.approx(2.0, rel=0.03)


def test_distributions_with_an_entry_per_row(rows: pd.DataFrame) -> None:
    scale = torch.full((ROWS,), 1e-9, dtype=torch.float64)
    values = drawn(rows, "x", Normal(torch.tensor(EVERY_ROW), scale))
    np.testing.assert_allclose(values, np.broadcast_to(EVERY_ROW, values.shape), atol=1e-6)


def test_random_policies(rows: pd.DataFrame) -> None:
    def policy(x: Tensor) -> Distribution:
        return Bernoulli((x > 0).double())

    np.testing.assert_array_equal(drawn(rows, "flag", policy)[0], rows["x"] > 0)
    levels = drawn(rows, "level", Categorical(torch.tensor([0.0, 0.5, 0.5])), samples=500)
    assert set(np.unique(levels)) == {1, 2}


def test_random_draws_leave_the_global_seed_alone(rows: pd.DataFrame) -> None:
    torch.manual_seed(0)
    wanted = torch.rand(3)
    torch.manual_seed(0)
    drawn(rows, "x", Normal(0.0, 1.0))
    assert torch.equal(torch.rand(3), wanted)


def test_variables_themselves_are_names(rows: pd.DataFrame) -> None:
    by_name = models.fitted_zoo().counterfactual(rows, do={"x": 1.0})
    by_variable = models.fitted_zoo().counterfactual(rows, do={Zoo.x: 1.0})
    assert torch.equal(by_name.values["spline"], by_variable.values["spline"])


def test_equations_and_latents_may_be_set(rows: pd.DataFrame) -> None:
    assert (drawn(rows, "total", 7.0) == 7.0).all()
    some = models.confounded()[:ROWS]
    answer = models.fitted_confounded().counterfactual(some, do={"u": 0.0})
    assert (answer.draws("u").values == 0).all()
    assert set(answer.values) == set(Confounded.graph.order)


def test_evidence_as_it_comes(rows: pd.DataFrame, tmp_path) -> None:
    fitted, path = models.fitted_zoo(), tmp_path / "rows.parquet"
    rows.to_parquet(path)
    row = rows.iloc[3].to_dict()
    wanted = fitted.counterfactual(rows, do={"x": 0.0}).mean("spline")
    for evidence in (dict(rows), path, str(path)):
        found = fitted.counterfactual(evidence, do={"x": 0.0}).mean("spline")
        np.testing.assert_array_equal(found, wanted)
    alone = fitted.counterfactual(row, do={"x": 0.0}).mean("spline")
    np.testing.assert_allclose(alone, wanted[[3]], rtol=1e-12)


def test_luck_is_drawn_anew_where_asked() -> None:
    rows = models.confounded()[:ROWS]
    kept, anew = (
        models.fitted_confounded().counterfactual(rows, do={"x": 1.0}, redraw=r, samples=64)
        for r in ((), ["y"])
    )
    wider = anew.draws("y").values.std(0) - kept.draws("y").values.std(0)
    assert (wider > 0.1).all()


def test_luck_is_drawn_anew_where_nothing_is_done() -> None:
    """For variables that no intervention reaches, too, and for what is computed from them."""
    answer = models.fitted_zoo().counterfactual(
        models.zoo()[:ROWS], do={}, redraw=["linear"], samples=64
    )
    assert set(answer.values) == {"linear", "total"}
    spread = answer.draws("total").values.std(0)
    assert (spread > 0.3).all()
