"""Two predictors compared: what one loses under a shift is found, and not hidden by a gain."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import torch

import causalsys as cs
from causalsys.errors import (
    EvidenceError,
    InterventionError,
    PredictorError,
    QueryError,
    UnknownNameError,
)
from causalsys.fitted import FittedSCM
from causalsys.replace.compare import DRAWN, LOGGED, compare
from causalsys.replace.predictor import CausalPredictor
from causalsys.replace.shifts import Shift
from tests.replace.systems import Hosts, Path, hosts, path


@pytest.fixture(scope="module")
def known() -> FittedSCM:
    return Path.fit(path(1, 2000))


def truth(rows: pd.DataFrame) -> pd.Series:
    """The best prediction of the latency."""
    return 5 + rows["load"] + 3 * rows["queue"]


def shortcut(rows: pd.DataFrame) -> pd.Series:
    """As good while queue = 2 load; wrong once something else fills the queue."""
    return 5 + 7 * rows["load"]


BUSY = Shift.noise("queue", shift=4.0)
MORE = Shift("twice the load", {"load": lambda load: 2 * load})


def test_a_loss_under_a_shift_is_listed(known: FittedSCM) -> None:
    """Off by 3 · 4 · .5 = 6 where the queue is fuller than its load says."""
    rows = path(2, 1000)
    found = compare(truth, shortcut, rows, fitted=known, target="latency", shifts=[BUSY, MORE])
    assert (BUSY.name, "error") in {(each.where, each.what) for each in found.worse}
    busy = found.figure(BUSY.name, "error")
    assert busy.candidate - busy.incumbent == pytest.approx(6, abs=0.7)
    assert busy.difference[0] < busy.candidate - busy.incumbent < busy.difference[1]
    more = found.figure("twice the load", "error")
    assert more.candidate == pytest.approx(found.figure(LOGGED, "error").candidate, abs=0.3)


def test_the_same_predictor_twice_loses_nowhere(known: FittedSCM) -> None:
    rows = path(3, 500)
    found = compare(truth, truth, rows, fitted=known, target="latency", shifts=[BUSY])
    assert found.worse == ()
    assert not any(each.better for each in found.figures)
    assert found.names == ("truth (incumbent)", "truth (candidate)")


def test_a_causal_predictor_tells_model_target_and_error(known: FittedSCM) -> None:
    rows = path(4, 1000)
    candidate = CausalPredictor(known, target="latency", error="squared")
    found = compare(shortcut, candidate, rows, shifts=[BUSY])
    assert (found.target, found.error, found.worse) == ("latency", "squared", ())
    assert found.figure(LOGGED, "coverage").candidate == pytest.approx(0.9, abs=0.03)
    assert found.figure(DRAWN, "quantile miss").candidate < 0.03
    assert np.isnan(found.figure(LOGGED, "coverage").incumbent)
    # Noise .5 on the queue, tripled, beside the latency's own .5: 1.58 against .5, squared.
    assert found.figure(LOGGED, "error").ratio == pytest.approx(0.1, abs=0.03)
    assert found.costs[1].inputs == 2
    assert found.costs[1].parameters is not None
    assert found.slower > 1


def test_intervals_that_do_not_hold_are_a_loss(known: FittedSCM) -> None:
    rows = path(5, 1000)
    rows["latency"] += np.random.default_rng(5).normal(0, 2, 1000)
    candidate = CausalPredictor(known, target="latency")
    found = compare(shortcut, candidate, rows)
    assert (LOGGED, "coverage") in {(each.where, each.what) for each in found.worse}


def test_a_mix_of_classes_is_a_shift() -> None:
    """By level, and of a latent: probabilities need not sum to one."""
    rows, _ = hosts(6, 3000)
    model = Hosts.fit(rows, ensemble=2)
    levels = [
        Shift(f"all {level}", {"kind": {level: 2.0}}).drawn(model, 2000, seed=0, target="y")
        for level in (0, 1)
    ]
    means = sorted(frame["y"].mean() for frame in levels)
    assert means == pytest.approx([10, 20], abs=0.5)
    assert "kind" not in levels[0].columns


def test_a_shift_moves_what_lies_below(known: FittedSCM) -> None:
    def mean(shift: Shift) -> pd.Series:
        return shift.drawn(known, 4000, seed=1, target="latency").mean()

    at = mean(Shift("fixed", {"load": torch.distributions.Normal(6.0, 0.1)}))
    assert at["load"] == pytest.approx(6, abs=0.02)
    assert at["latency"] == pytest.approx(5 + 6 + 36, abs=0.5)
    wide = Shift.noise("load", scale=3.0).drawn(known, 4000, seed=1, target="latency")
    assert wide["load"].std() == pytest.approx(3, rel=0.06)
    assert Shift.noise("load", shift=-1, scale=2).name == "noise of load: -1 sd times 2"


def test_it_reads_as_a_table_as_words_and_as_a_picture(known: FittedSCM) -> None:
    mpl.use("Agg")
    found = compare(truth, shortcut, path(7, 300), fitted=known, target="latency", shifts=[BUSY])
    table = found.to_frame()
    assert set(table["where"]) == {LOGGED, DRAWN, BUSY.name}
    assert set(table.loc[table["verdict"] == "worse", "where"]) >= {BUSY.name}
    assert "noise of queue: +4 sd: error" in str(found)
    assert "The candidate loses in" in str(found)
    assert len(found.plot().get_yticklabels()) == 3
    with pytest.raises(UnknownNameError):
        found.figure("nowhere", "error")


def test_what_cannot_be_compared_is_refused(known: FittedSCM) -> None:
    rows = path(8, 200)

    def broken(rows: pd.DataFrame) -> float:
        raise RuntimeError("no such file")

    with pytest.raises(PredictorError, match="no such file"):
        compare(broken, truth, rows, fitted=known, target="latency")
    with pytest.raises(PredictorError, match="shape"):
        compare(truth, lambda rows: 1.0, rows, fitted=known, target="latency")
    with pytest.raises(QueryError, match="fitted"):
        compare(truth, shortcut, rows, target="latency")
    with pytest.raises(QueryError, match="number"):
        compare(truth, shortcut, rows, fitted=known, target="latency", level=2)
    with pytest.raises(QueryError, match="shifts"):
        compare(truth, shortcut, rows, fitted=known, target="latency", shifts=BUSY)  # type: ignore[arg-type]
    with pytest.raises(InterventionError, match="two shifts"):
        compare(truth, shortcut, rows, fitted=known, target="latency", shifts=[BUSY, BUSY])
    with pytest.raises(EvidenceError, match="latency"):
        compare(truth, shortcut, rows.drop(columns="latency"), fitted=known, target="latency")


@pytest.mark.parametrize(
    ("shift", "refusal"),
    [
        (Shift("target", {"latency": 1.0}), InterventionError),
        (Shift("unknown", {"lod": 1.0}), UnknownNameError),
        (Shift("levels of a number", {"load": {"high": 1.0}}), InterventionError),
    ],
)
def test_a_shift_that_cannot_be_is_refused(
    known: FittedSCM, shift: Shift, refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        shift.drawn(known, 10, seed=0, target="latency")


def test_a_shift_of_nothing_is_refused() -> None:
    with pytest.raises(InterventionError, match="nothing"):
        Shift("nothing")
    with pytest.raises(InterventionError, match="finite"):
        Shift.noise("load", scale=-1.0)


def test_it_says_that_intervals_of_drawn_rows_take_the_model_as_true() -> None:
    class Plain(cs.SCM):
        load = cs.Observed(cs.Real())
        delay = cs.Observed(cs.Real(), parents=["load"], mechanism=cs.Linear())

    random = np.random.default_rng(0)
    load = random.normal(size=200)
    data = pd.DataFrame({"load": load, "delay": load + random.normal(size=200)})
    fitted = Plain.fit(data, ensemble=2)
    found = cs.compare(_zero, _zero, data, fitted=fitted, target="delay", inputs=["load"])
    assert "take the fitted model as true" in str(found)


def _zero(frame: pd.DataFrame) -> np.ndarray:
    return np.zeros(len(frame))
