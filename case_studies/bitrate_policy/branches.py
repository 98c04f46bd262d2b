"""Counterfactual branches: what every bitrate would have been worth, in states of the policy's own.

In each session one step is drawn. There the bitrate is set, `do(bitrate = a)`, for every `a` in
turn; from the next step on the policy decides again. Path and video are the recorded session's
own in all branches, so that their differences are due to the one choice, and to nothing else: no
bitrate is left out for never having been chosen, and no luck of a session is taken for its merit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import causalsys as cs
from case_studies.bitrate_policy.network import WINDOW, BitratePolicy, Network
from case_studies.bitrate_policy.training import returns, rewards
from causalsys.simulate.policies.predictive import MPC
from causalsys.simulate.policies.streaming import LADDER
from causalsys.simulate.simulate import Simulator

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Branches:
    """States, and what each bitrate would have been worth there.

    Attributes:
        seen: What the network saw, `[state, feature]`.
        chosen: What the policy chose, `[state]`.
        planner: What MPC would have chosen there, `[state]`.
        worth: The discounted QoE from there on under each bitrate, less that under the policy's
            own, Mbit/s, `[state, bitrate]`.
        rows: The states as a table: what the player knew, and the session.
    """

    seen: Tensor
    chosen: Tensor
    planner: Tensor
    worth: Tensor
    rows: pd.DataFrame

    @property
    def best(self) -> NDArray[np.int64]:
        """The bitrate of the greatest worth, `[state]`."""
        return np.asarray(self.worth.argmax(-1).numpy())

    @property
    def regret(self) -> NDArray[np.float64]:
        """What the policy's own choice falls short of the best, `[state]`."""
        return np.asarray(self.worth.amax(-1).numpy())

    def lost_by(self, levels: list[int]) -> NDArray[np.float64]:
        """What is lost by choosing none of these, where one would have been best, `[state]`.

        Against the best of the others, so that another mistake does not count.
        """
        others = [level for level in range(len(LADDER)) if level not in levels]
        if not levels or not others:
            return np.zeros(len(self.worth))
        gain = self.worth[:, levels].amax(-1) - self.worth[:, others].amax(-1)
        return np.asarray(gain.clamp(min=0).numpy())


def branches(
    simulator: Simulator, network: Network, *, rounds: int, seed: int, discount: float = 0.95
) -> Branches:
    """Branch every session `rounds` times, each time at another step."""
    import pandas as pd

    layout = simulator.found.table.layout
    traces, steps = layout.traces, layout.steps
    rng = np.random.default_rng(seed)
    parts: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
    known: list[pd.DataFrame] = []
    for _ in range(rounds):
        where = torch.from_numpy(rng.integers(0, steps - 1, traces))
        state = _State(network, where)
        policies: dict[str, Any] = {"own": state}
        policies |= {str(a): _Branch(network, where, a) for a in range(len(LADDER))}
        found = simulator.run(policies)
        sums = torch.stack(
            [returns(rewards(found, number), discount) for number in range(len(policies))], -1
        )
        at = sums[torch.arange(traces), where]
        parts.append((state.seen, state.chosen, state.planned, at[:, 1:] - at[:, :1]))
        known.append(
            pd.DataFrame(state.known).assign(session=np.arange(traces), chunk=where.numpy())
        )
    seen, chosen, planner, worth = (torch.cat(each) for each in zip(*parts, strict=True))
    return Branches(seen, chosen, planner, worth, pd.concat(known, ignore_index=True))


class _Branch:
    """The policy, but for one bitrate at one step of each session."""

    def __init__(self, network: Network, where: Tensor, level: int) -> None:
        self.policy, self.where, self.level = BitratePolicy(network), where, level

    def __call__(
        self,
        buffer: Tensor,
        size: Tensor,
        rtt: Tensor,
        throughputs: Tensor = cs.past("throughput", steps=WINDOW),
        last: Tensor = cs.past("bitrate", steps=1),
        memory: int | None = None,
    ) -> tuple[Tensor, int]:
        step = memory or 0
        own = self.policy(buffer, size, rtt, throughputs, last)
        return torch.where(self.where == step, self.level, own), step + 1


class _State:
    """The policy itself; it keeps what was known at one step of each session."""

    def __init__(self, network: Network, where: Tensor) -> None:
        self.policy, self.where = BitratePolicy(network, notes=[]), where
        self.planner: Callable[..., Tensor] = MPC()
        self.seen, self.chosen = torch.zeros(0), torch.zeros_like(where)
        self.planned, self.known = torch.zeros_like(where), dict[str, NDArray[np.float64]]()

    def __call__(
        self,
        buffer: Tensor,
        size: Tensor,
        rtt: Tensor,
        throughputs: Tensor = cs.past("throughput", steps=WINDOW),
        last: Tensor = cs.past("bitrate", steps=1),
        sizes: Tensor = cs.ahead("size", steps=5),
        memory: int | None = None,
    ) -> tuple[Tensor, int]:
        step = memory or 0
        own = self.policy(buffer, size, rtt, throughputs, last)
        here = self.where == step
        seen = (self.policy.notes or [])[-1]
        if not len(self.seen):
            self.seen = torch.zeros_like(seen)
        self.seen = torch.where(here[:, None], seen, self.seen)
        self.chosen = torch.where(here, own[0], self.chosen)
        plan = self.planner(buffer, sizes, throughputs, last)
        self.planned = torch.where(here, plan[0], self.planned)
        for name, value in {
            "buffer": buffer,
            "last_throughput": throughputs[..., -1],
            "least_throughput": throughputs.amin(-1),
            "last_bitrate": last.double(),
            "rtt": rtt,
        }.items():
            before = self.known.get(name, np.zeros(len(here)))
            self.known[name] = np.where(here.numpy(), value[0].numpy(), before)
        return own, step + 1


__all__ = ["Branches", "branches"]
