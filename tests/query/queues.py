"""Jobs, servers and their queues, with a simulator of them written by hand."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
import torch
from torch import Tensor

import causalsys as cs

SERVERS = 3
SLOWNESS = np.array([0.5, 1.0, 2.0])
LENGTHS = (40, 7, 60, 23, 60, 1, 35)


class Balancer(cs.SCM):
    """Jobs of unknown size, servers of unknown speed."""

    arm = cs.Arm()
    job_size = cs.Latent(cs.Positive())
    gap = cs.Observed(cs.Positive("ms"))
    queues = cs.State(cs.Fifo(SERVERS, "ms"))

    @cs.equation(cs.Count("jobs", size=SERVERS))
    def waiting(queues):
        return queues.waiting

    server = cs.Decision(cs.Categorical(SERVERS), parents=[arm, waiting], mechanism=cs.Logged())
    work = cs.Observed(cs.Positive("ms"), parents=[job_size, server], mechanism=cs.Multiplicative())

    @cs.equation(cs.Positive("ms"))
    def latency(queues, server, work):
        return cs.pick(queues.backlog, server) + work

    @cs.transition(queues)
    def serve(queues, server, work, gap):
        return queues.push(server, work).after(gap)


Choose = Callable[[list[int], int], int]


def simulated(frame: pd.DataFrame, choose: Choose) -> pd.DataFrame:
    """The traces of `frame`, whose jobs have a `size`, by one loop over jobs."""
    rows = []
    for number, (_, trace) in enumerate(frame.groupby("trace", sort=False)):
        now, free = 0.0, [0.0] * SERVERS
        ends: list[list[float]] = [[] for _ in range(SERVERS)]
        for step, (label, row) in enumerate(trace.iterrows()):
            ends = [[end for end in each if end > now] for each in ends]
            waiting = [len(each) for each in ends]
            server = choose(waiting, 1000 * number + step)
            work = row["size"] * SLOWNESS[server]
            free[server] = max(free[server], now) + work
            ends[server].append(free[server])
            rows.append((label, server, work, free[server] - now, *waiting))
            now += row["gap"]
    columns = ["label", "server", "work", "latency", *(f"waiting_{i}" for i in range(SERVERS))]
    return pd.DataFrame(rows, columns=columns).set_index("label")


def logged(lengths: tuple[int, ...] = LENGTHS, seed: int = 0) -> pd.DataFrame:
    """Traces of two arms, one at random and one by the shortest queue, with the jobs' sizes."""
    rng = np.random.default_rng(seed)
    rows = [
        (f"trace {trace}", step, "ab"[trace % 2], rng.exponential(10), rng.exponential(12) + 0.5)
        for trace, length in enumerate(lengths)
        for step in range(length)
    ]
    frame = pd.DataFrame(rows, columns=["trace", "step", "arm", "gap", "size"])
    drawn = rng.integers(0, SERVERS, 100_000)
    found = [
        simulated(trace, lambda w, at, arm=arm: int(np.argmin(w)) if arm == "b" else drawn[at])
        for (_, arm), trace in frame.groupby(["trace", "arm"], sort=False)
    ]
    return frame.join(pd.concat(found)[["server", "work", "latency"]])


def shortest(waiting: Tensor) -> Tensor:
    return waiting.argmin(-1)


@cache
def fitted_balancer() -> cs.FittedSCM:
    """Fitted, and then given the true speeds: what is tested with it is the roll-out."""
    frame = logged((60,) * 30, seed=1).drop(columns="size")
    found = Balancer.fit(cs.Traces(frame), ensemble=1)
    mechanism = found.mechanisms["work"]
    state = dict(mechanism.state)
    state["weight"] = torch.tensor(np.log(SLOWNESS[1:] / SLOWNESS[0])).reshape(1, -1, 1)
    state["center"], state["spread"] = 0 * state["center"], torch.ones_like(state["spread"])
    state["offset"] = 0 * state["offset"]
    object.__setattr__(
        found, "mechanisms", {**found.mechanisms, "work": mechanism.with_state(state)}
    )
    return found
