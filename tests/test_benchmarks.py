"""The benchmarks run, and say what they are meant to say. How fast things are is not asked here."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from benchmarks import growth, memory
from benchmarks.clock import alternate, exponent, ratio
from benchmarks.report import Row, table, write


@pytest.mark.parametrize(("module", "rows"), [(growth, 4), (memory, 3)], ids=["growth", "memory"])
def test_a_benchmark_runs(module, rows: int) -> None:
    found = module.run(quick=True)
    assert len(found) == rows
    for row in found:
        assert row.benchmark == module.NAME
        assert math.isfinite(row.figure)
        assert row.ours > 0


def test_calls_take_turns() -> None:
    called: list[str] = []
    taken = alternate({"a": lambda: called.append("a"), "b": lambda: called.append("b")}, rounds=2)
    assert called == ["a", "a", "b", "b", "b", "b", "a", "a"]
    alternate({"c": lambda: called.append("c")}, rounds=1, number=3, warm=False)
    assert called[8:] == ["c"] * 3
    assert [len(each) for each in taken.values()] == [2, 2]


def test_figures() -> None:
    assert ratio([2, 9, 4], [1, 3, 4]) == 2
    assert exponent([10, 100, 1000], [3, 48, 768]) == pytest.approx(math.log10(16))


def test_results_are_written_for_people_and_for_machines(tmp_path: Path) -> None:
    rows = [
        Row("fit", "linear", 0.01, 0.02, "s", 0.5, 1.0),
        Row("fit", "network", 3.0, None, "s", 3.0, 1.0),
        Row("memory", "ten rows", 400.0, 200.0, "MB", 2.0),
    ]
    assert [row.met for row in rows] == [True, False, None]
    assert "| fit | linear | 10 ms | 20 ms | 0.5 | ≤ 1 | yes |" in table(rows)
    write(rows, results=tmp_path / "results", text=tmp_path)
    text = (tmp_path / "RESULTS.md").read_text()
    content = json.loads((tmp_path / "results" / "core.json").read_text())
    assert table(rows) in text
    assert [row["met"] for row in content["rows"]] == [True, False, None]
    assert str(Path.home()) not in text
