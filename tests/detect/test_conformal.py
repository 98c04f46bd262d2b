"""Calibrated intervals: their promise on generated rows, and the alarms where it is void."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from causalsys.detect.conformal import Calibrated
from causalsys.detect.ranks import adjusted, excess, p_values
from causalsys.errors import EvidenceError, MissingColumnError, QueryError


def rows(count: int, *, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A prediction, its truth, and the spread of the error, which differs from row to row."""
    rng = np.random.default_rng(seed)
    spread = rng.choice([0.5, 3.0], count)
    prediction = rng.normal(size=count)
    return prediction + spread * rng.standard_t(4, size=count), prediction, spread


@pytest.mark.parametrize("normalised", [False, True])
def test_the_promise_is_kept_on_average(normalised: bool) -> None:
    """Over 200 calibrations of 99 rows the mean coverage is exactly .9; of 200 rows each, its
    standard error is .002 or so: three of them and the rank's own rounding, none here."""
    shares = []
    for seed in range(200):
        truth, told, spread = rows(299, seed=seed)
        old, new = (spread[:99], spread[99:]) if normalised else (None, None)
        calibrated = Calibrated.of(truth[:99], told[:99], level=0.9, spread=old)
        shares.append(calibrated.coverage(truth[99:], told[99:], spread=new).covered)
    assert np.mean(shares) == pytest.approx(0.9, abs=0.008)


def test_a_known_spread_makes_intervals_narrower_and_right_for_each_row() -> None:
    """Coverage of each kind of row is .9 give or take 3 * sqrt(.09 / 1000) = .03; without the
    spread one kind is covered nearly always, and the other too seldom."""
    truth, told, spread = rows(4000, seed=1)
    plain = Calibrated.of(truth[:2000], told[:2000])
    better = Calibrated.of(truth[:2000], told[:2000], spread=spread[:2000])
    wide = plain.intervals(told[2000:])
    fitting = better.intervals(told[2000:], spread=spread[2000:])
    assert fitting.width.mean() < wide.width.mean()
    small = spread[2000:] == 0.5
    inside = (fitting.low <= truth[2000:]) & (truth[2000:] <= fitting.high)
    assert inside[small].mean() == pytest.approx(0.9, abs=0.04)
    assert inside[~small].mean() == pytest.approx(0.9, abs=0.04)
    loose = (wide.low <= truth[2000:]) & (truth[2000:] <= wide.high)
    assert loose[small].mean() > 0.97
    assert loose[~small].mean() < 0.86


def test_groups_are_each_covered() -> None:
    truth, told, spread = rows(4000, seed=2)
    group = np.where(spread == 0.5, "small", "large")
    calibrated = Calibrated.of(truth[:2000], told[:2000], group=group[:2000])
    report = calibrated.coverage(truth[2000:], told[2000:], group=group[2000:])
    for share in report.groups.values():
        assert share == pytest.approx(0.9, abs=0.04)
    assert report.p > 0.01
    assert set(report.to_frame().index) == {"small", "large", "all"}


def test_the_rank_is_exact_where_binary_fractions_are_not() -> None:
    """Nine rows promise nine tenths: the interval reaches the largest residual."""
    calibrated = Calibrated.of(np.arange(1.0, 10.0), np.zeros(9), level=0.9)
    told = calibrated.intervals([0.0])
    assert (told.low[0], told.high[0]) == (-9.0, 9.0)


@pytest.mark.parametrize(
    ("count", "level", "needed"), [(8, 0.9, 9), (18, 0.95, 19), (98, 0.99, 99)]
)
def test_too_few_rows_are_refused_with_how_many_are_needed(
    count: int, level: float, needed: int
) -> None:
    assert math.ceil((needed + 1) * level - 1e-9) <= needed
    with pytest.raises(EvidenceError, match=f"at least {needed}"):
        Calibrated.of(np.arange(float(count)), np.zeros(count), level=level)
    Calibrated.of(np.arange(float(needed)), np.zeros(needed), level=level)
    group = ["a"] * needed + ["b"] * count
    both = np.arange(float(len(group)))
    with pytest.raises(EvidenceError, match="group 'b'"):
        Calibrated.of(both, 0 * both, level=level, group=group)


def test_quantiles_hold_on_each_side() -> None:
    """Of skewed errors: 5 % below the lower one and 5 % above the upper one, within 3 errors."""
    rng = np.random.default_rng(3)
    told = rng.normal(size=4000)
    truth = told + rng.exponential(size=4000)
    calibrated = Calibrated.of(truth[:2000], told[:2000])
    low, high = calibrated.quantiles(told[2000:], [0.05, 0.95]).T
    assert (truth[2000:] < low).mean() == pytest.approx(0.05, abs=0.02)
    assert (truth[2000:] > high).mean() == pytest.approx(0.05, abs=0.02)


def test_the_alarm_on_residuals_is_rare_in_vain_and_sure_in_need() -> None:
    """A stated chance of 5 %: of 100 quiet streams at most 10 may raise it (p = .01)."""
    false = 0
    for seed in range(100):
        truth, told, spread = rows(600, seed=seed)
        calibrated = Calibrated.of(truth[:200], told[:200], spread=spread[:200])
        check = calibrated.check(
            truth[200:], told[200:], spread=spread[200:], false_alarms=0.05, seed=seed
        )
        false += not check.holds
    assert false <= 10
    truth, told, spread = rows(900, seed=500)
    truth[600:] += 1.5 * spread[600:]
    calibrated = Calibrated.of(truth[:300], told[:300], spread=spread[:300])
    check = calibrated.check(truth[300:], told[300:], spread=spread[300:])
    assert check.row is not None
    assert 300 < check.row < 400
    assert check.since == pytest.approx(300, abs=25)
    assert check.direction in ("higher", "more high values")
    assert "Calibrate again" in str(check)
    assert bool(check.to_frame()["alarm"].iloc[-1])


def test_coverage_tells_what_is_less_than_promised() -> None:
    truth, told, spread = rows(600, seed=7)
    calibrated = Calibrated.of(truth[:300], told[:300])
    assert calibrated.coverage(truth[300:], told[300:]).p > 0.01
    worse = calibrated.coverage(truth[300:] + 4 * spread[300:], told[300:])
    assert worse.p < 1e-6
    assert "less than promised" in str(worse)


def test_inputs_outside_those_of_calibration_are_told_before_the_truth() -> None:
    rng = np.random.default_rng(8)
    first = rng.normal(size=700)
    frame = pd.DataFrame({"a": first, "b": first + 0.1 * rng.normal(size=700), "k": "x"})
    frame["k"] = np.where(rng.random(700) < 0.5, "x", "y")
    calibrated = Calibrated.of(first[:400], np.zeros(400), inputs=frame[:400])
    quiet = calibrated.outside(frame[400:])
    assert quiet.holds
    assert quiet.rows.mean() == pytest.approx(0.05, abs=0.05)
    # Each input by itself is usual; together they are not.
    crossed = frame[400:].assign(b=-frame["b"][400:])
    assert not calibrated.outside(crossed).holds
    unseen = frame[400:].assign(k="z")
    assert calibrated.outside(unseen).rows.all()
    with pytest.raises(MissingColumnError):
        calibrated.outside(frame[400:][["a", "b"]])


def test_bad_input_is_refused() -> None:
    truth, told, spread = rows(100, seed=9)
    calibrated = Calibrated.of(truth, told, spread=spread)
    with pytest.raises(EvidenceError, match="spread: not given"):
        calibrated.intervals(told)
    with pytest.raises(EvidenceError, match="group: given"):
        calibrated.intervals(told, spread=spread, group=["a"] * 100)
    with pytest.raises(EvidenceError, match="positive"):
        Calibrated.of(truth, told, spread=np.zeros(100))
    with pytest.raises(EvidenceError, match="not finite"):
        Calibrated.of(np.full(100, np.nan), told)
    with pytest.raises(EvidenceError, match="99 rows beside 100"):
        Calibrated.of(truth, told[:99])
    with pytest.raises(EvidenceError, match="no numbers"):
        Calibrated.of(["a"] * 100, told)
    with pytest.raises(QueryError, match="level"):
        Calibrated.of(truth, told, level=1.0)
    with pytest.raises(EvidenceError, match="none in calibration"):
        calibrated.outside(pd.DataFrame({"a": told}))
    grouped = Calibrated.of(truth, told, group=["a"] * 100)
    with pytest.raises(EvidenceError, match="'b'"):
        grouped.intervals(told, group=["b"] * 100)


def test_the_number_of_unusual_rows_counts_shared_calibration_rows() -> None:
    """Of uniform scores the p-value of the count is itself uniform: 5 % below .05, give or take."""
    rng = np.random.default_rng(0)
    chances = []
    for _ in range(400):
        scores = rng.normal(size=300)
        p = p_values(scores[100:], calibration=scores[:100])
        chances.append(excess(p, calibration=100, level=0.1))
    assert np.mean(np.array(chances) < 0.05) < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)
    assert adjusted(np.array([0.04, 0.01, 0.5])).tolist() == pytest.approx([0.06, 0.03, 0.5])
