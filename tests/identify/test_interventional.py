"""The benchmark of verdicts on effects runs, and what it measures is met on a few graphs too."""

from __future__ import annotations

from benchmarks.trust import interventional


def test_all_targets_are_met() -> None:
    rows = interventional.run(quick=True)
    assert len(rows) == 9
    assert [row.case for row in rows if not row.met] == []
