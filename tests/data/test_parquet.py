"""Parquet: needed columns, folders, and samples of what is too long."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import causalsys as cs
from causalsys.data.parquet import column_names, load
from causalsys.errors import DataError, MissingColumnError

ROWS = 1000


class Pair(cs.SCM):
    x = cs.Observed(cs.Real(), mechanism=cs.Linear())
    y = cs.Observed(cs.Real(), parents=[x], mechanism=cs.Linear())


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    x = rng.normal(size=ROWS)
    return pd.DataFrame(
        {"x": x, "y": 2 * x + rng.normal(size=ROWS), "importance": rng.random(ROWS), "text": "a"}
    )


@pytest.fixture
def path(frame: pd.DataFrame, tmp_path: Path) -> Path:
    frame.to_parquet(tmp_path / "rows.parquet", row_group_size=90)
    return tmp_path / "rows.parquet"


def slope(fitted: cs.FittedSCM) -> float:
    answer = fitted.counterfactual({"x": 0.0, "y": 0.0}, do={"x": 1.0}, samples=1)
    return float(answer.mean("y")[0])


def test_only_the_wanted_columns_are_read(path: Path, frame: pd.DataFrame) -> None:
    found = load(path, columns=["y", "x", "absent"], most=None)
    pd.testing.assert_frame_equal(found.frame, frame[["x", "y"]])
    assert found.rows is None
    assert column_names(path) == list(frame.columns)


@pytest.mark.parametrize("most", [1, 100, 999])
def test_of_many_rows_some_are_taken(path: Path, frame: pd.DataFrame, most: int) -> None:
    found = load(path, columns=["x"], most=most, seed=3)
    again = load(path, columns=["x"], most=most, seed=3)
    other = load(path, columns=["x"], most=most, seed=4)
    assert found.rows is not None
    assert other.rows is not None
    assert found.total == ROWS
    assert len(np.unique(found.rows)) == most
    pd.testing.assert_frame_equal(found.frame, frame.loc[found.rows, ["x"]])
    pd.testing.assert_frame_equal(found.frame, again.frame)
    assert not np.array_equal(found.rows, other.rows)


def test_every_row_has_the_same_chance(path: Path) -> None:
    counts = np.zeros(ROWS)
    for seed in range(100):
        counts[load(path, columns=["x"], most=200, seed=seed).rows] += 1
    # Tenths of the file get 2000 draws each: their standard deviation is 40, or less.
    assert np.abs(counts.reshape(10, -1).sum(1) - 2000).max() < 5 * 40


def test_a_folder_is_read_as_one(frame: pd.DataFrame, tmp_path: Path) -> None:
    for part, start in enumerate((0, 400)):
        frame[start : start + 400 + 200 * part].to_parquet(tmp_path / f"part-{part}.parquet")
    found = load(tmp_path, columns=["x"], most=300)
    assert found.rows is not None
    np.testing.assert_array_equal(found.frame["x"], frame["x"].to_numpy()[found.rows])
    assert slope(Pair.fit(tmp_path)) == slope(Pair.fit(frame))


def test_a_fit_to_a_sample_says_so(path: Path, frame: pd.DataFrame) -> None:
    fitted = Pair.fit(path, rows_in_memory=300, weight="importance", seed=5)
    rows = load(path, columns=["x"], most=300, seed=5).rows
    assert slope(fitted) == slope(Pair.fit(frame.loc[rows], weight="importance", seed=5))
    weight = frame["importance"].to_numpy()
    assert slope(fitted) == slope(Pair.fit(path, rows_in_memory=300, weight=weight, seed=5))
    assert "a random sample of 300 of the 1,000 rows" in fitted.diagnostics.notes[0]
    assert not Pair.fit(path).diagnostics.notes


def test_a_missing_column_is_named_with_what_looks_like_it(
    frame: pd.DataFrame, tmp_path: Path
) -> None:
    frame.rename(columns={"y": "yy"}).to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(MissingColumnError, match=r"y: no column 'y'.*'yy'"):
        Pair.fit(tmp_path / "rows.parquet")


def test_what_is_no_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.parquet").write_text("x,y\n1,2\n")
    with pytest.raises(DataError, match=r"rows\.parquet cannot be read as parquet"):
        Pair.fit(tmp_path / "rows.parquet")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no file empty"):
        Pair.fit(tmp_path / "empty")
