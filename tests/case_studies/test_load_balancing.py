"""The generator of the load-balancing study, held against code that shares nothing with it."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import causalsys as cs
from case_studies.load_balancing.__main__ import report
from case_studies.load_balancing.picture import draw
from case_studies.load_balancing.study import Study, run
from case_studies.load_balancing.system import Truth, generate, simulate_true
from models.load_balancing import LoadBalancer

mpl.use("Agg")

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
    for seed in range(20):
        _, truth = generate(400, 4, seed=seed)
        load = truth.size.mean() * truth.servers.rates.mean() / 8 / 50
        loads.append(load)
        gaps.append(truth.gap.mean())
        assert 0.2 <= truth.servers.rates.min() <= truth.servers.rates.max() <= 5
    # 400 traces of one regime each: 4 % of the mean a seed, .9 % for twenty; clipping adds .2 %.
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


@pytest.fixture(scope="module")
def study() -> Study:
    return run(128, 200, seed=0)


def test_the_left_out_policy_is_simulated_as_it_is(study: Study) -> None:
    """120 traces of 200 jobs give the servers to within .4 %; means are less chaotic than jobs."""
    found = study.table.loc["causalsys"]
    assert study.target not in set(study.log["arm"])
    assert study.rate_error < 1
    assert found["one-step error, work [%]"] < 1
    assert abs(found["its bias [%]"]) < 2
    for baseline in ("ExpertSim", "replay"):
        assert study.table.loc[baseline, "one-step error, work [%]"] > 50
        assert study.table.loc[baseline, "its bias [%]"] > 50


def test_roll_out_errors_are_what_chaos_makes_of_the_rates(study: Study) -> None:
    error = "roll-out error, work [%]"
    assert study.table.loc["causalsys", error] < 2 * study.table.loc["floor", error]


def test_the_simulation_has_the_recorded_columns_for_the_same_jobs(study: Study) -> None:
    simulated, truth = study.runs["causalsys"], study.runs["truth"]
    assert list(simulated.columns) == list(study.log.columns)
    same = ["trace", "step", "arm", "gap"]
    pd.testing.assert_frame_equal(simulated[same], study.log[same])
    pd.testing.assert_frame_equal(truth[same], study.log[same])


def test_the_page_shows_every_way_of_simulating(study: Study) -> None:
    figure = draw(study)
    shown = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert shown == ["record (replay)", "ExpertSim", "simulated (causalsys)", "truth"]
    assert all(ax.get_xlabel() and ax.get_ylabel() for ax in figure.axes)
    html = report(study, figure, seed=0)
    plt.close(figure)
    assert study.sentence in html
    assert all(f"<td>{way}</td>" in html for way in ("causalsys", "ExpertSim", "replay", "floor"))


class SeesSizes(cs.SCM):
    """The load balancer, by someone who knows that a policy looks at the job."""

    arm = cs.Arm()
    job_size = cs.Latent(cs.Positive())
    gap = cs.Observed(cs.Positive("ms"))
    queues = cs.State(cs.Fifo(8, "ms"))

    @cs.equation(cs.Count("jobs", size=8))
    def waiting(queues):
        return queues.waiting

    server = cs.Decision(
        cs.Categorical(range(8)), parents=[arm, waiting, job_size], mechanism=cs.Logged()
    )
    work = cs.Observed(cs.Positive("ms"), parents=[job_size, server], mechanism=cs.Multiplicative())

    @cs.transition(queues)
    def serve(queues, server, work, gap):
        return queues.push(server, work).after(gap)


def test_where_a_policy_sees_the_size_only_arms_are_compared() -> None:
    frame, _ = generate(160, 100, seed=2, redraw=0.1, sees_size=True)
    log = cs.Traces(frame.drop(columns="latency"))
    for model, under in ((SeesSizes, "randomised arms"), (LoadBalancer, "sequential exogeneity")):
        traces = log if model is SeesSizes else cs.Traces(frame)
        fitted = model.fit(traces, seed=0)
        found = cs.simulate(
            fitted, traces, policies={"shortest": lambda waiting: waiting.argmin(-1)}
        )
        told = [assumption.name for assumption in found.verdicts["work"].assumptions]
        assert under in told
        assert not {"randomised arms", "sequential exogeneity"} - {under} & set(told)
