"""What calibration is given: checked arrays of one length, their groups, and rows enough."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from causalsys.detect.loss import Values, real_numbers
from causalsys.errors import EvidenceError

Groups = NDArray[Any]


def rank_of(rows: int, level: float) -> int:
    """Which of the sorted residuals an interval reaches; `1e-9` against binary fractions."""
    return math.ceil((rows + 1) * level - 1e-9)


def check_enough(rows: int, *, level: float, group: object) -> None:
    """Refuse a level that so few rows cannot promise: its rank is beyond the last of them."""
    if rank_of(rows, level) <= rows:
        return
    needed = math.ceil(level / (1 - level) - 1e-9)
    told = "" if group is None else f" of the group {group!r}"
    raise EvidenceError(
        "calibration",
        found=f"{rows} row{'s' * (rows != 1)}{told} for the level {level:g}",
        mend=f"Give at least {needed}, or ask for a lower level.",
    )


def parts_of(groups: Groups | None, rows: int) -> Iterator[tuple[object, NDArray[np.bool_]]]:
    """Each group with its rows; all rows under the name None where there are no groups."""
    if groups is None:
        yield None, np.ones(rows, dtype=bool)
        return
    for name in sorted(set(groups.tolist()), key=str):
        yield name, groups == name


def numbers(name: str, given: ArrayLike) -> Values:
    """A column of finite numbers, `[row]`."""
    found = real_numbers(given)
    if found is None:
        raise EvidenceError(name, found="values that are no numbers", mend="Give numbers.")
    if found.ndim != 1 or not len(found):
        raise EvidenceError(
            name, found=f"an array of shape {found.shape}", mend="Give one number per row."
        )
    if not np.isfinite(found).all():
        rows = int((~np.isfinite(found)).sum())
        raise EvidenceError(
            name, found=f"{rows} values that are not finite", mend="Leave these rows out."
        )
    return found


def check_frame(name: str, given: object) -> None:
    """Refuse what is no frame."""
    import pandas as pd

    if not isinstance(given, pd.DataFrame):
        raise EvidenceError(
            name, found=f"a {type(given).__name__}", mend="Give a pandas DataFrame of columns."
        )


def check_rows(name: str, column: Values, other: Values) -> None:
    """Refuse columns of different rows."""
    if len(column) != len(other):
        raise EvidenceError(
            name, found=f"{len(column)} rows beside {len(other)}", mend="Give the same rows."
        )


def spread_of(given: ArrayLike | None, like: Values) -> Values:
    """Positive spreads, `[row]`; ones where none are given."""
    if given is None:
        return np.ones_like(like)
    spread = numbers("spread", given)
    check_rows("spread", spread, like)
    if (spread <= 0).any():
        raise EvidenceError(
            "spread", found=f"{spread.min():g}", mend="Give positive numbers, as of a deviation."
        )
    return spread


def groups_of(given: Sequence[object] | ArrayLike, like: Values) -> Groups:
    """A group for each row."""
    import pandas as pd

    groups = np.asarray(given)
    if groups.ndim != 1:
        raise EvidenceError(
            "group", found=f"an array of shape {groups.shape}", mend="Give one group per row."
        )
    check_rows("group", np.zeros(len(groups)), like)
    # A missing value is unlike itself too, so that no calibration row would be of its group.
    missing = int(pd.isna(groups).sum())
    if missing:
        raise EvidenceError(
            "group", found=f"{missing} rows without one", mend="Give them one, or leave them out."
        )
    return groups


__all__ = [
    "Groups",
    "check_enough",
    "check_frame",
    "check_rows",
    "groups_of",
    "numbers",
    "parts_of",
    "rank_of",
    "spread_of",
]
