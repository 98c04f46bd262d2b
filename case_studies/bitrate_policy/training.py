"""Training by policy gradient, in the simulator that was fitted to the service's log.

A synchronous actor-critic (as Pensieve's: Mao, Netravali and Alizadeh, SIGCOMM 2017): all sessions
go forward together under the fitted model, each on its own recorded path; the gradient is that of
the advantage, with an entropy bonus that fades. What the fading leaves behind is the fault of the
study: a bitrate whose probability has fallen to nothing is never tried again, and so never learned.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from case_studies.bitrate_policy.network import BitratePolicy, Network
from causalsys.simulate.policies.streaming import LADDER
from causalsys.simulate.simulate import Simulator
from causalsys.simulate.simulation import Simulation

PENALTY = 4.3
"""Mbit/s that a second of rebuffering costs, as in MPC's objective."""


@dataclass(frozen=True)
class Schedule:
    """How the policy is trained.

    Attributes:
        rounds: Roll-outs of all sessions, a gradient step each.
        rate: The learning rate.
        discount: Of a chunk's reward, per chunk.
        entropy: The bonus at the beginning; it falls to nothing over `fading` of all rounds.
        fading: See there.
    """

    rounds: int = 350
    rate: float = 3e-3
    discount: float = 0.95
    entropy: float = 0.5
    fading: float = 0.6


def train(
    simulator: Simulator,
    *,
    seed: int,
    schedule: Schedule | None = None,
    start: Network | None = None,
) -> Network:
    """Train a network on recorded sessions.

    Args:
        simulator: The fitted model and the sessions, all of one length.
        seed: Fixes the network's start and what it tries.
        schedule: How.
        start: The network to train; a new one by default.
    """
    how = Schedule() if schedule is None else schedule
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Network() if start is None else start
    optimiser = torch.optim.Adam(network.parameters(), lr=how.rate)
    for number in range(how.rounds):
        notes: list[Tensor] = []
        lucky = replace(simulator, luck=seed * 100_000 + number)
        found = lucky.run({"learned": BitratePolicy(network, explore=True, notes=notes)})
        bonus = how.entropy * max(0.0, 1 - number / (how.fading * how.rounds))
        loss = _loss(network, torch.stack(notes, 1), found, how=how, bonus=bonus)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
    return network


def _loss(
    network: Network, seen: Tensor, found: Simulation, *, how: Schedule, bonus: float
) -> Tensor:
    taken = by_trace(found.values["bitrate"][0, 0].long(), found)
    gains = returns(rewards(found, 0), how.discount).float()
    scores, values = network(seen)
    advantage = (gains - values).detach()
    advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-6)
    logs = torch.log_softmax(scores, -1)
    entropy = -(logs.exp() * logs).sum(-1).mean()
    chosen = logs.gather(-1, taken.unsqueeze(-1))[..., 0]
    return -(chosen * advantage).mean() + 0.02 * ((values - gains) ** 2).mean() - bonus * entropy


def by_trace(values: Tensor, found: Simulation) -> Tensor:
    """Values of all rows, `[trace, step]`; sessions are of one length."""
    return values.reshape(found.layout.traces, -1)


def rewards(found: Simulation, policy: int) -> Tensor:
    """The QoE of each chunk under a policy, by its number, Mbit/s, `[trace, step]`.

    As `case_studies.video_streaming.baselines.qoe`: the bitrate, less what rebuffering costs, less
    the change of bitrate; the first chunk counts for its bitrate alone.
    """

    def of(name: str) -> Tensor:
        value = found.values[name][policy, 0]
        return by_trace(value, found)

    rate = torch.tensor(LADDER, dtype=torch.float64)[of("bitrate").long()]
    wait = (of("download_time") - of("buffer")).clamp(min=0)
    lost = PENALTY * wait[:, 1:] + (rate[:, 1:] - rate[:, :-1]).abs()
    return rate - torch.nn.functional.pad(lost, (1, 0))


def returns(reward: Tensor, discount: float) -> Tensor:
    """Discounted sums of what is to come, `[trace, step]`."""
    found, ahead = torch.zeros_like(reward), torch.zeros_like(reward[:, 0])
    for step in range(reward.shape[1] - 1, -1, -1):
        ahead = reward[:, step] + discount * ahead
        found[:, step] = ahead
    return found


__all__ = ["PENALTY", "Schedule", "by_trace", "returns", "rewards", "train"]
