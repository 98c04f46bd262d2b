"""Policies that choose a video's bitrate, chunk by chunk: by buffer, by rate, or at random.

They read a model's variables by these names: `buffer`, the seconds of video that are waiting to be
played when the chunk is asked for; `size`, the chunk's size at each bitrate in megabits,
`[..., trace, level]`; past values of `throughput` in Mbit/s and of `bitrate`, a code. They
return the code of a bitrate, `[..., trace]`, or a distribution over the codes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.distributions import Categorical

from causalsys.errors import InterventionError
from causalsys.query.policy import past

LADDER = (0.3, 0.75, 1.2, 1.85, 2.85, 4.3)
"""Mbit/s: the bitrates of the ABR literature's reference video, as in Pensieve (SIGCOMM 2017)."""

Estimate = Literal["harmonic", "max", "min"]


@dataclass(frozen=True)
class BBA:
    """Buffer-based: the bitrate rises linearly with the buffer (Huang et al., SIGCOMM 2014, BBA-0).

    Below the reservoir it is the lowest, a cushion above that the highest; between them it is the
    highest that the line through these two corners allows.

    Args:
        reservoir: Seconds of buffer up to which the lowest bitrate is taken.
        cushion: Seconds of buffer over which it rises to the highest.
        ladder: The bitrates, Mbit/s, rising.

    Example:
        >>> BBA(reservoir=2.0, cushion=6.0)(torch.tensor([1.0, 5.0, 9.0])).tolist()
        [0, 3, 5]
    """

    reservoir: float = 5.0
    cushion: float = 5.0
    ladder: tuple[float, ...] = LADDER

    def __call__(self, buffer: Tensor) -> Tensor:
        share = ((buffer - self.reservoir) / max(self.cushion, 1e-9)).clamp(0, 1)
        return _highest(self.ladder[0] + (self.ladder[-1] - self.ladder[0]) * share, self.ladder)


@dataclass(frozen=True)
class BOLA:
    """Buffer-based by utility (Spiteri, Urgaonkar and Sitaraman, INFOCOM 2016, BOLA-BASIC).

    With utilities `v = ln(size / smallest size)` it takes the bitrate of the greatest
    `(V (v + γ) - buffer) / size`, where `V = capacity / (v of the highest + γ)`: the highest is
    worth its price until the buffer is full. The paper's algorithm waits when no bitrate is worth
    its price; here a chunk is always asked for, so a full buffer gives the highest.

    Args:
        gamma: What a second without rebuffering is worth: the larger, the more cautious while the
            buffer is low.
        capacity: Seconds of buffer at which the highest bitrate is worth no more than waiting.

    Example:
        >>> sizes = torch.tensor([1.2, 3.0, 4.8, 7.4, 11.4, 17.2]).expand(3, 6)
        >>> BOLA(gamma=5.0, capacity=10.0)(torch.tensor([5.0, 8.0, 9.5]), sizes).tolist()
        [0, 4, 5]
    """

    gamma: float = 2.0
    capacity: float = 10.0

    def __call__(self, buffer: Tensor, size: Tensor) -> Tensor:
        utility = (size / size[..., :1]).log()
        scale = self.capacity / (utility[..., -1:] + self.gamma)
        return ((scale * (utility + self.gamma) - buffer[..., None]) / size).argmax(-1)


@dataclass(frozen=True)
class RateBased:
    """The highest bitrate below what past throughputs promise (as in FESTIVE, CoNEXT 2012).

    Args:
        estimate: What is promised: the "harmonic" mean of the past throughputs, which forgives a
            single burst; the "max" or the "min" of them.
        steps: How many past chunks are looked at.
        ladder: The bitrates, Mbit/s, rising.

    Raises:
        InterventionError: There is no such estimate, or no chunk is looked at.

    Example:
        >>> seen = torch.tensor([[0.0, 0.0, 0.0, 1.0, 4.0], [0.0, 0.0, 0.0, 0.0, 0.0]])
        >>> RateBased("harmonic")(seen).tolist(), RateBased("max")(seen).tolist()
        ([2, 0], [4, 0])
    """

    estimate: Estimate = "harmonic"
    steps: int = 5
    ladder: tuple[float, ...] = LADDER

    def __post_init__(self) -> None:
        if self.estimate not in ("harmonic", "max", "min"):
            raise InterventionError(
                "estimate",
                found=f"{self.estimate!r}",
                mend='Write "harmonic", "max" or "min".',
            )
        counted("steps", self.steps)
        # Of one step `past` gives no axis of steps.
        reads(self, throughputs=past("throughput", steps=max(self.steps, 2)))

    def __call__(self, throughputs: Tensor) -> Tensor:
        seen = throughputs[..., -self.steps :]
        return _highest(promised(seen, self.estimate), self.ladder)


@dataclass(frozen=True)
class RandomBitrate:
    """Any bitrate, each as likely as the others.

    Args:
        levels: How many there are.

    Example:
        >>> RandomBitrate(4)(torch.zeros(2)).probs[0].tolist()
        [0.25, 0.25, 0.25, 0.25]
    """

    levels: int = 6

    def __call__(self, buffer: Tensor) -> Categorical:
        even = torch.full((self.levels,), 1 / counted("levels", self.levels), dtype=torch.float64)
        return Categorical(probs=even.expand(*buffer.shape, self.levels), validate_args=False)


@dataclass(frozen=True)
class Mixed:
    """Another policy, of whose choices a share is replaced by any bitrate at random.

    Args:
        policy: The other policy; it may be random, too, or have a memory.
        share: The probability that a choice is replaced.
        levels: How many bitrates there are.

    Raises:
        InterventionError: The share is no probability.

    Example:
        >>> Mixed(BBA(), 0.5, levels=2)(torch.zeros(1)).probs.tolist()
        [[0.75, 0.25]]
    """

    policy: Callable[..., Any]
    share: float = 0.5
    levels: int = 6

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise InterventionError(
                "share", found=f"{self.share!r}", mend="Give a probability, from 0 to 1."
            )
        object.__setattr__(self, "__signature__", inspect.signature(self.policy))

    def __call__(self, *read: Any, **named: Any) -> Any:
        chosen = self.policy(*read, **named)
        if isinstance(chosen, tuple):
            return self._mixed(chosen[0]), chosen[1]
        return self._mixed(chosen)

    def _mixed(self, chosen: Tensor | Categorical) -> Categorical:
        if isinstance(chosen, Categorical):
            probs = chosen.probs.double()
        else:
            probs = torch.nn.functional.one_hot(chosen.long(), self.levels).double()
        probs = (1 - self.share) * probs + self.share / self.levels
        return Categorical(probs=probs, validate_args=False)


def reads(policy: object, **arguments: Any) -> None:
    """Say what a policy reads, where that depends on its parameters."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [
        inspect.Parameter(name, kind)
        if default is inspect.Parameter.empty
        else inspect.Parameter(name, kind, default=default)
        for name, default in arguments.items()
    ]
    object.__setattr__(policy, "__signature__", inspect.Signature(parameters))


def promised(throughputs: Tensor, estimate: Estimate = "harmonic") -> Tensor:
    """What past throughputs promise: `[..., trace, step]` to `[..., trace]`; 0 if there are none.

    A throughput of 0 marks a step before the trace began, and does not count.
    """
    known = throughputs > 0
    if estimate == "max":
        return throughputs.amax(-1)
    if estimate == "min":
        least = torch.where(known, throughputs, torch.inf).amin(-1)
        return torch.where(known.any(-1), least, 0.0)
    slowness = torch.where(known, 1 / throughputs.clamp(min=1e-12), 0.0).sum(-1)
    return torch.where(known.any(-1), known.sum(-1) / slowness.clamp(min=1e-300), 0.0)


def counted(name: str, number: int) -> int:
    """A number of at least one."""
    if number < 1:
        raise InterventionError(name, found=f"{number!r}", mend="Give a whole number from 1 on.")
    return number


def _highest(rate: Tensor, ladder: tuple[float, ...]) -> Tensor:
    """The highest bitrate that is at most `rate`; else the lowest."""
    steps = torch.tensor(ladder[1:], dtype=rate.dtype, device=rate.device)
    # A rate that only rounding keeps off its bitrate has reached it: worlds must not part by that.
    return torch.bucketize(rate * (1 + 1e-9), steps, right=True)
