"""What a user wants of a system: a number to be had from its rows.

    "latency"                          the mean of a column
    "p99 latency"                      a quantile of it; also "p50 ...", "mean ...", "max ..."
    a function of columns              the mean of what it gives, row by row
    a function of `frame`              what it gives: a number, or one for each row to be averaged

Over traces its uncertainty is that of traces drawn anew, since the steps of one are not
independent (Field and Welsh, JRSS B, 2007).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from causalsys.data.schema import columns_of
from causalsys.errors import QueryError, UnknownNameError, brief
from causalsys.scm.declaration import Declaration

if TYPE_CHECKING:
    import pandas as pd

Goal = str | Callable[..., Any]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Objective:
    """A number to be had from rows.

    Attributes:
        name: What it is called.
        by_row: Each row's value, from a frame; a single number where it is no average.
        quantile: Which quantile of the rows' values is meant; None for their mean.
    """

    name: str
    by_row: Callable[[pd.DataFrame], Values]
    quantile: float | None = None

    def of(self, frame: pd.DataFrame) -> float:
        """Its value over all rows of a frame."""
        return self.summed_up(self.by_row(frame))

    def summed_up(self, values: Values, weights: Values | None = None) -> float:
        """The mean or quantile of rows' values, each with its weight."""
        if self.quantile is None or values.ndim == 0:
            return float(np.average(values, weights=weights)) if values.ndim else float(values)
        if weights is None:
            return float(np.quantile(values, self.quantile))
        order = np.argsort(values)
        reached = np.cumsum(weights[order])
        at = np.searchsorted(reached, self.quantile * reached[-1])
        return float(values[order[min(at, len(values) - 1)]])


def objective(
    goal: Goal,
    *,
    columns: Iterable[object],
    name: str = "",
    simulated: Declaration | None = None,
) -> Objective:
    """What a user wrote as an objective, checked.

    Args:
        goal: See the module.
        columns: The columns that there are.
        name: What to call it, instead of what it is called by itself.
        simulated: The model that rows are simulated by: a column that is no variable of it stays
            as it was recorded, whatever is done, and cannot be what a user wants of it.

    Raises:
        QueryError: It is nothing of this kind, or fails.
        UnknownNameError: It reads a column that there is not.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"latency": [1.0, 2.0, 9.0]})
        >>> objective("latency", columns=frame.columns).of(frame)
        4.0
        >>> objective(lambda latency: latency > 5, columns=frame.columns).of(frame)
        0.333
    """
    known = [str(column) for column in columns]
    if isinstance(goal, Objective):
        return goal
    if isinstance(goal, str):
        if simulated is not None:
            _refuse_still(split_goal(goal, known)[0], simulated)
        return _named(goal, known, name)
    if not callable(goal):
        raise QueryError(
            "objective",
            found=repr(goal),
            mend='Give a column, "p99 latency", or a function of columns.',
        )
    return Objective(name or getattr(goal, "__name__", "objective"), _function(goal, known))


def _refuse_still(column: str, model: Declaration) -> None:
    if column in {each for node in model.nodes.values() for each in columns_of(node)}:
        return
    raise QueryError(
        column,
        found=f"a column that is no variable of {model.name}: it would stay as it was recorded",
        mend="Declare it, for instance with cs.equation, or give a function of variables.",
    )


def _named(goal: str, known: list[str], name: str) -> Objective:
    column, quantile = split_goal(goal, known)
    return Objective(name or goal, lambda frame: _numbers(frame[column], goal), quantile)


def split_goal(goal: str, known: list[str]) -> tuple[str, float | None]:
    """The column that a written objective is about, and which quantile; None for the mean."""
    statistic, _, column = goal.rpartition(" ")
    if goal in known:
        statistic, column = "mean", goal
    if column not in known:
        raise UnknownNameError.among(column, known, where="the columns")
    if statistic in ("", "mean"):
        return column, None
    if statistic == "max":
        return column, 1.0
    if found := re.fullmatch(r"p(\d{1,2}(?:\.\d+)?)", statistic):
        return column, float(found[1]) / 100
    raise QueryError(
        "objective",
        found=f"{statistic!r} as the statistic of {column}",
        mend='Write "mean latency", "p99 latency" or "max latency".',
    )


def _function(function: Callable[..., Any], known: list[str]) -> Callable[[pd.DataFrame], Values]:
    try:
        reads = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        reads = ["frame"]
    for read in reads:
        if read != "frame" and read not in known:
            raise UnknownNameError.among(read, known, where="the columns, read by the objective")

    def by_row(frame: pd.DataFrame) -> Values:
        given = [frame if read == "frame" else frame[read].to_numpy() for read in reads]
        try:
            found = function(*given)
        except Exception as error:
            raise QueryError(
                "objective",
                found=f"a function that failed ({brief(error)})",
                mend="It is given columns as arrays, or the whole frame by the name `frame`.",
            ) from error
        values = _numbers(found, "objective")
        if values.ndim > 1 or (values.ndim == 1 and len(values) != len(frame)):
            raise QueryError(
                "objective",
                found=f"values of shape {list(values.shape)} for {len(frame)} rows",
                mend="Return a number, or one for each row.",
            )
        return values

    return by_row


def _numbers(found: object, name: str) -> Values:
    try:
        values = np.asarray(found, dtype=np.float64)
    except (TypeError, ValueError):
        raise QueryError(name, found="values that are no numbers", mend="Return numbers.") from None
    if np.isnan(values).any():
        raise QueryError(name, found="a NaN", mend="Say what such a row counts for.")
    return values
