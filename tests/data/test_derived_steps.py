"""What follows from traces without gaps: structures, lags, and mistakes told with their place."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

import causalsys as cs
from causalsys.data.read import read
from causalsys.data.schema import Schema
from causalsys.data.table import Table
from causalsys.errors import DataError, OutsideSupportError
from tests.query.queues import Balancer, logged, simulated


def read_as(model: type[cs.SCM], frame: pd.DataFrame) -> Table:
    return read(Schema.learn(model.declaration, frame), cs.Traces(frame))


def test_queues_follow_from_the_log() -> None:
    """The latency that they give is the logged one, in traces of unequal length."""
    frame = logged()
    table = read_as(Balancer, frame.drop(columns=["size", "latency"]))
    wanted = frame["latency"].loc[table.index]
    np.testing.assert_allclose(table.values["latency"][0], wanted, rtol=1e-9)
    assert table.unkept == {"queues", "waiting"}
    assert not table.unkept & set(table.values)


def test_a_logged_latency_must_agree() -> None:
    frame = logged().drop(columns="size")
    frame.loc[17, "latency"] += 1
    told = r"latency: .* in row 17 \(step 17 of trace .*\), but its equation gives"
    with pytest.raises(DataError, match=told):
        read_as(Balancer, frame)


class Fitted(Balancer):
    """A variable that is fitted looks at the queues, which are then kept."""

    speed = cs.Observed(cs.Real(), parents=["waiting"], mechanism=cs.Linear())


def test_what_is_fitted_to_is_kept() -> None:
    frame = logged().assign(speed=0.0).drop(columns="size")
    table = read_as(Fitted, frame)
    assert table.unkept == {"queues"}
    servers = iter(frame["server"])
    by_hand = simulated(logged(), lambda waiting, at: next(servers)).filter(like="waiting")
    np.testing.assert_array_equal(table.values["waiting"][0], by_hand.loc[table.index])


def test_a_gap_in_what_a_structure_needs_is_refused() -> None:
    frame = logged().drop(columns="size")
    frame.loc[5, "gap"] = np.nan
    with pytest.raises(
        DataError, match=r"gap: a missing value in row 5 .*structure queues\. Drop the trace"
    ):
        read_as(Balancer, frame)


class Slope(cs.SCM):
    x = cs.Observed(cs.Real())
    total = cs.State(cs.Real(), initial=1.0)

    @cs.equation(cs.Positive())
    def root(total):
        return total.sqrt()

    @cs.equation(cs.Real())
    def before(root, was=x.lag(2, initial=5.0)):  # noqa: B008
        return root + was

    @cs.transition(total)
    def add(total, x):
        return total + x


def steps(x: list[float], y: list[float]) -> pd.DataFrame:
    rows = [
        (name, step, value) for name, xs in (("a", x), ("b", y)) for step, value in enumerate(xs)
    ]
    return pd.DataFrame(rows, columns=["trace", "step", "x"])


def test_lags_look_back_within_their_trace() -> None:
    table = read_as(Slope, steps([3.0, 5.0], [8.0, 7.0, 9.0, 0.0]))
    assert table.values["total"][0].tolist() == [1, 4, 1, 9, 16, 25]
    assert table.values["before"][0].tolist() == [6, 7, 6, 8, 12, 12]


def test_nan_is_told_with_its_step_and_trace() -> None:
    with pytest.raises(DataError, match=r"root: NaN from its equation at step 2 of trace b"):
        read_as(Slope, steps([3.0] * 5, [2.0, -4.0, 1.0]))


def test_a_state_that_leaves_its_support_is_told_with_its_step_and_trace() -> None:
    class Level(cs.SCM):
        x = cs.Observed(cs.Real())
        level = cs.State(cs.Fraction())

        @cs.transition(level)
        def add(level, x):
            return level + x

    with pytest.raises(
        OutsideSupportError, match=r"level: 1.5 from its transition at step 3 of trace a"
    ):
        read_as(Level, steps([0.5] * 5, [0.25, 0.25]))


def test_a_function_that_fails_is_told_with_its_step() -> None:
    class Fails(cs.SCM):
        x = cs.Observed(cs.Real())
        level = cs.State(cs.Real())

        @cs.transition(level)
        def add(level, x):
            if bool((x > 4).any()):
                raise RuntimeError("too much")
            return torch.maximum(level, x)

    with pytest.raises(DataError, match=r"level: its function add failed \(too much\) at step 3"):
        read_as(Fails, steps([1.0, 2.0, 5.0, 1.0], [1.0]))
