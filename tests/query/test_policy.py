"""What policies look at beyond this step, and models of other libraries as policies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

import causalsys as cs
from causalsys import errors
from tests.query.queues import SERVERS, fitted_balancer, logged, shortest

# What policies look at.


class Player(cs.SCM):
    """A buffer, a decision, and chunks whose sizes are known beforehand."""

    size = cs.Observed(cs.Positive("Mbit", size=2))
    speed = cs.Observed(cs.Positive("Mbit/s"))
    rate = cs.Decision(cs.Categorical(2), mechanism=cs.Logged())

    @cs.equation(cs.Positive("s"))
    def seconds(size, rate, speed):
        return cs.pick(size, rate) / speed


def chunks(lengths: tuple[int, ...] = (5, 3, 8)) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        [(trace, step) for trace, length in enumerate(lengths) for step in range(length)],
        columns=["trace", "step"],
    )
    for name in ("size_0", "size_1", "speed"):
        frame[name] = rng.uniform(1, 2, len(frame)).round(3)
    return frame.assign(rate=rng.integers(0, 2, len(frame)))


class Watched(Player):
    """The same with something that lasts, so that its rows follow each other."""

    spent = cs.State(cs.Positive("s"))

    @cs.transition(spent)
    def spend(spent, seconds):
        return spent + seconds


@pytest.fixture(scope="module")
def player() -> cs.FittedSCM:
    return Watched.fit(cs.Traces(chunks((20,) * 5)), ensemble=1)


def seen_by(player: cs.FittedSCM, policy: Any, frame: pd.DataFrame) -> cs.FittedSCM:
    return player.counterfactual(cs.Traces(frame), do={"rate": policy}, samples=2)


def test_the_past_of_this_world(player: cs.FittedSCM) -> None:
    frame, seen = chunks(), []

    def policy(
        speed,
        spent,
        was=cs.past("seconds", steps=3),
        last=cs.past(Watched.rate),
        sizes=cs.past("size", steps=2),
    ):
        seen.append((spent, was, last, sizes))
        return (last + 1) % 2

    answer = seen_by(player, policy, frame)
    seconds = answer.values["seconds"][0, 0].numpy()
    rate = answer.values["rate"][0, 0].numpy()
    np.testing.assert_array_equal(rate, (frame["step"] + 1) % 2)
    # The longest trace comes first: 2, 0, 1; rows are those of the data.
    starts = [8, 0, 5]
    for step, (spent, was, last, sizes) in enumerate(seen):
        live = [n for n, length in enumerate((8, 5, 3)) if length > step]
        assert was.shape == (2, len(live), 3)
        assert last.shape == (2, len(live))
        assert last.dtype == torch.int64
        assert sizes.shape == (2, len(live), 2, 2)
        for trace in live:
            start = starts[trace]
            before = [0.0] * 3 + seconds[start : start + step].tolist()
            assert was[0, trace].tolist() == before[-3:]
            assert spent[0, trace] == pytest.approx(sum(before))
            assert int(last[0, trace]) == (0 if step == 0 else rate[start + step - 1])
            if step > 1:
                found = frame.loc[start + step - 2 : start + step - 1, ["size_0", "size_1"]]
                np.testing.assert_array_equal(sizes[0, trace], found)


def test_what_is_known_beforehand(player: cs.FittedSCM) -> None:
    frame, seen = chunks(), []

    def policy(spent, sizes=cs.ahead("size", steps=3), speed=cs.ahead("speed")):
        seen.append((sizes, speed))
        return 0

    seen_by(player, policy, frame)
    table = frame[["size_0", "size_1"]].to_numpy()
    for step, (sizes, speed) in enumerate(seen):
        for trace, (start, length) in enumerate([(8, 8), (0, 5), (5, 3)]):
            if step < length:
                rows = [start + min(step + ahead, length - 1) for ahead in range(3)]
                np.testing.assert_array_equal(sizes[1, trace], table[rows])
                assert speed[0, trace] == frame["speed"][start + step]
    even, wanted = chunks((4, 4)), list(seen)
    seen.clear()
    seen_by(player, policy, even)
    table = even[["size_0", "size_1"]].to_numpy()
    assert wanted
    assert [len(each[0][0]) for each in seen] == [2] * 4
    np.testing.assert_array_equal(seen[0][0][0, 1], table[[4, 5, 6]])
    np.testing.assert_array_equal(seen[2][0][0, 1], table[[6, 7, 7]])


def test_a_policy_with_a_memory(player: cs.FittedSCM) -> None:
    """It counts its steps, and how much it has seen; traces that end take their part along."""
    frame, kept = chunks(), []

    def policy(speed, memory=None):
        count, total = (0, torch.zeros_like(speed)) if memory is None else memory
        kept.append((count, total))
        return (total > 3).long(), (count + 1, total + speed)

    answer = seen_by(player, policy, frame)
    assert [count for count, _ in kept] == list(range(8))
    before = frame.groupby("trace")["speed"].cumsum() - frame["speed"]
    np.testing.assert_array_equal(answer.values["rate"][0, 0], before > 3)


@dataclass(frozen=True)
class Level:
    """A policy with a parameter."""

    least: float

    def __call__(self, spent: Tensor, last: Tensor = cs.past("seconds")) -> Tensor:
        return (spent + last > self.least).long()


def test_policies_are_frozen_dataclasses(player: cs.FittedSCM) -> None:
    low, high = (seen_by(player, Level(least), chunks()) for least in (0.0, 100.0))
    assert not bool(high.values["rate"].any())
    np.testing.assert_array_equal(low.values["rate"][0, 0], chunks()["step"] > 0)


def test_what_no_policy_can_look_at(player: cs.FittedSCM) -> None:
    frame = chunks()

    def hindsight(spent, later=cs.ahead("seconds", steps=2)):
        return 0

    with pytest.raises(errors.InterventionError, match=r"looks ahead at seconds.*world\s+changes"):
        seen_by(player, hindsight, frame)
    with pytest.raises(errors.UnknownNameError, match="bufer: no such name"):
        seen_by(player, lambda bufer: 0, frame)
    with pytest.raises(errors.UnknownNameError, match="speeds: no such name"):
        seen_by(player, lambda spent, s=cs.past("speeds"): 0, frame)
    with pytest.raises(errors.CausalSysError, match="job_size"):
        fitted_balancer().counterfactual(
            cs.Traces(logged().drop(columns="size")), do={"server": lambda job_size: 0}
        )


def test_rows_of_a_table_have_no_past() -> None:
    class Table(cs.SCM):
        x = cs.Decision(cs.Real())
        y = cs.Observed(cs.Real(), parents=[x], mechanism=cs.Linear())

    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=50), "y": rng.normal(size=50)})
    fitted = Table.fit(frame, ensemble=1)
    with pytest.raises(errors.InterventionError, match="rows that do not follow each other"):
        fitted.counterfactual(frame, do={"x": lambda y=cs.past("x"): y})


# Models of other libraries.


def routed(policy: Any) -> Tensor:
    given = cs.Traces(logged().drop(columns="size"))
    return fitted_balancer().counterfactual(given, do={"server": policy}).values["server"]


class Shortest(torch.nn.Module):
    """Scores, the greatest of which is the shortest queue's; or that server's code."""

    def __init__(self, *, scores: bool) -> None:
        super().__init__()
        self.scores = scores
        self.weight = torch.nn.Parameter(torch.ones(1))  # In single precision, as usual.

    def forward(self, features: Tensor) -> Tensor:
        assert features.dtype == torch.float32
        found = -self.weight * features[..., :SERVERS]
        return found if self.scores else found.argmax(-1)


@pytest.mark.parametrize("scores", [True, False])
def test_a_torch_module_is_a_policy(scores: bool) -> None:
    module = Shortest(scores=scores)
    reads = ["waiting", "gap", cs.past("work", steps=2)]
    assert torch.equal(routed(cs.policy(module, reads=reads)), routed(shortest))


def test_an_estimator_is_a_policy() -> None:
    from sklearn.tree import DecisionTreeClassifier

    rng = np.random.default_rng(0)
    queues = rng.integers(0, 6, (4000, SERVERS)).astype(float)
    tree = DecisionTreeClassifier(random_state=0).fit(queues, queues.argmin(1))

    def by_hand(waiting: Tensor) -> Tensor:
        rows = waiting.reshape(-1, SERVERS).numpy()
        return torch.from_numpy(tree.predict(rows)).reshape(waiting.shape[:-1])

    assert torch.equal(routed(cs.policy(tree, reads=["waiting"])), routed(by_hand))


def test_what_is_no_policy() -> None:
    with pytest.raises(errors.InterventionError, match="a function is a policy as it is"):
        cs.policy(shortest, reads=["waiting"])
    with pytest.raises(errors.InterventionError, match="Give a list"):
        cs.policy(torch.nn.Linear(1, 1), reads="waiting")
    for look in (cs.past, cs.ahead):
        with pytest.raises(errors.InterventionError, match="Give a whole number of at least 1"):
            look("work", steps=0)


def test_a_memory_comes_back_with_the_decision() -> None:
    with pytest.raises(errors.InterventionError, match="Return both"):
        routed(lambda waiting, memory=None: waiting.argmin(-1))
