"""Long tables of metrics, one measurement a row, made wide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from causalsys.errors import DataError
from models.microservices.vocabulary import TIMES

if TYPE_CHECKING:
    import pandas as pd

_SERVICE = frozenset(
    ("service", "microservice", "app", "application", "component", "container", "node")
)
_METRIC = frozenset(["metric", "metric_name", "kpi", "name"])
_VALUE = frozenset(["value", "values", "measurement"])
_STATISTIC = frozenset(["statistic", "stat", "agg", "aggregation"])


def widened(raw: Any) -> pd.DataFrame:
    """A frame with one row per step: `raw` itself, unless it is long.

    Raises:
        DataError: It is no frame, or has no rows.
    """
    import pandas as pd

    if not isinstance(raw, pd.DataFrame):
        raise DataError(
            "raw metrics",
            found=f"a {type(raw).__name__}",
            mend="Give a pandas frame: one row per step, one column per metric of a service.",
        )
    if not len(raw):
        raise DataError("raw metrics", found="no rows", mend="Give at least one row.")
    if raw.columns.nlevels > 1:
        return raw
    parts = [_first(raw, names) for names in (_SERVICE, _METRIC, _VALUE, TIMES, _STATISTIC)]
    service, metric, value, time, statistic = parts
    if service is None or metric is None or value is None:
        return raw
    if time is None:
        raise DataError(
            "raw metrics",
            found="a long table (service, metric, value) without a time",
            mend="Add a column `time`: measurements of one time are one row.",
        )
    across = [part for part in (service, metric, statistic) if part is not None]
    return raw.pivot_table(index=time, columns=across, values=value, aggfunc="mean", sort=True)


def _first(raw: pd.DataFrame, names: frozenset[str]) -> Any:
    return next((label for label in raw.columns if str(label).casefold() in names), None)
