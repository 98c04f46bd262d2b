"""`cs.monitor_objective`: without the truth, the objective's own violations.

No model is needed, and no truth: a service's objective says which share of requests may be too
slow, and a sequential test says when it is more. The bet of `bets.py` is made on the share of
violations in each block of rows: "given all that came before, no block has more than the allowed
share on average". Capital is then a test supermartingale, whatever happens inside of a block
(Waudby-Smith and Ramdas, JRSS B 2023, section 4), so that violations may come in bursts, as long
as these are shorter than a block.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from causalsys.detect.bets import evidence, onset
from causalsys.detect.loss import real_numbers
from causalsys.detect.monitoring import Alarm, Monitoring
from causalsys.detect.scores import Values
from causalsys.errors import EvidenceError, QueryError
from causalsys.query import asked

if TYPE_CHECKING:
    import pandas as pd

_SHARES = (0.02, 0.05, 0.15, 0.4, 0.8)
"""Of the largest bet that cannot lose everything."""
_NAME = "objective"


def monitor_objective(
    values: object,
    *,
    limit: float | None = None,
    share: float,
    false_alarms: float = 0.01,
    block: int = 1,
    per: int | None = None,
    name: str = _NAME,
) -> Monitoring:
    """Say when an objective is violated more often than is allowed.

    While the share of violations, given all that came before, is at most `share` in every block,
    the chance of an alarm in `per` rows is at most `false_alarms`: exactly, and not only for many
    rows. Nothing else is assumed of the values.

    Args:
        values: In time order: true where the objective is violated, or numbers with a `limit`;
            a series keeps its labels. Missing values say nothing.
        limit: Values above it violate the objective; none for booleans.
        share: The share of violations that is allowed, above 0 and below 1.
        false_alarms: The chance of a false alarm.
        block: How many rows count together. 1 for violations that do not depend on each other;
            longer than a burst otherwise, at the price of a later alarm.
        per: In how many rows the false-alarm rate is spent; as many as are given by default.
        name: What the objective is called in the alarm.

    Raises:
        QueryError: An argument cannot be.
        EvidenceError: There are no values, or no booleans without a limit.

    Example:
        >>> import numpy as np
        >>> slow = np.random.default_rng(0).random(2000) < np.where(np.arange(2000) < 1000, .01, .1)
        >>> found = monitor_objective(slow, share=0.02)
        >>> 1000 < found.alarms[0].row < 1200
        True
    """
    _check(share, false_alarms, block, per)
    if not isinstance(name, str):
        raise QueryError("name", found=repr(name), mend="Give a word.")
    violated, index = _violations(values, limit)
    rows = len(violated)
    length = rows if per is None else per
    starts = np.arange(0, rows, block)
    sizes = np.diff(np.append(starts, rows))
    known = ~np.isnan(violated)
    # A block with gaps has its known rows' violations, and what is missing counts as allowed.
    filled = np.where(known, violated, share)
    means = np.add.reduceat(filled, starts) / sizes
    gains = np.stack([np.log1p(bet / share * (means - share)) for bet in _SHARES])
    fresh = np.full(len(starts), min(1.0, block / length))
    capital = evidence(gains, fresh=fresh)
    total = np.logaddexp.reduce(capital, axis=0) - math.log(len(_SHARES))
    threshold = -math.log(false_alarms)
    over = np.flatnonzero(total >= threshold)
    ends = starts + sizes - 1
    alarms: tuple[Alarm, ...] = ()
    if len(over):
        at = int(over[0])
        best = gains[int(np.argmax(capital[:, at]))]
        row, since = int(ends[at]), int(starts[onset(best, until=at)])
        alarms = (
            Alarm(
                name,
                row,
                index[row],
                "objective",
                "more violations",
                math.exp(min(float(total[at]), 700.0)),
                math.exp(threshold),
                since,
                index[since],
            ),
        )
    shown = total[np.maximum(np.searchsorted(ends, np.arange(rows), side="right") - 1, 0)]
    shown = np.where(np.arange(rows) < ends[0], -np.inf, shown)
    return Monitoring(
        alarms,
        (name,),
        false_alarms,
        length,
        {name: shown},
        threshold,
        {},
        index,
        (_told(violated, share),),
    )


def _told(violated: Values, share: float) -> str:
    known = violated[~np.isnan(violated)]
    mean = f"{known.mean():.2%}" if len(known) else "none"
    return f"Violations in all rows: {mean}; allowed: {share:.2%}."


def _check(share: float, false_alarms: float, block: int, per: int | None) -> None:
    asked.share(share, "share")
    asked.share(false_alarms, "false_alarms")
    asked.count(block, "block")
    if per is not None:
        asked.count(per, "per")


def _check_limit(limit: object) -> None:
    number = isinstance(limit, int | float | np.number) and not isinstance(limit, bool)
    if not number or not np.isfinite(limit):  # type: ignore[call-overload]
        raise QueryError("limit", found=repr(limit), mend="Give a finite number.")


def _violations(values: object, limit: float | None) -> tuple[Values, pd.Index]:
    """1 where the objective is violated, 0 where it is kept, NaN where that is not known."""
    import pandas as pd
    from pandas.api.extensions import ExtensionArray, ExtensionDtype

    series = values if isinstance(values, pd.Series) else None
    ordered = isinstance(values, pd.Series | pd.Index | ExtensionArray | np.ndarray | Sequence)
    if not ordered or isinstance(values, str):
        raise EvidenceError(
            "values", found=f"a {type(values).__name__}", mend="Give a list, array or series."
        )
    own = getattr(values, "dtype", None)
    # Of a nullable column, what is missing becomes a NaN.
    array = np.asarray(
        pd.Series(values).astype(object) if isinstance(own, ExtensionDtype) else values
    )
    array = np.where(pd.isna(array), np.nan, array) if array.dtype == object else array
    if array.ndim != 1 or not len(array):
        raise EvidenceError(
            "values", found=f"shape {array.shape}", mend="Give one value per row, at least one."
        )
    index = series.index if series is not None else pd.RangeIndex(len(array))
    timed = isinstance(index, pd.DatetimeIndex)
    timed = timed or pd.api.types.is_any_real_numeric_dtype(index.dtype)
    if timed and not index.is_monotonic_increasing:
        raise EvidenceError(
            "values", found="an index that is not in order", mend="Sort by time: sort_index()."
        )
    numbers = real_numbers(array)
    if numbers is None:
        raise EvidenceError(
            "values",
            found=f"values of type {array.dtype}",
            mend="Give booleans, or numbers and a limit.",
        )
    gone = np.isnan(numbers)
    if gone.all():
        raise EvidenceError("values", found="no known value", mend="Give some that are known.")
    if limit is not None:
        _check_limit(limit)
        return np.where(gone, np.nan, numbers > limit), index
    if not np.isin(numbers[~gone], (0.0, 1.0)).all():
        raise EvidenceError(
            "values", found="numbers, and no limit", mend="Give limit=..., or booleans."
        )
    return numbers, index


__all__ = ["monitor_objective"]
