"""A guard does what it says, and nothing while all is well; validation tells what that is worth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, Normal

import causalsys as cs
from causalsys.errors import InterventionError, QueryError, UnknownNameError
from causalsys.replace.guarded import Guarded
from causalsys.replace.guarded_counters import FAILED
from causalsys.replace.guarded_hold import Hold
from causalsys.replace.guarded_report import validate_guard
from causalsys.replace.rails import KnownBad, Limits, Proposal, Uncertain, Unusual, When

FACTOR = np.array([1.0, 1.7, 3.5])


class Server(cs.SCM):
    """Threads serve what waits; heat, which nobody logs and which lasts, makes them dear."""

    arm = cs.Arm()
    heat = cs.Latent(cs.Positive())
    arrivals = cs.Observed(cs.Positive("req"), mechanism=cs.Marginal())
    waiting = cs.State(cs.Positive("req"))
    threads = cs.Decision(cs.Categorical(3), parents=[arm, waiting], mechanism=cs.Logged())
    cost = cs.Observed(cs.Positive(), parents=[heat, threads], mechanism=cs.Linear(link="log"))

    @cs.equation(cs.Real())
    def reward(cost, waiting):
        return 10 - cost - 0.5 * waiting

    @cs.transition(waiting)
    def later(waiting, threads, arrivals):
        return (waiting - 2.0**threads).clamp(min=0) + arrivals


def log_of(*, traces: int = 40, steps: int = 40, seed: int = 0, heat: float = 0.0) -> pd.DataFrame:
    """A log of two random policies; `heat` is added to its logarithm."""
    rng = np.random.default_rng(seed)
    noise, waiting, rows = np.zeros(traces), np.zeros(traces), []
    for step in range(steps):
        noise = 0.95 * noise + 0.3 * rng.normal(size=traces)
        code, arrivals = rng.integers(3, size=traces), rng.exponential(1.5, traces)
        code = np.where((np.arange(traces) % 2 == 0) & (rng.random(traces) < 0.5), 0, code)
        cost = np.exp(noise + heat) * FACTOR[code]
        rows.append(
            pd.DataFrame(
                {
                    "trace": np.arange(traces),
                    "step": step,
                    "arm": np.where(np.arange(traces) % 2, "random", "idle"),
                    "arrivals": arrivals,
                    "waiting": waiting,
                    "threads": code,
                    "cost": cost,
                    "reward": 10 - cost - 0.5 * waiting,
                }
            )
        )
        waiting = np.maximum(waiting - 2.0**code, 0) + arrivals
    return pd.concat(rows).sort_values(["trace", "step"], ignore_index=True)


@pytest.fixture(scope="module")
def log() -> pd.DataFrame:
    return log_of()


@pytest.fixture(scope="module")
def fitted(log: pd.DataFrame) -> cs.FittedSCM:
    return Server.fit(log, seed=0, ensemble=1)


def eager(waiting: Tensor) -> Tensor:
    return torch.full_like(waiting, 2, dtype=torch.int64)


def careful(waiting: Tensor) -> Tensor:
    return torch.bucketize(waiting, torch.tensor([2.0, 4.0], dtype=torch.float64)).clamp(max=1)


def codes(fitted: cs.FittedSCM, log: pd.DataFrame, policy: object) -> np.ndarray:
    """Decisions under a policy, `[trace, step]`."""
    found = cs.simulate(fitted, log, policies={"one": policy}).frames["one"]
    return found["threads"].to_numpy().reshape(log["trace"].nunique(), -1)


def test_without_an_alarm_it_is_the_policy(fitted: cs.FittedSCM, log: pd.DataFrame) -> None:
    guarded = Guarded(eager, careful, rails=[lambda waiting: waiting < 0])
    np.testing.assert_array_equal(codes(fitted, log, guarded), codes(fitted, log, eager))
    assert guarded.counters.steps == len(log)
    assert guarded.counters.fallback == guarded.counters.trips == 0


def test_with_an_alarm_at_every_step_it_is_the_fallback(
    fitted: cs.FittedSCM, log: pd.DataFrame
) -> None:
    guarded = Guarded(eager, careful, rails=[When(lambda waiting: waiting >= 0, name="always")])
    np.testing.assert_array_equal(codes(fitted, log, guarded), codes(fitted, log, careful))
    assert guarded.counters.share == 1.0
    assert guarded.counters.rails == {"always": len(log), FAILED: 0}
    assert guarded.counters.trips == log["trace"].nunique()


def test_hysteresis_trips_holds_and_gives_back() -> None:
    alarms = [0, 1, 0, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
    hold, state, active = Hold(trip=2, of=3, least=4, clean=2), None, []
    for alarm in alarms:
        state = hold.step(state, torch.tensor([bool(alarm)]))
        active.append(int(state.active))
    # Two of three at the fourth; held for four; then two of three again at the tenth.
    assert active == [0, 0, 0, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0]


def test_it_gives_back_only_after_clean_steps() -> None:
    hold, state, active = Hold(least=1, clean=3), None, []
    for alarm in [1, 0, 0, 1, 0, 0, 0, 0]:
        state = hold.step(state, torch.tensor([bool(alarm)]))
        active.append(int(state.active))
    assert active == [1, 1, 1, 1, 1, 1, 0, 0]


def test_traces_of_different_length_keep_their_own_state(fitted: cs.FittedSCM) -> None:
    log = log_of(traces=6, steps=20, seed=3)
    short = log[(log["trace"] % 2 == 0) | (log["step"] < 9)].reset_index(drop=True)
    guarded = Guarded(eager, careful, rails=[lambda waiting: waiting > 3], hold=Hold(least=4))
    whole = cs.simulate(fitted, log, policies={"one": guarded}).frames["one"]
    part = cs.simulate(fitted, short, policies={"one": guarded}).frames["one"]
    both = part.merge(whole, on=["trace", "step"])
    assert len(both) == len(part)
    np.testing.assert_array_equal(both["threads_x"], both["threads_y"])


def test_a_policy_that_raises_is_replaced_and_counted(
    fitted: cs.FittedSCM, log: pd.DataFrame
) -> None:
    def breaks(waiting: Tensor, memory: int | None = None) -> tuple[Tensor, int]:
        step = memory or 0
        if step >= 3:
            raise ZeroDivisionError("no such luck")
        return eager(waiting), step + 1

    guarded = Guarded(breaks, careful)
    found = codes(fitted, log, guarded)
    assert (found[:, :3] == 2).all()
    assert (found[:, 3:] < 2).all()
    assert guarded.counters.failures == "no such luck"
    assert guarded.counters.rails[FAILED] == 37 * 40


@pytest.mark.parametrize("wrong", [float("nan"), 7.0, 0.5, -1.0])
def test_decisions_outside_the_support_are_a_failure(wrong: float) -> None:
    guarded = Guarded(
        lambda waiting: torch.where(waiting > 1, wrong, 2.0),
        lambda waiting: torch.zeros_like(waiting),
        support=cs.Categorical(3),
        hold=Hold(least=1, clean=1),
    )
    decisions, _ = guarded(waiting=torch.tensor([0.0, 2.0]))
    assert decisions.tolist() == [2.0, 0.0]
    assert guarded.counters.rails[FAILED] == 1


def test_a_wrong_shape_and_a_law_that_cannot_be_weighed_are_failures() -> None:
    waiting = torch.zeros(1, 3)
    for policy in (
        lambda waiting: torch.zeros(5),
        lambda waiting: Normal(waiting, 1.0),
        lambda waiting: "up",
    ):
        guarded = Guarded(policy, lambda waiting: waiting + 1)
        assert guarded(waiting=waiting)[0].tolist() == [[1, 1, 1]]
        assert guarded.counters.rails[FAILED] == 3


def test_what_the_fallback_raises_is_raised(fitted: cs.FittedSCM, log: pd.DataFrame) -> None:
    def broken(waiting: Tensor) -> Tensor:
        raise ValueError("below it there is nothing")

    with pytest.raises(InterventionError, match="nothing"):
        codes(fitted, log, Guarded(eager, broken))


def test_random_policies_draw_the_same_under_guard(fitted: cs.FittedSCM, log: pd.DataFrame) -> None:
    def drawn(waiting: Tensor) -> Categorical:
        probs = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
        return Categorical(probs=probs.expand(*waiting.shape, 3))

    guarded = Guarded(drawn, careful, rails=[lambda waiting: waiting > 4], hold=Hold(least=1))
    found = cs.simulate(fitted, log, policies={"own": drawn, "watched": guarded}).frames
    assert 0 < guarded.counters.share < 1
    # By the same luck: where no queue ever alarms, nothing differs.
    quiet = found["own"].groupby("trace")["waiting"].transform("max") <= 4
    assert 0 < quiet.mean() < 1
    np.testing.assert_array_equal(
        found["own"]["threads"][quiet], found["watched"]["threads"][quiet]
    )


def test_entropy_and_ensembles_tell_uncertainty() -> None:
    sure, even = torch.tensor([0.98, 0.01, 0.01]), torch.ones(3) / 3
    chances = torch.stack([sure, even])
    proposal = Proposal(chances.argmax(-1), chances, 0)
    assert Uncertain(most=0.5).judge(proposal, []).alarm.tolist() == [False, True]
    rail = Uncertain(most=0.5, ensemble=[lambda waiting: waiting, lambda waiting: waiting + 1])
    guarded = Guarded(lambda waiting: waiting * 2, lambda waiting: waiting, rails=[rail])
    guarded(waiting=torch.tensor([0.0, 1.0, 5.0]))
    # Of 0 half the members differ, of 1 half, of 5 both.
    assert guarded.counters.rails["uncertain"] == 1
    with pytest.raises(InterventionError, match="entropy"):
        Uncertain().judge(Proposal(torch.zeros(2), None, 0), [])


def test_limits_clip_to_the_nearest_or_fall_back() -> None:
    allowed = torch.tensor([[True, True, False], [False, True, True], [False, False, False]])
    proposal = Proposal(torch.tensor([2, 0, 1]), None, 0)
    clipped = Limits("limit", lambda: allowed).judge(proposal, allowed)
    assert clipped.proposal.decision.tolist() == [1, 1, 1]
    assert clipped.alarm.tolist() == [False, False, True]
    other = Limits("limit", lambda: allowed, "fall back").judge(proposal, allowed)
    assert other.alarm.tolist() == [True, True, True]
    assert other.at_once


def test_clipping_a_draw_moves_its_mass() -> None:
    chances = torch.tensor([[0.2, 0.3, 0.5]])
    allowed = torch.tensor([[True, True, False]])
    found = Limits("limit", lambda: allowed).judge(Proposal(torch.tensor([2]), chances, 0), allowed)
    torch.testing.assert_close(found.proposal.chances, torch.tensor([[0.2, 0.8, 0.0]]))


def test_interventional_limits_are_the_true_quantiles(
    fitted: cs.FittedSCM, log: pd.DataFrame
) -> None:
    rail = Limits.from_model(
        fitted, "threads", log, outcome="cost", at_most=6.0, given=[cs.past("cost")], level=0.8,
        bins=2,
    )  # fmt: skip
    table = rail.function.table
    # Under do, what a level costs more than another is its factor, whatever was logged with it.
    ratios = table / table[:1]
    expected = torch.tensor(FACTOR).unsqueeze(-1).expand(3, 2)
    torch.testing.assert_close(ratios, expected, rtol=0.05, atol=0)
    # The context tells: heat lasts, so what was dear stays dear.
    assert (table[:, 1] > 1.3 * table[:, 0]).all()
    allowed = rail.function(seen=None, **{_only(rail): torch.tensor([0.1, 50.0])})
    assert allowed[0].sum() >= allowed[1].sum()
    assert allowed[:, 0].all()  # the cheapest is always allowed


def _only(rail: Limits) -> str:
    (name,) = rail.function.__signature__.parameters
    return name


@pytest.mark.parametrize("outcome", ["reward", "waiting"])
def test_outcomes_that_earlier_decisions_reach_are_refused(
    fitted: cs.FittedSCM, log: pd.DataFrame, outcome: str
) -> None:
    with pytest.raises(QueryError, match="earlier decisions"):
        Limits.from_model(
            fitted, "threads", log, outcome=outcome, at_most=1.0, given=[cs.past("cost")]
        )


def test_an_unusual_latent_is_no_unusual_input(fitted: cs.FittedSCM, log: pd.DataFrame) -> None:
    rail = Unusual.from_model(fitted, "heat", log, level=0.05, steps=3, tail="high")
    guarded = Guarded(eager, careful, rails=[rail], hold=Hold(least=1, clean=1))
    codes(fitted, log_of(seed=5), guarded)
    usual = guarded.counters.rails["unusual heat"] / guarded.counters.steps
    # Of 5 %, on other traces: heat lasts, so 40 traces have the worth of some 100 draws.
    assert usual < 0.12
    guarded.reset()
    codes(fitted, log_of(seed=6, heat=2.5), guarded)
    assert guarded.counters.rails["unusual heat"] / guarded.counters.steps > 0.7
    with pytest.raises(UnknownNameError):
        Unusual.from_model(fitted, "heart", log)
    with pytest.raises(QueryError, match="200 at least"):
        Unusual.from_model(fitted, "heat", log[log["trace"] < 2])


def test_a_slice_found_in_a_table_is_a_rail(fitted: cs.FittedSCM, log: pd.DataFrame) -> None:
    class Long:
        def holds(self, rows: pd.DataFrame) -> pd.Series:
            return (rows["waiting"] > 3) & (rows["before"] >= 0)

        def __str__(self) -> str:
            return "long queue"

    rail = KnownBad(Long(), columns={"waiting": "waiting", "before": cs.past("cost")})
    guarded = Guarded(eager, careful, rails=[rail], hold=Hold(least=1, clean=1))
    found = cs.simulate(fitted, log, policies={"one": guarded}).frames["one"]
    late = (found["step"] > 0).to_numpy()
    long = (found["waiting"] > 3).to_numpy()
    assert guarded.counters.rails["long queue"] == int((late & long).sum())
    np.testing.assert_array_equal(found["threads"][late & ~long], 2)
    assert (found["threads"][late & long] == 1).all()


def test_validation_recommends_by_its_rule(fitted: cs.FittedSCM, log: pd.DataFrame) -> None:
    hot = log_of(seed=7, heat=2.5)
    rail = Unusual.from_model(fitted, "heat", log, level=0.01, steps=2, tail="high")
    guarded = Guarded(eager, careful, rails=[rail], hold=Hold(least=10, clean=10))
    report = validate_guard(
        fitted, log_of(seed=8), guarded, objective="reward", failing={"hot": hot}, keep=0.9,
        lose=0.2, scale=1.0,
    )  # fmt: skip
    (trial,) = report.failing
    assert report.usual.counters.share < 0.3
    assert trial.counters.share > 0.8
    assert trial.policy.value < trial.guarded.value
    by_hand = (trial.fallback.value - trial.guarded.value) / max(abs(trial.fallback.value), 1.0)
    assert trial.lost.value == pytest.approx(by_hand)
    assert trial.lost.low <= trial.lost.value <= trial.lost.high
    assert report.on == (report.usual.kept.value >= 0.9 and trial.lost.value <= 0.2)
    assert guarded.counters.steps == 0  # its own count stays
    assert list(report.to_frame().index) == ["in distribution", "hot"]
    assert "hot (40 traces)" in str(report)
    never = Guarded(eager, careful)
    assert not validate_guard(
        fitted, log, never, objective="reward", failing={"hot": hot}, lose=0.05
    ).on


def test_a_policy_that_fails_alone_is_reported(fitted: cs.FittedSCM, log: pd.DataFrame) -> None:
    guarded = Guarded(lambda waiting: waiting * torch.nan, careful)
    report = validate_guard(fitted, log, guarded, objective="reward")
    assert report.usual.policy is None
    assert report.usual.counters.share == 1.0
    assert not report.on
    assert "policy failed" in str(report.usual.counters)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Guarded("up", careful), "policy: a str"),
        (lambda: Guarded(eager, 3), "fallback: a int"),
        (lambda: Guarded(eager, careful, rails="buffer"), "rails: a str"),
        (lambda: Guarded(eager, careful, rails=[3]), "a int as a rail"),
        (lambda: Guarded(eager, careful, hold=3), "hold: a int"),
        (lambda: Guarded(eager, careful, rails=[When(eager), When(eager)]), "two rails named"),
        (lambda: Guarded(eager, careful, rails=[lambda memory=None: memory]), "with a memory"),
        (lambda: Guarded(lambda *read: 0, careful), r"the argument \*read"),
        (lambda: Hold(trip=3, of=2), "3 alarms wanted of 2"),
        (lambda: Hold(least=0), "0 steps"),
        (lambda: Uncertain(most=2.0), "Give a share"),
        (lambda: KnownBad(3, columns=["waiting"]), "does not say in which rows"),
    ],
)
def test_bad_parts_are_refused(make: object, told: str) -> None:
    with pytest.raises(InterventionError, match=told):
        make()


def test_unknown_names_and_numbers_for_alarms_are_refused(
    fitted: cs.FittedSCM, log: pd.DataFrame
) -> None:
    with pytest.raises(UnknownNameError, match="wating"):
        codes(fitted, log, Guarded(eager, careful, rails=[lambda wating: wating > 1]))
    with pytest.raises(InterventionError, match="as booleans"):
        codes(fitted, log, Guarded(eager, careful, rails=[lambda waiting: waiting + 2]))
    with pytest.raises(QueryError, match="Guarded"):
        validate_guard(fitted, log, eager, objective="reward")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"level": "high"}, "level"),
        ({"level": 1.0}, "level"),
        ({"bins": 0}, "bins"),
        ({"act": "stop"}, "act"),
    ],
)
def test_arguments_of_limits_that_cannot_be_are_refused(
    fitted: cs.FittedSCM, log: pd.DataFrame, changed: dict[str, object], told: str
) -> None:
    with pytest.raises(QueryError) as caught:
        Limits.from_model(
            fitted, "threads", log, outcome="cost", at_most=6.0, given=[cs.past("cost")], **changed
        )  # fmt: skip
    assert caught.value.variable == told


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"keep": "all"}, "keep"),
        ({"lose": -0.1}, "lose"),
        ({"level": 90}, "level"),
        ({"failing": ["hot"]}, "failing"),
    ],
)
def test_arguments_of_a_validation_that_cannot_be_are_refused(
    fitted: cs.FittedSCM, log: pd.DataFrame, changed: dict[str, object], told: str
) -> None:
    with pytest.raises(QueryError) as caught:
        validate_guard(fitted, log, Guarded(eager, careful), objective="reward", **changed)
    assert caught.value.variable == told
