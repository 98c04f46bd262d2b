"""Trace-driven simulation against simulators written by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

import causalsys as cs
from causalsys import errors
from tests import models
from tests.truth import line_of


class Server(cs.SCM):
    """A queue whose policy looks at it; what it does is felt by the next arrivals."""

    rate = cs.Decision(cs.Real(), parents=["queue"], mechanism=cs.Linear())
    arrivals = cs.Observed(cs.Real(), parents=[rate.lag(1, initial=1.0)], mechanism=cs.Linear())
    queue = cs.State(cs.Positive("ms"), initial=2.0)

    @cs.equation(cs.Positive("ms"))
    def delay(queue):
        return 3 * queue + 1

    @cs.transition(queue)
    def drain(queue, arrivals, rate):
        return (queue + arrivals - rate).clamp(min=0)


LENGTHS = (5, 1, 9, 3, 7, 12, 2)


def traces(seed: int = 0) -> pd.DataFrame:
    """Traces of unequal length, each beginning at a step of its own, rows in any order."""
    rng = np.random.default_rng(seed)
    rows = []
    for trace, length in enumerate(LENGTHS):
        queue, before = 2.0, 1.0
        for step in range(length):
            arrivals = 1.0 + 0.4 * before + 0.5 * rng.normal()
            rate = 0.5 + 0.3 * queue + 0.2 * rng.normal()
            rows.append((f"trace {trace}", step + 10 * trace, arrivals, rate))
            queue, before = max(queue + arrivals - rate, 0.0), rate
    frame = pd.DataFrame(rows, columns=["trace", "step", "arrivals", "rate"])
    return frame.sample(frac=1.0, random_state=0)


@pytest.fixture(scope="module")
def fitted() -> cs.FittedSCM:
    return Server.fit(cs.Traces(traces()), ensemble=1)


def _by_hand(fitted: cs.FittedSCM, policy: float) -> pd.DataFrame:
    """The traces rolled forward under `rate = policy * queue`, each arrival keeping its noise."""
    line = line_of(fitted, "arrivals")
    (slope,) = line.slopes.values()
    rows = []
    for _, trace in traces().sort_values(["trace", "step"]).groupby("trace"):
        queue, seen, done = 2.0, 1.0, 1.0
        for label, row in trace.iterrows():
            noise = row["arrivals"] - line.constant - slope * seen
            arrivals = line.constant + slope * done + noise
            rate = policy * queue
            rows.append((label, queue, 3 * queue + 1, arrivals, rate))
            queue, seen, done = max(queue + arrivals - rate, 0.0), row["rate"], rate
    columns = ["label", "queue", "delay", "arrivals", "rate"]
    return pd.DataFrame(rows, columns=columns).set_index("label")


@pytest.mark.parametrize("policy", [0.0, 0.7, 1.2])
def test_a_stateful_policy_is_rolled_forward(fitted: cs.FittedSCM, policy: float) -> None:
    answer = fitted.counterfactual(cs.Traces(traces()), do={"rate": lambda queue: policy * queue})
    wanted = _by_hand(fitted, policy)
    assert list(answer.index) == list(wanted.index)
    for name in wanted:
        np.testing.assert_allclose(answer.mean(name), wanted[name], atol=1e-9, err_msg=name)


def test_policies_are_compared_step_by_step(fitted: cs.FittedSCM) -> None:
    worlds = [{"rate": lambda queue: 0.2 * queue}, {"rate": lambda queue: 2.0 * queue}]
    answer = fitted.counterfactual(cs.Traces(traces()), do=worlds)
    wanted = _by_hand(fitted, 2.0)["delay"] - _by_hand(fitted, 0.2)["delay"]
    found = answer.contrast("delay", world=1, against=0).mean()
    np.testing.assert_allclose(found, wanted, atol=1e-9)


def test_the_logged_policy_gives_the_log(fitted: cs.FittedSCM) -> None:
    frame = traces()
    answer = fitted.counterfactual(cs.Traces(frame), do={"rate": frame["rate"].to_numpy()})
    logged = frame.loc[answer.index]
    np.testing.assert_allclose(answer.mean("arrivals"), logged["arrivals"], atol=1e-9)
    np.testing.assert_array_equal(answer.mean("queue"), answer.observed("queue").mean())


def test_the_first_steps_have_the_initial_values(fitted: cs.FittedSCM) -> None:
    answer = fitted.sample(6, steps=4, samples=3)
    first = np.arange(6) * 4
    assert (answer.draws("queue").values[:, first] == 2.0).all()
    assert (answer.draws("delay").values[:, first] == 7.0).all()
    queue, arrivals, rate = (answer.draws(n).values for n in ("queue", "arrivals", "rate"))
    later = np.setdiff1d(np.arange(24), first)
    drained = np.maximum(queue + arrivals - rate, 0)[:, later - 1]
    np.testing.assert_allclose(queue[:, later], drained, atol=1e-12)


def test_a_state_cannot_be_set_itself(fitted: cs.FittedSCM) -> None:
    with pytest.raises(errors.InterventionError, match="first value is given with its trace"):
        fitted.counterfactual(cs.Traces(traces()), do={"queue": 5.0})


class Paths(cs.SCM):
    """Each trace has a speed that nobody logs."""

    speed = cs.Latent(cs.Real(), per="trace")
    y = cs.Observed(cs.Real(), parents=[speed], mechanism=cs.Linear())
    z = cs.Observed(cs.Real(), parents=[speed, y.lag(1)], mechanism=cs.Linear())


def test_a_latent_of_traces_is_one_for_all_their_rows() -> None:
    rng = np.random.default_rng(0)
    trace = np.repeat(np.arange(100), rng.integers(1, 8, 100))
    speed = rng.normal(size=100)[trace]
    y, z = (speed + 0.5 * rng.normal(size=len(trace)) for _ in range(2))
    frame = pd.DataFrame({"trace": trace, "y": y, "z": z})
    frame["step"] = frame.groupby("trace").cumcount()
    fitted = Paths.fit(cs.Traces(frame), ensemble=2, steps=300)
    some = frame[frame["trace"] < 30]
    drawn = fitted.counterfactual(cs.Traces(some), do={}, samples=200).observed("speed").values
    first, whole = np.flatnonzero(some["step"] == 0), some["trace"].to_numpy()
    assert np.array_equal(drawn, drawn[:, first][:, whole])
    # Up to its sign the mean is the true speed, with the error that so few rows leave.
    truth = speed[: len(some)][first]
    assert abs(np.corrcoef(drawn.mean(0)[first], truth)[0, 1]) > 0.9
    # 100 draws of a deviation of at most 0.5 have means within 0.2 (four standard errors).
    np.testing.assert_allclose(drawn[0::2].mean(0)[first], _posterior(fitted, some), atol=0.2)


def _posterior(fitted: cs.FittedSCM, frame: pd.DataFrame) -> np.ndarray:
    """The mean of each trace's latent under member 0: a normal prior, normal observations."""
    y, z = line_of(fitted, "y"), line_of(fitted, "z")
    before = frame.groupby("trace")["y"].shift(1).fillna(0.0)
    rest = {
        "y": frame["y"] - y.constant,
        "z": frame["z"] - z.constant - z.slopes["y[-1]"] * before,
    }
    gain = {"y": y.slopes["speed"] / y.scale**2, "z": z.slopes["speed"] / z.scale**2}
    pull = sum(gain[k] * rest[k] for k in rest).groupby(frame["trace"]).sum()
    each = gain["y"] * y.slopes["speed"] + gain["z"] * z.slopes["speed"]
    return (pull / (1 + each * frame.groupby("trace").size())).to_numpy()


def test_latents_of_steps_in_traces() -> None:
    """The posterior of a step's latent given its work and its cost, member by member."""
    fitted, frame = models.fitted_line(), models.line((8,) * 20)
    answer = fitted.counterfactual(cs.Traces(frame), do={}, samples=2000)
    drawn = answer.observed("size").values[0::2]
    work, cost = line_of(fitted, "work"), line_of(fitted, "cost")
    before = frame.groupby("trace")["work"].shift(1).fillna(0.0)
    offset = float(fitted.mechanisms["work"].state["offset"])
    rest = {
        "work": np.log(frame["work"] + offset) - work.constant,
        "cost": frame["cost"] - cost.constant - cost.slopes["work[-1]"] * before,
    }
    lines = {"work": work, "cost": cost}
    gain = {k: v.slopes["size"] / v.scale**2 for k, v in lines.items()}
    precision = 1 + sum(gain[k] * lines[k].slopes["size"] for k in lines)
    mean = sum(gain[k] * rest[k] for k in lines) / precision
    # 1000 draws of a deviation of at most 1 have a mean within 0.12 (four standard errors).
    np.testing.assert_allclose(drawn.mean(0), mean, atol=0.12)
    np.testing.assert_allclose(drawn.std(0), precision**-0.5, rtol=0.12)


def test_policies_see_tensors_by_sample_and_row(fitted: cs.FittedSCM) -> None:
    seen = []

    def policy(queue: torch.Tensor, arrivals: torch.Tensor) -> torch.Tensor:
        seen.append((tuple(queue.shape), tuple(arrivals.shape)))
        return queue

    fitted.counterfactual(cs.Traces(traces()), do={"rate": policy}, samples=3)
    live = [sum(length > step for length in LENGTHS) for step in range(max(LENGTHS))]
    assert seen == [((3, rows), (3, rows)) for rows in live]


def test_new_traces_do_not_make_up_how_a_noise_goes_on() -> None:
    """Drawn anew in every step, what adds up over steps would vary far too little."""

    class Heated(cs.SCM):
        heat = cs.Latent(cs.Real())
        total = cs.State(cs.Real(), initial=0.0)
        fan = cs.Decision(cs.Categorical(2), parents=[total], mechanism=cs.Logged())
        cost = cs.Observed(cs.Real(), parents=[heat, fan], mechanism=cs.Linear())

        @cs.transition(total)
        def add(total, cost):
            return total + cost

    rng = np.random.default_rng(0)
    log = pd.DataFrame({"trace": np.repeat(range(20), 20), "step": [*range(20)] * 20})
    log["fan"] = rng.integers(2, size=400)
    log["cost"] = np.repeat(rng.normal(size=20), 20) + log["fan"]
    fitted = Heated.fit(log, ensemble=1)
    for allow in (None, "spread"):
        with pytest.raises(errors.NotIdentifiedError, match=r"noise of cost(.|\n)*recorded traces"):
            fitted.sample(9, do={"fan": 1}, steps=5, outcome="total", allow=allow)
    assert "cost" in fitted.sample(9, do={"fan": 1}, steps=5).to_frame()
    assert "total" not in fitted.sample(9, do={"fan": 1}, steps=5).to_frame()
    assert "total" in fitted.counterfactual(log, do={"fan": 1}).to_frame()
