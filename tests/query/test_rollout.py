"""Roll-outs of queues, policies and physics against simulators written by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, Normal

import causalsys as cs
from causalsys import errors
from causalsys.data.read import read
from causalsys.fit.abduct import abduct
from causalsys.query.ask import plan_of, world_of
from tests.query.queues import (
    SERVERS,
    Balancer,
    Choose,
    fitted_balancer,
    logged,
    shortest,
    simulated,
)


@pytest.fixture(scope="module")
def fitted() -> cs.FittedSCM:
    return fitted_balancer()


def rolled(fitted: cs.FittedSCM, frame: pd.DataFrame, policy: Any, **how: Any) -> pd.DataFrame:
    """What `counterfactual` says of one policy, by the rows' labels."""
    given = cs.Traces(frame.drop(columns="size"))
    answer = fitted.counterfactual(given, do={"server": policy}, **how)
    columns = {name: answer.values[name][0, 0].numpy() for name in ("server", "work", "latency")}
    for server in range(SERVERS):
        columns[f"waiting_{server}"] = answer.values["waiting"][0, 0, :, server].numpy()
    return pd.DataFrame(columns, index=answer.index)


@pytest.mark.parametrize("choice", ["shortest", "constant", "longest"])
def test_queues_are_rolled_forward(fitted: cs.FittedSCM, choice: str) -> None:
    """Traces of unequal length, against the truth; queues of the constant policy only grow."""
    frame = logged().sample(frac=1.0, random_state=0)
    policy = {"shortest": shortest, "constant": 2, "longest": lambda waiting: waiting.argmax(-1)}
    by_hand: dict[str, Choose] = {
        "shortest": lambda waiting, _: int(np.argmin(waiting)),
        "constant": lambda waiting, _: 2,
        "longest": lambda waiting, _: int(np.argmax(waiting)),
    }
    found = rolled(fitted, frame, policy[choice])
    wanted = simulated(frame.sort_values(["trace", "step"]), by_hand[choice])
    assert list(found.index) == list(wanted.index)
    for name in wanted:
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-9, err_msg=name)


def test_several_worlds_are_each_as_alone(fitted: cs.FittedSCM) -> None:
    frame = logged()
    given = cs.Traces(frame.drop(columns="size"))
    worlds = [{"server": shortest}, {"server": 1}, {}, {"gap": lambda gap: 2 * gap, "server": 0}]
    answer = fitted.counterfactual(given, do=worlds)
    for number, world in enumerate(worlds):
        alone = fitted.counterfactual(given, do=world)
        for name in ("server", "work", "latency", "gap"):
            mine = (
                answer.mean(name, world=number)
                if name != "server"
                else answer.draws(name, world=number).values
            )
            own = alone.mean(name) if name != "server" else alone.draws(name).values
            np.testing.assert_array_equal(mine, own, err_msg=f"{name} in world {number}")
    np.testing.assert_allclose(answer.mean("latency", world=2), frame["latency"], rtol=1e-9)


def test_the_recorded_choices_give_the_record_to_the_last_bit(fitted: cs.FittedSCM) -> None:
    frame = logged()
    found = rolled(fitted, frame, frame["server"].to_numpy())
    np.testing.assert_array_equal(found["work"], frame["work"])
    np.testing.assert_allclose(found["latency"], frame["latency"], rtol=1e-12)


def test_what_is_not_kept_is_computed_where_it_is_looked_at(fitted: cs.FittedSCM) -> None:
    """The queues as they were, for a policy of another variable that changes none of them."""

    class Ringing(Balancer):
        alarm = cs.Decision(cs.Boolean(), mechanism=cs.Logged())

    frame = logged((60,) * 30, seed=1).assign(alarm=False)
    found = Ringing.fit(cs.Traces(frame.drop(columns="size")), ensemble=1)
    answer = found.counterfactual(
        cs.Traces(frame.drop(columns="size")), do={"alarm": lambda waiting: waiting.sum(-1) > 4}
    )
    drawn = iter(frame["server"])
    waiting = simulated(frame, lambda w, at: next(drawn)).filter(like="waiting")
    assert set(answer.values) == {"alarm"}
    wanted = waiting.sum(axis=1).loc[answer.index] > 4
    np.testing.assert_array_equal(answer.mean("alarm"), wanted)


def test_a_logged_policy_is_not_asked_what_it_would_do(fitted: cs.FittedSCM) -> None:
    frame = logged().drop(columns="size")
    with pytest.raises((errors.InterventionError, errors.NotIdentifiedError), match="server"):
        fitted.counterfactual(cs.Traces(frame), do={"gap": lambda gap: gap / 2}).mean("latency")
    with pytest.raises((errors.InterventionError, errors.NotIdentifiedError), match="server"):
        fitted.counterfactual(
            cs.Traces(frame), do={"server": lambda server: (server + 1) % SERVERS}
        ).mean("latency")


# Random policies.


def uniform(waiting: Tensor) -> Categorical:
    return Categorical(logits=torch.zeros(waiting.shape))


def test_draws_are_the_same_in_every_world_and_however_traces_are_cut(
    fitted: cs.FittedSCM,
) -> None:
    frame = logged()
    given = cs.Traces(frame.drop(columns="size"))
    two = fitted.counterfactual(given, do=[{"server": uniform}, {"server": uniform}], seed=3)
    values = two.values["server"]
    assert torch.equal(values[0], values[1])
    other = fitted.counterfactual(given, do={"server": uniform}, seed=4).values["server"]
    assert not torch.equal(values[0], other[0])
    # Each level as often as it should be: 226 draws, four standard errors.
    shares = np.bincount(values[0, 0].numpy(), minlength=SERVERS) / len(frame)
    np.testing.assert_allclose(shares, 1 / SERVERS, atol=4 * np.sqrt(2 / 9 / len(frame)))
    whole = rolled(fitted, frame, uniform, seed=3)
    some = frame[frame["trace"].isin(["trace 2", "trace 5"])]
    part = rolled(fitted, some, uniform, seed=3)
    np.testing.assert_array_equal(part["server"], whole.loc[part.index, "server"])


def test_draws_of_samples_differ(fitted: cs.FittedSCM) -> None:
    given = cs.Traces(logged().drop(columns="size"))
    answer = fitted.counterfactual(given, do={"server": uniform}, samples=3)
    first, second, _ = answer.values["server"][0]
    assert 0.4 < float((first != second).double().mean()) < 0.9


def test_near_policies_choose_nearly_alike(fitted: cs.FittedSCM) -> None:
    """By Gumbel-max, a policy that prefers one level a little more differs in a few steps."""
    given = cs.Traces(logged().drop(columns="size"))

    def leaning(waiting: Tensor) -> Categorical:
        return Categorical(probs=torch.tensor([0.36, 0.32, 0.32]).expand(waiting.shape))

    values = fitted.counterfactual(given, do=[{"server": uniform}, {"server": leaning}]).values[
        "server"
    ][:, 0]
    differ = values[0] != values[1]
    assert 0 < int(differ.sum()) < 0.1 * len(differ)
    assert (values[1][differ] == 0).all()


def test_only_what_is_wanted_takes_memory(fitted: cs.FittedSCM) -> None:
    """`keep` changes no number, and checks what it lets go."""
    table = read(fitted.schema, cs.Traces(logged().drop(columns="size")), purpose="evidence")
    plan = plan_of(fitted, abduct(fitted, table, samples=1, seed=0))
    acts = world_of({"server": shortest}, fitted, plan, index=table.index)
    whole, part = plan.predict([acts]), plan.predict([acts], keep=["latency"])
    assert set(whole) == {"server", "waiting", "work", "latency"}
    assert list(part) == ["latency"]
    assert torch.equal(part["latency"], whole["latency"])


# What is refused, by its step and its trace.

LONG = (800,) * 15


def wrong_at(step: int, trace: int, value: float) -> Any:
    """Shortest queue, but for one step of one trace, counted from 0."""
    count = iter(range(10_000))

    def policy(waiting):
        chosen = waiting.argmin(-1).double()
        if next(count) == step:
            chosen[:, trace] = value
        return chosen

    return policy


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), r"server: NaN from .*policy"),
        (3, r"server: 3 from .*which is no level's place"),
        (-1, r"server: -1 from .*which is no level's place"),
        (0.5, r"server: 0.5 from .*which is no level's place"),
    ],
)
@pytest.mark.parametrize("whole", [False, True])
def test_a_policys_mistake_is_told_with_its_step_and_trace(
    fitted: cs.FittedSCM, value: float, message: str, whole: bool
) -> None:
    frame = logged(LONG).drop(columns="size")
    policy = wrong_at(713, 12, value)

    def in_codes(waiting: Tensor) -> Tensor:
        return policy(waiting).long()

    if whole and value not in (3, -1):
        value = 7
        policy, message = wrong_at(713, 12, value), r"server: 7 from .*which is no level's place"
    with pytest.raises(errors.CausalSysError, match=message) as found:
        fitted.counterfactual(cs.Traces(frame), do={"server": in_codes if whole else policy})
    name = sorted(f"trace {trace}" for trace in range(15))[12]
    assert f"at step 713 of trace {name}" in str(found.value)
    assert "policy" in str(found.value)


def test_a_wrong_shape_is_told_with_the_policy_and_the_step(fitted: cs.FittedSCM) -> None:
    def both(waiting):
        return waiting

    with pytest.raises(
        errors.InterventionError, match=r"server: a value of shape .*policy both.*at step 0"
    ):
        rolled(fitted, logged(), both)


def test_a_policy_that_fails_is_told_with_the_step(fitted: cs.FittedSCM) -> None:
    count = iter(range(100))

    def tired(waiting):
        if next(count) == 5:
            raise ValueError("no more")
        return waiting.argmin(-1)

    with pytest.raises(errors.InterventionError, match=r"tired failed \(no more\).*at step 5"):
        rolled(fitted, logged(), tired)


def test_a_number_outside_its_support_is_told_with_its_trace() -> None:
    class Drain(cs.SCM):
        rate = cs.Decision(cs.Positive(), mechanism=cs.Logged())
        level = cs.State(cs.Real())

        @cs.transition(level)
        def later(level, rate):
            return level - rate

    frame = pd.DataFrame({"trace": [0] * 9 + [1] * 9, "step": [*range(9)] * 2, "rate": 1.0})
    fitted = Drain.fit(cs.Traces(frame), ensemble=1)
    given = cs.Traces(frame)

    def below(level):
        rate = torch.ones_like(level)
        rate[:, 1] = torch.where(level[:, 1] < -3.5, -1.0, 1.0)
        return rate

    with pytest.raises(errors.OutsideSupportError, match=r"rate: -1 .*at step 4 of trace 1"):
        fitted.counterfactual(given, do={"rate": below})
    with pytest.raises(errors.InterventionError, match=r"rate: NaN .*at step 6 of trace 0"):
        fitted.counterfactual(
            given, do={"rate": lambda level: torch.where(level < -5.5, torch.nan, 1.0)}
        )
    normal = fitted.counterfactual(given, do={"rate": lambda level: Normal(5 + 0 * level, 0.1)})
    assert normal.mean("rate").std() == pytest.approx(0.1, rel=0.8)
