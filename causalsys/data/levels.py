"""From a level as users and files write it to its code."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

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
