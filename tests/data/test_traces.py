"""Rows that follow each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from hypothesis import given
from hypothesis import strategies as st

import causalsys as cs
from causalsys.data.table import Layout


@st.composite
def frames(draw: st.DrawFn) -> tuple[pd.DataFrame, list[int]]:
    """Traces of drawn lengths, from any first step, with their rows in any order."""
    lengths = draw(st.lists(st.integers(1, 5), min_size=1, max_size=5))
    firsts = [draw(st.integers(-3, 100)) for _ in lengths]
    rows = [
        (f"t{trace}", firsts[trace] + step)
        for trace, length in enumerate(lengths)
        for step in range(length)
    ]
    order = draw(st.permutations(range(len(rows))))
    frame = pd.DataFrame(rows, columns=["trace", "step"]).assign(x=np.arange(len(rows)))
    return frame.iloc[list(order)], lengths


@given(frames())
def test_rows_are_laid_end_to_end(drawn: tuple[pd.DataFrame, list[int]]) -> None:
    frame, lengths = drawn
    traces = cs.Traces(frame)
    assert traces.frame["x"].tolist() == list(range(len(frame)))
    wanted = [(trace, step) for trace, length in enumerate(lengths) for step in range(length)]
    layout = traces.layout
    found = zip(layout.trace.tolist(), layout.position.tolist(), strict=True)
    assert list(found) == wanted
    assert (layout.traces, layout.steps) == (len(lengths), max(lengths))
    assert layout.names == tuple(f"t{trace}" for trace in range(len(lengths)))
    assert layout.order is not None
    assert frame["x"].to_numpy()[layout.order.numpy()].tolist() == list(range(len(frame)))


@given(frames(), st.integers(1, 3))
def test_earlier_steps(drawn: tuple[pd.DataFrame, list[int]], lag: int) -> None:
    frame, _ = drawn
    traces = cs.Traces(frame)
    values = torch.tensor(traces.frame["x"].to_numpy(float)).unsqueeze(0)
    found = traces.layout.earlier(values, lag, initial=-7.0, row_axis=1)[0]
    wanted = traces.frame.groupby("trace")["x"].shift(lag).fillna(-7.0)
    assert found.tolist() == wanted.tolist()


@given(frames())
def test_the_rows_of_each_step(drawn: tuple[pd.DataFrame, list[int]]) -> None:
    layout = cs.Traces(drawn[0]).layout
    for step, rows in enumerate(layout.rows_at):
        live = rows[rows >= 0]
        assert (layout.position[live] == step).all()
        assert len(live) == sum(length > step for length in drawn[1])


def test_names_of_columns_are_free() -> None:
    frame = pd.DataFrame({"visit": [2, 1, 1], "chunk": [0, 1, 0], "x": [1.0, 2.0, 3.0]})
    traces = cs.Traces(frame, trace="visit", step="chunk")
    assert traces.frame["x"].tolist() == [3.0, 2.0, 1.0]
    assert traces.layout.names == (1, 2)


def test_the_frame_is_not_changed() -> None:
    frame = pd.DataFrame({"trace": ["b", "a"], "step": [0, 0], "x": [1.0, 2.0]})
    before: Any = frame.copy(deep=True)
    assert cs.Traces(frame).frame["x"].tolist() == [2.0, 1.0]
    pd.testing.assert_frame_equal(frame, before)


def test_independent_rows_are_traces_of_one_step() -> None:
    layout = Layout.single(3)
    assert (layout.traces, layout.steps) == (3, 1)
    assert [rows.tolist() for rows in layout.rows_at] == [[0, 1, 2]]
