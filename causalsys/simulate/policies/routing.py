"""Policies that route jobs to servers: they read `waiting`, the jobs on each server.

`waiting` is shaped `[..., trace, server]` and counts jobs that are not finished, the one in
service included, before the new job joins. Ties go to the server with the lowest number, except
where a policy draws: `PowerOfK` splits them evenly. The set of policies is that of CausalSim
(Alomar et al., NSDI 2023, section 6.3), where power of k draws with replacement; here its k
servers are distinct, as in Mitzenmacher (2001).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import comb

import torch
from torch import Tensor
from torch.distributions import Categorical

from causalsys.errors import InterventionError
from causalsys.query.policy import past

Memory = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class RandomRouting:
    """Any server, with the same probability.

    Args:
        servers: How many there are.

    Raises:
        InterventionError: `waiting` has another number of servers.

    Example:
        >>> import torch
        >>> RandomRouting(4)(torch.tensor([[3.0, 0.0, 1.0, 0.0]])).probs
        tensor([[0.2500, 0.2500, 0.2500, 0.2500]], dtype=torch.float64)
    """

    servers: int

    def __call__(self, waiting: Tensor) -> Categorical:
        """A distribution over the servers, `[..., trace]`."""
        _check_length("RandomRouting", self.servers, waiting)
        return _constant([1 / self.servers] * self.servers, waiting)


@dataclass(frozen=True)
class Pair:
    """One of two servers, at even odds.

    Args:
        first: A server's number, from 0.
        second: Another's.

    Raises:
        InterventionError: The two are one, or `waiting` has no such server.

    Example:
        >>> import torch
        >>> Pair(0, 3)(torch.tensor([[3.0, 0.0, 1.0, 0.0]])).probs
        tensor([[0.5000, 0.0000, 0.0000, 0.5000]], dtype=torch.float64)
    """

    first: int
    second: int

    def __post_init__(self) -> None:
        if self.first == self.second or min(self.first, self.second) < 0:
            raise InterventionError(
                "Pair",
                found=f"the servers {self.first} and {self.second}",
                mend="Name two servers by their numbers, from 0.",
            )

    def __call__(self, waiting: Tensor) -> Categorical:
        """A distribution over the servers, `[..., trace]`."""
        servers = waiting.shape[-1]
        if max(self.first, self.second) >= servers:
            raise InterventionError(
                "Pair",
                found=f"server {max(self.first, self.second)} where there are {servers}",
                mend=f"Name servers from 0 to {servers - 1}.",
            )
        odds = [0.5 if s in (self.first, self.second) else 0.0 for s in range(servers)]
        return _constant(odds, waiting)


@dataclass(frozen=True)
class ShortestQueue:
    """The server with the fewest jobs; of several, the one with the lowest number.

    Example:
        >>> import torch
        >>> ShortestQueue()(torch.tensor([[3.0, 0.0, 1.0, 0.0], [2.0, 2.0, 2.0, 1.0]]))
        tensor([1, 3])
    """

    def __call__(self, waiting: Tensor) -> Tensor:
        """The servers' numbers, `[..., trace]`."""
        return _least(waiting)


@dataclass(frozen=True)
class PowerOfK:
    """The server with the fewest jobs among `k` distinct ones drawn at random; ties at even odds.

    The probabilities are in closed form: the k servers all have at least `m` jobs with probability
    `C(servers that do, k) / C(servers, k)` (Mitzenmacher, "The power of two choices in randomized
    load balancing", 2001).

    Args:
        k: How many servers are looked at.

    Raises:
        InterventionError: `k` is less than 1, or more than there are servers.

    Example:
        >>> import torch
        >>> PowerOfK(2)(torch.tensor([[3.0, 0.0, 1.0, 0.0]])).probs
        tensor([[0.0000, 0.4167, 0.1667, 0.4167]], dtype=torch.float64)
    """

    k: int

    def __post_init__(self) -> None:
        if self.k < 1:
            raise InterventionError("PowerOfK", found=f"k = {self.k}", mend="Give k from 1 on.")

    def __call__(self, waiting: Tensor) -> Categorical:
        """A distribution over the servers, `[..., trace]`."""
        servers = waiting.shape[-1]
        if self.k > servers:
            raise InterventionError(
                "PowerOfK",
                found=f"k = {self.k} with {servers} servers",
                mend=f"Give k from 1 to {servers}.",
            )
        # Servers in front, so that the counts run along the long axis: three times as fast.
        queues = waiting.movedim(-1, 0).contiguous()
        mine, others = queues.unsqueeze(0), queues.unsqueeze(1)
        shorter = _counted(others < mine)
        alike = _counted(others == mine)
        table = torch.tensor(_odds(servers, self.k), dtype=torch.float64, device=waiting.device)
        probs = table.take(shorter * (servers + 1) + alike)
        return Categorical(probs=probs.movedim(0, -1), validate_args=False)


@dataclass(frozen=True)
class LeastLoaded:
    """The server on which the new job would be done first, as far as jobs are alike.

    That is the least `(waiting + 1) * rate`: the new job has to be served, too. With the true
    rates it is the oracle of CausalSim.

    Args:
        rates: How long a typical job takes on each server, on any scale that they share.

    Raises:
        InterventionError: A rate is not positive, or `waiting` has another number of servers.

    Example:
        >>> import torch
        >>> LeastLoaded((1.0, 2.0, 5.0))(torch.tensor([[0.0, 0.0, 0.0], [3.0, 1.0, 0.0]]))
        tensor([0, 0])
    """

    rates: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "rates", tuple(map(float, self.rates)))
        if not self.rates or not all(0 < rate < float("inf") for rate in self.rates):
            raise InterventionError(
                "LeastLoaded", found=f"the rates {self.rates}", mend="Give positive numbers."
            )

    def __call__(self, waiting: Tensor) -> Tensor:
        """The servers' numbers, `[..., trace]`."""
        _check_length("LeastLoaded", len(self.rates), waiting)
        rates = torch.tensor(self.rates, dtype=torch.float64, device=waiting.device)
        return _least((waiting + 1) * rates)


@dataclass(frozen=True)
class Tracker:
    """Least loaded, with the rates learned on the way: a moving average of each server's work.

    The average is corrected for its start (Kingma and Ba, 2015, section 3), so that a server's
    first job counts in full. A server that was never used counts as infinitely fast, so each is
    tried once. The averages begin anew with each trace.

    Args:
        decay: The weight of the past, from 0 up to but not including 1.

    Raises:
        InterventionError: The decay is outside that range.

    Example:
        Both servers are free. The first took 8 ms for a job, the second was never tried.

        >>> import torch
        >>> tracker = Tracker()
        >>> free = torch.zeros(1, 2)
        >>> first, memory = tracker(free, torch.tensor([0]), torch.tensor([0.0]), None)
        >>> second, memory = tracker(free, first, torch.tensor([8.0]), memory)
        >>> first, second
        (tensor([0]), tensor([1]))
    """

    decay: float = 0.995

    def __post_init__(self) -> None:
        if not 0 <= self.decay < 1:
            raise InterventionError(
                "Tracker", found=f"a decay of {self.decay}", mend="Give one in [0, 1)."
            )

    def __call__(
        self,
        waiting: Tensor,
        last_server: Tensor = past("server"),
        last_work: Tensor = past("work"),
        memory: Memory | None = None,
    ) -> tuple[Tensor, Memory]:
        """The servers' numbers, `[..., trace]`, and the averages with their weights."""
        if memory is None:
            nothing = torch.zeros_like(waiting, dtype=torch.float64)
            average, weight = nothing, nothing
        else:
            average, weight = self._learned(memory, last_server, last_work)
        rates = average / torch.where(weight > 0, weight, 1.0)
        return _least((waiting + 1) * rates), (average, weight)

    def _learned(self, memory: Memory, server: Tensor, work: Tensor) -> Memory:
        average, weight = memory
        numbers = torch.arange(average.shape[-1], device=average.device)
        used = server.unsqueeze(-1) == numbers
        kept, new = self.decay, 1 - self.decay
        seen = kept * average + new * work.to(average.dtype).unsqueeze(-1)
        return torch.where(used, seen, average), torch.where(used, kept * weight + new, weight)


@cache
def _odds(servers: int, k: int) -> list[float]:
    """A server's odds, by how many are shorter (rows) and how many as short, itself included."""
    all_of = [comb(m, k) / comb(servers, k) for m in range(servers + 1)]
    odds = []
    for shorter in range(servers + 1):
        for alike in range(servers + 1):
            possible = 0 < alike <= servers - shorter
            # The shortest of the k is one of these: all k have as many jobs, but not all more.
            some = all_of[servers - shorter] - all_of[servers - shorter - alike] if possible else 0
            odds.append(some / max(alike, 1))
    return odds


def _least(cost: Tensor) -> Tensor:
    """The first of the least; `argmin` gives the same, and takes twice as long."""
    return cost.min(-1).indices


def _counted(true: Tensor) -> Tensor:
    """How many are true along the first axis."""
    return true.view(torch.uint8).sum(0, dtype=torch.int16).long()


def _constant(odds: list[float], waiting: Tensor) -> Categorical:
    probs = torch.tensor(odds, dtype=torch.float64, device=waiting.device)
    return Categorical(probs=probs.expand(waiting.shape), validate_args=False)


def _check_length(policy: str, servers: int, waiting: Tensor) -> None:
    if waiting.shape[-1] != servers:
        raise InterventionError(
            policy,
            found=f"{servers} servers, where the queues are {waiting.shape[-1]}",
            mend="Give the policy as many servers as the system has.",
        )
