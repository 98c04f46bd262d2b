"""One sweep through a system: requests go down the calls, seconds and failures come up.

Nothing here is linear: queues, retries, the longest of parallel calls and caps are what a model of
the metrics has to do without.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.rootcause.topology import Floats, Ints, Topology
from benchmarks.rootcause.weather import Weather

FULL = 0.97
"""No queue is longer than at this utilisation: what exceeds it fails."""
_SWEEPS = 3
_SPREAD = 1.2
"""Coefficient of variation of one request's time: means over few requests are noisy."""


@dataclass(frozen=True)
class Levels:
    """The constants of a system. One per service, or one per call.

    Attributes:
        load: Requests in a row that users send, on average.
        own: Seconds a request takes in the service itself, unloaded.
        work: Utilisation for each request in a row.
        cores: How many requests are served at once: with more, queues come later and steeper.
        failing: Share of requests that fail by the service's own doing.
        hit: Share of cacheable calls that a service's cache answers.
        memory: MiB in use.
        session: MiB for each request in a row.
        network: Seconds between a service and its callers.
        rate: Calls for each request of the caller, before the cache.
        cached: Whether a call goes through the caller's cache.
        retries: How often a failed call is tried again.
        fatal: Share of a call's failures that fail the caller's request.
        group: Calls of one caller and one group run in parallel; -1: one after the other.
        host: The host of each service.
    """

    load: float
    own: Floats
    work: Floats
    cores: Floats
    failing: Floats
    hit: Floats
    memory: Floats
    session: Floats
    network: Floats
    rate: Floats
    cached: NDArray[np.bool_]
    retries: Floats
    fatal: Floats
    group: Ints
    host: Ints


@dataclass(frozen=True)
class Push:
    """What a fault does, row by row: a factor or an amount for some services.

    Attributes:
        load: Factor of the load; `[rows]`, or 1.
        hog: Share of a service's processors that something else takes.
        slow: Seconds added in the service itself.
        failing: Share of requests that fail in addition.
        misses: Share of the hits that become misses.
        leak: MiB leaked.
        network: Seconds added between a service and its callers.
        steal: Share of a host that is taken.
        batch: Low-priority work, in utilisation.
        insist: Retries in addition, of all calls to a service.
    """

    load: Floats | float = 1.0
    hog: dict[int, Floats] = field(default_factory=dict)
    slow: dict[int, Floats] = field(default_factory=dict)
    failing: dict[int, Floats] = field(default_factory=dict)
    misses: dict[int, Floats] = field(default_factory=dict)
    leak: dict[int, Floats] = field(default_factory=dict)
    network: dict[int, Floats] = field(default_factory=dict)
    steal: dict[int, Floats] = field(default_factory=dict)
    batch: dict[int, Floats] = field(default_factory=dict)
    insist: dict[int, float] = field(default_factory=dict)

    def with_(self, other: Push) -> Push:
        """Both at once."""
        joined = {
            name: {**getattr(self, name), **getattr(other, name)}
            for name in self.__dataclass_fields__
            if name != "load"
        }
        return replace(self, load=self.load * other.load, **joined)


@dataclass(frozen=True)
class Flow:
    """What happened. Services or calls in lines, time in columns.

    Attributes:
        requests: Received, retries included.
        latency: Mean seconds per request, callees included.
        own: The part of it spent in the service itself.
        failed: Requests that failed, by whatever doing.
        own_failed: Those by the service's own doing.
        cpu: Utilisation.
        memory: MiB.
        calls: Made, retries included, for each call.
        seconds: Of the caller's waiting that each call accounts for, in the row's total.
        fails: Of the caller's failures that each call accounts for.
    """

    requests: Floats
    latency: Floats
    own: Floats
    failed: Floats
    own_failed: Floats
    cpu: Floats
    memory: Floats
    calls: Floats
    seconds: Floats
    fails: Floats


def sweep(
    graph: Topology, levels: Levels, weather: Weather, *, push: Push, lucky: bool = True
) -> Flow:
    """Run a system through some rows.

    Args:
        graph: Who calls whom.
        levels: Its constants.
        weather: What varies.
        push: What a fault does.
        lucky: Whether counts and means have the luck of few requests. False gives expectations.
    """
    services, rows = weather.mix.shape
    cost = _Cost.of(graph, levels, weather, push)
    ends = np.searchsorted(graph.caller, np.arange(services + 1))
    chance = np.zeros((services, rows))
    # How often calls fail decides how many there are, and that decides how often they fail.
    for _ in range(_SWEEPS - 1):
        requests, calls = _down(graph, levels, weather, cost, chance, ends, push, lucky)
        own, over = cost.time(requests, levels)
        own_failed = requests * np.minimum(cost.failing + over, 1.0)
        up = _up(graph, levels, cost, (requests, calls, own, own_failed), ends, push)
        chance = up[1] / np.maximum(requests, 1.0)
    requests, calls = _down(graph, levels, weather, cost, chance, ends, push, lucky)
    own, over = cost.time(requests, levels)
    own_failed = requests * np.minimum(cost.failing + over, 1.0)
    if lucky:
        rng = np.random.default_rng([weather.seed, 7])
        own_failed = np.minimum(rng.poisson(own_failed).astype(float), requests)
        luck = _SPREAD * weather.mean / np.sqrt(np.maximum(requests, 1.0))
        own = own * np.maximum(1 + luck, 0.2)
    latency, failed, seconds, fails = _up(
        graph, levels, cost, (requests, calls, own, own_failed), ends, push
    )
    cpu = np.clip(cost.shown(requests, levels), 0.0, 1.0)
    memory = cost.memory + levels.session[:, None] * requests
    return Flow(requests, latency, own, failed, own_failed, cpu, memory, calls, seconds, fails)


@dataclass(frozen=True)
class _Cost:
    """Levels, weather and push put together, before any request is counted."""

    base: Floats
    slow: Floats
    free: Floats
    steal: Floats
    hog: Floats
    batch: Floats
    heavy: Floats
    failing: Floats
    hit: Floats
    memory: Floats
    network: Floats

    @classmethod
    def of(cls, graph: Topology, levels: Levels, weather: Weather, push: Push) -> _Cost:
        shape = weather.mix.shape

        def spread(values: dict[int, Floats], size: int = shape[0]) -> Floats:
            full = np.zeros((size, shape[1]))
            for at, value in values.items():
                full[at] = value
            return full

        hog = np.minimum(spread(push.hog), 0.95)
        # A hog takes a little from its neighbours, too.
        taken = weather.steal + spread(push.steal, len(weather.steal))
        np.add.at(taken, levels.host, 0.03 * hog)
        steal = np.minimum(taken, 0.85)[levels.host]
        leak = spread(push.leak)
        # The collector works the harder, the more of the memory has leaked.
        collecting = 1 + 3 * (leak / levels.memory[:, None]) ** 2
        hits = levels.hit[:, None]
        odds = hits / np.maximum(1 - hits, 1e-9) * np.exp(weather.hits)
        return cls(
            base=levels.own[:, None] * weather.mix * collecting,
            slow=spread(push.slow),
            free=(1 - steal) * (1 - hog),
            steal=steal,
            hog=hog,
            batch=weather.batch + spread(push.batch),
            heavy=weather.mix * collecting,
            failing=levels.failing[:, None] * weather.mix**3 + spread(push.failing),
            hit=odds / (1 + odds) * (1 - spread(push.misses)),
            memory=levels.memory[:, None] * np.exp(weather.memory) + leak,
            network=levels.network[:, None] + spread(push.network),
        )

    def time(self, requests: Floats, levels: Levels) -> tuple[Floats, Floats]:
        """Seconds in the service itself, and the share of requests that overload turns away."""
        busy = levels.work[:, None] * requests * self.heavy / self.free
        over = np.clip(1 - FULL / np.maximum(busy, 1e-9), 0.0, 0.6)
        # The mean wait in M/M/c (Sakasegawa, Ann. Inst. Stat. Math. 29, 1977); 1/(1-ρ) for c = 1.
        cores, full = levels.cores[:, None], np.minimum(busy, FULL)
        wait = 1 + full ** (np.sqrt(2 * (cores + 1)) - 1) / (cores * (1 - full))
        return self.base * wait / (1 - self.steal) + self.slow, over

    def shown(self, requests: Floats, levels: Levels) -> Floats:
        """Utilisation as the scraper reads it: the hog's and the batch job's share included."""
        busy = levels.work[:, None] * requests * self.heavy
        return np.minimum(busy, 1.0) + self.hog * (1 - np.minimum(busy, 1.0)) + self.batch


def _down(
    graph: Topology,
    levels: Levels,
    weather: Weather,
    cost: _Cost,
    chance: Floats,
    ends: Ints,
    push: Push,
    lucky: bool,
) -> tuple[Floats, Floats]:
    """Requests of every service and calls along every edge, given how likely a call fails."""
    requests = np.zeros_like(weather.mix)
    calls = np.zeros_like(weather.rate)
    requests[0] = levels.load * weather.load * push.load
    for service in range(len(requests)):
        for edge in range(ends[service], ends[service + 1]):
            callee = graph.callee[edge]
            mean = requests[service] * levels.rate[edge] * weather.rate[edge]
            if levels.cached[edge]:
                mean = mean * (1 - cost.hit[service])
            if lucky:
                mean = np.maximum(np.round(mean + np.sqrt(mean) * weather.thin[edge]), 0.0)
            mean = mean * _attempts(chance[callee], _tries(levels, edge, callee, push))
            calls[edge] = mean
            requests[callee] += mean
    return np.round(requests) if lucky else requests, calls


def _up(
    graph: Topology,
    levels: Levels,
    cost: _Cost,
    known: tuple[Floats, Floats, Floats, Floats],
    ends: Ints,
    push: Push,
) -> tuple[Floats, Floats, Floats, Floats]:
    """Latency, failures, and what of them each call accounts for."""
    requests, calls, own, own_failed = known
    latency, failed = own.copy(), own_failed.copy()
    seconds, fails = np.zeros_like(calls), np.zeros_like(calls)
    for service in range(len(requests) - 1, -1, -1):
        edges = range(ends[service], ends[service + 1])
        if not len(edges):
            continue
        for edge in edges:
            callee = graph.callee[edge]
            seconds[edge] = calls[edge] * (latency[callee] + cost.network[callee])
            chance = failed[callee] / np.maximum(requests[callee], 1.0)
            tries = _tries(levels, edge, callee, push)
            first = calls[edge] / _attempts(chance, tries)
            fails[edge] = first * chance ** (tries + 1) * levels.fatal[edge]
        _longest(seconds, levels.group, edges)
        count = np.maximum(requests[service], 1.0)
        latency[service] += seconds[edges.start : edges.stop].sum(axis=0) / count
        inherited = fails[edges.start : edges.stop].sum(axis=0)
        room = np.maximum(requests[service] - own_failed[service], 0.0)
        # One request can meet several failures and fails once.
        kept = room * (1 - np.exp(-np.minimum(inherited / np.maximum(room, 1e-3), 50.0)))
        fails[edges.start : edges.stop] *= kept / np.maximum(inherited, 1e-12)
        failed[service] += kept
    return latency, failed, seconds, fails


def _longest(seconds: Floats, group: Ints, edges: range) -> None:
    """Of parallel calls only the longest is waited for: the others account for nothing.

    Within a row the longest of one request is not always of the same call, so that the second has
    a part in it: shares go by the fourth power, and the total is a smooth maximum.
    """
    some = np.array([edge for edge in edges if group[edge] >= 0], dtype=np.int64)
    for number in np.unique(group[some]) if len(some) else ():
        among = some[group[some] == number]
        power = np.maximum(seconds[among], 1e-12) ** 4
        total = power.sum(axis=0)
        seconds[among] = total**0.25 * power / total


def _tries(levels: Levels, edge: int, callee: int, push: Push) -> float:
    return float(levels.retries[edge]) + push.insist.get(int(callee), 0.0)


def _attempts(chance: Floats, retries: float) -> Floats | float:
    """Expected attempts of a call whose every attempt fails with this chance."""
    if retries == 0:
        return 1.0
    chance = np.minimum(chance, 0.95)
    return np.asarray((1 - chance ** (retries + 1)) / (1 - chance))
