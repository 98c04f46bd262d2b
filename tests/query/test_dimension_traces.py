"""How many latents last behind a value of traces: found, tested, and asked what it matters."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

import causalsys as cs
from causalsys.errors import DataError, QueryError
from causalsys.fit.overidentified import Overidentification
from causalsys.query.draws import Estimate
from causalsys.query.sized import LatentDimension, Size
from tests.low_rank import Absorbed, Two, World, log_of, world

SEEDS = (0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2, 3)))
NAMES = ["0, luck", "1, as declared", "1, low rank", "2, low rank"]


@cache
def found(rank: int, seed: int, *, alike: bool = False) -> LatentDimension:
    rows = log_of(world(seed, rank=rank, alike=alike), seed, traces=64, steps=60)
    return cs.latent_dimension(Absorbed, cs.Traces(rows), latent="path", sizes=range(3), ensemble=1)


def refutations(result: LatentDimension) -> list[Overidentification]:
    tests = [each.test for each in result.sizes]
    assert all(isinstance(test, Overidentification) for test in tests)
    return tests  # type: ignore[return-value]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("rank", [1, 2])
def test_the_number_is_found(rank: int, seed: int) -> None:
    """The form, too: one latent that actions weigh differently is not one that they scale alike."""
    result = found(rank, seed)
    assert [each.name for each in result.sizes] == NAMES
    assert result.best == rank
    assert result.chosen.form == "low rank"
    assert [test.p_value < 1e-4 for test in refutations(result)][: rank + 1] == [True] * (rank + 1)
    # Of a form that is true, p is a uniform number.
    assert refutations(result)[rank + 1].p_value > 0.001


def test_a_noise_that_a_value_reveals_is_enough_where_it_is_all_there_is() -> None:
    result = found(1, 0, alike=True)
    assert (result.best, result.chosen.form) == (1, "declared")
    assert refutations(result)[1].p_value > 0.01


def test_noise_that_is_luck_is_told() -> None:
    """Without a lasting latent, no form foresees better, and the simplest is enough."""
    nothing = World(world(0).constant, np.zeros((4, 1)))
    rows = log_of(nothing, 0, traces=40, steps=50)
    result = cs.latent_dimension(Absorbed, rows, latent="path", sizes=[0, 1], ensemble=1)
    assert result.best == 0
    assert refutations(result)[0].p_value > 0.01


def test_the_answer_moves_with_the_number_and_is_right_at_the_true_one() -> None:
    """Arms, one by one, are what is left out; the true mean is within 6 % at the true size."""
    rows = log_of(world(0), 0, traces=64, steps=60)
    truth = log_of(world(0), 0, traces=64, steps=60, force=2)["speed"].mean()
    result = cs.latent_dimension(
        Two,
        cs.Traces(rows),
        latent="path",
        sizes=range(3),
        do={"rung": 2},
        outcome="speed",
        ensemble=4,
    )
    answers = [each.answer for each in result.sizes]
    assert all(answers)
    assert answers[2].value == pytest.approx(truth, rel=0.06)  # type: ignore[union-attr]
    assert answers[0].value < 0.9 * truth  # type: ignore[union-attr]
    assert result.spread is None
    text = str(result)
    assert text.startswith("path: 2 is enough for these data, by arms left out (p0, p1, p2, p3)")
    assert "0, luck: " in text
    frame = result.to_frame()
    assert list(frame["form"]) == ["luck", "low rank", "low rank"]
    assert frame["held_out"].idxmax() == 2


def test_where_the_number_matters_and_is_unknown_the_answer_is_a_spread() -> None:
    """Two sizes that foresee alike and answer apart."""
    here = Estimate(3.0, 2.9, 3.1, 0.9)
    plain = Size(1, -1.0, 0.0, 0.0, "none", here, form="declared")
    apart = replace(plain, size=2, gap=0.01, error=0.02, form="low rank")
    apart = replace(apart, answer=Estimate(3.5, 3.3, 3.6, 0.9))
    poor = replace(apart, size=3, gap=0.5, answer=Estimate(9.0, 8.0, 10.0, 0.9))
    result = LatentDimension("path", (plain, apart, poor), "speed", "ms")
    assert result.spread == (2.9, 3.6)
    assert "cannot tell it: speed is anywhere from 2.9 to 3.6 ms (1, as declared; 2" in str(result)
    near = replace(apart, answer=Estimate(3.05, 2.95, 3.3, 0.9))
    assert LatentDimension("path", (plain, near, poor), "speed").spread is None


def test_an_action_that_one_arm_alone_takes_is_not_scored() -> None:
    """Nothing in the other arms tells of it."""
    rows = log_of(world(0, rank=1, alike=True), 0, traces=40, steps=40)
    others = rows["arm"] != "p0"
    rows.loc[others, "rung"] = rows.loc[others, "rung"].clip(upper=2)
    result = cs.latent_dimension(Absorbed, rows, latent="path", sizes=[0, 1], ensemble=1)
    assert all(np.isfinite(each.held_out) for each in result.sizes if each.held_out is not None)


def test_without_arms_halves_are_left_out() -> None:
    class Plain(Two):
        arm = cs.Observed(cs.Categorical(4))

    rows = log_of(world(0), 0, traces=40, steps=40)
    codes = rows.assign(arm=rows["arm"].str[1:].astype(int))
    result = cs.latent_dimension(Plain, codes, latent="path", sizes=[1, 2], ensemble=1)
    assert result.left_out == ("one half of the traces", "the other half")
    assert result.best == 2


def test_what_cannot_be_compared_says_why() -> None:
    class Flat(cs.SCM):
        path = cs.Latent(cs.Positive())
        size = cs.Observed(cs.Positive())
        speed = cs.Observed(
            cs.Positive(), parents=[path, size, size.lag(1)], mechanism=cs.Linear(link="log")
        )

    rng = np.random.default_rng(0)
    rows = pd.DataFrame(
        {
            "trace": np.repeat(np.arange(20), 20),
            "step": np.tile(np.arange(20), 20),
            "size": np.exp(rng.normal(size=400)),
            "speed": np.exp(rng.normal(size=400)),
        }
    )
    result = cs.latent_dimension(Flat, rows, latent="path", sizes=[1, 2], ensemble=1)
    assert "no categorical parent" in result.sizes[-1].reason
    with pytest.raises(DataError, match="traces"):
        cs.latent_dimension(Absorbed, rows[["speed"]].assign(rung=0, arm="a"), latent="path")

    class Several(Two):
        more = cs.Latent(cs.Real())
        speed = cs.Observed(
            cs.Positive(), parents=["path", more, "rung"], mechanism=cs.LowRank(link="log")
        )
        rung = cs.Decision(cs.Categorical(4), parents=["arm", speed.lag(1)], mechanism=cs.Logged())

    with pytest.raises(QueryError, match="one of several latents of speed"):
        cs.latent_dimension(Several, log_of(world(0), 0, traces=8, steps=9), latent="path")
