"""A bad cell of traces is told by its step and trace, before any number."""

import numpy as np
import pandas as pd
import pytest

import causalsys as cs
from causalsys.data.read import read
from causalsys.data.schema import Schema
from causalsys.errors import DataError, OutsideSupportError


class Queue(cs.SCM):
    """Two servers with queues that are carried."""

    arm = cs.Arm()
    size = cs.Latent(cs.Positive())
    gap = cs.Observed(cs.Positive("ms"))
    queues = cs.State(cs.Fifo(2, "ms"))

    @cs.equation(cs.Count("jobs", size=2))
    def waiting(queues):
        """Jobs on each server."""
        return queues.waiting

    server = cs.Decision(cs.Categorical(range(2)), parents=[arm, waiting], mechanism=cs.Logged())
    work = cs.Observed(cs.Positive("ms"), parents=[size, server], mechanism=cs.Multiplicative())

    @cs.transition(queues)
    def serve(queues, server, work, gap):
        """One arrival later."""
        return queues.push(server, work).after(gap)


def log(traces: int = 14, steps: int = 20) -> pd.DataFrame:
    """Traces whose steps are numbered from 700 on."""
    rng, rows = np.random.default_rng(0), traces * steps
    trace = np.repeat(np.arange(traces), steps)
    return pd.DataFrame(
        {
            "trace": trace,
            "step": np.tile(np.arange(steps) + 700, traces),
            "arm": np.where(trace % 2, "a", "b").astype(object),
            "gap": rng.exponential(50, rows),
            "server": rng.integers(2, size=rows).astype(object),
            "work": rng.uniform(5, 50, rows),
        }
    )


@pytest.mark.parametrize("seed", [None, 0])
@pytest.mark.parametrize(
    ("column", "value", "error", "told"),
    [
        ("work", np.nan, DataError, r"work: a missing value in row \d+ \(step 713 of trace 12\)"),
        ("gap", np.nan, DataError, r"gap: a missing value .*\(step 713 of trace 12\)"),
        ("server", None, DataError, r"server: a missing value .*\(step 713 of trace 12\)"),
        ("server", 8, OutsideSupportError, r"the level 8 .*\(step 713 of trace 12\)"),
        ("work", -1.0, OutsideSupportError, r"-1 .*\(step 713 of trace 12\)"),
        ("work", np.inf, DataError, r"infinite value .*\(step 713 of trace 12\)"),
        ("arm", None, DataError, r"arm: no arm is named in .*\(step 713 of trace 12\)"),
        ("arm", "c", DataError, r"arm: another value in .*\(step 713 of trace 12\)"),
    ],
)
def test_a_bad_cell_is_told_by_step_and_trace(column, value, error, told, seed) -> None:
    bad = log()
    bad.loc[(bad["trace"] == 12) & (bad["step"] == 713), column] = value
    if seed is not None:
        bad = bad.sample(frac=1.0, random_state=seed)
    with pytest.raises(error, match=told):
        read(Schema.learn(Queue.declaration, bad), bad)


def test_a_gap_in_the_steps_is_told_without_types() -> None:
    rows = log()
    bad = rows[(rows["trace"] != 12) | (rows["step"] != 713)]
    with pytest.raises(DataError, match=r"at step 714 of trace 12\. "):
        Queue.fit(bad)


def test_one_arm_is_told_in_its_own_words() -> None:
    with pytest.raises(DataError, match=r"arm: one arm only \(a\)\. Log at least two"):
        Queue.fit(log().assign(arm="a"))


def test_rows_that_name_no_arm_are_asked_all_the_same_where_its_choices_are_only_replaced() -> None:
    rows = log()
    fitted = Queue.fit(rows, ensemble=1)
    told, bare = (
        fitted.counterfactual(each, do={"server": 1}).mean("work")
        for each in (rows, rows.drop(columns="arm"))
    )
    np.testing.assert_allclose(told, bare)
