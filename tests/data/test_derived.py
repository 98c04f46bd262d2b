"""Equations and states follow from the columns, and columns must agree with them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import causalsys as cs
from causalsys.data.read import read
from causalsys.data.schema import Schema
from causalsys.data.table import Table
from causalsys.errors import DataError, EvidenceError
from tests import models
from tests.models import Line


class Disk(cs.SCM):
    size = cs.Observed(cs.Positive("MiB"))
    speed = cs.Observed(cs.Positive("MiB/s"))

    @cs.equation(cs.Positive("s"))
    def duration(size, speed):
        return size / speed

    @cs.equation(cs.Boolean())
    def slow(duration):
        return duration > 1

    @cs.equation(cs.Positive(size=2))
    def both(size, speed):
        import torch

        return torch.stack([size, speed], -1)


def disk(purpose: str = "fit", **columns: object) -> Table:
    frame = pd.DataFrame({"size": [1.0, 6.0, 8.0], "speed": [2.0, 3.0, 8.0], **columns})
    frame = frame.dropna(axis=1, how="all")
    return read(Schema.learn(Disk.declaration, frame), frame, purpose=purpose)  # type: ignore


def test_equations_are_computed_in_order() -> None:
    table = disk()
    assert table.values["duration"].tolist() == [[0.5, 2.0, 1.0]]
    assert table.values["slow"].tolist() == [[0, 1, 0]]
    assert table.values["both"].shape == (1, 3, 2)
    assert not table.missing


def test_a_gap_goes_on_to_what_is_computed_from_it() -> None:
    table = disk(size=[1.0, np.nan, 8.0])
    for name in ("size", "duration", "slow", "both"):
        assert table.missing[name].tolist() == [False, True, False], name
    assert table.values["duration"][0, [0, 2]].tolist() == [0.5, 1.0]


def test_equations_never_see_a_placeholder() -> None:
    seen = []

    class Watched(cs.SCM):
        x = cs.Observed(cs.Real())

        @cs.equation(cs.Real())
        def y(x):
            seen.extend(x.flatten().tolist())
            return x

    frame = pd.DataFrame({"x": [1.0, np.nan, 3.0]})
    read(Schema.learn(Watched.declaration, frame), frame)
    assert seen == [1.0, 3.0]


def test_a_column_may_be_rounded() -> None:
    """To a thousandth of its spread; the computed value is what counts."""
    table = disk(duration=[0.5004, 2.0, 1.0])
    assert table.values["duration"].tolist() == [[0.5, 2.0, 1.0]]
    assert disk(slow=[False, True, False]).values["slow"].tolist() == [[0, 1, 0]]


def test_a_column_may_have_gaps_where_it_can_be_computed() -> None:
    table = disk(duration=[0.5, np.nan, 1.0])
    assert table.values["duration"].tolist() == [[0.5, 2.0, 1.0]]
    assert not table.missing


@pytest.mark.parametrize(("purpose", "error"), [("fit", DataError), ("evidence", EvidenceError)])
def test_a_column_that_disagrees_is_told_with_its_row(purpose: str, error: type) -> None:
    with pytest.raises(error, match=r"duration: 2.5 in row 1, but its equation gives 2.0 \(1 row"):
        disk(purpose, duration=[0.5, 2.5, 1.0])
    with pytest.raises(error, match="slow: "):
        disk(purpose, slow=[True, True, False])


def test_an_equation_is_not_inverted() -> None:
    with pytest.raises(EvidenceError, match="Give speed, or drop duration"):
        disk("evidence", speed=[np.nan] * 3, duration=[0.5, 2.0, 1.0])
    with pytest.raises(EvidenceError, match="where one of its parents is missing"):
        disk("evidence", speed=[2.0, np.nan, 8.0], duration=[0.5, 2.0, 1.0])


def by_hand(frame: pd.DataFrame) -> list[float]:
    """The queue of `Line`, trace by trace."""
    found = []
    for _, trace in frame.groupby("trace"):
        queue = 0.0
        for _, row in trace.iterrows():
            found.append(queue)
            queue = max(queue + row["work"] - 2.0 * row["served"], 0.0)
    return found


def test_states_are_rolled_forward_from_their_initial_value() -> None:
    frame = models.line((1, 5, 2, 7))
    table = read(models.fitted_line().schema, cs.Traces(frame))
    np.testing.assert_allclose(table.values["queue"][0], by_hand(frame))
    np.testing.assert_allclose(table.values["delay"][0], by_hand(frame) + frame["work"])


def test_logged_states_must_agree() -> None:
    frame = models.line((1, 5, 2, 7))
    queue = np.array(by_hand(frame))
    schema = models.fitted_line().schema
    read(schema, cs.Traces(frame.assign(queue=queue)))
    with pytest.raises(DataError, match="queue"):
        read(schema, cs.Traces(frame.assign(queue=queue + 1)))


def test_a_gap_in_a_trace_reaches_its_later_states_only() -> None:
    frame = models.line((5, 5))
    frame.loc[2, "work"] = np.nan
    table = read(models.fitted_line().schema, cs.Traces(frame))
    assert table.missing["queue"].tolist() == [False] * 3 + [True] * 2 + [False] * 5
    assert Line.graph.longest_lag == 1
