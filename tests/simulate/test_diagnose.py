"""What traces can tell, in words."""

import numpy as np
import pandas as pd
import pytest

import causalsys as cs
from causalsys.errors import UnknownNameError
from causalsys.simulate.diagnose import diagnose


def words(found) -> str:
    return "\n".join(str(each) for each in found)


def test_a_trial_is_described(fitted, served) -> None:
    (found,) = diagnose(fitted, served.log)
    assert (found.variable, found.constraint) == ("cost", "sequential")
    about = {remark.about for remark in found.remarks}
    assert {"arms", "overlap", "regimes", "balance", "precision"} <= about
    assert "alike in all arms" in str(found)


def test_an_arm_that_never_changes_its_action_adds_nothing(fitted, served) -> None:
    still = served.log.drop(columns="loss")
    still.loc[still["arm"] == "slow", "threads"] = 1
    assert "arm slow never changes threads within a trace" in words(diagnose(fitted, still))


def test_actions_that_no_trace_connects_are_named(fitted, served) -> None:
    apart = served.log[served.log["arm"] == "slow"].drop(columns="loss")
    apart["threads"] = np.where(apart["trace"] % 4 < 2, 4, apart["threads"])
    told = words(diagnose(fitted, apart))
    assert "never both used within one trace" in told
    assert "between them nothing is compared" in told


def test_arms_that_differ_in_the_latent_are_told(fitted, served) -> None:
    """The heat of one arm doubled: no trial has that but by chance below 1 %."""
    biased = served.log.drop(columns="loss")
    biased.loc[biased["arm"] == "queue", "cost"] *= 6
    assert "not alike in all arms" in words(diagnose(fitted, biased))


def test_a_model_without_lasting_latents_has_nothing_to_diagnose(served) -> None:
    class Plain(cs.SCM):
        arrivals = cs.Observed(cs.Positive())

    with pytest.raises(UnknownNameError, match="lasting latent"):
        diagnose(Plain.fit(served.log[["arrivals"]]), served.log)


def test_by_arms_alone_traces_of_one_action_do_compare() -> None:
    """What neighbours in time could tell is not spoken of where a policy sees the latent."""

    class Peeking(cs.SCM):
        arm = cs.Arm()
        heat = cs.Latent(cs.Positive())
        waiting = cs.State(cs.Real(), initial=0.0)
        threads = cs.Decision(
            cs.Categorical([1, 2]), parents=[arm, heat, waiting], mechanism=cs.Logged()
        )
        cost = cs.Observed(cs.Positive(), parents=[heat, threads], mechanism=cs.Multiplicative())

        @cs.transition(waiting)
        def later(waiting, cost):
            return 0.5 * waiting + cost.log()

    rng = np.random.default_rng(0)
    trace = np.repeat(np.arange(90), 30)
    arm = np.array(["one", "two", "hot"])[trace % 3]
    heat = rng.normal(size=len(trace))
    threads = np.select([arm == "one", arm == "two"], [1, 2], np.where(heat > 1, 2, 1))
    log = pd.DataFrame({"trace": trace, "step": np.tile(np.arange(30), 90), "arm": arm})
    log["threads"], log["cost"] = threads, np.exp(heat) * np.where(threads == 2, 3.0, 1.0)
    (found,) = diagnose(Peeking.fit(log, seed=0), log)
    assert found.constraint == "arms"
    assert {remark.about for remark in found.remarks}.isdisjoint({"overlap", "shape"})
    assert "adds nothing" not in str(found)
