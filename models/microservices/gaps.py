"""Gaps in the normal rows: a scrape that was lost, a metric that was not seen in a step.

To infer them as latents is right, and takes a minute for a hundred services. Where a column lacks
few cells, these are filled from the steps beside them, per request where it is a total: a filled
cell is as noisy as any, so a slope is off by no more than the share that was filled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.microservices.vocabulary import REQUESTS
from models.microservices.weigh import Column

if TYPE_CHECKING:
    import pandas as pd

MOST = 0.05
"""The largest share of a column that is filled; beyond, cells are left to be inferred."""


def filled(table: pd.DataFrame, columns: Sequence[Column]) -> pd.DataFrame:
    """The table without rows in which nothing was seen, and with its few gaps filled."""
    table = table.dropna(how="all")
    values = {name: table[name].to_numpy(dtype=float) for name in table}
    # Requests first: what is filled per request needs them.
    for column in sorted(columns, key=lambda column: column.kind != REQUESTS):
        value = values[column.name]
        gaps = np.isnan(value)
        if not gaps.any() or gaps.mean() > MOST:
            continue
        requests = values.get(f"{column.service}/{REQUESTS}") if column.requests else None
        values[column.name] = _bridged(value, gaps, requests)
    return type(table)(values, index=table.index)


def _bridged(
    value: NDArray[np.float64], gaps: NDArray[np.bool_], requests: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """The values with a line over each gap, from the step before it to the step after."""
    steps = np.arange(len(value))
    if requests is None:
        return np.interp(steps, steps[~gaps], value[~gaps])
    told = ~gaps & (requests > 0)
    if not told.any():
        return value
    each = np.interp(steps, steps[told], value[told] / requests[told])
    return np.where(gaps, each * requests, value)
