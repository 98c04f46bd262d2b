"""Traces from parquet, whole ones at a time: every way to cut a file gives the same traces."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import causalsys as cs
from causalsys.data.sampled import load_traces
from causalsys.data.stream import Stream
from causalsys.errors import CausalSysError, DataError, MissingColumnError


def log(lengths: list[int], *, names: list[object] | None = None, first: int = 0) -> pd.DataFrame:
    named = names or list(range(len(lengths)))
    trace = [name for name, length in zip(named, lengths, strict=True) for _ in range(length)]
    step = np.concatenate([np.arange(first, first + length) for length in lengths])
    rng = np.random.default_rng(0)
    return pd.DataFrame({"trace": trace, "step": step, "x": rng.normal(size=len(step)), "y": 1.0})


def read(stream: Stream, most: int) -> pd.DataFrame:
    frames = []
    for piece in stream.pieces(most):
        for batch, frame in zip(piece.batches, stream.frames(piece.batches), strict=True):
            assert len(frame) == batch.stop - batch.start <= most
            assert frame.groupby("trace", sort=False).size().tolist() == batch.lengths.tolist()
            frames.append(frame)
    return pd.concat(frames)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=12),
    group=st.integers(1, 30),
    most=st.integers(9, 60),
    cuts=st.lists(st.integers(0, 60), max_size=3),
)
def test_every_way_to_cut_a_file_gives_the_same_traces(
    tmp_path_factory: pytest.TempPathFactory,
    lengths: list[int],
    group: int,
    most: int,
    cuts: list[int],
) -> None:
    folder = tmp_path_factory.mktemp("log")
    frame = log(lengths, names=[f"t{9 - i}" for i in range(len(lengths))], first=3)
    bounds = sorted({0, len(frame), *(cut for cut in cuts if cut < len(frame))})
    for part, (low, high) in enumerate(pairwise(bounds)):
        frame[low:high].to_parquet(folder / f"part-{part}.parquet", row_group_size=group)
    stream = Stream.open(folder)
    assert (stream.rows, stream.traces) == (len(frame), len(lengths))
    found = read(stream, most)
    assert found.index.tolist() == list(range(len(frame)))
    pd.testing.assert_frame_equal(found.reset_index(drop=True), frame)
    numbers = np.concatenate([batch.numbers for batch in stream.batches(most)])
    assert numbers.tolist() == list(range(len(lengths)))


def test_only_the_wanted_columns_are_read(tmp_path: Path) -> None:
    log([3, 3]).to_parquet(tmp_path / "log.parquet")
    stream = Stream.open(tmp_path / "log.parquet")
    (frame,) = stream.frames(stream.batches(10), columns=["y", "absent"])
    assert list(frame.columns) == ["trace", "step", "y"]


def test_columns_may_be_named_by_folders(tmp_path: Path) -> None:
    for region, name in (("east", "a"), ("west", "b")):
        (tmp_path / f"region={region}").mkdir()
        log([2], names=[name]).to_parquet(tmp_path / f"region={region}" / "log.parquet")
    stream = Stream.open(tmp_path)
    assert read(stream, 3)["region"].tolist() == ["east", "east", "west", "west"]


def test_files_may_differ_in_the_width_of_numbers(tmp_path: Path) -> None:
    frame = log([4, 4])
    frame[:3].astype({"x": "float32", "step": "int16"}).to_parquet(tmp_path / "part-0.parquet")
    frame[3:].to_parquet(tmp_path / "part-1.parquet")
    np.testing.assert_allclose(read(Stream.open(tmp_path), 5)["x"], frame["x"], rtol=1e-6)


@pytest.mark.parametrize("kind", ["string", "int32", "dictionary"])
def test_traces_may_be_named_in_any_way(tmp_path: Path, kind: str) -> None:
    names: list[object] = [7, 3, 5] if kind == "int32" else ["b", "a", "é"]
    frame = log([2, 1, 3], names=names)
    if kind == "int32":
        frame["trace"] = frame["trace"].astype("int32")
    if kind == "dictionary":
        frame["trace"] = frame["trace"].astype("category")
    frame.to_parquet(tmp_path / "log.parquet", row_group_size=4)
    assert read(Stream.open(tmp_path / "log.parquet"), 3)["trace"].tolist() == list(frame["trace"])


def test_a_gap_names_file_trace_and_step(tmp_path: Path) -> None:
    frame = log([5, 5], names=["a", "b"])
    frame.drop(index=7).to_parquet(tmp_path / "log.parquet", row_group_size=3)
    told = r"step: a gap or a repeated step at step 3 of trace 'b' in log\.parquet"
    with pytest.raises(DataError, match=told):
        Stream.open(tmp_path / "log.parquet")


def test_a_gap_between_files_is_seen(tmp_path: Path) -> None:
    frame = log([6], names=["a"])
    frame[:3].to_parquet(tmp_path / "part-0.parquet")
    frame[4:].to_parquet(tmp_path / "part-1.parquet")
    with pytest.raises(DataError, match=r"at step 4 of trace 'a' in part-1\.parquet"):
        Stream.open(tmp_path)


def test_a_repeated_step_is_seen(tmp_path: Path) -> None:
    frame = log([4], names=["a"])
    pd.concat([frame[:2], frame[1:]]).to_parquet(tmp_path / "log.parquet")
    with pytest.raises(DataError, match="a repeated step at step 1 of trace 'a'"):
        Stream.open(tmp_path / "log.parquet")


def test_a_trace_that_comes_back_is_named(tmp_path: Path) -> None:
    frame = log([3, 3], names=["a", "b"])
    later = log([2], names=["a"], first=3)
    frame.to_parquet(tmp_path / "part-0.parquet")
    later.to_parquet(tmp_path / "part-1.parquet")
    told = r"comes back after another began: trace 'a' at step 3 in part-1\.parquet.*Sort the rows"
    with pytest.raises(DataError, match=told):
        Stream.open(tmp_path)


def test_rows_sorted_by_step_are_refused(tmp_path: Path) -> None:
    log([3, 3]).sort_values("step").to_parquet(tmp_path / "log.parquet")
    with pytest.raises(DataError, match="trace 0 at step 1"):
        Stream.open(tmp_path / "log.parquet")


@pytest.mark.parametrize("bytes_left", [0.3, 0.9, 0.999])
def test_a_file_that_is_cut_short_is_refused(tmp_path: Path, bytes_left: float) -> None:
    log([50] * 20).to_parquet(tmp_path / "part-0.parquet")
    log([50], names=[99]).to_parquet(tmp_path / "part-1.parquet")
    whole = (tmp_path / "part-1.parquet").read_bytes()
    (tmp_path / "part-1.parquet").write_bytes(whole[: int(len(whole) * bytes_left)])
    with pytest.raises(DataError, match=r"part-1\.parquet cannot be read as parquet"):
        Stream.open(tmp_path)


def test_a_file_that_changed_while_it_was_read_is_refused(tmp_path: Path) -> None:
    log([50] * 20).to_parquet(tmp_path / "log.parquet")
    stream = Stream.open(tmp_path / "log.parquet")
    log([50] * 10).to_parquet(tmp_path / "log.parquet")
    with pytest.raises(DataError, match="rows that are gone"):
        read(stream, 100)


def test_a_trace_longer_than_a_batch_is_refused(tmp_path: Path) -> None:
    log([3, 8, 2], names=["a", "b", "c"]).to_parquet(tmp_path / "log.parquet")
    with pytest.raises(DataError, match=r"8 steps, more than a batch of 7 rows holds: trace 'b'"):
        Stream.open(tmp_path / "log.parquet").batches(7)


@pytest.mark.parametrize("column", ["trace", "step"])
def test_missing_values_and_columns_are_refused(tmp_path: Path, column: str) -> None:
    frame = log([3])
    frame.drop(columns=column).to_parquet(tmp_path / "less.parquet")
    with pytest.raises(MissingColumnError, match=column):
        Stream.open(tmp_path / "less.parquet")
    values = pa.array([None, 1, 2])
    table = pa.table({name: values if name == column else pa.array([0, 1, 2]) for name in frame})
    pq.write_table(table, tmp_path / "gaps.parquet")
    with pytest.raises(DataError, match=rf"{column}: a missing value in gaps\.parquet"):
        Stream.open(tmp_path / "gaps.parquet")


def test_steps_that_are_no_whole_numbers_are_refused(tmp_path: Path) -> None:
    frame = log([3])
    frame["step"] = frame["step"] + 0.5
    frame.to_parquet(tmp_path / "log.parquet")
    with pytest.raises(DataError, match="not whole numbers"):
        Stream.open(tmp_path / "log.parquet")


def test_no_rows_are_refused(tmp_path: Path) -> None:
    log([3])[:0].to_parquet(tmp_path / "log.parquet")
    with pytest.raises(DataError, match="no rows"):
        Stream.open(tmp_path / "log.parquet")


class Drift(cs.SCM):
    x = cs.Observed(cs.Real(), mechanism=cs.Linear())
    level = cs.State(cs.Real())
    y = cs.Observed(cs.Real(), parents=[x, level], mechanism=cs.Linear())

    @cs.transition(level)
    def later(level, x):
        return 0.9 * level + x


def drifting(lengths: list[int]) -> pd.DataFrame:
    frame = log(lengths, names=[f"t{-i}" for i in range(len(lengths))]).drop(columns="y")
    frame["y"] = np.random.default_rng(1).normal(size=len(frame)) + 2 * frame["x"]
    return frame


def slope(fitted: cs.FittedSCM) -> float:
    rows = pd.DataFrame({"trace": 0, "step": [0], "x": 0.0, "y": 0.0})
    return float(fitted.counterfactual(rows, do={"x": 1.0}, samples=1).mean("y")[0])


def test_a_sample_is_of_whole_traces(tmp_path: Path) -> None:
    frame = drifting([7, 11, 3, 9, 30, 5, 5, 8])
    frame.to_parquet(tmp_path / "log.parquet", row_group_size=16)
    taken = set()
    for seed in range(20):
        found = load_traces(tmp_path / "log.parquet", columns=["x"], most=40, seed=seed)
        assert found.total == len(frame)
        assert len(found.frame) <= 40
        names = found.frame["trace"].unique()
        wanted = frame[frame["trace"].isin(names)][["trace", "step", "x"]]
        pd.testing.assert_frame_equal(found.frame, wanted)
        np.testing.assert_array_equal(found.rows, wanted.index)
        taken |= set(names)
    assert taken == set(frame["trace"])


def test_a_fit_to_a_file_takes_whole_traces(tmp_path: Path) -> None:
    frame = drifting([20] * 40)
    frame.to_parquet(tmp_path / "log.parquet")
    path = tmp_path / "log.parquet"
    assert slope(Drift.fit(path, ensemble=2)) == slope(Drift.fit(frame, ensemble=2))
    fitted = Drift.fit(path, rows_in_memory=300, ensemble=2, seed=4)
    some = load_traces(path, columns=["x", "y"], most=300, seed=4).frame
    assert len(some) == 300
    assert slope(fitted) == slope(Drift.fit(some, ensemble=2, seed=4))
    told = "a random sample of 300 of the 800 rows, in whole traces, of log.parquet"
    assert told in fitted.diagnostics.notes[0]


def test_traces_in_any_order_can_be_fitted_where_they_fit_into_memory(tmp_path: Path) -> None:
    frame = drifting([20] * 40)
    frame.sample(frac=1, random_state=0).to_parquet(tmp_path / "log.parquet", index=False)
    path = tmp_path / "log.parquet"
    assert slope(Drift.fit(path, ensemble=2)) == pytest.approx(slope(Drift.fit(frame, ensemble=2)))
    with pytest.raises(CausalSysError, match=r"Sort the rows|in order"):
        Drift.fit(path, rows_in_memory=300, ensemble=2)


def test_a_trace_longer_than_the_memory_is_said(tmp_path: Path) -> None:
    drifting([50, 50]).to_parquet(tmp_path / "log.parquet")
    with pytest.raises(DataError, match=r"a trace of 50 steps.*Raise rows_in_memory"):
        Drift.fit(tmp_path / "log.parquet", rows_in_memory=40)
