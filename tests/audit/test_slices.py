"""The causal step: causes of the error are kept, what comes along with them is not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

import causalsys as cs
from causalsys.audit.audit import Audit, audit
from causalsys.audit.survive_effect import donors, effect
from causalsys.audit.survive_result import AuditedSlices
from causalsys.errors import EvidenceError, UnknownNameError

Rows = pd.DataFrame


class Plain(cs.SCM):
    """`a` acts on `b` and `y`; `b` acts on nothing."""

    x = cs.Observed(cs.Real(), mechanism=cs.Linear())
    a = cs.Observed(cs.Real(), mechanism=cs.Linear())
    b = cs.Observed(cs.Real(), parents=[a], mechanism=cs.Linear())
    y = cs.Observed(cs.Real(), parents=[x, a], mechanism=cs.Linear())
    z = cs.Observed(cs.Real(), parents=[y], mechanism=cs.Linear())


class Hidden(cs.SCM):
    """A kind of row that nobody logs shows in three columns, and acts on `y`."""

    kind = cs.Latent(cs.Categorical(["u", "v"]))
    x = cs.Observed(cs.Real(), mechanism=cs.Linear())
    p = cs.Observed(cs.Real(), parents=[kind], mechanism=cs.Linear())
    q = cs.Observed(cs.Real(), parents=[kind], mechanism=cs.Linear())
    r = cs.Observed(cs.Real(), parents=[kind], mechanism=cs.Linear())
    y = cs.Observed(cs.Real(), parents=[x, kind], mechanism=cs.Linear())


class Few(cs.SCM):
    """Two columns tell too little of a latent."""

    heat = cs.Latent(cs.Real())
    a = cs.Observed(cs.Real(), parents=[heat], mechanism=cs.Linear())
    y = cs.Observed(cs.Real(), parents=[a, heat], mechanism=cs.Linear())


def plain(seed: int, where: str = "", count: int = 2000) -> Rows:
    rng = np.random.default_rng(seed)
    x, a = rng.normal(size=count), rng.normal(size=count)
    b = a + 0.5 * rng.normal(size=count)
    bad = {"": a > 99, "a": a > 1, "both": (a > 0.3) & (x > 0)}[where]
    y = 2 * x + a + rng.normal(size=count) + 6 * bad
    return pd.DataFrame({"x": x, "a": a, "b": b, "y": y, "z": y + rng.normal(size=count)})


def hidden(seed: int, jump: float, count: int = 1500) -> Rows:
    rng = np.random.default_rng(seed)
    kind, x = rng.random(count) < 0.25, rng.normal(size=count)
    noise = rng.normal(size=(4, count))
    return pd.DataFrame(
        {
            "x": x,
            "p": 3 * kind + noise[0],
            "q": 2 * kind + noise[1],
            "r": -3 * kind + noise[2],
            "y": 2 * x + jump * kind + noise[3],
        }
    )


def of_x_and_a(rows: Rows) -> NDArray[np.float64]:
    return (2 * rows["x"] + rows["a"]).to_numpy()


@pytest.fixture(scope="module")
def audited() -> Audit:
    return audit(Plain.fit(plain(0), seed=0), of_x_and_a, target="y", inputs=["x", "a"])


@pytest.fixture(scope="module")
def of_hidden() -> AuditedSlices:
    fitted = Hidden.fit(hidden(0, 1.0), seed=0)
    return audit(fitted, lambda rows: 2 * rows["x"] + 0.25, target="y", inputs=["x"]).slices(
        hidden(1, 8.0)
    )


@pytest.mark.parametrize("seed", [1, 2])
def test_the_cause_is_kept_and_its_companion_is_not(audited: Audit, seed: int) -> None:
    found = audited.slices(plain(seed, "a"), seed=seed)
    assert {each.slice.columns for each in found.kept} == {("a",)}
    assert ("b",) in {each.slice.columns for each in found.correlate}
    assert not found.unknown
    best = found.kept[0]
    # All of it is caused: the jump is 6 in the slice, and nothing else is worse there.
    assert best.remains == pytest.approx(1, abs=0.1)
    assert best.interval[0] < best.caused < best.interval[1]
    assert best.remains_interval[0] <= 1 <= best.remains_interval[1]


def test_a_step_that_the_mechanism_cannot_make_is_learned_as_the_errors_own(audited: Audit) -> None:
    found = audited.slices(plain(1, "a"))
    assert found.kept[0].by == "regression"
    assert any("fitted mechanism lacks" in each for each in found.assumptions)


def test_an_interaction_is_kept_whole(audited: Audit) -> None:
    found = audited.slices(plain(3, "both"))
    best = found.slices[0]
    assert best.verdict == "kept"
    assert best.slice.columns == ("a", "x")
    assert best.idle == ()
    mixed = [each for each in found.slices if "b" in each.slice.columns]
    assert all(each.verdict != "kept" or "b" in each.idle for each in mixed)


def test_an_idle_column_is_named(audited: Audit) -> None:
    # `b` and `x` together: `x` is half of the cause, and `b` only goes with `a`.
    found = audited.slices(plain(4, "both"), columns=["b", "x"])
    both = next(each for each in found.slices if each.slice.columns == ("b", "x"))
    assert both.idle == ("b",)
    assert both.verdict == "correlate"
    assert "without b" in both.reason


def test_where_nothing_is_worse_there_is_nothing_to_judge(audited: Audit) -> None:
    every = [audited.slices(plain(20 + seed), seed=seed) for seed in range(6)]
    empty = [each for each in every if len(each) == 0]
    # At a chance of 1 in 20, two or more of 6 come once in 30 times.
    assert len(empty) >= 5
    assert "No slice" in str(empty[0])
    assert len(empty[0].to_frame()) == 0


def test_what_only_the_predictor_reads_misleads_it_a_little() -> None:
    # It reads b for a. Where a is high the target jumps, and b is high too.
    fitted = Plain.fit(plain(0), seed=0)
    found = audit(
        fitted, lambda rows: 2 * rows["x"] + 0.8 * rows["b"], target="y", inputs=["x", "b"]
    ).slices(plain(6, "a"), refit=False)
    alone = [each for each in found.slices if each.slice.columns == ("b",)]
    assert alone
    assert all(each.verdict == "correlate" for each in alone)
    assert all(each.by == "mechanism" for each in alone)
    assert all(abs(each.remains) < 0.25 for each in alone)


def test_a_latent_is_kept_and_its_signs_are_not(of_hidden: AuditedSlices) -> None:
    assert of_hidden.latents == ("kind",)
    assert {each.slice.columns for each in of_hidden.kept} == {("kind",)}
    signs = {name for each in of_hidden.correlate for name in each.slice.columns}
    assert signs & {"p", "q", "r"}
    best = of_hidden.kept[0]
    assert best.by == "mechanism"
    assert best.remains == pytest.approx(1, abs=0.1)


def test_a_slice_of_a_latent_is_found_again_in_new_rows(of_hidden: AuditedSlices) -> None:
    rows = hidden(9, 8.0)
    true = np.random.default_rng(9).random(len(rows)) < 0.25
    held = of_hidden.kept[0].slice.holds(of_hidden.with_latents(rows.drop(columns=["y"])))
    # Three signs, 3, 2 and 3 standard deviations apart, tell all but 1 in 100 rows.
    assert (held == true).mean() >= 0.97
    assert (of_hidden.mask(rows) >= held).all()


def test_what_is_not_identified_is_unknown_with_its_reason() -> None:
    rng = np.random.default_rng(0)
    heat = rng.normal(size=1200)
    a = heat + rng.normal(size=1200)
    rows = pd.DataFrame({"a": a, "y": a + heat + rng.normal(size=1200)})
    fitted = Few.fit(rows, seed=0)
    worse = rows.assign(y=rows.y + 5 * (a > 1.5))
    found = audit(fitted, lambda r: 1.5 * r["a"], target="y", inputs=["a"]).slices(
        worse, columns=["a"]
    )
    assert len(found.unknown) == len(found) >= 1
    assert "ot identified" in found.unknown[0].reason
    assert np.isnan(found.unknown[0].caused)


def test_a_column_that_the_model_lacks_is_unknown(audited: Audit) -> None:
    rows = plain(7, "a")
    rows["other"] = rows.a
    found = audited.slices(rows, columns=["other"])
    assert [each.verdict for each in found.slices] == ["unknown"] * len(found)
    assert "no variable" in found.slices[0].reason


def test_the_answer_as_table_and_words(of_hidden: AuditedSlices) -> None:
    frame = of_hidden.to_frame()
    assert list(frame.verdict) == [each.verdict for each in of_hidden.slices]
    told = str(of_hidden)
    assert "Causes of the error" in told
    assert "Correlates" in told
    assert "was fitted to these" in told


def test_the_same_seed_gives_the_same_answer(audited: Audit) -> None:
    rows = plain(8, "a")
    assert audited.slices(rows, seed=1).to_frame().equals(audited.slices(rows, seed=1).to_frame())


def test_bad_rows_are_refused(audited: Audit) -> None:
    rows = plain(1, "a")
    with pytest.raises(EvidenceError, match="y"):
        audited.slices(rows.drop(columns=["y"]))
    with pytest.raises(EvidenceError, match="79 rows"):
        audited.slices(rows.head(79))
    with pytest.raises(UnknownNameError, match="nope"):
        audited.slices(rows, columns=["nope"])


def test_few_values_of_a_slice_widen_the_interval() -> None:
    held = np.arange(1000) < 5
    level = (-1.0) ** np.arange(1000)
    widths = []
    for inside in (held, np.arange(1000) < 500):
        dealt = donors(inside, np.ones(1000, dtype=bool), seed=0)
        found = effect([level[place][None] for place in dealt], dealt, members=1)
        widths.append(found.error)
    # Means of 5 and of 500 values: their standard errors are .49 and .05.
    assert widths[0] > 3 * widths[1]
