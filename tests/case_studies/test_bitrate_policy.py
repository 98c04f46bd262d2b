"""The study of a bitrate policy: its parts are what they say, on a system whose truth is known."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import causalsys as cs
from case_studies.bitrate_policy.__main__ import as_json, told
from case_studies.bitrate_policy.branches import Branches, branches
from case_studies.bitrate_policy.guard import guard
from case_studies.bitrate_policy.network import INPUTS, BitratePolicy, Network, columns_of
from case_studies.bitrate_policy.paths import FAST, HELD_OUT, STEPS, Paths, paths
from case_studies.bitrate_policy.picture import draw
from case_studies.bitrate_policy.repair import costly, joined
from case_studies.bitrate_policy.study import never_picked, reach, run
from case_studies.bitrate_policy.training import Schedule, returns, rewards, train
from case_studies.video_streaming.baselines import qoe
from case_studies.video_streaming.capacity import real_capacity
from case_studies.video_streaming.system import simulate_true, trial
from causalsys.simulate.policies.streaming import BBA
from causalsys.simulate.simulate import Simulator
from models.video_streaming import VideoStreaming


@pytest.fixture(scope="module")
def drawn() -> Paths:
    return paths(real=False, seed=3, training=16, logged=30, tried=10)


@pytest.fixture(scope="module")
def fitted(drawn: Paths) -> cs.FittedSCM:
    return VideoStreaming.fit(cs.Traces(trial(drawn.logged)), seed=0, ensemble=1)


@pytest.fixture(scope="module")
def simulator(fitted: cs.FittedSCM, drawn: Paths) -> Simulator:
    return Simulator.of(fitted, cs.Traces(trial(drawn.training)))


@pytest.fixture(scope="module")
def network() -> Network:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Network()


def test_training_never_sees_slow_paths(drawn: Paths) -> None:
    assert (drawn.training.capacity.mean(0) >= FAST).all()
    assert (drawn.tried[HELD_OUT].capacity.mean(0) >= FAST).all()
    assert (drawn.tried["middling"].capacity.mean(0) < FAST).all()
    assert drawn.tried["slow"].capacity.mean() < FAST / 2
    assert drawn.logged.capacity.shape == (STEPS, 30)
    outage = drawn.tried["outage"].capacity
    assert (outage[-1] < outage[0]).double().mean() > 0.9


def test_recordings_to_try_on_are_not_those_to_learn_from(tmp_path: Path) -> None:
    (tmp_path / "comyco").mkdir()
    for number in range(4):
        lines = "".join(f"{second} {number + 1}\n" for second in range(60))
        (tmp_path / "comyco" / f"{number}.log").write_text(lines)
    learned = real_capacity(60, 5, folder=tmp_path, held_out=False)
    tried = real_capacity(60, 5, folder=tmp_path, held_out=True)
    assert learned.round().unique().tolist() == [1, 3]
    assert tried.round().unique().tolist() == [2, 4]


def test_returns_are_discounted_sums() -> None:
    found = returns(torch.tensor([[1.0, 2.0, 4.0]]), 0.5)
    assert found.tolist() == [[1 + 1 + 1, 2 + 2, 4]]


def test_rewards_are_the_qoe_of_the_streaming_study(simulator: Simulator) -> None:
    found = simulator.run({"bba": BBA(4.0, 6.0)})
    np.testing.assert_allclose(rewards(found, 0).flatten(), qoe(found.frames["bba"]))


def test_inputs_cover_the_features(network: Network) -> None:
    places = [columns_of(name) for name in INPUTS]
    assert places[0].start == 0
    assert all(one.stop == other.start for one, other in pairwise(places))
    assert places[-1].stop == network.body[0].in_features


def test_training_improves_and_is_fixed_by_its_seed(simulator: Simulator) -> None:
    def score(network: Network) -> float:
        found = simulator.run({"one": BitratePolicy(network)})
        return float(rewards(found, 0).mean())

    first, again = (train(simulator, seed=1, schedule=Schedule(rounds=2)) for _ in range(2))
    assert torch.equal(first.scores.weight, again.scores.weight)
    fresh = train(simulator, seed=1, schedule=Schedule(rounds=0))
    assert score(train(simulator, seed=1, schedule=Schedule(rounds=20))) > score(fresh)


def test_branches_are_what_really_would_have_come(
    fitted: cs.FittedSCM, simulator: Simulator, network: Network
) -> None:
    found = branches(simulator, network, rounds=3, seed=0)
    own = found.worth.gather(1, found.chosen[:, None].long())
    # The branch in which the policy's own choice is set is the policy's own session.
    assert own.abs().max() == 0
    assert (found.regret >= 0).all()
    assert set(found.rows["session"]) == set(range(16))
    # Asked again of the same steps, with the same luck, the answer is the same.
    again = branches(simulator, network, rounds=3, seed=0)
    assert torch.equal(found.worth, again.worth)


def _made(worth: list[list[float]], chosen: list[int]) -> Branches:
    rows = pd.DataFrame({"session": np.arange(len(chosen)) // 2})
    codes = torch.tensor(chosen)
    return Branches(torch.zeros(len(chosen), 14), codes, codes, torch.tensor(worth), rows)


def test_what_is_lost_by_never_picking_is_against_the_best_of_the_others() -> None:
    worth = [[3.0, 1.0, 0.0, -1.0, -2.0, -3.0], [-1.0, 0.0, 2.0, -1.0, -2.0, -3.0]]
    found = _made(worth, [2, 1])
    assert found.lost_by([0]).tolist() == [2.0, 0.0]
    assert found.lost_by([]).tolist() == [0.0, 0.0]
    assert never_picked(found) == [0, 3, 4, 5]
    assert found.best.tolist() == [0, 2]


def test_repair_draws_the_costly_sessions(drawn: Paths) -> None:
    worth = [[w, 0.0, 0.0, 0.0, 0.0, 0.0] for w in (0.0, 0.0, 5.0, 0.0, 1.0, 0.0)]
    found = _made(worth, [1] * 6)
    assert costly(found, [0], sessions=3, most=2).tolist() == [1, 2]
    both = joined(drawn.training, drawn.logged)
    assert both.traces == 46
    assert torch.equal(both.capacity[:, 16:], drawn.logged.capacity)
    assert len(trial(both)) == 46 * STEPS


def test_reach_is_a_probability_and_counts_interventions(
    simulator: Simulator, network: Network
) -> None:
    found = branches(simulator, network, rounds=2, seed=1)
    table = reach(network, found)
    assert list(table.index) == list(INPUTS)
    assert ((table >= 0) & (table <= 1)).all(axis=None)
    # The greatest over values is no less than the mean as it is.
    as_it_is = torch.softmax(network(found.seen)[0], -1).mean(0).detach().numpy()
    assert (table.max() >= as_it_is - 0.05).all()


def test_the_guard_knows_slow_paths(fitted: cs.FittedSCM, drawn: Paths) -> None:
    def highest(buffer: torch.Tensor) -> torch.Tensor:
        return torch.full_like(buffer, 3, dtype=torch.int64)

    watched = guard(highest, fitted, training=drawn.training, logged=drawn.logged)
    slow = drawn.tried["slow"]
    alone = qoe(simulate_true(slow, highest)).mean()
    guarded = qoe(simulate_true(slow, watched)).mean()
    assert watched.counters.share > 0.8
    assert guarded > alone + 1
    usual = watched.fresh()
    simulate_true(drawn.tried[HELD_OUT], usual)
    assert usual.counters.share < watched.counters.share / 2


@pytest.mark.slow
def test_the_study_runs_and_can_be_written(tmp_path: Path) -> None:
    study = run(schedule=Schedule(rounds=20), training=20, logged=60, tried=12, rounds=6, seed=11)
    written = as_json(study, seed=11)
    assert json.loads(json.dumps(written))["capacities"] == "synthetic"
    assert set(written["guard"]) == {"learned", "repaired"}
    assert abs(study.usage.sum() - 1).max() < 1e-9
    assert "What really came of it" in told(study)
    draw(study).savefig(tmp_path / "picture.png")
