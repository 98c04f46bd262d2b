"""What users give that does not fit: an error that names the variable, or a stated fallback."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

import causalsys as cs
from causalsys.errors import (
    CausalSysError,
    DataError,
    EvidenceError,
    OutsideSupportError,
    QueryError,
    UnknownNameError,
)
from causalsys.rootcause.finding import Finding
from tests.rootcause.incidents import HOST, SHOP, Known, known

shop = cache(lambda: known(SHOP, 0))
host = cache(lambda: known(HOST, 0))


@cache
def incident() -> pd.DataFrame:
    return shop().system.incident(np.random.default_rng(7), {"db": 12.0})


def without(frame: pd.DataFrame, name: str, rows: slice = slice(None)) -> pd.DataFrame:
    """The frame without a variable's values in some rows."""
    gone = np.zeros(len(frame), dtype=bool)
    gone[rows] = True
    return frame.assign(**{name: frame[name].mask(gone)})


def ask(**asked: Any) -> Finding:
    made: Known = asked.pop("made", shop())
    given = asked.pop("incident", incident())
    return cs.root_cause(made.fitted, given, **{"target": "page", "normal": made.normal, **asked})


CASES: dict[str, tuple[Callable[[], dict[str, Any]], type[CausalSysError], str, str]] = {
    "a target that is not in the graph": (
        lambda: {"target": "pagee"},
        UnknownNameError,
        "pagee",
        "Did you mean page",
    ),
    "a latent as the target": (
        lambda: {"made": host(), "incident": host().normal[:8], "target": "h"},
        QueryError,
        "h",
        "latent",
    ),
    "an incident that is part of the normal period": (
        lambda: {"incident": shop().normal[-8:]},
        EvidenceError,
        "incident",
        "8 of its rows in the normal period",
    ),
    "an incident that begins in the normal period": (
        lambda: {"incident": pd.concat([shop().normal[-2:], incident()])},
        EvidenceError,
        "incident",
        "the first: 398",
    ),
    "an incident that overlaps the normal period in time": (
        lambda: {
            "incident": incident().set_index(pd.date_range("2026-01-02", periods=8, freq="h")),
            "normal": shop().normal.set_index(
                pd.date_range("2026-01-01", periods=len(shop().normal), freq="h")
            ),
        },
        EvidenceError,
        "incident",
        "Take them out",
    ),
    "no rows": (lambda: {"incident": incident()[:0]}, DataError, "evidence", "no rows"),
    "too few normal rows": (
        lambda: {"normal": shop().normal[:7]},
        EvidenceError,
        "normal",
        "7 rows",
    ),
    "an incident without the target": (
        lambda: {"incident": incident().drop(columns="page")},
        EvidenceError,
        "page",
        "no value in the incident",
    ),
    "a target without a value in the incident": (
        lambda: {"incident": without(incident(), "page")},
        EvidenceError,
        "page",
        "no value in the incident",
    ),
    "a normal period without the target": (
        lambda: {"normal": shop().normal.drop(columns="page")},
        EvidenceError,
        "page",
        "no value in the normal period",
    ),
    "an infinite value": (
        lambda: {"incident": incident().replace({"db": {incident()["db"].iloc[3]: np.inf}})},
        DataError,
        "db",
        "infinite",
    ),
    "an infinite value in the normal period": (
        lambda: {"normal": shop().normal.assign(db=-np.inf)},
        DataError,
        "db",
        "infinite",
    ),
    "words for numbers": (
        lambda: {"incident": incident().assign(cart="slow")},
        DataError,
        "cart",
        "not a number",
    ),
    "no table": (lambda: {"incident": 5}, DataError, "evidence", "a int"),
    "no table of normal rows": (lambda: {"normal": 5}, DataError, "normal", "a int"),
    "a seed below zero": (lambda: {"seed": -1}, QueryError, "seed", "-1"),
    "no draws": (lambda: {"draws": 0}, QueryError, "draws", "0"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_error_says_what_is_wrong_and_where(case: str) -> None:
    asked, kind, variable, words = CASES[case]
    with pytest.raises(kind) as caught:
        ask(**asked())
    assert caught.value.variable == variable
    assert words in str(caught.value)
    for internal in ("Traceback", "tensor(", "np.", "KeyError", "torch."):
        assert internal not in str(caught.value)


class Lagged(cs.SCM):
    x = cs.Observed(cs.Real(), mechanism=cs.Linear())
    y = cs.Observed(cs.Real(), parents=[x, x.lag(1)], mechanism=cs.Linear())


class Pair(cs.SCM):
    share = cs.Observed(cs.Fraction(), mechanism=cs.Linear(link="logit"))
    sizes = cs.Observed(cs.Real(size=2), mechanism=cs.Linear())
    y = cs.Observed(cs.Real(), parents=[share], mechanism=cs.Linear())


def pair(rng: np.random.Generator, rows: int, start: int = 0) -> pd.DataFrame:
    share = rng.uniform(0.2, 0.8, rows)
    return pd.DataFrame(
        {
            "share": share,
            "sizes_0": rng.normal(size=rows),
            "sizes_1": rng.normal(size=rows),
            "y": share + rng.normal(0, 0.1, rows),
        },
        index=range(start, start + rows),
    )


def test_models_with_lags_are_refused() -> None:
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"x": rng.normal(size=60), "y": rng.normal(size=60)})
    rows["trace"], rows["step"] = np.repeat([0, 1], 30), np.tile(np.arange(30), 2)
    fitted = Lagged.fit(cs.Traces(rows, trace="trace", step="step"))
    with pytest.raises(QueryError, match="states or lags") as caught:
        cs.root_cause(fitted, rows[["x", "y"]][:8], target="y")
    assert caught.value.variable == "Lagged"


def test_vectors_are_no_target_and_values_outside_of_their_support_are_named() -> None:
    rng = np.random.default_rng(0)
    normal, window = pair(rng, 60), pair(rng, 8, 900)
    fitted = Pair.fit(normal)
    with pytest.raises(QueryError, match="a vector as the target"):
        cs.root_cause(fitted, window, target="sizes", normal=normal)
    with pytest.raises(OutsideSupportError, match="share"):
        cs.root_cause(fitted, window.assign(share=1.7), target="y", normal=normal)


def test_an_incident_of_one_row_has_no_rows_before_the_fault() -> None:
    made = shop()
    for size, cause in ((12.0, "db"), (20.0, "pay")):
        row = made.system.incident(made.rng, {cause: size}, profile=np.ones(1))
        found = ask(incident=row)
        assert found.cause is not None
        assert found.cause.name == cause
        assert any("no rows before the fault" in sentence for sentence in found.assumptions)


@pytest.mark.parametrize("value", ["usual", "other"])
def test_a_target_that_did_not_move_is_no_incident(value: str) -> None:
    """However much else did: this is an answer, not an error."""
    normal = shop().normal
    still = float(normal["page"].median())
    if value == "other":
        still, normal = 3.0, normal.assign(page=3.0)
    found = ask(incident=incident().assign(page=still), normal=normal)
    assert found.kind == "no incident"
    assert not found.alarm
    assert found.cause is None
    assert found.readings == ()
    assert "No incident seen: page" in str(found)


def test_columns_that_the_model_does_not_have_are_left_alone() -> None:
    assert ask(incident=incident().assign(note=1.0)) == ask()


@pytest.mark.parametrize("name", ["pay", "load", "idle", "cart"])
def test_what_has_no_value_in_the_incident_is_said_and_the_rest_is_judged(name: str) -> None:
    for gone in (without(incident(), name), incident().drop(columns=name)):
        found = ask(incident=gone)
        assert found.cause is not None
        assert "db" in found.cause.names
        assert any(f"Without a value in the incident: {name}." in s for s in found.assumptions)


@pytest.mark.parametrize("name", ["pay", "load", "idle"])
def test_metrics_that_stop_in_the_middle_of_an_incident(name: str) -> None:
    found = ask(incident=without(incident(), name, slice(5, None)))
    assert found.cause is not None
    assert found.cause.name == "db"
    assert any(f"Missing in part of the incident: {name}." in s for s in found.assumptions)


def test_a_target_that_stops_in_the_middle_of_an_incident() -> None:
    found = ask(incident=without(incident(), "page", slice(5, None)))
    assert found.cause is not None
    assert found.cause.name == "db"
    assert any("Missing in part of the incident: page." in s for s in found.assumptions)


def test_a_variable_without_a_normal_value_is_left_out() -> None:
    found = ask(normal=shop().normal.assign(pay=np.nan))
    assert found.cause is not None
    assert found.cause.name == "db"


def test_few_normal_rows_are_enough_and_their_windows_are_counted() -> None:
    made = shop()
    found = ask(normal=made.normal[:40])
    assert found.cause is not None
    assert found.cause.name == "db"
    assert any("5 normal windows of 8 rows" in sentence for sentence in found.assumptions)


def test_a_window_that_is_longer_than_the_normal_period_is_told_of() -> None:
    made = shop()
    profile = np.repeat([0.0, 1.0], [20, 60])
    window = made.system.incident(made.rng, {"db": 12.0}, profile=profile)
    found = ask(incident=window, normal=made.normal[:40])
    assert found.cause is not None
    assert found.cause.name == "db"
    assert any("shorter than the window of 80 rows" in s for s in found.assumptions)
