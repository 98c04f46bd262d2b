"""The load balancer as one would write it by hand for speed: job by job, compiled by numba.

It shares nothing with the package or with the generator of the case study but the system's rules,
so it is at once what our speed is measured against, and a check that both run the same system.
"""

from __future__ import annotations

from math import comb

import numba
import numpy as np
from numpy.typing import NDArray

from case_studies.load_balancing.system import Policy, Truth
from causalsys.simulate.policies.routing import (
    LeastLoaded,
    Pair,
    PowerOfK,
    RandomRouting,
    ShortestQueue,
    Tracker,
)

RANDOM, SHORTEST, POWER, LEAST, TRACKER, PAIR = range(6)
Ints, Floats = NDArray[np.int64], NDArray[np.float64]


def simulate(truth: Truth, policy: str | Policy) -> tuple[Ints, Floats, Floats]:
    """Every trace under one policy.

    Args:
        truth: Servers, jobs and luck, from `case_studies.load_balancing.system.generate`.
        policy: An arm's name, or one of the package's routing policies.

    Returns:
        Servers, work and latency (ms), each `[trace, step]`.
    """
    chosen = truth.policies[policy] if isinstance(policy, str) else policy
    kind, numbers = _coded(chosen, len(truth.servers.rates))
    return _traces(
        *(np.ascontiguousarray(part.T) for part in (truth.size, truth.gap, truth.luck)),
        truth.servers.rates,
        truth.servers.powers,
        truth.servers.offsets,
        kind,
        numbers,
    )


def _coded(policy: Policy, servers: int) -> tuple[int, Floats]:
    """A policy as a number, and its parameters as an array."""
    match policy:
        case RandomRouting():
            return RANDOM, np.zeros(1)
        case ShortestQueue():
            return SHORTEST, np.zeros(1)
        case PowerOfK(k):
            return POWER, np.array([comb(m, k) / comb(servers, k) for m in range(servers + 1)])
        case LeastLoaded(rates):
            return LEAST, np.array(rates)
        case Tracker(decay):
            return TRACKER, np.array([decay])
        case Pair(first, second):
            return PAIR, np.array([first, second], dtype=float)
        case _:
            raise TypeError(f"no compiled code for {policy!r}")


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _traces(
    size: Floats,
    gap: Floats,
    luck: Floats,
    rates: Floats,
    powers: Floats,
    offsets: Floats,
    kind: int,
    numbers: Floats,
) -> tuple[Ints, Floats, Floats]:
    traces, steps = size.shape
    count = len(rates)
    linear = np.all(powers == 1.0)
    server = np.empty((traces, steps), np.int64)
    work, latency = np.empty((traces, steps)), np.empty((traces, steps))
    ends = np.empty((count, steps))
    for trace in range(traces):
        head, tail = np.zeros(count, np.int64), np.zeros(count, np.int64)
        average, weight = np.zeros(count), np.zeros(count)
        now = 0.0
        for step in range(steps):
            for s in range(count):
                while head[s] < tail[s] and ends[s, head[s]] <= now:
                    head[s] += 1
            waiting = tail - head
            chosen = _choose(waiting, luck[trace, step], average, weight, kind, numbers)
            job = size[trace, step]
            took = rates[chosen] * (job if linear else job ** powers[chosen]) + offsets[chosen]
            begins = now
            if tail[chosen] > 0 and ends[chosen, tail[chosen] - 1] > now:
                begins = ends[chosen, tail[chosen] - 1]
            ends[chosen, tail[chosen]] = begins + took
            tail[chosen] += 1
            server[trace, step], work[trace, step] = chosen, took
            latency[trace, step] = begins + took - now
            if kind == TRACKER:
                decay = numbers[0]
                average[chosen] = decay * average[chosen] + (1 - decay) * took
                weight[chosen] = decay * weight[chosen] + (1 - decay)
            now += gap[trace, step]
    return server, work, latency


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _choose(
    waiting: Ints, luck: float, average: Floats, weight: Floats, kind: int, numbers: Floats
) -> int:
    count = len(waiting)
    if kind == RANDOM:
        return min(int(luck * count), count - 1)
    if kind == PAIR:
        low, high = min(numbers[0], numbers[1]), max(numbers[0], numbers[1])
        return int(low if luck < 0.5 else high)
    if kind == POWER:
        return _power_of_k(waiting, luck, numbers)
    best, least = 0, np.inf
    for s in range(count):
        cost = float(waiting[s])
        if kind == LEAST:
            cost = (waiting[s] + 1) * numbers[s]
        elif kind == TRACKER:
            cost = (waiting[s] + 1) * (average[s] / weight[s] if weight[s] > 0 else 0.0)
        if cost < least:
            best, least = s, cost
    return best


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _power_of_k(waiting: Ints, luck: float, all_of: Floats) -> int:
    """The quantile of `luck`; `all_of[m]` is the chance that k draws are all among m servers."""
    count, total = len(waiting), 0.0
    for s in range(count):
        shorter, alike = 0, 0
        for other in range(count):
            shorter += waiting[other] < waiting[s]
            alike += waiting[other] == waiting[s]
        total += (all_of[count - shorter] - all_of[count - shorter - alike]) / alike
        if luck < total:
            return s
    return count - 1
