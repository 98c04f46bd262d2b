"""Tables in: what is read of a frame, and what is marked as missing."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import causalsys as cs
from causalsys.data.levels import coder
from causalsys.data.read import as_frame, read
from causalsys.data.schema import Schema, columns_of
from causalsys.data.table import Table
from causalsys.errors import DataError


class Mixed(cs.SCM):
    real = cs.Observed(cs.Real())
    count = cs.Observed(cs.Count())
    flag = cs.Observed(cs.Boolean())
    level = cs.Observed(cs.Categorical(["lo", "hi"]))
    pair = cs.Observed(cs.Positive(size=2))
    hidden = cs.Latent(cs.Real())
    seen = cs.Observed(cs.Real(), parents=[hidden])


GOOD = {
    "real": [1.0, -2.5, 0.0],
    "count": [0, 3, 7],
    "flag": [True, False, True],
    "level": ["hi", "lo", "hi"],
    "pair_0": [1.0, 2.0, 3.0],
    "pair_1": [4.0, 5.0, 6.0],
    "seen": [0.1, 0.2, 0.3],
}


def table_of(**changes: object) -> Table:
    frame = pd.DataFrame({**GOOD, **changes})
    return read(Schema.learn(Mixed.declaration, frame), frame)


def test_values_are_tensors_with_a_leading_axis() -> None:
    table = table_of()
    assert table.values["real"].tolist() == [GOOD["real"]]
    assert table.values["count"].tolist() == [[0.0, 3.0, 7.0]]
    assert table.values["level"].tolist() == [[1, 0, 1]]
    assert table.values["flag"].tolist() == [[1, 0, 1]]
    assert table.values["pair"].tolist() == [[[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]]
    kinds = {name: value.dtype for name, value in table.values.items()}
    assert kinds["level"] == kinds["flag"] == torch.int64
    assert {kinds[n] for n in ("real", "count", "pair", "seen")} == {torch.float64}
    assert "hidden" not in table.values
    assert (table.rows, dict(table.missing)) == (3, {})


@pytest.mark.parametrize(
    "numbers",
    [
        [1, 2, 3],
        np.array([1, 2, 3], dtype=np.uint8),
        np.array([1, 2, 3], dtype=np.float32),
        pd.array([1, 2, 3], dtype="Int64"),
        pd.array([1.0, 2.0, 3.0], dtype="Float32"),
        pd.array([1, 2, 3], dtype="int64[pyarrow]"),
        pd.array([Decimal(1), Decimal(2), Decimal(3)]),
        pd.Series([1, 2.0, np.int32(3)], dtype=object),
    ],
    ids=lambda numbers: str(getattr(numbers, "dtype", "list")),
)
def test_numbers_of_any_type(numbers: object) -> None:
    assert table_of(real=numbers).values["real"].tolist() == [[1.0, 2.0, 3.0]]


@pytest.mark.parametrize("gap", [None, np.nan, pd.NA, pd.NaT, float("nan")], ids=repr)
def test_gaps_of_any_type(gap: object) -> None:
    table = table_of(
        real=pd.Series([1.0, gap, 3.0], dtype=object),
        level=pd.Series(["hi", gap, "lo"], dtype=object),
        pair_0=pd.Series([1.0, gap, 3.0], dtype=object),
        pair_1=pd.Series([1.0, gap, 3.0], dtype=object),
    )
    wanted = [False, True, False]
    assert {name: gone.tolist() for name, gone in table.missing.items()} == {
        "real": wanted,
        "level": wanted,
        "pair": wanted,
    }
    for name, value in table.values.items():
        outside = table.schema.supports[name].outside(value.double().numpy())
        assert not outside.any(), "a placeholder is a value of the support"


@pytest.mark.parametrize(
    "levels",
    [
        ["hi", "lo", "hi"],
        pd.Categorical(["hi", "lo", "hi"], categories=["hi", "lo", "other"]),
        pd.array(["hi", "lo", "hi"], dtype="string"),
        np.array(["hi", "lo", "hi"], dtype=object),
        np.array(["hi", "lo", "hi"]),
    ],
    ids=lambda levels: str(getattr(levels, "dtype", "list")),
)
def test_levels_of_any_type(levels: object) -> None:
    assert table_of(level=levels).values["level"].tolist() == [[1, 0, 1]]


@pytest.mark.parametrize(
    "flags",
    [
        [1, 0, 1],
        [1.0, 0.0, 1.0],
        ["True", "False", "True"],
        ["true", "false", "true"],
        pd.array([True, False, True], dtype="boolean"),
    ],
)
def test_booleans_as_logs_write_them(flags: object) -> None:
    assert table_of(flag=flags).values["flag"].tolist() == [[1, 0, 1]]


@given(st.lists(st.text(min_size=1) | st.integers(-9, 9) | st.booleans(), min_size=2))
def test_levels_find_their_place(levels: list[str | int | bool]) -> None:
    names = {str(level): level for level in levels}
    if len(names) < 2:
        return
    support = cs.Categorical(list(names.values()))
    code = coder(support)
    assert [code(level) for level in support.levels or ()] == list(range(len(names)))
    assert [code(str(level)) for level in support.levels or ()] == list(range(len(names)))
    for other in (dt.date(2024, 1, 1), None, float("nan"), float("inf"), [1], object()):
        assert code(other) == -1


def test_true_is_not_one() -> None:
    assert coder(cs.Categorical(3))(True) == -1
    assert coder(cs.Boolean())(1) == coder(cs.Boolean())(True) == 1
    assert coder(cs.Categorical([True, "auto"]))(1) == -1


def test_evidence_may_lack_variables() -> None:
    schema = table_of().schema
    frame = pd.DataFrame(GOOD).drop(columns=["level", "pair_0", "pair_1"])
    table = read(schema, frame.assign(count=np.nan), purpose="evidence")
    assert set(table.values) == {"real", "flag", "seen"}
    one = read(schema, {"real": 3.0, "level": "lo"}, purpose="evidence")
    assert (one.rows, one.values["level"].tolist()) == (1, [[0]])


def test_the_index_is_kept() -> None:
    frame = pd.DataFrame(GOOD, index=["u", "v", "w"])
    assert list(read(table_of().schema, frame).index) == ["u", "v", "w"]


def test_weights_are_scaled_to_the_rows() -> None:
    schema, frame = table_of().schema, pd.DataFrame(GOOD)
    for weight in (np.array([2.0, 0.0, 2.0]), [2, 0, 2], pd.Series([2, 0, 2])):
        assert read(schema, frame, weight=weight).weight.tolist() == [1.5, 0.0, 1.5]
    assert read(schema, frame.assign(w=[1, 1, 4]), weight="w").weight.tolist() == [0.5, 0.5, 2.0]


def test_columns_that_are_no_variables_are_left_out() -> None:
    assert "comment" not in table_of(comment=["a", "b", "c"]).values


def test_the_columns_of_a_vector() -> None:
    assert columns_of(Mixed.declaration.nodes["pair"]) == ["pair_0", "pair_1"]


def test_a_frame_is_not_changed() -> None:
    frame = pd.DataFrame(GOOD)
    before = frame.copy(deep=True)
    table = read(table_of().schema, frame)
    table.values["real"].zero_()
    pd.testing.assert_frame_equal(frame, before)


@settings(max_examples=25)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=9))
def test_numbers_are_read_to_the_bit(numbers: list[float]) -> None:
    class One(cs.SCM):
        x = cs.Observed(cs.Real())

    table = read(Schema.learn(One.declaration, pd.DataFrame()), {"x": numbers})
    assert table.values["x"].tolist() == [numbers]


def test_a_mapping_is_columns_or_one_row() -> None:
    assert as_frame({"a": [1, 2], "b": 3.0})[0]["b"].tolist() == [3.0, 3.0]
    assert len(as_frame({"a": "x", "b": 3.0})[0]) == 1
    shifted = {"a": pd.Series([1, 2]), "b": pd.Series([3, 4], index=[1, 2])}
    with pytest.raises(DataError, match="different labels"):
        as_frame(shifted)
