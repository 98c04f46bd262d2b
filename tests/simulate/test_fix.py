"""Fixes and tuning, against the system itself."""

import numpy as np
import pandas as pd
import pytest

import causalsys as cs
from causalsys.errors import InterventionError, QueryError, UnknownNameError
from causalsys.simulate.fix import validate_fix
from causalsys.simulate.tune import tune


def truth(served, codes) -> float:
    return float(served.under(codes)["loss"].mean())


def test_the_effect_of_a_fix_is_what_the_system_does(fitted, served) -> None:
    """Within 3 %: factors are learned from 4800 steps."""
    report = validate_fix(fitted, served.log, lambda waiting: 2, objective="loss")
    wanted = truth(served, lambda waiting: np.full(len(waiting), 2))
    assert report.after.value == pytest.approx(wanted, rel=0.03)
    assert report.before.value == pytest.approx(served.log["loss"].mean())
    assert report.effect.value == pytest.approx(report.after.value - report.before.value)
    assert report.effect.low < wanted - report.before.value < report.effect.high


def test_who_loses_is_named(fitted, served) -> None:
    report = validate_fix(fitted, served.log, 1, objective="cost", prefer="higher")
    assert report.improves is False
    assert (report.traces["worse"] > 0.5).mean() > 0.5
    harm = report.traces["before"] - report.traces["after"]
    assert (np.diff(harm) <= 1e-9).all()


def test_a_quantile_is_an_objective(fitted, served) -> None:
    report = validate_fix(fitted, served.log, 4, objective="p90 cost")
    real = np.quantile(served.under(lambda waiting: np.full(len(waiting), 2))["cost"], 0.9)
    assert report.after.value == pytest.approx(real, rel=0.05)


def test_a_number_of_the_whole_frame_has_the_interval_of_the_mean_that_it_is(
    fitted, served
) -> None:
    """Both draw traces; one by traces, one by twenty groups: within a half of each other."""
    mean = validate_fix(fitted, served.log, 4, objective="loss")
    whole = validate_fix(fitted, served.log, 4, objective=lambda frame: frame["loss"].mean())
    for one, other in ((mean.before, whole.before), (mean.effect, whole.effect)):
        assert one.value == pytest.approx(other.value)
        assert 0.5 < (other.high - other.low) / (one.high - one.low) < 1.5
    assert len(whole.traces) == 0


def test_a_changed_mechanism_is_a_fix(fitted, served) -> None:
    report = validate_fix(fitted, served.log, {"cost": lambda cost: 0.5 * cost}, objective="cost")
    assert report.after.value == pytest.approx(0.5 * report.before.value)
    assert report.improves is True


def test_what_the_model_does_not_know_is_no_objective(fitted, served) -> None:
    """It would stay as it was recorded, and no fix have an effect."""
    log = served.log.assign(twice=2 * served.log["cost"])
    with pytest.raises(QueryError, match=r"twice.*no variable of Server"):
        validate_fix(fitted, log, 4, objective="p90 twice")
    by_hand = validate_fix(fitted, log, 4, objective=lambda cost, step: cost * (step > 9))
    assert by_hand.effect.value != 0


def test_leaving_the_data_is_said(fitted, served) -> None:
    inside = validate_fix(fitted, served.log, lambda waiting: 1, objective="loss")
    assert not inside.extrapolates
    slow = served.log[served.log["arm"] == "slow"]
    outside = validate_fix(fitted, slow, 4, objective="loss")
    assert outside.extrapolates
    assert "threads=4" in str(outside)


def by_limits(low, high):
    return lambda waiting: (waiting > low).long() + (waiting > low + high).long()


def test_tuning_finds_what_the_system_rewards(fitted, served) -> None:
    """No grid candidate does better in the true system by more than 2 %."""
    space = {"low": (0.0, 6.0), "high": (0.0, 6.0)}
    found = tune(fitted, served.log, by_limits, space=space, objective="loss", generations=4)

    def real(low: float, high: float) -> float:
        return truth(served, lambda w: (w > low).astype(int) + (w > low + high).astype(int))

    grid = min(real(low, high) for low in np.arange(0, 6.1, 0.5) for high in np.arange(0, 6.1, 0.5))
    assert real(**found.parameters) < 1.02 * grid
    assert found.regret >= 0
    assert found.expected.value < found.recorded.value
    assert len(found.trials) == 4 * 16


def test_whole_numbers_and_choices_are_searched(fitted, served) -> None:
    found = tune(
        fitted,
        served.log,
        lambda code, extra: lambda waiting: code,
        space={"code": [0, 1, 2], "extra": (1, 3)},
        objective="cost",
        generations=2,
    )
    assert found.parameters["code"] == 0
    assert isinstance(found.parameters["extra"], int)


def test_choices_come_back_as_they_were_given(fitted, served) -> None:
    """A frame would make 1.0 of 1 and NaN of None."""
    given: list[object] = []

    def policy(code):
        given.append(code)
        return lambda waiting: 0 if code is None else code

    space = {"code": [None, 1, 2]}
    found = tune(fitted, served.log, policy, space=space, objective="cost", generations=2)
    assert found.parameters == {"code": None}
    assert not any(isinstance(code, float) for code in given)


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"space": {}}, InterventionError, "space"),
        ({"space": {"low": (3, 3)}}, InterventionError, "low"),
        ({"prefer": "less"}, QueryError, "lower"),
        ({"objective": "los"}, UnknownNameError, "loss"),
        ({"space": {"wrong": (0.0, 1.0)}}, InterventionError, "wrong"),
    ],
)
def test_mistakes_are_told(fitted, served, change, error, says) -> None:
    given = {"space": {"low": (0.0, 1.0), "high": (0.0, 1.0)}, "objective": "loss"} | change
    with pytest.raises(error, match=says):
        tune(fitted, served.log, by_limits, **given)


def test_too_few_traces_to_judge_on(fitted, served) -> None:
    few = served.log[served.log["trace"] < 3]
    with pytest.raises(QueryError, match="at least four"):
        tune(fitted, few, by_limits, space={"low": (0.0, 1.0)}, objective="loss")


@pytest.mark.parametrize(
    ("tried", "within", "outside"),
    [
        (lambda rng: rng.choice([1.0, 2.0, 4.0], 1500), (2.0, 4.0), (3.0, 5.0)),
        (lambda rng: rng.uniform(1, 2, 1500) + rng.choice([0, 2], 1500), (1.5, 3.5), (2.5, 4.5)),
        (lambda rng: rng.lognormal(0, 1, 1500).round(1), (0.35, 1.55, 4.0), (30.0,)),
    ],
    ids=["three values", "two ranges", "rounded, with a tail"],
)
def test_between_what_was_tried_may_be_outside(tried, within, outside) -> None:
    class Cache(cs.SCM):
        size = cs.Decision(cs.Positive("GiB"))
        latency = cs.Observed(cs.Real("ms"), parents=[size], mechanism=cs.Linear())

    rng = np.random.default_rng(0)
    log = pd.DataFrame({"size": tried(rng)})
    log["latency"] = 20 - 3 * log["size"] + rng.normal(size=1500)
    fitted = Cache.fit(log, ensemble=1)
    for size in (*within, *outside):
        report = validate_fix(fitted, log, {"size": size}, objective="latency")
        (found,) = report.coverage
        assert (found.share < 0.5) if size in outside else (found.share > 0.9), size


def test_one_number_of_all_rows_says_nothing_of_traces(fitted, served) -> None:
    def middle(frame):
        return float(np.median(frame["cost"]))

    report = validate_fix(fitted, served.log, 4, objective=middle)
    assert report.before.value == pytest.approx(middle(served.log))
    assert report.traces.empty
    assert "traces get worse" not in str(report)
