"""Reading answers."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest

import causalsys as cs
from causalsys.query.answer import Answer
from causalsys.query.draws import Draws
from tests import models

mpl.use("Agg")
ROWS = 6


@pytest.fixture(scope="module")
def answer() -> Answer:
    rows = models.zoo()[:ROWS].set_axis(list("uvwxyz"))
    return models.fitted_zoo().counterfactual(rows, do=[{"x": 0.0}, {"x": 1.0}], samples=100)


@pytest.fixture(scope="module")
def one(answer: Answer) -> Answer:
    rows = models.zoo()[:ROWS].set_axis(list("uvwxyz"))
    return models.fitted_zoo().counterfactual(rows, do={"x": 0.0}, samples=100)


def test_the_one_world_need_not_be_named(answer: Answer, one: Answer) -> None:
    np.testing.assert_allclose(one.mean("spline"), answer.mean("spline", world=0), atol=1e-9)
    np.testing.assert_array_equal(answer.mean("x", world=-1), np.ones(ROWS))


def test_shapes(answer: Answer) -> None:
    assert answer.draws("spline", world=0).values.shape == (100, ROWS)
    assert answer.draws("pair", world=0).values.shape == (100, ROWS, 2)
    assert answer.mean("spline", world=0).shape == (ROWS,)
    assert answer.interval("spline", world=0).shape == (ROWS, 2)
    assert answer.interval("pair", world=0).shape == (ROWS, 2, 2)


def test_what_is_not_reached_is_as_observed(one: Answer) -> None:
    assert "k" not in one.values
    assert "k" in one.names
    assert (one.probability("k").to_numpy().max(1) == 1).all()


def test_intervals_widen_with_their_level(answer: Answer) -> None:
    ends = [answer.interval("count", level, world=1) for level in (0.5, 0.9, 0.99)]
    low, high = np.stack(ends)[..., 0], np.stack(ends)[..., 1]
    assert (np.diff(low, axis=0) <= 0).all()
    assert (np.diff(high, axis=0) >= 0).all()


def test_few_members_have_an_interval_of_student() -> None:
    """Eight draws say little of their tails: the interval reaches beyond all of them."""
    draws = Draws(np.arange(8.0).reshape(8, 1))
    low, high = draws.interval(0.9)[0]
    assert (low + high) / 2 == pytest.approx(3.5)
    # t(0.95, 6) = 1.9432, the deviation is 2.4495, and a ninth draw has sqrt(1 + 1/8).
    assert high - 3.5 == pytest.approx(1.9432 * 2.4495 * np.sqrt(9 / 8), rel=1e-4)
    alone = Draws(np.full((1, 1), 2.0)).interval(0.9)
    assert alone.tolist() == [[2.0, 2.0]]


def test_averages_are_over_rows_first(answer: Answer) -> None:
    estimate = answer.average("spline", world=0)
    draws = answer.draws("spline", world=0).values
    assert estimate.value == pytest.approx(draws.mean())
    low, high = Draws(draws.mean(1)[:, None], members=2).interval(0.9)[0]
    assert (estimate.low, estimate.high) == pytest.approx((low, high))
    assert str(estimate) == f"{estimate.value:.4g} [{estimate.low:.4g}, {estimate.high:.4g}]"


def test_contrasts_are_draw_by_draw(answer: Answer) -> None:
    difference = answer.contrast("spline", world=1, against=0).values
    one, zero = (answer.draws("spline", world=w).values for w in (1, 0))
    np.testing.assert_array_equal(difference, one - zero)
    seen = answer.contrast("spline", world=0).mean()
    wanted = answer.mean("spline", world=0) - answer.observed("spline").mean()
    np.testing.assert_allclose(seen, wanted, atol=1e-12)


def test_probabilities_of_levels(answer: Answer) -> None:
    table = answer.probability("level", world=1)
    assert list(table.columns) == [0, 1, 2]
    assert list(table.index) == list("uvwxyz")
    np.testing.assert_allclose(table.sum(axis=1), 1)
    flag = answer.probability("flag", world=1)
    np.testing.assert_allclose(flag[True], answer.mean("flag", world=1))


def test_a_frame_has_a_row_per_row_and_world(answer: Answer) -> None:
    frame = answer.to_frame(0.5)
    assert list(frame.index) == list("uvwxyz") * 2
    assert list(frame["world"].unique()) == list(answer.worlds) == ["x := 0.0", "x := 1.0"]
    second = frame[frame["world"] == "x := 1.0"]
    np.testing.assert_array_equal(second["count"], answer.mean("count", world=1))
    np.testing.assert_array_equal(
        second[["count_low", "count_high"]], answer.interval("count", 0.5, world=1)
    )
    np.testing.assert_array_equal(second["level=2"], answer.probability("level", world=1)[2])
    assert not [name for name in frame if name.startswith("pair")]


def test_worlds_are_told_in_words() -> None:
    def policy(x: object) -> object:
        return x

    worlds = [{}, {"k": "a", "x": policy}, {"x": cs.under({"k": "b"})}, {"x": [1.0] * ROWS}]
    answer = models.fitted_zoo().counterfactual(models.zoo()[:ROWS], do=worlds)
    told = ["nothing done", "k := a, x := policy", "x := (k := b)", "x := one per row"]
    assert list(answer.worlds) == told
    assert "worlds: nothing done; k := a" in str(answer)


def test_what_was_inferred_is_said() -> None:
    rows = models.zoo()[:ROWS].drop(columns="linear")
    answer = models.fitted_zoo().counterfactual(rows, do={"x": 0.0})
    assert answer.inferred == ("linear",)
    assert "Inferred, not observed: linear." in str(answer)


def test_every_answer_has_a_verdict(answer: Answer) -> None:
    assert str(answer.verdict) in str(answer)


@pytest.mark.parametrize("name", ["spline", "flag", "x"])
def test_pictures(one: Answer, answer: Answer, name: str) -> None:
    assert one.plot(name).get_ylabel() == name
    labels = {text.get_text() for text in answer.plot(name).get_legend().get_texts()}
    assert labels == {"x := 0.0", "x := 1.0", "observed"}
    mpl.pyplot.close("all")


def test_samples_have_the_shapes_asked_for() -> None:
    drawn = models.fitted_zoo().sample(7, samples=3)
    assert drawn.draws("count").values.shape == (3, 7)
    traces = models.fitted_line().sample(4, steps=5, samples=3)
    assert traces.draws("delay").values.shape == (3, 20)


def test_samples_look_like_the_data() -> None:
    """Each family's mean and deviation, within what 120 rows and short training leave open."""
    drawn, data = models.fitted_zoo().sample(4000), models.zoo()
    for name in ("x", "linear", "share", "count", "trees"):
        values = drawn.draws(name).values
        assert values.mean() == pytest.approx(data[name].mean(), abs=0.4 * data[name].std()), name
        assert values.std() == pytest.approx(data[name].std(), rel=0.4), name


def test_many_draws_of_few_members_have_an_interval_of_student() -> None:
    """The draws of one member agree: 128 of them say no more than eight do."""
    members = np.arange(8.0) / 2
    ends = Draws(np.tile(members, 16)[:, None], members=8).interval(0.9)[0]
    alone = Draws(members[:, None]).interval(0.9)[0]
    # The law has 128 steps: near its ends one of them is a twentieth of the half width.
    np.testing.assert_allclose(ends, alone, atol=0.05 * np.ptp(alone) / 2)


def test_members_that_agree_leave_the_draws_as_they_are() -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=(4000, 3))
    ends = Draws(values, members=8).interval(0.9)
    # Chance alone makes eight means differ; what it explains is no spread of parameters.
    np.testing.assert_allclose(ends, np.quantile(values, [0.05, 0.95], axis=0).T, atol=0.08)
