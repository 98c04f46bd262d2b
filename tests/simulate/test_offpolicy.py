"""Off-policy estimates against values that can be worked out by hand."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Categorical

import causalsys as cs
from causalsys.data.table import Layout
from causalsys.query.policy import ahead, past
from causalsys.scm.supports import Boolean
from causalsys.scm.supports import Categorical as Levels
from causalsys.simulate.offpolicy import Weights, probabilities
from tests.simulate.routed import POLICIES, Routed, routed

STEPS, TRACES = 3, 400
SUPPORT = Levels([0, 1])


def _odds(zero: Tensor) -> Categorical:
    return Categorical(probs=torch.stack([zero, 1 - zero], -1))


def _first(last: Tensor) -> Categorical:
    return _odds(0.7 - 0.2 * last)


def _second(last: Tensor) -> Categorical:
    return _odds(0.2 + 0 * last)


def _target(last: Tensor) -> Categorical:
    return _odds(0.4 + 0.3 * last)


def _reward(last: float, action: float) -> float:
    return last + 2 * action + last * action


def _truth() -> float:
    """The mean reward of a step under the target: all ways through three steps."""
    total = 0.0
    for path in product([0, 1], repeat=STEPS):
        chance, last, rewards = 1.0, 0.0, 0.0
        for action in path:
            chance *= float(_target(torch.tensor([last])).probs[0, action])
            rewards += _reward(last, action)
            last = float(action)
        total += chance * rewards / STEPS
    return total


def _recorded(seed: int) -> tuple[Layout, Tensor, np.ndarray, np.ndarray, np.ndarray]:
    """A trial of two policies: the layout, `last`, actions, rewards, and each trace's arm."""
    rng = np.random.default_rng(seed)
    arm = rng.integers(0, 2, TRACES)
    last = torch.zeros(TRACES, dtype=torch.float64)
    lasts, actions, rewards = [], [], []
    for _ in range(STEPS):
        odds = [policy(last).probs[:, 1].numpy() for policy in (_first, _second)]
        one = np.where(arm == 0, *odds)
        action = (rng.random(TRACES) < one).astype(float)
        lasts.append(last)
        actions.append(action)
        rewards.append(_reward(last.numpy(), action) + rng.normal(size=TRACES))
        last = torch.from_numpy(action)
    layout = Layout(
        torch.arange(TRACES).repeat_interleave(STEPS), torch.arange(STEPS).repeat(TRACES)
    )
    flat = [np.stack(each, 1).ravel() for each in (actions, rewards)]
    return layout, torch.stack(lasts, 1).flatten(), flat[0].astype(int), flat[1], arm


def _weights(seed: int) -> tuple[Weights, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    layout, last, action, reward, arm = _recorded(seed)
    chances = [
        probabilities(policy, lambda _: last, layout, name="action", support=SUPPORT)
        for policy in (_target, _first, _second)
    ]
    rows = np.arange(len(action))
    target, *others = (each[rows, action] for each in chances)
    shares = np.array([(arm == 0).mean(), (arm == 1).mean()])
    weights = Weights.of(target, np.stack(others), shares, layout)
    return weights, reward, action, last.numpy(), chances[0]


def test_both_estimates_are_right_on_average_even_with_a_wrong_model() -> None:
    plain, robust = [], []
    for seed in range(150):
        weights, reward, action, last, chances = _weights(seed)
        plain.append(weights.mean(reward).value)
        # A model that is off in scale and in place; the estimate must not mind.
        model = 0.8 * np.stack([last, 2 * last + 2], 1) + 0.3
        foreseen = (model[np.arange(len(action)), action], (model * chances).sum(1))
        robust.append(weights.mean(reward, foreseen=foreseen).value)
    for found in (plain, robust):
        # Four standard errors of the mean of 150 estimates.
        assert np.mean(found) == pytest.approx(_truth(), abs=4 * np.std(found) / np.sqrt(150))
    assert np.std(robust) < 0.9 * np.std(plain)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    inside = []
    for seed in range(100):
        weights, reward, *_ = _weights(seed)
        found = weights.mean(reward, level=0.9, seed=seed)
        inside.append(found.low <= _truth() <= found.high)
    # Of 100 at 90 %, fewer than 82 have a probability of less than a hundredth.
    assert np.mean(inside) > 0.82


def test_the_recorded_policy_weighs_all_traces_alike() -> None:
    layout, last, action, *_ = _recorded(0)
    chances = probabilities(_first, lambda _: last, layout, name="action", support=SUPPORT)
    taken = chances[np.arange(len(action)), action]
    weights = Weights.of(taken, taken[None], np.ones(1), layout)
    np.testing.assert_allclose(weights.step, 1)
    np.testing.assert_allclose(weights.effective(), TRACES)


def test_without_overlap_it_is_refused_in_words() -> None:
    layout = Layout(torch.arange(50).repeat_interleave(4), torch.arange(4).repeat(50))
    target = np.ones(200)
    target[layout.position.numpy() == 2] = 0
    weights = Weights.of(target, np.full((1, 200), 0.5), np.ones(1), layout)
    assert "no trace follows the policy beyond step 2" in weights.refusal()


def test_traces_that_follow_for_the_wrong_reason_are_not_taken_for_the_rest() -> None:
    # The target goes on as the trace began; only half of the traces were ever recorded doing so.
    layout = Layout(torch.arange(200).repeat_interleave(2), torch.arange(2).repeat(200))
    good = np.arange(200) % 2 == 0
    target = np.where(np.repeat(good, 2) | (layout.position.numpy() == 0), 1.0, 0.0)
    weights = Weights.of(target, np.ones((1, 400)), np.ones(1), layout)
    assert weights.effective().min() == 100
    assert "add up to 50% of the traces" in weights.refusal()


def test_policies_see_the_recorded_past_and_what_is_to_come() -> None:
    layout = Layout(torch.tensor([0, 0, 0, 1, 1]), torch.tensor([0, 1, 2, 0, 1]))
    values = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
    seen = {}

    two_before, two_ahead = past("now", steps=2), ahead("now", steps=2)

    def policy(now: Tensor, before: Tensor = two_before, later: Tensor = two_ahead) -> Bernoulli:
        seen.update(now=now, before=before, later=later)
        return Bernoulli(probs=0.5 + 0 * now)

    found = probabilities(policy, lambda _: values, layout, name="go", support=Boolean())
    assert found.tolist() == [[0.5, 0.5]] * 5
    assert seen["before"][0].tolist() == [[0, 0], [0, 1], [1, 2], [0, 0], [0, 4]]
    assert seen["later"][0].tolist() == [[1, 2], [2, 3], [3, 3], [4, 5], [5, 5]]

    def stateful(now: Tensor, memory: object = None) -> tuple[Tensor, object]:
        return now, memory

    told = probabilities(stateful, lambda _: values, layout, name="go", support=Boolean())
    assert "memory" in str(told)


def test_short_traces_give_estimates_and_long_ones_do_not() -> None:
    short = routed(1200, 4)
    found = cs.validate(
        Routed, short, policies=POLICIES, metrics=["latency"], only=["least"],
        baselines=["off-policy"],
    )["least"]  # fmt: skip
    measured = found["latency"].measured
    for each in found.off_policy:
        assert each.estimate is not None
        # Both are random; their intervals must meet.
        assert each.estimate.low < measured.high
        assert each.estimate.high > measured.low
    assert {each.estimator for each in found.off_policy} == {"ips", "doubly robust"}
    long = cs.validate(
        Routed, routed(120, 40), policies=POLICIES, metrics=["latency"], only=["least"],
        baselines=["off-policy"],
    )  # fmt: skip
    assert "too little overlap" in str(long) or "no overlap" in str(long)
