"""Random microservice systems, and the metrics that a scraper would read off them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import networkx as nx
import numpy as np
import pandas as pd

from benchmarks.rootcause.physics import Flow, Levels, Push, sweep
from benchmarks.rootcause.topology import Topology, random_topology
from benchmarks.rootcause.weather import LEVELS, Noise, Weather, draw

if TYPE_CHECKING:
    from benchmarks.rootcause.topology import Floats

METRICS = ("requests", "latency", "errors", "cpu", "memory")


@dataclass(frozen=True)
class System:
    """A system that can be run, and whose constants are known.

    Attributes:
        graph: Who calls whom, numbered.
        levels: The constants.
        batchy: How often a service runs a batch job beside its requests.
        noise: How much varies.
        seed: Of the system.
    """

    graph: Topology
    levels: Levels
    batchy: Floats
    noise: Noise
    seed: int
    order: tuple[int, ...] = field(repr=False, default=())

    @property
    def entry(self) -> str:
        """The service that users see."""
        return self.graph.names[0]

    @property
    def services(self) -> tuple[str, ...]:
        """All services, callers before callees."""
        return self.graph.names

    @cached_property
    def calls(self) -> nx.DiGraph:
        """The call graph, from callers to callees."""
        calls = nx.DiGraph()
        calls.add_nodes_from(self.graph.names[at] for at in self.order)
        calls.add_edges_from(
            (self.graph.names[a], self.graph.names[b])
            for a, b in zip(self.graph.caller, self.graph.callee, strict=True)
        )
        return calls

    @property
    def hosts(self) -> dict[str, str]:
        """The host of each service."""
        pairs = zip(self.graph.names, self.levels.host, strict=True)
        return {name: f"node-{host:03d}" for name, host in pairs}

    def weather(self, rows: int, *, seed: int, start: int = 0) -> Weather:
        """What varies in some rows."""
        hosts = int(self.levels.host.max()) + 1
        sizes = (len(self.graph.names), len(self.graph.caller), hosts)
        return draw(sizes, rows, seed=seed, start=start, noise=self.noise, batchy=self.batchy)

    def flow(self, weather: Weather, push: Push | None = None, *, lucky: bool = True) -> Flow:
        """What happens in that weather under that push."""
        return sweep(self.graph, self.levels, weather, push=push or Push(), lucky=lucky)

    def normal(self, rows: int, *, seed: int, start: int = 0) -> pd.DataFrame:
        """Metrics of an ordinary time.

        Args:
            rows: How many, of five minutes each.
            seed: Of the weather.
            start: The first row's number, for the daily wave.
        """
        weather = self.weather(rows, seed=seed, start=start)
        return self.scraped(self.flow(weather), weather, start=start)

    def scraped(self, flow: Flow, weather: Weather, *, start: int = 0) -> pd.DataFrame:
        """The metrics as read: with the scraper's noise, and no latency where nobody asked."""
        z, noise = weather.scrape, self.noise
        requests = np.round(flow.requests * (1 + noise.count * z[0]))
        latency = np.where(requests > 0, flow.latency * np.exp(noise.gauge * z[1]), np.nan)
        errors = np.minimum(np.round(flow.failed * np.exp(noise.count * z[2])), requests)
        cpu = np.clip(flow.cpu * np.exp(noise.gauge * z[3]), 0.0, 1.0)
        memory = flow.memory * np.exp(0.2 * noise.gauge * z[4])
        values = dict(zip(METRICS, (requests, latency, errors, cpu, memory), strict=True))
        names = [(at, metric) for at in self.order for metric in METRICS]
        columns = pd.MultiIndex.from_tuples(
            [(self.graph.names[at], metric) for at, metric in names], names=["service", "metric"]
        )
        table = np.stack([values[metric][at] for at, metric in names], axis=1)
        index = pd.RangeIndex(start, start + len(table), name="row")
        return pd.DataFrame(table, columns=columns, index=index)

    def drifted(self, share: float, size: float, *, seed: int) -> System:
        """The system some weeks later: releases moved the levels of some services.

        Args:
            share: Of services and of calls that moved.
            size: Standard deviation of the logarithm of a moved level.
            seed: Of what moved.
        """
        rng = np.random.default_rng([seed, 303])

        def moved(values: Floats, scale: float = 1.0) -> Floats:
            by = size * scale * rng.standard_normal(len(values))
            return values * np.exp(np.where(rng.random(len(values)) < share, by, 0.0))

        old = self.levels
        levels = replace(
            old,
            load=old.load * float(np.exp(size / 2 * rng.standard_normal())),
            own=moved(old.own),
            work=np.minimum(moved(old.work), old.work * 1.3),
            failing=moved(old.failing, 2.0),
            memory=moved(old.memory),
            network=moved(old.network),
            rate=moved(old.rate, 0.5),
            hit=np.clip(moved(old.hit, 0.3), 0.0, 0.95),
        )
        return replace(self, levels=levels)


def random_system(services: int, *, seed: int, noise: str = "medium") -> System:
    """A random system.

    Args:
        services: How many, from 5.
        seed: Of the graph and of all constants. Below 1000 for developing, from 1000 for reports.
        noise: "low", "medium" or "high".
    """
    rng = np.random.default_rng([seed, services])
    graph = random_topology(services, rng)
    levels = _levels(graph, rng)
    rare = np.where(rng.random(services) < 0.15, rng.uniform(0.003, 0.02, services), 0.0)
    order = tuple(int(at) for at in rng.permutation(services))
    system = System(graph, levels, rare, LEVELS[noise], seed, order)
    return replace(system, levels=_sized(system, rng))


def _levels(graph: Topology, rng: np.random.Generator) -> Levels:
    services, calls = len(graph.names), len(graph.caller)
    fan_in = np.bincount(graph.callee, minlength=services)
    rate = np.clip(np.exp(rng.normal(np.log(0.7), 0.6, calls)), 0.05, 3.0)
    # A backend that many use is not used by everyone for every request.
    rate /= np.maximum(fan_in[graph.callee] / 4, 1.0) ** 0.5
    caches = (rng.random(services) < 0.3) & ~graph.leaf
    cached = caches[graph.caller] & (graph.leaf[graph.callee] | (rng.random(calls) < 0.3))
    parallel = rng.random(services) < 0.5
    together = parallel[graph.caller] & (rng.random(calls) < 0.6)
    has_cached = np.zeros(services, dtype=bool)
    has_cached[graph.caller[cached]] = True
    hit = np.where(has_cached, rng.uniform(0.6, 0.97, services), 0.0)
    missed = np.where(cached, 1 - hit[graph.caller], 1.0)
    # What is cached is asked for often: that is why there is a cache.
    rate = np.where(cached, np.minimum(rate / missed, 8.0), rate)
    rate *= _scale(graph, rate * missed)
    return Levels(
        load=30_000.0,
        own=np.exp(rng.normal(np.log(4e-3), 0.8, services)),
        work=np.zeros(services),
        cores=rng.choice([1.0, 2.0, 4.0], services),
        failing=np.where(rng.random(services) < 0.3, 0.0, np.exp(rng.normal(-8.5, 1, services))),
        hit=hit,
        memory=np.exp(rng.normal(np.log(400), 0.6, services)),
        session=np.zeros(services),
        network=np.exp(rng.normal(np.log(4e-4), 0.5, services)),
        rate=rate,
        cached=cached,
        retries=rng.choice([0.0, 1.0, 2.0], calls, p=[0.6, 0.25, 0.15]),
        fatal=np.where(rng.random(calls) < 0.8, 1.0, rng.uniform(0.2, 0.8, calls)),
        group=np.where(together, 0, -1).astype(np.int64),
        host=rng.integers(0, max(2, services // 5), services),
    )


def _scale(graph: Topology, rate: Floats) -> float:
    """The factor of all rates with which a user's request visits 2√n services' worth of calls."""
    services = len(graph.names)
    low, high = 0.01, 3.0
    for _ in range(30):
        middle = (low * high) ** 0.5
        visits = np.zeros(services)
        visits[0] = 1.0
        for caller, callee, each in zip(graph.caller, graph.callee, rate, strict=True):
            visits[callee] += visits[caller] * each * middle
        low, high = (middle, high) if visits.sum() < 2 * services**0.5 else (low, middle)
    return low


def _sized(system: System, rng: np.random.Generator) -> Levels:
    """Capacity as an operator buys it: for the flow that each service sees."""
    levels = system.levels
    weather = system.weather(48, seed=system.seed)
    flow = np.maximum(system.flow(weather, lucky=False).requests.mean(axis=1), 1.0)
    usual = rng.uniform(0.08, 0.5, len(flow))
    session = rng.uniform(0.0, 0.2, len(flow)) * levels.memory / flow
    return replace(levels, work=usual / flow, session=session)
