"""From a level as users and files write it to its code, and back."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causalsys.scm.supports import Boolean, Categorical


def coder(support: Categorical) -> Callable[[object], int]:
    """A function that gives a level's code, and -1 for what is no level.

    A level may be written as declared, as text, and where it is a number with a point. True and
    1 are the same only for a boolean.
    """
    levels = support.levels or ()
    index = {_key(level): code for code, level in enumerate(levels)}
    index |= {_key(str(level)): code for code, level in enumerate(levels)}
    if isinstance(support, Boolean):
        index |= {_key(0): 0, _key(1): 1, _key("false"): 0, _key("true"): 1}

    def code(value: object) -> int:
        try:
            return index.get(_key(value), -1)
        except TypeError:  # unhashable: a list in a cell
            return -1

    return code


def written(codes: NDArray[Any], support: Categorical) -> NDArray[Any]:
    """Levels as users write them, of any shape; text as objects, which estimators expect.

    Example:
        >>> written(np.array([1.0, 0.0]), Categorical(["off", "on"]))
        array(['on', 'off'], dtype=object)
        >>> written(np.array([1, 0]), Boolean())
        array([ True, False])
    """
    levels = support.levels or ()
    text = any(isinstance(level, str) for level in levels)
    table = np.asarray(levels, dtype=object) if text else np.asarray(levels)
    found: NDArray[Any] = table[codes.astype(np.int64)]
    return found


def plain(value: object) -> object:
    """A value as Python's own type, whole floats as whole numbers and others as text."""
    value = value.item() if isinstance(value, np.generic) else value
    if not isinstance(value, float) or not math.isfinite(value):
        return value
    return int(value) if value.is_integer() else str(value)


def _key(value: object) -> tuple[bool, object]:
    """Apart for True and 1, which Python takes for the same key."""
    value = plain(value)
    return isinstance(value, bool), value
