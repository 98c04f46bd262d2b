"""Which values a variable can take, and how that reads."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import causalsys as cs
from causalsys.errors import DeclarationError
from causalsys.scm.supports import Support
from tests.strategies import supports

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("support", "inside", "outside"),
    [
        (cs.Real(), [-3.5, 0, 1e300], [NAN, INF, -INF]),
        (cs.Positive("ms"), [0, 0.1, 1e300], [-1e-300, NAN, INF]),
        (cs.Fraction(), [0, 0.5, 1], [-0.001, 1.001, NAN, INF]),
        (cs.Count(), [0, 1, 1e15], [-1, 0.5, NAN, INF]),
        (cs.Categorical(3), [0, 1, 2], [3, -1, 0.5, NAN, INF]),
        (cs.Boolean(), [0, 1], [2, -1, 0.5, NAN]),
    ],
)
def test_values_outside(support: Support, inside: list[float], outside: list[float]) -> None:
    assert not support.outside(np.asarray(inside, dtype=np.float64)).any()
    assert support.outside(np.asarray(outside, dtype=np.float64)).all()


def test_outside_keeps_the_shape() -> None:
    values = np.zeros((2, 3, 4))
    values[1, 2, 3] = -1
    found = cs.Positive(size=4).outside(values)
    assert found.shape == (2, 3, 4)
    assert found.sum() == 1


@pytest.mark.parametrize(
    ("support", "text"),
    [
        (cs.Real(), "real"),
        (cs.Positive("ms"), "positive [ms]"),
        (cs.Positive("ms", size=8), "positive [ms], vector of 8"),
        (cs.Categorical(), "categorical (levels from data)"),
        (cs.Categorical(["off", "on"]), "categorical (off, on)"),
        (cs.Categorical(6), "categorical (0, 1, 2, 3, 4, 5)"),
        (cs.Categorical(7), "categorical (0, 1, 2, 3, 4, ..., 6)"),
        (cs.Categorical(2, size=3), "categorical (0, 1), vector of 3"),
        (cs.Boolean(), "boolean"),
        (cs.Boolean(size=2), "boolean, vector of 2"),
    ],
)
def test_text(support: Support, text: str) -> None:
    assert str(support) == text


@pytest.mark.parametrize("levels", [0, 1, -2, [], ["a"], ["a", "a"], ["1", 1], "ab", True, 2.5])
def test_levels_that_name_no_choice_are_refused(levels: Any) -> None:
    with pytest.raises(DeclarationError, match="at least two different levels") as caught:
        cs.Categorical(levels)
    assert caught.value.variable == "Categorical"


def test_levels_are_text_whole_numbers_or_booleans() -> None:
    with pytest.raises(DeclarationError, match="neither text nor whole numbers"):
        cs.Categorical([0.5, 1.5])  # type: ignore[list-item]
    assert cs.Categorical(["a", 2, True]).levels == ("a", 2, True)


@pytest.mark.parametrize("size", [0, -1, True, 2.0, "3"])
def test_a_size_is_a_length(size: Any) -> None:
    with pytest.raises(DeclarationError, match="whole number of at least 1"):
        cs.Real(size=size)
    with pytest.raises(DeclarationError, match="whole number of at least 1"):
        cs.Categorical(2, size=size)


@pytest.mark.parametrize("kind", [cs.Real, cs.Positive, cs.Fraction, cs.Count, cs.Boolean])
def test_a_unit_is_text(kind: Any) -> None:
    with pytest.raises(DeclarationError, match=r'for example Positive\("ms"\)'):
        kind(8)


def test_cardinality() -> None:
    assert cs.Categorical().cardinality == 0
    assert cs.Categorical(5).cardinality == 5
    assert cs.Boolean().cardinality == 2


@given(supports())
def test_a_support_is_a_value(support: Support) -> None:
    twin = type(support).__new__(type(support))
    twin.__dict__.update(support.__dict__)
    assert support == twin
    assert hash(support) == hash(twin)
    with pytest.raises(FrozenInstanceError):
        support.unit = "s"  # type: ignore[misc]


@given(supports(), st.lists(st.floats(), min_size=1))
def test_what_is_not_finite_is_outside_every_support(support: Support, values: list[float]) -> None:
    array = np.asarray(values)
    assert support.outside(array)[~np.isfinite(array)].all()
