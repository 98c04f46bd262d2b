"""The luck of recorded random choices: the recorded policy repeats the record."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, Distribution, Normal

import causalsys as cs
from causalsys.data.read import read
from causalsys.errors import InterventionError
from causalsys.fit.abduct import abduct
from causalsys.query.ask import plan_of, world_of
from causalsys.query.behaviour import Behaviour
from causalsys.query.intervention import as_intervention
from tests.query.queues import fitted_balancer, logged, shortest, simulated


@pytest.fixture(scope="module")
def fitted() -> cs.FittedSCM:
    return fitted_balancer()


LENGTHS = (30, 12, 44, 30, 25, 3)


def leaning(waiting: Tensor) -> Categorical:
    """Shorter queues are likelier."""
    return Categorical(logits=-0.7 * waiting)


def recorded(seed: int = 0) -> pd.DataFrame:
    """Traces of two arms: one leans to short queues, by numpy's luck; one takes the shortest."""
    rng = np.random.default_rng(seed)
    frame = logged(LENGTHS, seed=seed)
    parts = []

    def choose(waiting: list[int], _: int) -> int:
        chances = np.exp(-0.7 * np.array(waiting, dtype=float))
        return int(rng.choice(len(waiting), p=chances / chances.sum()))

    for (_, arm), trace in frame.groupby(["trace", "arm"], sort=False):
        own = choose if arm == "a" else (lambda waiting, _: int(np.argmin(waiting)))
        parts.append(simulated(trace, own))
    found = frame.drop(columns=["server", "work", "latency"])
    return found.join(pd.concat(parts)[["server", "work", "latency"]])


def rolled(
    model: cs.FittedSCM, frame: pd.DataFrame, policies: list[Any], behaviour: dict[int, Any] | None
) -> dict[str, Tensor]:
    table = read(model.schema, cs.Traces(frame), purpose="evidence")
    plan = plan_of(model, abduct(model, table, samples=1, seed=0))
    (name,) = [n.name for n in model.declaration.nodes.values() if n.kind == "decision"]
    worlds = [world_of({name: each}, model, plan, index=table.index) for each in policies]
    supports = model.schema.supports
    made = behaviour and {
        code: as_intervention(each, name=name, support=supports[name], rows=1, supports=supports)
        for code, each in behaviour.items()
    }
    known = Behaviour(name, "arm", made) if made else None
    found = plan.predict(worlds, behaviour=known)
    return found | {"recorded": table.values[name][0], "arm": table.values["arm"][0]}


def test_the_recorded_policy_repeats_the_record(fitted: cs.FittedSCM) -> None:
    frame = recorded().drop(columns="size")
    known = {0: leaning, 1: shortest}
    found = rolled(fitted, frame, [leaning, shortest], known)
    mine = found["arm"] == 0
    assert len(found["server"]) == 2
    assert torch.equal(found["server"][0, 0, mine], found["recorded"][mine])
    assert torch.equal(found["server"][1, 0, ~mine], found["recorded"][~mine])
    # Without it the luck is another, and so are most of the choices' paths.
    other = rolled(fitted, frame, [leaning], None)
    assert float((other["server"][0, 0, mine] != found["recorded"][mine]).double().mean()) > 0.2


def test_the_luck_follows_its_law(fitted: cs.FittedSCM) -> None:
    """Another policy's choices are distributed as if its luck had been drawn afresh."""

    def uniform(waiting: Tensor) -> Categorical:
        return Categorical(logits=torch.zeros(waiting.shape))

    shares = []
    for seed in range(12):
        frame = recorded(seed).drop(columns="size")
        found = rolled(fitted, frame, [uniform], {0: leaning})
        shares.append(np.bincount(found["server"][0, 0].numpy(), minlength=3) / len(frame))
    # 12 times 144 draws: four standard errors.
    np.testing.assert_allclose(np.mean(shares, 0), 1 / 3, atol=4 * np.sqrt(2 / 9 / (12 * 144)))


def test_a_choice_that_its_policy_never_makes_is_refused(
    fitted: cs.FittedSCM,
) -> None:
    def never(waiting: Tensor) -> Categorical:
        return Categorical(probs=torch.tensor([0.5, 0.5, 0.0]).expand(waiting.shape))

    with pytest.raises(InterventionError, match=r"recorded choice at step \d+ of trace.*never"):
        rolled(fitted, recorded().drop(columns="size"), [shortest], {0: never})


class Dial(cs.SCM):
    arm = cs.Arm()
    turn = cs.Decision(cs.Real(), parents=[arm], mechanism=cs.Logged())
    level = cs.State(cs.Real())

    @cs.transition(level)
    def later(level, turn):
        return 0.5 * level + turn


class Switch(cs.SCM):
    arm = cs.Arm()
    turn = cs.Decision(cs.Boolean(), parents=[arm], mechanism=cs.Logged())
    level = cs.State(cs.Real())

    @cs.transition(level)
    def later(level, turn):
        return 0.5 * level + turn


@pytest.mark.parametrize("model", [Dial, Switch])
def test_numbers_and_coins(model: type[cs.SCM]) -> None:
    """A number keeps its place in its distribution; a coin lands as it did, and memories help."""

    def policy(level: Tensor, memory: Any = None) -> tuple[Distribution, int]:
        count = 0 if memory is None else memory
        at = torch.tanh(level) - 0.1 * count
        chosen = Normal(at, 0.5) if model is Dial else Bernoulli(torch.sigmoid(at))
        return chosen, count + 1

    rng, rows = np.random.default_rng(0), []
    for trace, length in enumerate((9, 20, 14)):
        level = 0.0
        for step in range(length):
            at = np.tanh(level) - 0.1 * step
            turn = (
                at + 0.5 * rng.normal() if model is Dial else rng.random() < 1 / (1 + np.exp(-at))
            )
            rows.append((trace, step, "ab"[trace % 2], turn))
            level = 0.5 * level + turn
    frame = pd.DataFrame(rows, columns=["trace", "step", "arm", "turn"])
    found = rolled(model.fit(cs.Traces(frame), ensemble=1), frame, [policy], {0: policy, 1: policy})
    np.testing.assert_allclose(found["turn"][0, 0], found["recorded"], atol=1e-6)


class Timed(cs.SCM):
    """A queue that the decision does not touch, so that it is carried and not kept."""

    arm = cs.Arm()
    gap = cs.Observed(cs.Positive("ms"), mechanism=cs.Marginal())
    queues = cs.State(cs.Fifo(2, "ms"))

    @cs.equation(cs.Count("jobs", size=2))
    def waiting(queues):
        return queues.waiting

    turn = cs.Decision(cs.Boolean(), parents=[arm, waiting], mechanism=cs.Logged())

    @cs.equation(cs.Positive("ms"))
    def cost(turn, gap):
        return turn + gap

    @cs.transition(queues)
    def serve(queues, gap):
        return queues.push((gap > 10).long(), torch.full_like(gap, 20.0)).after(gap)


def test_a_recorded_policy_may_look_back_further_than_those_that_replace_it() -> None:
    """Past values are let go of every 63 steps, those that nobody asks for."""

    def patient(seen: Tensor = cs.past("waiting", steps=100)) -> Bernoulli:
        return Bernoulli(torch.sigmoid(seen.mean((-2, -1)) - 1))

    rng, rows = np.random.default_rng(0), 300
    frame = pd.DataFrame({"trace": np.repeat([0, 1], 150), "step": [*range(150)] * 2})
    frame["arm"], frame["gap"] = np.repeat(["a", "b"], 150), rng.exponential(15, rows)
    frame["turn"] = rng.random(rows) < 0.5
    frame["cost"] = frame["turn"] + frame["gap"]
    model = Timed.fit(cs.Traces(frame), ensemble=1)
    known = {"a": patient, "b": patient}
    found = cs.simulate(model, frame, policies={"now": True, "same": patient}, behaviour=known)
    assert (found.frames["same"]["turn"] == frame["turn"]).all()
    now = cs.simulate(model, frame, policies={"now": True}, behaviour=known)
    assert now.frames["now"]["turn"].all()
