"""Bugs that a review found: each once gave a wrong answer in silence, or a wrong refusal."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import causalsys as cs
from causalsys.errors import EvidenceError, QueryError
from tests.rootcause.incidents import FAULTY, SHOP, Known, known


@pytest.fixture(scope="module")
def shop() -> Known:
    return known(SHOP, 3)


@pytest.mark.parametrize("seed", range(4))
def test_a_moderate_fault_that_lasts_is_no_drift(seed: int) -> None:
    """The target's own noise is no contrast: the fault is about two of its deviations."""
    found = known(SHOP, seed)
    finding = found.ask(found.system.incident(found.rng, {"cart": 3.0}, profile=FAULTY), "bill")
    assert finding.cause is not None
    assert finding.cause.name == "cart"
    assert not any("has rows before the fault" in said for said in finding.assumptions)


def test_rows_that_are_only_counted_do_not_overlap(shop: Known) -> None:
    normal = shop.normal.reset_index(drop=True)
    incident = shop.system.incident(shop.rng, {"pay": 6.0}).reset_index(drop=True)
    some = incident[incident["pay"] > -1e9].iloc[[0, 1, 2, 4, 5, 7]]
    assert not isinstance(some.index, pd.RangeIndex)
    assert cs.root_cause(shop.fitted, some, target="bill", normal=normal).alarm


def test_a_row_without_a_value_is_in_no_other_period(shop: Known) -> None:
    normal = shop.normal.reset_index(drop=True)
    incident = shop.system.incident(shop.rng, {"pay": 6.0}).reset_index(drop=True)
    incident.iloc[1] = np.nan
    assert cs.root_cause(shop.fitted, incident, target="bill", normal=normal).alarm


def test_a_slice_that_overlaps_is_refused(shop: Known) -> None:
    rows = shop.normal.reset_index(drop=True)
    with pytest.raises(EvidenceError, match="5 of its rows"):
        cs.root_cause(shop.fitted, rows[295:], target="bill", normal=rows[:300])


def test_a_seed_that_is_too_large_is_refused(shop: Known) -> None:
    incident = shop.system.incident(shop.rng, {"pay": 6.0})
    with pytest.raises(QueryError, match="seed"):
        cs.root_cause(shop.fitted, incident, target="bill", normal=shop.normal, seed=2**70)
