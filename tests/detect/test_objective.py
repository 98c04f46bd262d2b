"""An objective's violations: the stated rate, with and without bursts, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from causalsys.detect.objective import monitor_objective
from causalsys.errors import EvidenceError, QueryError


def bursts(rows: int, *, share: float, length: int, seed: int) -> np.ndarray:
    """Violations that come and go `length` rows at a time."""
    rng = np.random.default_rng(seed)
    return np.repeat(rng.random(rows // length + 1) < share, length)[:rows]


def test_false_alarms_stay_within_the_stated_rate() -> None:
    """200 streams at the very share that is allowed, at a rate of .1: the guarantee is exact, and
    more than 31 alarms are rarer than one in a hundred if it holds."""
    found = [
        monitor_objective(
            np.random.default_rng(seed).random(2000) < 0.05, share=0.05, false_alarms=0.1
        ).alarms
        for seed in range(200)
    ]
    assert sum(map(len, found)) <= 31


def test_bursts_need_blocks() -> None:
    """Bursts of 20 rows at the allowed share: rows that count alone alarm far too often (what the
    option is for), blocks of 20 keep the rate."""
    streams = [bursts(4000, share=0.05, length=20, seed=seed) for seed in range(100)]
    alone = [monitor_objective(s, share=0.05, false_alarms=0.1).alarms for s in streams]
    blocks = [monitor_objective(s, share=0.05, false_alarms=0.1, block=20).alarms for s in streams]
    assert sum(map(len, alone)) > 50
    assert sum(map(len, blocks)) <= 17


@pytest.mark.parametrize("block", [1, 20])
def test_more_violations_are_seen(block: int) -> None:
    """From 1 % to 8 % where 2 % are allowed: 8 violations in 100 rows, against 2."""
    rng = np.random.default_rng(0)
    days = pd.date_range("2024-01-01", periods=4000, freq="h")
    slow = pd.Series(rng.random(4000) < np.where(np.arange(4000) < 2000, 0.01, 0.08), days)
    found = monitor_objective(slow, share=0.02, block=block, name="p99")
    (alarm,) = found.alarms
    assert 2000 < alarm.row < 2500
    assert abs(alarm.since - 2000) < 150
    assert alarm.label == days[alarm.row]
    assert (alarm.node, alarm.kind) == ("p99", "objective")
    assert "p99" in str(found)


def test_a_limit_and_missing_values() -> None:
    delay = np.r_[np.full(50, 10.0), np.full(200, np.nan), np.full(60, 300.0)]
    found = monitor_objective(delay, limit=200, share=0.01)
    (alarm,) = found.alarms
    assert alarm.row >= 250
    assert not monitor_objective(delay[:250], limit=200, share=0.01).alarms


def test_bad_input_is_refused() -> None:
    for how in ({"share": 0}, {"share": 1.5}, {"share": 0.1, "false_alarms": 0}):
        with pytest.raises(QueryError):
            monitor_objective([True, False], **how)
    for how in ({"block": 0}, {"per": 0}):
        with pytest.raises(QueryError):
            monitor_objective([True, False], share=0.1, **how)  # type: ignore[arg-type]
    for values in ([], [[True]], ["a"], [3.0, 4.0]):
        with pytest.raises(EvidenceError):
            monitor_objective(values, share=0.1)
