"""Four servers of known speed behind six routing policies: traces whose truth is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.distributions import Categorical

import causalsys as cs

RATES = np.array([0.5, 1.0, 1.6, 2.5])
POWERS = np.array([0.6, 1.0, 1.4, 0.8])
TYPICAL = 60.0


class Routed(cs.SCM):
    """Jobs of unknown size on servers of unknown speed."""

    arm = cs.Arm()
    job_size = cs.Latent(cs.Positive())
    gap = cs.Observed(cs.Positive("ms"))
    backlog = cs.State(cs.Positive("ms", size=4))
    server = cs.Decision(cs.Categorical(range(4)), parents=[arm, backlog], mechanism=cs.Logged())
    work = cs.Observed(cs.Positive("ms"), parents=[job_size, server], mechanism=cs.Multiplicative())

    @cs.equation(cs.Positive("ms"))
    def latency(backlog, server, work):
        """The wait, and the work."""
        return cs.pick(backlog, server) + work

    @cs.transition(backlog)
    def serve(backlog, server, work, gap):
        """One arrival later."""
        return (cs.add_at(backlog, server, work) - gap[..., None]).clamp(min=0)


def _even(backlog: Tensor) -> Categorical:
    return Categorical(probs=torch.full((*backlog.shape[:-1], 4), 0.25, dtype=torch.float64))


def _pair(first: int, second: int) -> Callable[[Tensor], Categorical]:
    odds = torch.zeros(4, dtype=torch.float64)
    odds[first] = odds[second] = 0.5
    return lambda backlog: Categorical(probs=odds.expand(*backlog.shape[:-1], 4))


def least(backlog: Tensor) -> Tensor:
    """The server with the least work left."""
    return backlog.argmin(-1)


def _mostly(backlog: Tensor) -> Categorical:
    best = torch.nn.functional.one_hot(backlog.argmin(-1), 4).double()
    return Categorical(probs=0.6 * best + 0.1)


POLICIES = {
    "random": _even,
    "pair_01": _pair(0, 1),
    "pair_23": _pair(2, 3),
    "pair_12": _pair(1, 2),
    "least": least,
    "mostly": _mostly,
}


def routed(
    traces: int = 300, steps: int = 60, *, rank_one: bool = True, seed: int = 0
) -> pd.DataFrame:
    """The log of a trial; sizes come in regimes. Otherwise than rank one: a power per server."""
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    powers = np.ones(4) if rank_one else POWERS
    arm = np.array(list(POLICIES))[rng.permutation(traces) % len(POLICIES)]
    regime, mean = rng.uniform(2, 4.5, traces), np.zeros((steps, traces))
    for step in range(steps):
        regime = np.where(rng.random(traces) < 0.05, rng.uniform(2, 4.5, traces), regime)
        mean[step] = regime
    size = np.exp(mean + 0.3 * rng.standard_normal((steps, traces)))
    gap = rng.exponential(40, (steps, traces))
    backlog = torch.zeros(traces, 4, dtype=torch.float64)
    columns: list[list[np.ndarray]] = [[], [], []]
    for step in range(steps):
        server = np.zeros(traces, dtype=int)
        for name, policy in POLICIES.items():
            mine = arm == name
            chosen = policy(backlog[mine])
            if isinstance(chosen, Categorical):
                chosen = torch.multinomial(chosen.probs, 1, generator=generator)[:, 0]
            server[mine] = chosen.numpy()
        work = RATES[server] * TYPICAL * (size[step] / TYPICAL) ** powers[server]
        at = (torch.arange(traces), torch.from_numpy(server))
        columns[0].append(server)
        columns[1].append(work)
        columns[2].append(backlog[at].numpy() + work)
        backlog[at] += torch.from_numpy(work)
        backlog = (backlog - torch.from_numpy(gap[step])[:, None]).clamp(min=0)
    server, work, latency = (np.stack(each).T.ravel() for each in columns)
    return pd.DataFrame(
        {
            "trace": np.repeat(np.arange(traces), steps),
            "step": np.tile(np.arange(steps), traces),
            "arm": np.repeat(arm, steps),
            "gap": gap.T.ravel(),
            "server": server,
            "work": work,
            "latency": latency,
        }
    )
