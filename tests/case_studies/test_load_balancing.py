"""The generator of the load-balancing study, held against code that shares nothing with it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from case_studies.load_balancing.system import Truth, generate, simulate_true

LOG = tuple[pd.DataFrame, Truth]


@pytest.fixture(scope="module")
def log() -> LOG:
    return generate(64, 150, seed=5)


def _grid(frame: pd.DataFrame, column: str) -> np.ndarray:
    return frame[column].to_numpy().reshape(frame["trace"].nunique(), -1)


def test_more_traces_and_steps_leave_the_first_as_they_were(log: LOG) -> None:
    longer, _ = generate(80, 200, seed=5)
    same = longer[(longer["trace"] < 64) & (longer["step"] < 150)].reset_index(drop=True)
    pd.testing.assert_frame_equal(same, log[0])


def test_an_arm_meets_its_own_record(log: LOG) -> None:
    frame, truth = log
    for arm, rows in frame.groupby("arm"):
        again = simulate_true(truth, str(arm)).loc[rows.index]
        pd.testing.assert_frame_equal(again, rows)


def test_every_arm_has_as_many_traces(log: LOG) -> None:
    assert (log[0].groupby("arm")["trace"].nunique() == 4).all()
    assert log[0]["arm"].nunique() == 16


def test_the_numbers_are_those_of_the_problem() -> None:
    """Exp(50 ms) between jobs, and a load of 0.6 where servers are picked evenly."""
    loads, gaps = [], []
    for seed in range(40):
        _, truth = generate(400, 4, seed=seed)
        load = truth.size.mean() * truth.servers.rates.mean() / 8 / 50
        loads.append(load)
        gaps.append(truth.gap.mean())
        assert 0.2 <= truth.servers.rates.min() <= truth.servers.rates.max() <= 5
    # 400 traces of one regime each: 4 % of the mean for a seed, .7 % for forty; clipping adds .2 %.
    assert np.mean(loads) == pytest.approx(0.6, rel=0.03)
    assert np.mean(gaps) == pytest.approx(50, rel=0.02)


def test_queues_are_served_in_order(log: LOG) -> None:
    """Latency by the Lindley recursion of each server, written out."""
    frame, _ = log
    for _, rows in frame.groupby("trace"):
        free, now = np.zeros(8), 0.0
        for server, gap, work, latency in rows[["server", "gap", "work", "latency"]].to_numpy():
            end = max(free[int(server)], now) + work
            assert latency == pytest.approx(end - now, abs=1e-6)
            free[int(server)] = end
            now += gap


@pytest.mark.parametrize("rank_one", [True, False])
def test_compiled_code_agrees(rank_one: bool) -> None:
    compiled = pytest.importorskip("benchmarks.simulation.truth", exc_type=ImportError)
    _, truth = generate(32, 120, seed=2, rank_one=rank_one)
    for arm in truth.policies:
        frame = simulate_true(truth, arm)
        server, work, latency = compiled.simulate(truth, arm)
        np.testing.assert_array_equal(_grid(frame, "server"), server, err_msg=arm)
        np.testing.assert_allclose(_grid(frame, "work"), work, rtol=1e-12, err_msg=arm)
        # Sums of up to 10^5 ms, in another order.
        np.testing.assert_allclose(_grid(frame, "latency"), latency, atol=1e-8, err_msg=arm)


def test_work_of_another_rank_does_not_factor() -> None:
    _, truth = generate(16, 10, seed=2, rank_one=False)
    small, large = (truth.servers.work(np.arange(8), size) for size in (5.0, 200.0))
    assert np.ptp(np.log(large / small)) > 0.5


def test_a_policy_that_sees_the_size_sends_large_jobs_elsewhere() -> None:
    frame, truth = generate(64, 200, seed=2, redraw=0.1, sees_size=True)
    rows = frame[frame["arm"] == "size_aware"]
    size = truth.size.T.ravel()[rows.index]
    large = size > np.median(truth.size)
    assert not set(rows["server"][large]) & set(rows["server"][~large])
