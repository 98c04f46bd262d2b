"""Two periods that are compared must share no row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from causalsys.errors import EvidenceError

if TYPE_CHECKING:
    import pandas as pd


def check_apart(
    first: pd.DataFrame, second: pd.DataFrame, *, what: str = "incident", other: str = "normal"
) -> None:
    """Refuse rows that are in both periods: one would be compared with itself.

    Args:
        first: The rows of one period.
        second: The rows of the other.
        what: The name of the first in messages.
        other: The name of the second.

    Raises:
        EvidenceError: They share rows.
    """
    import pandas as pd

    shared = first.index.intersection(second.index)
    if shared.empty:
        return
    columns = first.columns.intersection(second.columns)
    # Whole numbers may only count the rows of each period: then labels alone prove nothing.
    counted = all(pd.api.types.is_integer_dtype(each.index) for each in (first, second))
    both = shared
    if counted:
        here, there = first.loc[shared, columns], second.loc[shared, columns]
        some = here.notna()
        equal = (here.astype(object) == there.astype(object)) & some
        both = shared[(equal | ~some).all(axis=1) & some.any(axis=1)]
        # One row in many may be alike by chance where values are few; the same rows all are.
        both = both if len(both) == some.any(axis=1).sum() else both[:0]
    if len(both) and len(columns):
        raise EvidenceError(
            what,
            found=f"{len(both)} of its rows in the {other} period too (the first: {both[0]})",
            mend=f"Take them out of the {other} period.",
        )


__all__ = ["check_apart"]
