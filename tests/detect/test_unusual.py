"""Unusual inputs and unusual latent states: two alarms, each on the rows that are its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import causalsys as cs
from causalsys.detect.density import unusual
from causalsys.errors import EvidenceError, QueryError, UnknownNameError

NAMES = ["a", "b", "c"]
MEANS = np.array([[0.0, 0.0, 0.0], [4.0, 4.0, 4.0], [4.0, 0.0, 4.0]])
"""The third class is rare; each input of it is usual by itself."""
SHARES = (0.6, 0.385, 0.015)


class Hosts(cs.SCM):
    host = cs.Latent(cs.Categorical(3))
    a = cs.Observed(cs.Real(), parents=[host], mechanism=cs.Linear(scale_by="host"))
    b = cs.Observed(cs.Real(), parents=[host], mechanism=cs.Linear(scale_by="host"))
    c = cs.Observed(cs.Real(), parents=[host], mechanism=cs.Linear(scale_by="host"))
    y = cs.Observed(cs.Real(), parents=[host, a], mechanism=cs.Linear())


def hosts(rows: int, *, seed: int, at: Any = None) -> pd.DataFrame:
    """Rows of all classes, or with their inputs around one point."""
    rng = np.random.default_rng(seed)
    host = rng.choice(3, rows, p=SHARES)
    middle = MEANS[host] if at is None else np.tile(np.array(at, dtype=float), (rows, 1))
    inputs = middle + 0.5 * rng.normal(size=(rows, 3))
    y = inputs[:, 0] + np.array([0, 2, 5])[host] + 0.3 * rng.normal(size=rows)
    frame = pd.DataFrame(inputs, columns=NAMES).assign(y=y)
    frame.index = pd.Index([f"{seed}/{row}" for row in range(rows)])
    return frame


@pytest.fixture(scope="module")
def fitted() -> Any:
    return Hosts.fit(hosts(3000, seed=1), ensemble=2)


@pytest.fixture(scope="module")
def normal() -> pd.DataFrame:
    return hosts(1200, seed=2)


def test_normal_rows_raise_each_alarm_at_its_level(fitted: Any, normal: pd.DataFrame) -> None:
    """Of 2000 rows 5 % or fewer; 600 calibration rows make its error .009, 2000 rows .005."""
    found = unusual(fitted, hosts(2000, seed=3), normal=normal, target="y")
    for alarm in (found.input_alarm, found.latent_alarm):
        assert 0.005 < alarm.mean() < 0.05 + 3 * 0.0105
    assert all(chance > 0.001 for chance in found.excess().values())


def test_an_input_out_of_range_is_no_unusual_state(fitted: Any, normal: pd.DataFrame) -> None:
    """The two other inputs say which host it is; c is a sensor that broke."""
    rows = hosts(200, seed=4, at=MEANS[0]).assign(c=12.0)
    found = unusual(fitted, rows, normal=normal, target="y")
    assert found.input_alarm.mean() > 0.95
    assert found.latent_alarm.mean() < 0.12
    assert found.beyond["c"].all()


def test_a_rare_class_of_usual_inputs_is_an_unusual_state(
    fitted: Any, normal: pd.DataFrame
) -> None:
    rows = hosts(200, seed=5, at=MEANS[2])
    found = unusual(fitted, rows, normal=normal, target="y")
    assert found.latent_alarm.mean() > 0.95
    assert found.input_alarm.mean() < 0.1
    assert len(set(found.to_frame()["host"])) == 1


def test_a_new_class_of_usual_inputs_is_an_unusual_state(fitted: Any, normal: pd.DataFrame) -> None:
    """No class has a at 0 and c at 4; both are usual. The density is low for that reason."""
    rows = hosts(200, seed=6, at=[0.0, 0.0, 4.0])
    found = unusual(fitted, rows, normal=normal, target="y")
    assert found.latent_alarm.mean() > 0.9
    assert found.input_alarm.mean() < 0.1
    assert (found.input <= 0.05).mean() > 0.9
    assert found.excess()["latent"] < 1e-6
    assert "Benjamini" in str(found)
    alarms = set(found.to_frame()["alarm"])
    assert "latent state" in alarms


def test_the_target_is_not_looked_at(fitted: Any, normal: pd.DataFrame) -> None:
    rows = hosts(100, seed=7)
    first = unusual(fitted, rows, normal=normal, target="y")
    second = unusual(fitted, rows.assign(y=1e6), normal=normal.drop(columns="y"), target="y")
    np.testing.assert_array_equal(first.input, second.input)
    np.testing.assert_array_equal(first.latent, second.latent)
    assert unusual(fitted, rows.assign(y=1e3), normal=normal).input_alarm.all()


class Line(cs.SCM):
    """Three readings of a continuous load."""

    u = cs.Latent(cs.Real())
    a = cs.Observed(cs.Real(), parents=[u], mechanism=cs.Linear())
    b = cs.Observed(cs.Real(), parents=[u], mechanism=cs.Linear())
    c = cs.Observed(cs.Real(), parents=[u], mechanism=cs.Linear())
    y = cs.Observed(cs.Real(), parents=[u, a], mechanism=cs.Linear())


def line(rows: int, *, seed: int, u: float | None = None) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    load = rng.normal(size=rows) if u is None else np.full(rows, u)
    frame = pd.DataFrame({name: load + 0.4 * rng.normal(size=rows) for name in NAMES})
    return frame.assign(y=load + frame["a"] + 0.3 * rng.normal(size=rows))


def test_continuous_latents_have_unusual_states_too() -> None:
    fitted = Line.fit(line(1500, seed=1), ensemble=1)
    normal = line(800, seed=2)
    quiet = unusual(fitted, line(1500, seed=3), normal=normal, target="y")
    assert quiet.latent_alarm.mean() < 0.05 + 3 * 0.0125
    assert quiet.input_alarm.mean() < 0.05 + 3 * 0.0125
    # The load itself is beyond all but one in a thousand; no reading need be beyond all.
    high = unusual(fitted, line(200, seed=4, u=3.2), normal=normal, target="y")
    assert high.latent_alarm.mean() > 0.9
    state = high.states["u"]
    assert abs(float(np.mean(np.asarray(state, dtype=float)))) > 2.5
    # Readings that contradict each other: no load explains them.
    apart = line(200, seed=5, u=0.0).assign(a=1.5, b=-1.5)
    assert unusual(fitted, apart, normal=normal, target="y").latent_alarm.mean() > 0.95
    # One reading beyond all: the load is told by the two others, and is usual.
    broken = line(200, seed=6, u=0.0).assign(c=9.0)
    found = unusual(fitted, broken, normal=normal, target="y")
    assert found.input_alarm.mean() > 0.95
    assert found.latent_alarm.mean() < 0.1


def test_models_without_latents_have_one_alarm() -> None:
    class Plain(cs.SCM):
        a = cs.Observed(cs.Real())
        b = cs.Observed(cs.Real(), parents=[a], mechanism=cs.Linear())

    rng = np.random.default_rng(0)
    a = rng.normal(size=1000)
    data = pd.DataFrame({"a": a, "b": a + 0.1 * rng.normal(size=1000)})
    fitted = Plain.fit(data[:500])
    crossed = data[900:].assign(b=-data["b"][900:])
    found = unusual(fitted, crossed, normal=data[500:900])
    assert found.input_alarm.mean() > 0.8
    assert not found.latent_alarm.any()
    assert "no latent" in found.notes[0]


def test_missing_cells_are_left_out(fitted: Any, normal: pd.DataFrame) -> None:
    rows = hosts(50, seed=9, at=[0.0, 0.0, 4.0])
    rows.loc[rows.index[:40], "c"] = np.nan
    found = unusual(fitted, rows, normal=normal, target="y")
    # Two readings of the first class: usual. Three: of no class.
    assert found.latent_alarm[:40].mean() < 0.2
    assert found.latent_alarm[40:].mean() > 0.7
    assert "Missing cells are left out" in str(found)
    without = unusual(fitted, rows.drop(columns="c"), normal=normal, target="y")
    assert "not looked at: c" in str(without)
    # The target has a for a parent: without a column of a, it says nothing.
    headless = unusual(fitted, rows.drop(columns="a"), normal=normal)
    assert "not looked at: a" in str(headless)


def test_bad_input_is_refused(fitted: Any, normal: pd.DataFrame) -> None:
    rows = hosts(10, seed=10)
    with pytest.raises(EvidenceError, match="at least 38"):
        unusual(fitted, rows, normal=normal[:30], target="y")
    with pytest.raises(QueryError, match="level"):
        unusual(fitted, rows, normal=normal, level=0.0)
    with pytest.raises(UnknownNameError):
        unusual(fitted, rows, normal=normal, target="z")
    with pytest.raises(EvidenceError, match="normal period too"):
        unusual(fitted, normal[:5], normal=normal, target="y")
    with pytest.raises(EvidenceError, match="no column"):
        unusual(fitted, rows[["y"]], normal=normal, target="y")
