"""A small system with a queue and a random policy, for tests of batches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

import causalsys as cs


class Station(cs.SCM):
    """Requests arrive, wait and are served by one of three machines."""

    arm = cs.Arm()
    arrivals = cs.Observed(cs.Positive("req"), mechanism=cs.Marginal())
    waiting = cs.State(cs.Positive("req"))
    machine = cs.Decision(
        cs.Categorical(["a", "b", "c"]), parents=[arm, waiting], mechanism=cs.Logged()
    )

    @cs.equation(cs.Positive("req"))
    def served(waiting, machine):
        return torch.minimum(waiting, machine + 1.0)

    @cs.transition(waiting)
    def later(waiting, arrivals, served):
        return waiting + arrivals - served


def busiest(waiting: Tensor) -> Tensor:
    return waiting.clamp(max=2).long()


def at_random(waiting: Tensor) -> torch.distributions.Distribution:
    return torch.distributions.Categorical(probs=torch.ones(*waiting.shape, 3) / 3)


POLICIES = {"busiest": busiest, "any": at_random, "c": "c"}


def log(lengths: Sequence[int], *, seed: int = 0) -> pd.DataFrame:
    """Traces under two arms; names in no order."""
    rng = np.random.default_rng(seed)
    frames = []
    for number, length in enumerate(lengths):
        arm = ["slow", "quick"][number % 2]
        rows = pd.DataFrame({"trace": f"t{(number * 7) % 997}", "step": np.arange(length)})
        rows["arm"], rows["arrivals"] = arm, rng.exponential(1.0, length)
        machine = rng.choice(3, length, p=[0.6, 0.3, 0.1] if arm == "slow" else [0.2, 0.3, 0.5])
        rows["machine"] = np.array(["a", "b", "c"])[machine]
        waiting = 0.0
        for step in range(length):
            served = min(waiting, machine[step] + 1.0)
            rows.loc[step, ["waiting", "served"]] = waiting, served
            waiting += rows["arrivals"][step] - served
        rows["region"] = number % 3
        frames.append(rows)
    return pd.concat(frames, ignore_index=True)
