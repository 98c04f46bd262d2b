"""What people do on their first day, and what they then see."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

import causalsys as cs
from causalsys.errors import MissingColumnError, QueryError


class Queue(cs.SCM):
    """Jobs come and wait; some workers take two from the queue in a step."""

    jobs = cs.Observed(cs.Positive())
    backlog = cs.State(cs.Positive(), initial=0.0)
    workers = cs.Decision(cs.Categorical(3), parents=[backlog])

    @cs.equation(cs.Positive())
    def delay(backlog, jobs):
        return backlog + jobs

    @cs.transition(backlog)
    def drain(backlog, jobs, workers):
        return (backlog + jobs - workers).clamp(min=0)


@pytest.fixture(scope="module")
def log() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = []
    for trace in range(40):
        backlog = 0.0
        for step in range(15):
            jobs, workers = rng.exponential(1.0), int(rng.integers(3))
            rows.append((trace, step, jobs, backlog, workers, backlog + jobs))
            backlog = max(backlog + jobs - workers, 0.0)
    return pd.DataFrame(rows, columns=["trace", "step", "jobs", "backlog", "workers", "delay"])


@pytest.fixture(scope="module")
def fitted(log: pd.DataFrame) -> cs.FittedSCM:
    return Queue.fit(cs.Traces(log))


def test_a_log_may_begin_in_the_middle(fitted: cs.FittedSCM, log: pd.DataFrame) -> None:
    late = log[log["step"] >= 7]
    answer = fitted.counterfactual(cs.Traces(late), do={"jobs": lambda jobs: jobs})
    assert answer.mean("delay") == pytest.approx(late["delay"].to_numpy())


def test_worlds_that_read_alike_are_told_apart(fitted: cs.FittedSCM, log: pd.DataFrame) -> None:
    both = [{"workers": lambda backlog: 0 * backlog}, {"workers": lambda backlog: 0 * backlog + 2}]
    answer = fitted.counterfactual(cs.Traces(log), do=both)
    assert answer.worlds == ("workers := a function (1)", "workers := a function (2)")
    assert answer.average("delay", world=0).value > answer.average("delay", world=1).value


def test_true_is_no_place_among_three_levels(fitted: cs.FittedSCM, log: pd.DataFrame) -> None:
    with pytest.raises(QueryError, match=r"workers: true or false for one of 3 levels.*where"):
        fitted.counterfactual(cs.Traces(log), do={"workers": lambda backlog: backlog > 5})


def test_intervals_stay_in_the_support(fitted: cs.FittedSCM) -> None:
    answer = fitted.sample(50, steps=3)
    assert answer.interval("jobs").min() >= 0


def test_what_is_printed_is_short(fitted: cs.FittedSCM, log: pd.DataFrame) -> None:
    answer = fitted.counterfactual(cs.Traces(log), do={"workers": 1})
    assert len(repr(answer)) < 300
    assert len(repr(fitted)) < 1000
    assert "tensor" not in repr(fitted) + repr(answer)


class Pair(cs.SCM):
    """A vector and what follows from it."""

    ends = cs.Observed(cs.Real(size=2), mechanism=cs.Linear())
    length = cs.Observed(cs.Real(), parents=[ends], mechanism=cs.Linear())


def test_evidence_that_is_nearly_right_is_not_passed_over() -> None:
    rng = np.random.default_rng(1)
    data = pd.DataFrame(rng.normal(size=(60, 3)), columns=["ends_0", "ends_1", "length"])
    fitted = Pair.fit(data)
    with pytest.raises(MissingColumnError, match=r"ends: one column for a vector.*ends_0, ends_1"):
        fitted.counterfactual(pd.DataFrame({"ends": [[1.0, 2.0]]}), do={"length": 0.0})
    with pytest.raises(MissingColumnError, match=r"length: .*Did you mean 'lengths'"):
        fitted.counterfactual(data.rename(columns={"length": "lengths"}), do={"ends": [0.0, 0.0]})
    with pytest.raises(QueryError, match=r"ends: a vector"):
        fitted.counterfactual(data, do={"length": 0.0}).plot("ends")
    assert torch.isfinite(fitted.counterfactual(data, do={"length": 0.0}).values["length"]).all()
