"""A rise in error is split into parts that sum to it, and its kind is named."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import causalsys as cs
from causalsys.audit.audit import Audit, audit
from causalsys.audit.explain_result import Explanation
from causalsys.errors import EvidenceError, QueryError, UnknownNameError

_ROWS = 500


class Service(cs.SCM):
    """A load and a size that drive a delay, which drives what users report; `heat` is not read."""

    load = cs.Observed(cs.Real(), mechanism=cs.Linear())
    heat = cs.Observed(cs.Real(), mechanism=cs.Linear())
    size = cs.Observed(cs.Real(), parents=[load], mechanism=cs.Linear())
    delay = cs.Observed(cs.Real(), parents=[load, size, heat], mechanism=cs.Linear())
    reports = cs.Observed(cs.Real(), parents=[delay], mechanism=cs.Linear())


def _after(**changes: float) -> pd.DataFrame:
    rows = _rows(2, **changes)
    return rows.set_index(pd.RangeIndex(_ROWS, 2 * _ROWS))


def _rows(seed: int, **changes: float) -> pd.DataFrame:
    """Rows of the service; changes say what is not as before."""
    random = np.random.default_rng(seed)
    load = random.normal(changes.get("load", 0.0), 1, _ROWS)
    heat = random.normal(changes.get("heat", 0.0), 1, _ROWS)
    size = 0.8 * load + random.normal(0, 0.6, _ROWS)
    delay = load + changes.get("slope", 1.0) * size + 0.5 * heat + random.normal(0, 0.5, _ROWS)
    inside = random.random(_ROWS) < changes.get("group", 0.0)
    delay = (
        delay + np.where(inside, 4.0, 0.0) + random.normal(0, 1, _ROWS) * changes.get("noise", 0)
    )
    reports = 0.8 * delay + random.normal(0, 0.4, _ROWS)
    recorded = delay + changes.get("labels", 0.0) * random.normal(size=_ROWS)
    return pd.DataFrame(
        {
            "load": load,
            "heat": heat,
            "size": size,
            "delay": recorded,
            "reports": reports,
            "inside": inside,
        },
    )


def _predict(rows: pd.DataFrame) -> np.ndarray:
    """Right where it was trained, and capped beyond: loads above 1.5 are predicted as 1.5."""
    return np.asarray(np.minimum(rows["load"], 1.5) + rows["size"])


@pytest.fixture(scope="module")
def audited() -> Audit:
    rows = _rows(0).drop(columns="inside")
    return audit(Service.fit(rows), _predict, target="delay", inputs=["load", "size"])


def _explained(audited: Audit, **changes: float) -> Explanation:
    before = _rows(1).drop(columns="inside")
    return audited.explain(before, _after(**changes).drop(columns="inside"))


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("mix shift", {"load": 2.0}),
        ("mechanism change", {"slope": 2.0}),
        ("latent group", {"group": 0.3}),
        ("label noise", {"labels": 1.5}),
        ("mechanism change", {"noise": 1.5}),
        ("missing feature", {"heat": 2.5}),
        ("none", {}),
    ],
)
def test_each_kind_is_named_and_its_parts_sum_to_the_rise(
    audited: Audit, kind: str, changes: dict[str, float]
) -> None:
    found = _explained(audited, **changes)
    assert found.kind == kind
    assert sum(part.value for part in found.parts) == pytest.approx(found.rise.value, abs=1e-12)
    if kind != "none":
        # One thing changed. The standard error of a slope from 500 rows, times a shift by two
        # standard deviations, is about a tenth of the rise.
        assert found.share(kind) == pytest.approx(1.0, abs=0.25)
    assert (found.group is not None) == (kind == "latent group")


def test_mix_and_mechanism_at_once_have_their_true_shares(audited: Audit) -> None:
    both = {"load": 1.5, "slope": 1.6}
    found = _explained(audited, **both)
    losses = []
    for changes in ({}, {"load": 1.5}, both):
        some = [_rows(seed, **changes) for seed in range(50, 80)]
        every = pd.concat(some)
        losses.append(float(np.abs(every["delay"] - _predict(every)).mean()))
    truth = (losses[1] - losses[0]) / (losses[2] - losses[0])
    # 500 rows a period: the share's standard error is about 0.04.
    assert found.share("mix shift") == pytest.approx(truth, abs=0.1)
    mix = [part for part in found.parts if part.kind == "mix shift"]
    assert max(mix, key=lambda part: part.value).name == "mix: load"


def test_members_of_a_hidden_group_are_told_with_probabilities(audited: Audit) -> None:
    found = _explained(audited, group=0.3)
    inside = _after(group=0.3)["inside"]
    assert found.group is not None
    chances = found.group.probabilities
    assert list(chances.index) == list(inside.index)
    # Their target is off by 5 standard deviations of what is read: an error in 100 rows at most.
    assert ((chances > 0.5) == inside).mean() > 0.97
    assert found.group.offset == pytest.approx(4.0, abs=0.2)
    assert found.group.share == pytest.approx(0.3, abs=0.05)


def test_intervals_hold_the_rise_and_every_part(audited: Audit) -> None:
    found = _explained(audited, slope=2.0)
    for part in (*found.parts, found.rise):
        assert part.low <= part.value <= part.high
    law = next(part for part in found.parts if part.kind == "mechanism change")
    assert law.low > 0


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_stuck_column_is_a_missing_feature_though_it_is_read(value: float) -> None:
    rows = _rows(0).drop(columns="inside")

    def filled(given: pd.DataFrame) -> np.ndarray:
        return np.asarray(given["load"].fillna(0.0) + given["size"])

    audited = audit(Service.fit(rows), filled, target="delay", inputs=["load", "size"])
    after = _after().drop(columns="inside")
    after["load"] = value
    found = audited.explain(_rows(1).drop(columns="inside"), after)
    assert found.kind == "missing feature"
    assert any(part.name == "stuck: load" for part in found.parts)
    # The column is drawn given the target, and what was not recorded is not known.
    assert found.share("missing feature") == pytest.approx(1.0, abs=0.15)


def test_a_column_that_truly_stands_still_is_a_mix_shift(audited: Audit) -> None:
    random = np.random.default_rng(5)
    after = _after().drop(columns="inside")
    after["load"] = 3.0
    after["size"] = 2.4 + random.normal(0, 0.6, _ROWS)
    after["delay"] = 3.0 + after["size"] + 0.5 * after["heat"] + random.normal(0, 0.5, _ROWS)
    found = audited.explain(_rows(1).drop(columns="inside"), after)
    assert found.kind == "mix shift"


def test_the_same_seed_gives_the_same_answer(audited: Audit) -> None:
    first, second = _explained(audited, slope=2.0), _explained(audited, slope=2.0)
    pd.testing.assert_frame_equal(first.to_frame(), second.to_frame())


def test_what_it_says_and_shows(audited: Audit) -> None:
    found = _explained(audited, labels=1.5)
    assert "label noise" in str(found)
    assert "do not follow" in str(found)
    frame = found.to_frame()
    assert frame.loc["rise", "value"] == pytest.approx(frame["value"][:-1].sum())
    with pytest.raises(UnknownNameError, match="mechanism"):
        found.share("mechanisms")


def test_without_effects_wrong_labels_cannot_be_told_from_noise(audited: Audit) -> None:
    before = _rows(1).drop(columns=["inside", "reports"])
    after = _after(noise=1.5).drop(columns=["inside", "reports"])
    found = audited.explain(before, after)
    assert found.kind == "label noise"
    assert any("cannot be told apart" in note for note in found.notes)


def test_rows_that_were_trained_on_are_suspected() -> None:
    from sklearn.ensemble import RandomForestRegressor

    rows = _rows(0).drop(columns="inside")
    forest = RandomForestRegressor(30, random_state=0).fit(rows[["load", "size"]], rows["delay"])
    found = audit(Service.fit(rows), forest, target="delay").explain(
        rows, _after().drop(columns="inside")
    )
    assert any("used for training" in note.replace("\n", " ") for note in found.notes)
    assert found.kind == "none"


def test_periods_that_cannot_be_compared_are_refused(audited: Audit) -> None:
    before = _rows(1).drop(columns="inside")
    after = _after().drop(columns="inside")
    with pytest.raises(EvidenceError, match="before period too"):
        audited.explain(before, pd.concat([before[:100], after]))
    with pytest.raises(EvidenceError, match="at least 50"):
        audited.explain(before[:20], after)
    with pytest.raises(EvidenceError, match="delay"):
        audited.explain(before.assign(delay=1.0), after)
    with pytest.raises(EvidenceError, match="delay"):
        audited.explain(before, after.assign(delay=after["delay"].where(after["load"] > 0)))
    with pytest.raises(EvidenceError, match="heat"):
        audited.explain(before.assign(heat=before["heat"].where(before["load"] > -2)), after)
    with pytest.raises(QueryError, match="level"):
        audited.explain(before, after, level=90)
    with pytest.raises(QueryError, match="draws"):
        audited.explain(before, after, draws=0)


def test_the_picture_has_a_bar_for_each_part_and_one_for_the_rise(audited: Audit) -> None:
    mpl.use("Agg")
    found = _explained(audited, slope=2.0)
    axes = found.plot()
    assert len(axes.patches) == len(found.parts) + 1
    plt.close("all")
