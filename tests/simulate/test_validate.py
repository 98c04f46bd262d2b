"""`cs.validate` on traces whose truth is known: what it trusts, and what it does not."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import wasserstein_distance

import causalsys as cs
from causalsys.data.table import Layout
from causalsys.errors import QueryError, UnknownNameError
from causalsys.simulate.distance import Rows, distance, emd
from causalsys.simulate.forecast import Forecaster, biases, history
from causalsys.simulate.fragility import perturbed
from causalsys.simulate.objective import objective
from causalsys.simulate.resampled import resampled
from causalsys.simulate.simulate import Simulator
from causalsys.simulate.validation import Validation
from tests.simulate.routed import POLICIES, Routed, routed

mpl.use("Agg")
CHEAP = ("replay", "expert")


class Deaf(cs.SCM):
    """`Routed` as a replay has it: the server makes no difference to the work."""

    arm = cs.Arm()
    gap = cs.Observed(cs.Positive("ms"))
    backlog = cs.State(cs.Positive("ms", size=4))
    server = cs.Decision(cs.Categorical(range(4)), parents=[arm, backlog], mechanism=cs.Logged())
    work = cs.Observed(cs.Positive("ms"))

    @cs.equation(cs.Positive("ms"))
    def latency(backlog, server, work):
        """The wait, and the work."""
        return cs.pick(backlog, server) + work

    @cs.transition(backlog)
    def serve(backlog, server, work, gap):
        """One arrival later."""
        return (cs.add_at(backlog, server, work) - gap[..., None]).clamp(min=0)


@pytest.fixture(scope="module")
def log() -> pd.DataFrame:
    return routed()


@pytest.fixture(scope="module")
def right(log: pd.DataFrame) -> Validation:
    return cs.validate(
        Routed,
        log,
        policies=POLICIES,
        metrics=["latency", "p95 latency", lambda frame: (frame["latency"] > 100).mean()],
        only=["least", "pair_01"],
        baselines=CHEAP,
    )


@pytest.fixture(scope="module")
def wrong() -> Validation:
    log = routed(rank_one=False)
    return cs.validate(
        Routed, log, policies=POLICIES, metrics=["latency"], only=["least"], baselines=()
    )


def test_a_right_model_is_trusted(right: Validation) -> None:
    for arm in right.arms:
        assert arm.transported
        assert arm.trust != "distrust"
        assert arm["latency"].trust == "trust"
        assert arm.impossible == 0
    assert "trust to within" in str(right)


def test_baselines_are_worse_and_shown_beside(right: Validation) -> None:
    for arm in right.arms:
        law = next(law for law in arm.laws if law.outcome == "latency")
        # Both baselines are off by a multiple of what the simulator is: the truth is that far.
        assert min(law.baselines.values()) > 3 * law.distance.value
        assert set(arm["latency"].baselines) == set(CHEAP)


def test_a_wrong_mechanism_is_told_by_its_pairs_of_actions(wrong: Validation) -> None:
    arm = wrong["least"]
    step = arm.one_step[0]
    assert not arm.transported
    assert wrong.trust == "distrust"
    # The powers differ by up to .8, sizes by a standard deviation of about .8.
    assert step.transport > 0.1
    assert step.changed > 1.3 * step.stayed
    assert "its mechanism is wrong" in str(wrong)


def test_the_right_mechanism_has_no_larger_error_where_the_action_changed(
    right: Validation,
) -> None:
    for arm in right.arms:
        step = arm.one_step[0]
        assert step.changed < 1.2 * step.stayed
        assert step.changed < 0.7 * step.baselines["no mechanism"][0]
        assert step.transport < 0.06


def test_replay_as_the_simulator_is_not_trusted(log: pd.DataFrame) -> None:
    found = cs.validate(
        Deaf, log, policies=POLICIES, metrics=["latency"], only=["least", "pair_01"], baselines=()
    )
    assert [arm["latency"].trust for arm in found.arms] == ["distrust", "distrust"]


def test_the_table_and_the_picture_say_the_same(right: Validation) -> None:
    frame = right.to_frame()
    assert set(frame["kind"]) == {"one step", "metric", "distance"}
    assert set(frame["arm"]) == {"least", "pair_01"}
    assert {"predicted_low", "measured_high", "floor", "expert", "replay"} <= set(frame.columns)
    labels = [label.get_text() for label in right.plot().get_yticklabels()]
    assert labels[0] == "least: latency"
    assert len(labels) == 6


def test_arms_without_a_policy_are_listed(right: Validation) -> None:
    assert right.training_only == ("mostly", "pair_12", "pair_23", "random")
    with pytest.raises(UnknownNameError, match="the validated arms"):
        right["random"]


def test_a_policy_that_is_not_what_ran_is_noticed(log: pd.DataFrame) -> None:
    swapped = {**POLICIES, "pair_01": POLICIES["pair_12"]}
    found = cs.validate(
        Routed, log, policies=swapped, metrics=["latency"], only=["pair_01"], baselines=()
    )
    # It picked server 0 half of the time, which this policy never does.
    assert found["pair_01"].impossible == pytest.approx(0.5, abs=0.05)
    assert "is it what ran?" in str(found)


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ({}, {"policies": {"nobody": 0}}, "nobody"),
        ({}, {"only": ["pair"]}, "pair"),
        ({}, {"policies": {"least": 0}, "only": ["random"]}, "without a policy"),
        ({"arm": "least"}, {"policies": {"least": 0}}, "one arm only"),
        ({"arm": None}, {}, "name no arm"),
        ({}, {"metrics": ["p99 delay"]}, "delay"),
        ({}, {"baselines": ["guess"]}, "guess"),
        ({}, {"tolerance": -1}, "tolerance"),
        ({"work": lambda rows: rows["work"].where(rows.index != 7)}, {}, "no value in 1 of"),
        ({}, {"metrics": ["max latency"]}, "p99.9 latency"),
    ],
)
def test_bad_input_is_refused_before_fitting(
    log: pd.DataFrame, change: dict, arguments: dict, message: str
) -> None:
    with pytest.raises(cs.errors.CausalSysError, match=message):
        cs.validate(Routed, log.assign(**change), **{"policies": POLICIES, **arguments})


def test_an_arm_that_acts_alone_is_named(log: pd.DataFrame) -> None:
    kept = log[~log["arm"].isin(["random", "mostly", "least", "pair_12"])].reset_index(drop=True)
    with pytest.raises(QueryError, match="server 2, 3 used by this arm alone"):
        cs.validate(Routed, kept, policies={"pair_23": POLICIES["pair_23"]})


def test_the_chaos_floor_grows_with_the_error(log: pd.DataFrame) -> None:
    fitted = Routed.fit(log, ensemble=1)
    floors = []
    for size in (1e-4, 0.05):
        model = perturbed(fitted, {"work": size})
        assert model is not None
        simulator = Simulator.of(model, log, members=model.members)
        values = simulator.run({"least": POLICIES["least"]}).values["latency"][0]
        plain = Simulator.of(fitted, log).run({"least": POLICIES["least"]}).values["latency"][0, 0]
        np.testing.assert_allclose(values[0], plain)
        floors.append(float(((values[1:] - values[0]).abs() / values[0]).median()))
    assert floors[0] < 0.01 < floors[1]


def test_the_distance_is_the_earth_movers() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.exponential(size=200), rng.normal(1, 2, 77)
    assert emd(first, second) == pytest.approx(wasserstein_distance(first, second))


def test_distances_by_chance_are_seen_as_such() -> None:
    rng = np.random.default_rng(0)

    def rows(shift: float) -> Rows:
        level = rng.normal(shift, 1, 40)
        values = level[:, None] + rng.normal(size=(40, 25))
        return Rows(values.ravel(), np.repeat(np.arange(40), 25))

    same = [distance(rows(0), rows(0), seed=s).p_value for s in range(60)]
    # Of 60 uniform p-values, 13 below a tenth would have a probability of about .01.
    assert np.mean(np.array(same) < 0.1) < 0.2
    assert distance(rows(0), rows(1.5)).p_value < 1e-4


def test_metrics_over_traces_drawn_anew() -> None:
    rng = np.random.default_rng(1)
    level = rng.normal(10, 1, 400)
    frame = pd.DataFrame({"x": (level[:, None] + rng.normal(size=(400, 10))).ravel()})
    trace = np.repeat(np.arange(400), 10)
    mean = resampled(objective("x", columns=["x"]), frame, trace)
    # Traces vary by sqrt(1 + 1 / 10); 400 draws tell a standard error to some 4 %.
    assert mean.noise == pytest.approx(np.sqrt(1.1 / 400), rel=0.15)
    tail = resampled(objective("p90 x", columns=["x"]), frame, trace)
    drawn = [
        np.quantile(frame["x"].to_numpy().reshape(400, 10)[rng.integers(0, 400, 400)], 0.9)
        for _ in range(200)
    ]
    assert tail.noise == pytest.approx(np.std(drawn), rel=0.25)
    whole = resampled(objective(lambda frame: frame["x"].mean(), columns=["x"]), frame, trace)
    assert whole.noise == pytest.approx(mean.noise, rel=0.4)


def test_the_forecast_sees_the_past_only() -> None:
    rng = np.random.default_rng(2)
    layout = Layout(torch.arange(5).repeat_interleave(20), torch.arange(20).repeat(5))
    values = rng.normal(size=100)
    later = values.copy()
    later[30:40] += 5
    before, after = (history(each, layout)[0] for each in (values, later))
    np.testing.assert_array_equal(before[:31], after[:31])
    np.testing.assert_array_equal(before[40:], after[40:])
    expected, known = Forecaster.learn(values, layout).expect(values, layout)
    assert not known[::20].any()
    assert np.abs(expected[known]).max() < 3


def test_biases_are_found_where_they_are_and_nowhere_else() -> None:
    rng = np.random.default_rng(3)
    traces, steps = 200, 50
    layout = Layout(
        torch.arange(traces).repeat_interleave(steps), torch.arange(steps).repeat(traces)
    )
    codes = rng.integers(0, 3, traces * steps)
    error, expected = rng.normal(size=len(codes)), rng.normal(size=len(codes))
    error[layout.position.numpy() == 0] = np.nan
    clean = biases(error, expected, layout, codes=codes, levels=("a", "b", "c"))
    assert not any(bias.rejected for bias in clean)
    before = np.concatenate([codes[:1], codes[:-1]])
    shifted = error + 0.4 * ((before == 0) & (codes == 2))
    found = biases(shifted, expected, layout, codes=codes, levels=("a", "b", "c"))
    assert {(b.before, b.after) for b in found if b.rejected} == {("a", "c")}


def test_where_pairs_are_rare_all_ways_up_are_looked_at_together() -> None:
    rng = np.random.default_rng(4)
    traces, steps, levels = 60, 20, 30
    layout = Layout(
        torch.arange(traces).repeat_interleave(steps), torch.arange(steps).repeat(traces)
    )
    codes = rng.integers(0, levels, traces * steps)
    error, expected = rng.normal(size=len(codes)), rng.normal(size=len(codes))
    error[layout.position.numpy() == 0] = np.nan
    error += 0.5 * (codes > np.concatenate([codes[:1], codes[:-1]]))
    found = biases(error, expected, layout, codes=codes, levels=tuple(range(levels)))
    assert {(b.before, b.after) for b in found} == {("lower", "higher"), ("higher", "lower")}
    assert all(b.rejected for b in found)
