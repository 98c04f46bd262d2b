"""Systems whose best prediction is known."""

from __future__ import annotations

import numpy as np
import pandas as pd

import causalsys as cs

JUMP = 8.0
"""How much higher the target of the hidden second class is."""


class Hosts(cs.SCM):
    """Two kinds of hosts that nobody logs; `a` and `b` tell of them."""

    kind = cs.Latent(cs.Categorical(2))
    a = cs.Observed(cs.Real(), parents=[kind], mechanism=cs.Linear())
    b = cs.Observed(cs.Real(), parents=[kind], mechanism=cs.Linear())
    load = cs.Observed(cs.Real(), mechanism=cs.Linear())
    y = cs.Observed(cs.Real(), parents=[kind, a, load], mechanism=cs.Linear())


class Heat(cs.SCM):
    """A hidden number with three measurements, and a target."""

    heat = cs.Latent(cs.Real())
    p = cs.Observed(cs.Real(), parents=[heat], mechanism=cs.Linear())
    q = cs.Observed(cs.Real(), parents=[heat], mechanism=cs.Linear())
    r = cs.Observed(cs.Real(), parents=[heat], mechanism=cs.Linear())
    y = cs.Observed(cs.Real(), parents=[heat], mechanism=cs.Linear())


class Path(cs.SCM):
    """No latent: the load fills a queue, and both make the latency."""

    load = cs.Observed(cs.Real(), mechanism=cs.Linear())
    queue = cs.Observed(cs.Real(), parents=[load], mechanism=cs.Linear())
    latency = cs.Observed(cs.Real(), parents=[load, queue], mechanism=cs.Linear())


def hosts(seed: int, rows: int, *, share: float = 0.4) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows of `Hosts`, and which are of the second kind."""
    rng = np.random.default_rng(seed)
    second = rng.random(rows) < share
    a = rng.normal(size=rows) + 2 * second
    b = rng.normal(size=rows) - 2 * second
    load = rng.normal(size=rows)
    y = 10 + a + 0.5 * load + JUMP * second + 0.5 * rng.normal(size=rows)
    return pd.DataFrame({"a": a, "b": b, "load": load, "y": y}), second


def hosts_mean(rows: pd.DataFrame, *, share: float = 0.4) -> np.ndarray:
    """The true E[y | a, b, load]: the normal densities of both kinds weigh the jump."""
    log_odds = np.log(share / (1 - share)) + (2 * rows.a - 2) + (-2 * rows.b - 2)
    second = 1 / (1 + np.exp(-log_odds))
    return (10 + rows.a + 0.5 * rows.load + JUMP * second).to_numpy()


def heat(seed: int, rows: int) -> pd.DataFrame:
    """Rows of `Heat`: loadings 1, 2 and .5 and noises 1, 1 and .5; y = 3 heat + .5 noise."""
    rng = np.random.default_rng(seed)
    hidden, noise = rng.normal(size=rows), rng.normal(size=(4, rows))
    return pd.DataFrame(
        {
            "p": hidden + noise[0],
            "q": 2 * hidden + noise[1],
            "r": 0.5 * hidden + 0.5 * noise[2],
            "y": 3 * hidden + 0.5 * noise[3],
        }
    )


def path(seed: int, rows: int) -> pd.DataFrame:
    """Rows of `Path`: queue = 2 load, latency = load + 3 queue + 5, noises of 1, .5 and .5."""
    rng = np.random.default_rng(seed)
    load = rng.normal(4, 1, rows)
    queue = 2 * load + 0.5 * rng.normal(size=rows)
    latency = 5 + load + 3 * queue + 0.5 * rng.normal(size=rows)
    return pd.DataFrame({"load": load, "queue": queue, "latency": latency})
