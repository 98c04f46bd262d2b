"""Metrics of services before and after a fault, and nothing else: as Sock Shop data come.

No call graph, no load, no target, no rows of the window from before the fault: a table with flat
names such as `carts_cpu`. The simulator is the same; what is exported is less.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from benchmarks.rootcause.faults import FAULTS
from benchmarks.rootcause.physics import Flow, Push
from benchmarks.rootcause.systems import System, random_system
from benchmarks.rootcause.topology import Floats

SERVICES = (
    "front-end",
    "orders",
    "carts",
    "catalogue",
    "user",
    "payment",
    "shipping",
    "queue-master",
    "session-db",
    "orders-db",
    "carts-db",
    "catalogue-db",
    "user-db",
)
INJECTED = ("orders", "carts", "catalogue", "user", "payment")
"""Where faults are injected, as there."""
SIZES = {
    "cpu": (0.2, 0.9),
    "mem": (0.25, 2.0),
    "disk": (0.06, 0.4),
    "delay": (2.0, 60.0),
    "loss": (0.02, 0.4),
}
"""Kinds, named as there, and magnitudes from least to most: what is injected is set by hand there,
not by its effect. Waiting for a disk counts as utilisation and takes time; a lost packet makes a
request fail or, sent again, take longer."""
_LOAD = 200.0
_JUMPS = 1 / 900
"""Of a metric's level, in each row."""
_HEAVY = 2.5
"""Degrees of freedom of the scraper's errors: an outlier now and then."""


@dataclass(frozen=True)
class BeforeAfter:
    """A table with its answer.

    Attributes:
        before: Rows of one second, columns `service_metric`.
        after: The same after the fault was injected, all rows of it faulty.
        services: Their names.
        cause: The service at fault.
        kind: One of `SIZES`.
    """

    before: pd.DataFrame
    after: pd.DataFrame
    services: tuple[str, ...]
    cause: str
    kind: str

    @property
    def long(self) -> pd.DataFrame:
        """Both, one line per row and metric: `time`, `metric`, `value`, `after`."""
        both = pd.concat([self.before.assign(after=False), self.after.assign(after=True)])
        return both.rename_axis("time").reset_index().melt(["time", "after"], var_name="metric")

    @property
    def metrics(self) -> dict[str, list[str]]:
        """The columns of each service."""
        found: dict[str, list[str]] = {name: [] for name in self.services}
        for column in self.before.columns:
            found[str(column).rsplit("_", 1)[0]].append(str(column))
        return found


def before_after(
    *, seed: int, kind: str | None = None, before: int = 300, after: int = 300
) -> BeforeAfter:
    """A random system of thirteen services, before and after a fault at one of them.

    Args:
        seed: Of everything. Below 1000 for developing, from 1000 for what is reported.
        kind: One of `SIZES`; None for a random one.
        before: Rows before the fault.
        after: Rows after it.

    >>> made = before_after(seed=1)
    >>> made.before.shape[0], made.cause in made.services, "carts_latency-90" in made.before
    (300, True, True)
    """
    rng = np.random.default_rng([seed, 17])
    kind = kind or str(rng.choice(list(SIZES)))
    system = _small(seed)
    at = SERVICES.index(str(rng.choice(INJECTED)))
    low, high = SIZES[kind]
    size = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    weather = system.weather(before + after, seed=seed)
    rise = np.minimum(np.arange(after) / max(after / 3, 1), 1.0)
    shape = 0.2 + 0.8 * rise if kind == "mem" else np.ones(after)
    by = size * np.concatenate([np.zeros(before), shape * rng.uniform(0.85, 1.15, after)])
    flow = system.flow(weather, _push(system, kind, at, by))
    table = _table(system, flow, rng)
    first, second = table.iloc[:before], table.iloc[before:]
    return BeforeAfter(first, second, SERVICES, SERVICES[at], kind)


def _small(seed: int) -> System:
    """Thirteen services that are all in use; mixes wander more than the load.

    Requests that cannot succeed are ordinary, and most failures of a callee are borne.
    """
    system = random_system(len(SERVICES), seed=seed)
    old = system.levels
    scale = old.load / _LOAD
    levels = replace(
        old,
        load=_LOAD,
        work=old.work * scale,
        session=old.session * scale,
        own=old.own * 2,
        rate=np.maximum(old.rate, 0.3),
        failing=np.maximum(old.failing, 0.01),
        fatal=np.full(len(old.fatal), 0.1),
    )
    noise = replace(system.noise, process=1.5, wave=0.02)
    return replace(system, graph=replace(system.graph, names=SERVICES), levels=levels, noise=noise)


def _push(system: System, kind: str, at: int, by: Floats) -> Push:
    own = system.levels.own[at]
    return {
        "cpu": lambda: Push(hog={at: by}),
        "mem": lambda: FAULTS["memory leak"].push(system, at, by),
        "disk": lambda: Push(hog={at: by}, slow={at: 20 * by * own}),
        "delay": lambda: Push(slow={at: by * own}),
        "loss": lambda: Push(failing={at: by}, slow={at: 50 * by * own}),
    }[kind]()


def _table(system: System, flow: Flow, rng: np.random.Generator) -> pd.DataFrame:
    """The metrics of a sidecar and of the kubelet: smoothed over a few seconds, with outliers."""

    def read(values: Floats, gauge: float) -> Floats:
        smooth = pd.DataFrame(values.T).rolling(5, min_periods=1).mean().to_numpy().T
        tails = rng.standard_t(_HEAVY, values.shape)
        return np.asarray(smooth * np.exp(np.clip(gauge * tails, -1.5, 1.5) + _jumps(smooth, rng)))

    seen = {
        "cpu": read(flow.cpu, 0.05),
        "mem": read(flow.memory, 0.003),
        "latency-50": read(flow.latency * 0.7, 0.05),
        "latency-90": read(flow.latency * 2.2, 0.1),
        "error": read(flow.failed, 0.0),
    }
    columns = {
        f"{name}_{metric}": values[at]
        for at, name in enumerate(system.services)
        for metric, values in seen.items()
        # Backends answer to no sidecar.
        if metric in ("cpu", "mem") or not name.endswith("-db")
    }
    return pd.DataFrame(columns)


def _jumps(values: Floats, rng: np.random.Generator) -> Floats:
    """Levels jump now and then, and stay: pods move, collectors run, logs rotate."""
    jumps = rng.random(values.shape) < _JUMPS
    return np.cumsum(jumps * 0.08 * rng.standard_t(_HEAVY, values.shape), axis=1)


def largest_deviation(made: BeforeAfter) -> list[str]:
    """Services by the largest robust deviation of a metric's median after the fault.

    A spread of 0 is replaced by the standard deviation, and no spread is below a tenth of the
    median of the metric: the floor with which this rule does well on Sock Shop.
    """
    middle = made.before.median()
    spread = 1.4826 * (made.before - middle).abs().median()
    spread = spread.where(spread > 0, made.before.std())
    floor = (0.1 * middle.abs()).clip(lower=1e-9)
    score: pd.Series = (made.after.median() - middle).abs() / np.maximum(spread, floor)
    best = {name: float(score[columns].max()) for name, columns in made.metrics.items()}
    return sorted(best, key=lambda name: (-best[name], name))
