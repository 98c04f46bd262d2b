"""The example of docs/sensitivity.md, and its picture."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from torch import Tensor

import causalsys as cs
from causalsys.query.sensitivity import sensitivity


class Cache(cs.SCM):
    """Memory is given to a cache by hand, more of it when load is high or payloads are large."""

    load = cs.Observed(cs.Positive("req/s"), mechanism=cs.Linear(link="log"))
    payload = cs.Observed(cs.Positive("kB"), mechanism=cs.Linear(link="log"))
    memory = cs.Observed(
        cs.Positive("GB"), parents=[load, payload], mechanism=cs.Linear(link="log")
    )
    latency = cs.Observed(
        cs.Positive("ms"), parents=[load, payload, memory], mechanism=cs.Linear(link="log")
    )


def logs(rows: int = 500, seed: int = 0) -> pd.DataFrame:
    """How hot the data are is not logged: it makes latency low, and memory seem unneeded."""
    load, payload, heat, a, b = np.random.default_rng(seed).normal(size=(5, rows))
    memory = 2 + 0.25 * load + 0.15 * payload - 0.2 * heat + 0.4 * a
    latency = 4 - 0.35 * memory + 0.15 * load + 0.1 * payload - 0.1 * heat + 0.2 * b
    return pd.DataFrame(
        {
            "load": np.exp(6 + 0.5 * load),
            "payload": np.exp(3 + 0.5 * payload),
            "memory": np.exp(memory),
            "latency": np.exp(latency),
        }
    )


def doubled(memory: Tensor) -> Tensor:
    """Twice the memory."""
    return 2 * memory


def main() -> None:
    mpl.use("Agg")
    rows = logs()
    fitted = Cache.fit(rows, seed=0)
    found = sensitivity(fitted, rows, do={"memory": doubled}, outcome="latency")
    print(found)
    axes = found.plot()
    figure = axes.get_figure()
    assert figure is not None
    figure.savefig(Path(__file__).parent / "images" / "sensitivity.png", dpi=130)  # type: ignore[union-attr]


if __name__ == "__main__":
    main()
