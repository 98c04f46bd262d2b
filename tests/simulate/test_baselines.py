"""The baselines of a validation: what each of them keeps, and what it gets wrong."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import causalsys as cs
from causalsys.simulate.baseline_offpolicy import Recorded
from causalsys.simulate.baseline_supervised import supervised
from causalsys.simulate.baselines import expert
from causalsys.simulate.simulate import Simulator
from tests.simulate.routed import POLICIES, RATES, Routed, routed


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    log = routed(240)
    others = log[log["arm"] != "least"].reset_index(drop=True)
    return Simulator.of(Routed.fit(others, ensemble=1), others)


def _rolled(frame: pd.DataFrame) -> np.ndarray:
    """Latencies by hand: the least loaded server, the frame's own work and gaps."""
    traces = frame["trace"].nunique()
    work, gap = (frame[c].to_numpy().reshape(traces, -1) for c in ("work", "gap"))
    backlog, found = np.zeros((traces, 4)), np.zeros_like(work)
    rows = np.arange(traces)
    for step in range(work.shape[1]):
        server = backlog.argmin(1)
        found[:, step] = backlog[rows, server] + work[:, step]
        backlog[rows, server] += work[:, step]
        backlog = np.maximum(backlog - gap[:, [step]], 0)
    return found.ravel()


def test_the_expert_keeps_what_is_learned_and_rolls_what_is_known(simulator: Simulator) -> None:
    done = expert(POLICIES["least"], Routed.declaration, simulator.recorded)
    frame = simulator.run({"expert": done}).frames["expert"]
    np.testing.assert_allclose(frame["work"], simulator.recorded["work"])
    np.testing.assert_allclose(frame["latency"], _rolled(simulator.recorded))


def test_a_network_without_latents_repeats_what_it_is_given(simulator: Simulator) -> None:
    frame = supervised(
        simulator,
        POLICIES["least"],
        learned_on=Recorded(simulator),
        keys=("trace", "step"),
        seed=0,
    ).frame("supervised")
    recorded = simulator.recorded
    assert np.corrcoef(frame["work"], recorded["work"])[0, 1] > 0.95
    true = recorded["work"] * RATES[frame["server"]] / RATES[recorded["server"]]
    ours = simulator.run({"least": POLICIES["least"]}).frames["least"]
    ours_true = recorded["work"] * RATES[ours["server"]] / RATES[recorded["server"]]
    wrong = (frame["work"] / true - 1).abs().median()
    assert wrong > 10 * (ours["work"] / ours_true - 1).abs().median()
    assert list(frame.columns) == list(recorded.columns)
    assert (frame["latency"] >= 0).all()


def test_all_baselines_stand_beside_the_simulator() -> None:
    found = cs.validate(
        Routed, routed(120, 20), policies=POLICIES, metrics=["latency", "p90 latency"],
        only=["least"],
    )["least"]  # fmt: skip
    assert {"replay", "expert", "supervised"} <= set(found["p90 latency"].baselines)
    assert all({"replay", "expert", "supervised"} == set(law.baselines) for law in found.laws)
