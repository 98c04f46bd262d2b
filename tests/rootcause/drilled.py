"""Requests with dimensions, for tests of the drill-down."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

LEVELS = {
    "region": ["eu", "us", "ap"],
    "version": ["v1", "v2", "v3"],
    "endpoint": [f"e{i}" for i in range(12)],
    "tenant": [f"t{i:02d}" for i in range(40)],
}
DIMENSIONS = list(LEVELS)
Hit = Callable[[pd.DataFrame], "pd.Series[bool]"]


def requests(
    rng: np.random.Generator,
    rows: int,
    *,
    hit: Hit | None = None,
    factor: float = 1.0,
    extra: float = 0.0,
    even: float = 1.0,
) -> pd.DataFrame:
    """Latencies (mean 10 to 100, exponential); endpoints differ, and one region is slower.

    Values of a dimension are unevenly frequent. Requests that are hit take `factor` times as long
    and `extra` more; all take `even` times as long.
    """
    found = {}
    for name, values in LEVELS.items():
        weight = 1 / (1 + np.arange(len(values))) ** 0.7
        found[name] = rng.choice(values, rows, p=weight / weight.sum())
    frame = pd.DataFrame(found)
    usual = 10 * (1 + 0.5 * frame.endpoint.str[1:].astype(int).to_numpy())
    usual = usual * np.where(frame.region == "ap", 1.5, 1.0) * even
    inside = np.zeros(rows, bool) if hit is None else hit(frame).to_numpy(dtype=bool)
    mean = usual * np.where(inside, factor, 1.0) + np.where(inside, extra, 0.0)
    return frame.assign(seconds=rng.exponential(mean))
