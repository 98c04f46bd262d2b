from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest

from causalsys.scm.frozen import FrozenDict


def test_what_is_frozen_is_a_mapping_like_any_other() -> None:
    frozen = FrozenDict({"a": [1], "b": [2]})
    assert frozen == {"a": [1], "b": [2]}
    assert repr(frozen) == "{'a': [1], 'b': [2]}"


@pytest.mark.parametrize(
    "change",
    [
        lambda frozen: frozen.__setitem__("b", 2),
        lambda frozen: frozen.__delitem__("a"),
        lambda frozen: frozen.__ior__({"b": 2}),
        lambda frozen: frozen.update(b=2),
        lambda frozen: frozen.setdefault("b", 2),
        lambda frozen: frozen.pop("a"),
        lambda frozen: frozen.popitem(),
        lambda frozen: frozen.clear(),
    ],
)
def test_what_is_frozen_cannot_be_changed(change: Callable[[FrozenDict[str, int]], None]) -> None:
    frozen = FrozenDict(a=1)
    with pytest.raises(TypeError, match="cannot be changed"):
        change(frozen)
    assert frozen == {"a": 1}


@pytest.mark.parametrize(
    "copied",
    [copy.deepcopy, lambda frozen: pickle.loads(pickle.dumps(frozen))],  # noqa: S301
)
def test_a_copy_shares_nothing_and_is_frozen_too(
    copied: Callable[[FrozenDict[str, list[int]]], FrozenDict[str, list[int]]],
) -> None:
    frozen = FrozenDict(a=[1])
    again = copied(frozen)
    assert (type(again), again) == (FrozenDict, {"a": [1]})
    again["a"].append(2)
    assert frozen == {"a": [1]}


def test_a_shallow_copy_of_what_cannot_change_is_itself() -> None:
    frozen = FrozenDict(a=1)
    assert copy.copy(frozen) is frozen
