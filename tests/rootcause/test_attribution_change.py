"""Change attribution: dowhy's values, its supply chain, tests of the right size, bad input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import causalsys as cs
from causalsys.errors import (
    DataError,
    MissingColumnError,
    NotIdentifiedError,
    QueryError,
    UnknownNameError,
)
from causalsys.rootcause.attribution_change import attribute_change
from causalsys.rootcause.attribution_functional import Functional
from tests.rootcause import with_gcm

SUPPLY = [
    ("demand", "submitted"),
    ("constraint", "submitted"),
    ("submitted", "confirmed"),
    ("confirmed", "received"),
]


def _week(
    seed: int, *, slope: float, demand: float, rows: int = 1000, whole: bool = False
) -> pd.DataFrame:
    """dowhy's supply chain: gamma noises; a week's demand and its confirmed share may differ."""
    random = np.random.default_rng(seed)
    found = {"constraint": random.gamma(1, size=rows), "demand": random.gamma(demand, size=rows)}
    left = found["demand"] - found["constraint"]
    found["submitted"] = left + random.gamma(1, size=rows)
    found["confirmed"] = slope * found["submitted"] + random.gamma(0.1, size=rows)
    found["received"] = found["confirmed"] + random.gamma(0.1, size=rows)
    frame = pd.DataFrame(found)
    return frame.round() if whole else frame


def _model() -> type[cs.SCM]:
    variable = cs.Observed(cs.Real(), mechanism=cs.Linear(noise="empirical"))
    return cs.SCM.from_graph(SUPPLY, default=variable)


@pytest.fixture(scope="module")
def weeks() -> tuple[cs.FittedSCM, cs.FittedSCM]:
    first, second = _week(0, slope=1, demand=2), _week(1, slope=2, demand=4)
    return _model().fit(first), _model().fit(second)


@pytest.mark.parametrize(
    ("measure", "difference"),
    [
        ("mean", lambda x, y: np.mean(y) - np.mean(x)),
        ("variance", lambda x, y: np.var(y) - np.var(x)),
        (0.9, lambda x, y: np.quantile(y, 0.9) - np.quantile(x, 0.9)),
        ("kl", None),
    ],
)
def test_changes_are_attributed_as_dowhy_does(
    weeks: tuple[cs.FittedSCM, cs.FittedSCM],
    measure: Any,
    difference: Callable[[Any, Any], float] | None,
) -> None:
    ours = attribute_change(*weeks, target="received", measure=measure, draws=1000)
    theirs, error = with_gcm.change(
        *weeks, "received", names=ours.names, draws=1000, runs=6, difference=difference
    )
    # Five comparisons with standard errors of a few runs.
    together = np.hypot(error, ours.contributions.error[0])
    assert np.all(np.abs(ours.contributions.values[0] - theirs) < 5.5 * together + 0.01)


@pytest.mark.parametrize("seed", range(3))
def test_the_supply_chain_changed_by_demand_and_what_is_confirmed(seed: int) -> None:
    old = _week(2 * seed, slope=1, demand=2)
    new = _week(2 * seed + 1, slope=2, demand=4)
    found = attribute_change(_model().fit(old), new, target="received", old=old)
    assert found.changed["demand"]
    assert found.changed["confirmed"]
    # Submitted units rise from 2 to 4 on average, and their slope from 1 to 2: of the 6 units
    # more that are received, Shapley values give each 3. The rows' own means have errors of .2.
    assert found.values["demand"] == pytest.approx(3, abs=0.6)
    assert found.values["confirmed"] == pytest.approx(3, abs=0.6)
    assert found.total == pytest.approx(new.received.mean() - old.received.mean(), abs=0.4)
    assert sum(found.values.values()) == pytest.approx(found.total, abs=1e-9)


def test_ties_are_not_mistaken_for_a_change() -> None:
    # As in dowhy's example, where units are whole: only what did change is found, or nearly so.
    old = _week(2, slope=1, demand=2, whole=True)
    new = _week(3, slope=1, demand=2, whole=True)
    found = attribute_change(_model().fit(old), new, target="received", old=old)
    assert not any(found.changed.values())
    assert found.total == 0


def test_the_test_of_a_change_has_its_size() -> None:
    # The rate of a false alarm over five mechanisms is 5 %: of 60, three, and above nine once in
    # a thousand.
    alarms = 0
    for seed in range(60):
        old = _week(200 + seed, slope=1, demand=2, rows=500)
        new = _week(900 + seed, slope=1, demand=2, rows=300)
        found = attribute_change(
            _model().fit(old, seed=seed), new, target="received", old=old, draws=50
        )
        alarms += any(found.changed.values())
    assert alarms <= 9


def test_without_the_old_rows_all_mechanisms_may_have_changed() -> None:
    old, new = _week(0, slope=1, demand=2), _week(1, slope=2, demand=4)
    found = attribute_change(_model().fit(old), new, target="received")
    assert all(found.changed.values())
    assert found.p_values == {}
    for name in ("constraint", "submitted", "received"):
        assert found.of(name).low < 0 < found.of(name).high
    assert "own mean of received" in found.notes[0]


def test_the_interval_by_the_fit_covers_the_truth() -> None:
    # Normal chains: y gains 1.5, which all of it passes on to z. Of 50 intervals 45 cover, with
    # a standard deviation of 2.1.
    covered = 0
    model = cs.SCM.from_graph(
        [("x", "y"), ("y", "z")], default=cs.Observed(cs.Real(), mechanism=cs.Linear())
    )
    for seed in range(50):
        random = np.random.default_rng(seed)

        def rows(gain: float, random: np.random.Generator = random) -> pd.DataFrame:
            x = random.normal(size=200)
            y = 2 * x + gain + random.normal(size=200)
            return pd.DataFrame({"x": x, "y": y, "z": y + random.normal(size=200)})

        first = model.fit(rows(0.0), seed=seed)
        found = attribute_change(first, rows(1.5), target="z", draws=500, seed=seed)
        estimate = found.of("y")
        covered += estimate.low <= 1.5 <= estimate.high
    assert covered >= 38


def test_what_may_have_changed_can_be_said() -> None:
    old, new = _week(0, slope=1, demand=2), _week(1, slope=2, demand=4)
    fitted = _model().fit(old)
    found = attribute_change(fitted, new, target="received", changed=["demand"])
    assert [name for name, each in found.changed.items() if each] == ["demand"]
    assert found.values["demand"] == pytest.approx(found.total)
    none = attribute_change(fitted, new, target="received", changed=[])
    assert none.total == 0
    assert none.to_frame().contribution.eq(0).all()


def test_a_frame_has_a_row_for_each_variable(weeks: tuple[cs.FittedSCM, cs.FittedSCM]) -> None:
    found = attribute_change(*weeks, target="confirmed")
    frame = found.to_frame()
    assert set(frame.index) == {"constraint", "demand", "submitted", "confirmed"}
    assert frame.contribution.sum() == pytest.approx(found.total)
    assert frame.changed.all()
    assert found.verdict.status == "identified"
    assert "change of the mean of confirmed" in str(found)


def test_the_divergence_of_normals_is_known() -> None:
    # KL(N(0, 1) | N(m, 1)) = m² / 2; with 20 000 draws nearest neighbours are right to .03.
    random = torch.Generator().manual_seed(0)
    old = torch.randn(1, 20_000, generator=random, dtype=torch.float64)
    new = torch.randn(3, 1, 20_000, generator=random, dtype=torch.float64)
    shift = torch.tensor([0.0, 1.0, 2.0])[:, None, None]
    found = Functional("kl")(new + shift, old)[:, 0]
    assert found.tolist() == pytest.approx([0, 0.5, 2], abs=0.06)


def test_a_mechanism_under_a_confounder_is_refused() -> None:
    class Confounded(cs.SCM):
        host = cs.Latent(cs.Real())
        x = cs.Observed(cs.Real(), parents=[host])
        y = cs.Observed(cs.Real(), parents=[x, host])

    random = np.random.default_rng(0)
    host = random.normal(size=300)
    x = host + random.normal(size=300)
    frame = pd.DataFrame({"x": x, "y": x + host + random.normal(size=300)})
    fitted = Confounded.fit(frame, ensemble=2, steps=50)
    with pytest.raises(NotIdentifiedError):
        attribute_change(fitted, fitted, target="y")


def test_bad_input_is_refused(weeks: tuple[cs.FittedSCM, cs.FittedSCM]) -> None:
    old, new = weeks[0], _week(1, slope=2, demand=4, rows=200)
    with pytest.raises(UnknownNameError):
        attribute_change(old, new, target="latency")
    with pytest.raises(UnknownNameError):
        attribute_change(old, new, target="received", changed=["latency"])
    with pytest.raises(MissingColumnError, match="demand"):
        attribute_change(old, new.drop(columns="demand"), target="received")
    with pytest.raises(DataError, match="no rows"):
        attribute_change(old, new.iloc[:0], target="received")
    for wrong in (
        {"measure": "median"},
        {"measure": 1.5},
        {"changed": "demand"},
        {"draws": 1},
        {"significance": 0.0},
    ):
        with pytest.raises(QueryError):
            attribute_change(old, new, target="received", **wrong)  # type: ignore[arg-type]
    other = cs.SCM.from_graph([("demand", "received")]).fit(new, ensemble=2)
    with pytest.raises(QueryError, match="another"):
        attribute_change(old, other, target="received")
    fewer = _model().fit(new, ensemble=2)
    with pytest.raises(QueryError, match="members"):
        attribute_change(old, fewer, target="received")
