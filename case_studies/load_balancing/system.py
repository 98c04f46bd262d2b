"""The true system: sizes, servers, queues and policies, and what nobody logs.

After CausalSim (Alomar et al., NSDI 2023, section 6.3): eight servers of hidden speed, jobs of
hidden size that come in regimes, and a trial that gives each trace one of sixteen policies at
random. Every random number belongs to a seed, a trace and a step, so that another policy meets the
very same jobs and luck, and more traces or steps do not change the first.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.special import ndtri
from torch import Tensor
from torch.distributions import Distribution

from causalsys.simulate.policies.routing import (
    LeastLoaded,
    Pair,
    PowerOfK,
    RandomRouting,
    ShortestQueue,
    Tracker,
)

SERVERS = 8
GAP_MS = 50.0
LOAD = 0.6
PAIRS = ((3, 4), (4, 5), (1, 2), (0, 3), (3, 6), (0, 1), (5, 7), (1, 7))
MEANS = np.logspace(1, 2.5, 50)
DRAWS = 6  # uniform numbers for each step: see `_jobs`
Policy = Callable[..., Any]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SizeAware:
    """Sends large jobs to the faster half of the servers, and small ones to the slower half.

    No estimator may take such a policy's choices for independent of the size.
    """

    rates: tuple[float, ...]
    threshold: float

    def __call__(self, waiting: Tensor, job_size: Tensor) -> Tensor:
        order = torch.tensor(self.rates).argsort()
        fast = torch.zeros(len(self.rates), dtype=torch.bool)
        fast[order[: len(order) // 2]] = True
        mine = (job_size > self.threshold).unsqueeze(-1) == fast
        return torch.where(mine, waiting, torch.inf).argmin(-1)


@dataclass(frozen=True)
class Servers:
    """How long a job of size `u` takes on server a: `rates[a] * u ** powers[a] + offsets[a]`."""

    rates: Floats
    powers: Floats
    offsets: Floats

    def work(self, server: Any, size: Any) -> Any:
        """Milliseconds; arrays that broadcast."""
        return self.rates[server] * size ** self.powers[server] + self.offsets[server]


@dataclass(frozen=True)
class Truth:
    """What nobody logs.

    Attributes:
        seed: Everything's.
        servers: Their speeds.
        policies: The arms' policies, by name.
        arm: Which of them each trace had, `[trace]`.
        size: Of the jobs, `[step, trace]`.
        gap: Until the next job in ms, `[step, trace]`.
        luck: A uniform number that a random policy draws with, `[step, trace]`.
    """

    seed: int
    servers: Servers
    policies: Mapping[str, Policy]
    arm: NDArray[np.str_]
    size: Floats = field(repr=False)
    gap: Floats = field(repr=False)
    luck: Floats = field(repr=False)

    def slowed(self, factors: Floats) -> Truth:
        """The same with every server's rate multiplied, to see what small errors do."""
        servers = replace(self.servers, rates=self.servers.rates * factors)
        return replace(self, servers=servers)


def generate(
    traces: int = 320,
    steps: int = 500,
    *,
    seed: int = 0,
    redraw: float = 1 / 12000,
    rank_one: bool = True,
    sees_size: bool = False,
    least_spread: float = 0.0,
) -> tuple[pd.DataFrame, Truth]:
    """Run the trial.

    Args:
        traces: How many; blocks of one per arm, each in random order.
        steps: Jobs in each.
        seed: Fixes the servers, the jobs and the luck.
        redraw: The probability that a new regime of sizes begins with a job.
        rank_one: Work is size times rate. Otherwise also a power and an offset per server.
        sees_size: The arm "oracle" gives way to one that sees the job's size, "size_aware".
        least_spread: Of a regime's sizes over their mean. The paper's 0 makes all jobs of one
            regime in fifty exactly alike, and two such jobs give two servers' ratio exactly.

    Returns:
        The log (`trace, step, arm, gap, server, work, latency`), and what is not in it.
    """
    servers = draw_servers(seed, rank_one=rank_one)
    size, gap, luck = _jobs(
        traces,
        steps,
        seed=seed,
        redraw=redraw,
        servers=servers,
        spreads=np.linspace(least_spread, 0.5, 50),
    )
    policies = policies_for(servers)
    if sees_size:
        aware = SizeAware(policies["oracle"].rates, float(np.median(size)))  # type: ignore[attr-defined]
        policies = {"size_aware" if k == "oracle" else k: p for k, p in policies.items()}
        policies["size_aware"] = aware
    arm = _assigned(list(policies), traces, seed=seed)
    truth = Truth(seed, servers, policies, arm, size, gap, luck)
    assigned = [(policies[name], np.flatnonzero(arm == name)) for name in policies]
    return _frame(truth, *_run(truth, assigned)), truth


def simulate_true(truth: Truth, policy: str | Policy) -> pd.DataFrame:
    """What the log would have been under one policy on every trace: same jobs, same luck.

    Args:
        truth: From `generate`.
        policy: An arm's name, or a policy: its arguments may be `waiting`, `backlog`, `gap`,
            `job_size`, and what `Tracker` reads.

    Returns:
        As `generate`; `arm` still names the policy that was live in the record.
    """
    chosen = truth.policies[policy] if isinstance(policy, str) else policy
    return _frame(truth, *_run(truth, [(chosen, np.arange(truth.arm.size))]))


def draw_servers(seed: int, *, rank_one: bool = True) -> Servers:
    """Slowdowns of `5 ** (2U - 1)`; powers and offsets where work is not of rank one."""
    rng = np.random.default_rng([seed, 0])
    rates = 5 ** (2 * rng.random(SERVERS) - 1)
    if rank_one:
        return Servers(rates, np.ones(SERVERS), np.zeros(SERVERS))
    powers = 0.75 + 0.5 * rng.random(SERVERS)
    offsets = 10 * rng.random(SERVERS)
    # A job of typical size takes what it took, so that the load stays what it was.
    typical = float(MEANS.mean())
    return Servers(rates * typical ** (1 - powers), powers, offsets)


def policies_for(servers: Servers) -> dict[str, Policy]:
    """The sixteen policies; the oracle knows the time that a typical job takes."""
    typical = servers.work(np.arange(SERVERS), float(MEANS.mean()))
    return {
        "random": RandomRouting(SERVERS),
        "shortest_queue": ShortestQueue(),
        **{f"power_of_{k}": PowerOfK(k) for k in (2, 3, 4, 5)},
        "oracle": LeastLoaded(tuple(typical / typical.min())),
        "tracker": Tracker(0.995),
        **{f"pair_{i}{j}": Pair(i, j) for i, j in PAIRS},
    }


def _jobs(
    traces: int, steps: int, *, seed: int, redraw: float, servers: Servers, spreads: Floats
) -> tuple[Floats, Floats, Floats]:
    """Sizes, gaps and luck, `[step, trace]`, from streams of each trace's own."""
    size, gap, luck = (np.empty((steps, traces)) for _ in range(3))
    rates = servers.work(np.arange(SERVERS), float(MEANS.mean()))
    scale = LOAD * SERVERS * GAP_MS / rates.mean()
    for begin in range(0, traces, 1024):
        block = range(begin, min(begin + 1024, traces))
        uniform = np.stack(
            [np.random.default_rng([seed, 1, trace]).random((steps, DRAWS)) for trace in block],
            axis=1,
        )
        begins = uniform[..., 0] < redraw
        begins[0] = True
        at = np.maximum.accumulate(np.where(begins, np.arange(steps)[:, None], 0), axis=0)
        level = np.take_along_axis(MEANS[_cell(uniform[..., 1])], at, axis=0)
        spread = np.take_along_axis(spreads[_cell(uniform[..., 2])], at, axis=0)
        raw = level * (1 + spread * ndtri(np.clip(uniform[..., 3], 1e-300, None)))
        size[:, block] = np.clip(raw, 3, 1000) * scale
        gap[:, block] = -GAP_MS * np.log1p(-uniform[..., 4])
        luck[:, block] = uniform[..., 5]
    return size, gap, luck


def _cell(uniform: Floats) -> NDArray[np.int64]:
    return (uniform * 50).astype(np.int64)


def _assigned(names: list[str], traces: int, *, seed: int) -> NDArray[np.str_]:
    blocks = -(-traces // len(names))
    orders = [
        np.random.default_rng([seed, 2, block]).permutation(len(names)) for block in range(blocks)
    ]
    return np.array(names)[np.concatenate(orders)[:traces]]


def _run(
    truth: Truth, assigned: list[tuple[Policy, NDArray[np.int64]]]
) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Servers, work and latency, `[step, trace]`: every trace under its policy.

    Gaps are known beforehand, so a job's end says at once before which arrival it leaves: counting
    a queue needs one sum for each step, and no search through the queue.
    """
    order = np.concatenate([rows for _, rows in assigned])
    size, gap, luck = truth.size[:, order], truth.gap[:, order], truth.luck[:, order]
    steps, traces = size.shape
    now = np.concatenate([np.zeros((1, traces)), gap[:-1].cumsum(axis=0)])
    arrivals = torch.from_numpy(np.ascontiguousarray(now.T))
    leaving = np.zeros((steps + 1, traces, SERVERS), dtype=np.int16)
    waiting, free = np.zeros((traces, SERVERS)), np.zeros((traces, SERVERS))
    server = np.zeros((steps, traces), dtype=np.int64)
    work, latency = np.empty((steps, traces)), np.empty((steps, traces))
    every = np.arange(traces)
    bounds = np.cumsum([0, *(len(rows) for _, rows in assigned)])
    memories: list[Any] = [None] * len(assigned)
    for step in range(steps):
        waiting -= leaving[step]
        for index, (policy, rows) in enumerate(assigned):
            if not len(rows):
                continue
            part = slice(bounds[index], bounds[index + 1])
            seen = {
                "waiting": waiting[part],
                "backlog": np.maximum(free[part] - now[step, part, None], 0),
                "gap": gap[step, part],
                "job_size": size[step, part],
                "last_server": server[step - 1, part],
                "last_work": work[step - 1, part],
            }
            server[step, part], memories[index] = _decided(
                policy, seen, memories[index], luck=luck[step, part]
            )
        chosen = server[step]
        work[step] = truth.servers.work(chosen, size[step])
        end = np.maximum(free[every, chosen], now[step]) + work[step]
        latency[step] = end - now[step]
        free[every, chosen] = end
        waiting[every, chosen] += 1
        leaves = torch.searchsorted(arrivals, torch.from_numpy(end[:, None])).squeeze(1).numpy()
        leaving[leaves, every, chosen] += 1
    back = np.argsort(order)
    return server[:, back], work[:, back], latency[:, back]


def _decided(
    policy: Policy, seen: Mapping[str, Any], memory: Any, *, luck: Floats
) -> tuple[NDArray[np.int64], Any]:
    """A policy's choice; a random one's is the quantile of `luck`."""
    names = inspect.signature(policy).parameters
    given = {name: torch.from_numpy(seen[name]) for name in names if name in seen}
    if "memory" in names:
        result, memory = policy(**given, memory=memory)
    else:
        result = policy(**given)
    if isinstance(result, Distribution):
        result = (result.probs.cumsum(-1) <= torch.from_numpy(luck)[:, None]).sum(-1)
        result = result.clamp(max=SERVERS - 1)
    return result.numpy(), memory


def _frame(truth: Truth, server: NDArray[np.int64], work: Floats, latency: Floats) -> pd.DataFrame:
    steps, traces = server.shape
    return pd.DataFrame(
        {
            "trace": np.repeat(np.arange(traces), steps),
            "step": np.tile(np.arange(steps), traces),
            "arm": np.repeat(truth.arm, steps),
            "gap": truth.gap.T.ravel(),
            "server": server.T.ravel(),
            "work": work.T.ravel(),
            "latency": latency.T.ravel(),
        }
    )
