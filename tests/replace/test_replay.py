"""The replay under a budget of labels: no label from the future, and what changed is followed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from causalsys.detect.loss import loss_of
from causalsys.errors import EvidenceError, MissingColumnError, QueryError
from causalsys.replace.replay import Replay, RetrainingRule, replay
from causalsys.replace.switching import Ways
from causalsys.replace.switching_filter import Filter
from causalsys.replace.switching_levels import levels_of

WAYS = Ways(partitions=10, groups=8)
KNOWN = 800


def machines(seed: int = 0) -> pd.DataFrame:
    """Two hidden types, told apart by `x`; from day 60 one of them takes another level."""
    random = np.random.default_rng(seed)
    day = np.sort(random.uniform(0, 120, 1600))
    kind = random.random(1600) < 0.4
    x = np.exp(np.where(kind, 0.5, 0.0) + 0.1 * random.normal(size=1600))
    slow = kind & (day >= 60)
    y = np.where(slow, 100.0, 200.0) * np.exp(0.02 * random.normal(size=1600))
    time = pd.Timestamp("2024-01-01") + pd.to_timedelta(day, unit="D")
    return pd.DataFrame({"time": time, "x": x, "y": y})


def replayed(rows: pd.DataFrame, budget: int = 40, **changed: object) -> Replay:
    asked = {"labelled": KNOWN, "rule": RetrainingRule(budget, 60.0), "ways": WAYS} | changed
    return replay(rows, target="y", inputs=["x"], time="time", **asked)  # type: ignore[arg-type]


def test_few_labels_follow_a_group_whose_mechanism_switched() -> None:
    rows = machines()
    with_labels, without = replayed(rows), replayed(rows, budget=0)
    late = np.arange(len(rows)) > KNOWN + 200
    # Without labels some of the 40 % that switched are off by 100 %, where the hedge fails. With
    # them what is left is noise of 2 % and the types' overlap, at 2.5 deviations from either.
    assert without.loss[late].mean() > 0.08
    assert with_labels.loss[late].mean() < 0.05
    assert len(with_labels.bought) <= 40


def test_no_prediction_knows_a_label_that_was_not_bought_before_it() -> None:
    rows = machines()
    found = replayed(rows)
    days = (rows["time"] - rows["time"].iloc[0]).dt.total_seconds() / 86400
    assert (days.iloc[found.bought].to_numpy() < found.at).all()
    # Other labels from some day on: every prediction until then, and every purchase, is the same.
    cut = KNOWN + 300
    other = rows.copy()
    other.loc[cut:, "y"] = 150.0
    again = replayed(other)
    same = slice(KNOWN, int(np.searchsorted(days, np.floor(days[cut]))))
    assert np.array_equal(found.prediction[same], again.prediction[same])


def test_labels_are_free_until_the_alarm() -> None:
    rows = machines()
    found = replayed(rows, labelled=400, alarm=KNOWN)
    assert np.isfinite(found.prediction[400:]).all()
    assert np.isnan(found.prediction[:400]).all()
    assert found.bought.min() >= KNOWN


def test_rule_spends_some_early_and_all_in_the_end() -> None:
    rule = RetrainingRule(200, 190.0)
    due = [rule.due(day) for day in range(191)]
    assert (due[0], due[190], rule.due(500)) == (0, 200, 200)
    assert due == sorted(due)
    # A tenth is spent early, of which 86 % within 20 days.
    assert due[20] > 1.5 * 200 * 0.9 * 20 / 190
    with pytest.raises(QueryError, match="budget"):
        RetrainingRule(-1, 10.0)


def test_best_point_under_a_relative_loss_is_the_lower_level() -> None:
    truth = np.repeat([100.0, 200.0], 500) * np.exp(
        0.01 * np.random.default_rng(0).normal(size=1000)
    )
    levels = levels_of(truth, loss_of("relative"))
    assert levels.count == 2
    even = levels.best(np.array([[0.5, 0.5]]))
    # Told 200, half are off by 100 %; told 100, half are off by 50 %.
    assert even[0] == pytest.approx(100, rel=0.03)


def test_one_level_where_there_is_one_mode_and_constant_targets_are_fine() -> None:
    normal = np.exp(0.05 * np.random.default_rng(0).normal(size=2000))
    assert levels_of(normal, loss_of("relative")).count == 1
    assert levels_of(np.full(60, 3.0), loss_of("relative")).best(np.ones((1, 1)))[
        0
    ] == pytest.approx(3)


def test_filter_is_the_exact_posterior_of_a_switching_law() -> None:
    belief = Filter.start(1, 1, np.array([0.5, 0.5]), 0.1)
    told = belief.told(np.array([[0]]), np.array([0.0]), np.array([1]))
    prior = np.full(len(belief.laws), 1 / len(belief.laws))
    exact = prior * belief.laws[:, 1] / (prior @ belief.laws[:, 1])
    assert np.allclose(told.now[0, 0], exact)
    # After long without a label, the belief is what it is in the long run.
    assert np.allclose(told.everywhere(1e4)[0, 0], told.long[0, 0])


def test_rows_that_cannot_be_replayed_are_refused() -> None:
    rows = machines()
    with pytest.raises(EvidenceError, match="out of order"):
        replayed(rows.iloc[::-1].reset_index(drop=True))
    with pytest.raises(MissingColumnError, match="x"):
        replayed(rows.drop(columns="x"))
    with pytest.raises(EvidenceError, match="labelled"):
        replayed(rows, labelled=10)
    with pytest.raises(EvidenceError, match="finite"):
        replayed(rows.assign(x=np.nan))
