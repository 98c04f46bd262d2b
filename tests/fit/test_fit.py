"""Fitting: weights, seeds, members, options, and what is told of a fit."""

from __future__ import annotations

import copy

import numpy as np
import pandas as pd
import pytest
import torch

import causalsys as cs
from tests import models
from tests.models import Line, Zoo
from tests.test_properties import digest
from tests.truth import Chain, chain, line_of


class Mixed(cs.SCM):
    """Families with a closed form, or with one optimum that is found to many digits."""

    x = cs.Observed(cs.Real(), mechanism=cs.Linear())
    k = cs.Observed(cs.Categorical(["a", "b", "c"]), parents=[x])
    y = cs.Observed(cs.Real(), parents=[x, k], mechanism=cs.Linear())
    n = cs.Observed(cs.Count(), parents=[x, k])
    w = cs.Observed(cs.Positive(), parents=[x, k], mechanism=cs.Linear(link="log"))


def mixed(rows: int = 80) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    x, k = rng.normal(size=rows), rng.integers(0, 3, rows)
    columns = {"x": x, "k": np.array(list("abc"))[k], "y": x + k + rng.normal(size=rows)}
    columns |= {"n": rng.poisson(np.exp(0.3 * x + 0.2 * k)), "w": np.exp(x - 0.5 * k)}
    return pd.DataFrame(columns)


def predictions(fitted: cs.FittedSCM, rows: pd.DataFrame) -> dict[str, torch.Tensor]:
    """What member 0's estimate says of new rows, by the mechanisms' zero noise or log odds."""
    k = torch.tensor([["abc".index(level) for level in rows["k"]]])
    x = torch.tensor(rows["x"].to_numpy()).unsqueeze(0)
    found = {}
    for name in ("y", "w"):
        zero = torch.zeros(1, len(rows), dtype=torch.float64)
        found[name] = fitted.mechanism(name).push(zero, {"x": x, "k": k})[0]
    found["k"] = fitted.mechanism("k").log_prob(torch.zeros_like(k), {"x": x})[0].exp()
    ones = torch.ones(1, len(rows), dtype=torch.float64)
    found["n"] = fitted.mechanism("n").log_prob(ones, {"x": x, "k": k})[0].exp()
    return found


@pytest.mark.parametrize("as_column", [False, True])
def test_a_weight_of_two_is_a_row_twice(as_column: bool) -> None:
    """The estimates agree; the noise's scale only up to the rows' number in its denominator."""
    data, twice = mixed(), np.arange(80) < 20
    weight = 1.0 + twice
    doubled = pd.concat([data, data[twice]], ignore_index=True)
    by_rows = Mixed.fit(doubled, ensemble=1)
    if as_column:
        by_weight = Mixed.fit(data.assign(importance=weight), weight="importance", ensemble=1)
    else:
        by_weight = Mixed.fit(data, weight=weight, ensemble=1)
    wanted = predictions(by_rows, data)
    # The logarithm's offset is a millionth of the rows' median. Pseudo-counts and priors weigh
    # less beside 100 rows than beside 80, and the search stops close to the optimum.
    tolerances = {"y": 1e-9, "w": 1e-5, "k": 5e-3, "n": 5e-3}
    for name, found in predictions(by_weight, data).items():
        torch.testing.assert_close(found, wanted[name], rtol=0, atol=tolerances[name], msg=name)
    assert line_of(by_weight, "x").scale == pytest.approx(line_of(by_rows, "x").scale, rel=5e-3)


def test_a_row_of_no_weight_is_not_there() -> None:
    data = mixed()
    odd = data.assign(y=data["y"].where(data.index > 9, 1e3))
    without = Mixed.fit(data[10:], ensemble=1)
    ignored = Mixed.fit(odd, weight=(data.index > 9).astype(float), ensemble=1)
    found, wanted = predictions(ignored, data)["y"], predictions(without, data)["y"]
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)


def test_only_the_proportions_of_weights_count() -> None:
    weight = np.linspace(1, 3, 80)
    one, ten = (Mixed.fit(mixed(), weight=w, ensemble=3) for w in (weight, 10 * weight))
    for name, found in predictions(one, mixed()).items():
        torch.testing.assert_close(found, predictions(ten, mixed())[name], msg=name)


def test_a_seed_gives_the_same_fit_twice() -> None:
    same, other = (Zoo.fit(models.zoo(), steps=60, ensemble=2, seed=seed) for seed in (0, 1))
    assert digest(same) == digest(models.fitted_zoo()) != digest(other)


def test_the_global_seed_is_neither_read_nor_changed() -> None:
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002  (to show that it does not matter)
    before = torch.random.get_rng_state()
    again = models.Bent.fit(models.bent(), steps=100, ensemble=2)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert digest(again) == digest(models.fitted_bent())


def test_members_spread_as_estimates_do() -> None:
    """The deviation of the slope over members is its standard error, by White's formula."""
    data = chain(200)
    fitted = Chain.fit(data, ensemble=400)
    slopes = [line_of(fitted, "m", member).slopes["x"] for member in range(1, 400)]
    x = data["x"] - data["x"].mean()
    rest = data["m"] - np.polyval(np.polyfit(data["x"], data["m"], 1), data["x"])
    error = np.sqrt((x**2 * rest**2).sum()) / (x**2).sum()
    # 399 draws know their deviation to 3.5 %; three times that.
    assert np.std(slopes) == pytest.approx(error, rel=0.11)
    assert np.mean(slopes) == pytest.approx(line_of(fitted, "m").slopes["x"], abs=error / 5)


def test_the_first_member_does_not_depend_on_how_many_there_are() -> None:
    """To the digits that a search for the optimum settles."""
    one, many = (Mixed.fit(mixed(), ensemble=count) for count in (1, 5))
    for name, found in predictions(one, mixed()).items():
        wanted = predictions(many, mixed())[name]
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4, msg=name)
    assert (one.members, many.members) == (1, 5)


def test_blocks_do_not_depend_on_each_other() -> None:
    """A variable's fit is the same in a larger model."""

    class More(Mixed):
        z = cs.Observed(cs.Real(), parents=[Mixed.y], mechanism=cs.SplineFlow(hidden=(8,)))

    small = Mixed.fit(mixed(), ensemble=2, steps=20)
    large = More.fit(mixed().assign(z=0.5 * mixed()["y"] + mixed()["x"]), ensemble=2, steps=20)
    for name in small.mechanisms:
        for key, tensor in small.mechanisms[name].state.items():
            assert torch.equal(tensor, large.mechanisms[name].state[key]), (name, key)


def test_levels_are_those_of_the_data_in_order_of_name() -> None:
    class Open(cs.SCM):
        arm = cs.Arm()
        kind = cs.Observed(cs.Categorical())

    for values, wanted in (
        (["b", "a", "b", "c"], ("a", "b", "c")),
        ([10, 9, 10, 2], (2, 9, 10)),
        ([1.0, 0.0, 2.0, 1.0], (0, 1, 2)),
        ([0.5, 1.5, 0.5, 1.5], ("0.5", "1.5")),
        ([True, False, True, True], (False, True)),
        (pd.Categorical(["z", "a", "z", "z"]), ("a", "z")),
    ):
        frame = pd.DataFrame({"arm": ["p", "q", "p", "q"], "kind": values})
        fitted = Open.fit(frame, ensemble=1)
        assert fitted.schema.supports["kind"].levels == wanted
        answer = fitted.counterfactual(frame, do={"kind": wanted[-1]})
        assert (answer.probability("kind")[wanted[-1]] == 1).all()


def test_data_as_it_comes(tmp_path) -> None:
    data, path = mixed(), tmp_path / "data.parquet"
    data.to_parquet(path)
    wanted = digest(Mixed.fit(data, ensemble=1))
    for same in (dict(data), path, str(path), data.set_index(data.index + 7)):
        assert digest(Mixed.fit(same, ensemble=1)) == wanted
    assert digest(Mixed.fit(data.assign(unused="text"), ensemble=1)) == wanted


def test_traces_may_come_in_any_order() -> None:
    frame = models.line((5, 3, 6, 4))
    shuffled = frame.sample(frac=1, random_state=0)
    weight = np.linspace(1, 2, len(frame))
    one = Line.fit(cs.Traces(frame), ensemble=2, weight=weight)
    two = Line.fit(cs.Traces(shuffled), ensemble=2, weight=weight[shuffled.index])
    assert digest(one) == digest(two)


def test_a_fit_tells_how_it_went() -> None:
    fitted = Chain.fit(chain(), ensemble=2)
    told = fitted.diagnostics
    assert told.rows == 500
    assert list(told.variables) == ["x", "m", "y"]
    assert told.variables["m"].calibration > 1e-3
    frame = told.to_frame()
    assert list(frame.index) == ["x", "m", "y"]
    assert "fitted on 500 rows" in str(told)
    skewed = chain().assign(y=np.exp(2 * chain()["x"]))
    assert any(
        w.startswith("y: its noise does not follow")
        for w in Chain.fit(skewed, ensemble=2).diagnostics.warnings
    )


def test_auto_says_what_it_chose() -> None:
    class Auto(cs.SCM):
        x = cs.Observed(cs.Real())
        y = cs.Observed(cs.Real(), parents=[x])

    rng = np.random.default_rng(0)
    x = rng.normal(size=200)
    fitted = Auto.fit({"x": x, "y": 2 * x + rng.normal(size=200)}, steps=100, ensemble=2)
    report = fitted.diagnostics.variables["y"]
    assert report.family == "Linear"
    assert "held-out log likelihood" in report.reason


def test_a_fitted_model_cannot_be_changed() -> None:
    data = pd.DataFrame({"a": np.arange(50.0), "b": np.arange(50.0) % 7})
    model = cs.SCM.from_graph([("a", "b")], default=cs.Observed(cs.Real(), mechanism=cs.Linear()))
    fitted = model.fit(data)
    for change in (
        lambda: fitted.mechanisms.pop("a"),
        lambda: model.declaration.nodes.clear(),
        lambda: setattr(fitted, "seed", 1),
    ):
        with pytest.raises((TypeError, AttributeError)):
            change()
    copied = copy.deepcopy(fitted)
    assert copied.mechanisms.keys() == fitted.mechanisms.keys()
    drawn = fitted.counterfactual(data, do={"a": 0.0}).draws("a")
    drawn.values[:] = 99.0
    assert fitted.counterfactual(data, do={"a": 0.0}).mean("a").max() == 0.0
