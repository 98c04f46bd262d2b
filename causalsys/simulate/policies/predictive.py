"""Model-predictive bitrate control: the best plan for the next chunks, found exactly."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

import torch
from torch import Tensor

from causalsys.query.policy import ahead, past
from causalsys.simulate.policies.streaming import LADDER, counted, promised, reads

_CELLS = 400_000
"""Plans that are weighed at once: so many fit into a processor's cache."""

_TIE = 1e-4
"""Of QoE, Mbit/s: plans this close are equal, and the lower bitrate is taken. Rounding then never
decides, so that two worlds that are equal stay so."""


@dataclass(frozen=True)
class MPC:
    """Model-predictive control (Yin et al., SIGCOMM 2015): the first step of the best plan.

    The coming throughput is taken to be the harmonic mean of the past ones. Among all plans for
    the next `ahead` chunks the best is found, by the sum over chunks of
    `bitrate - penalty · seconds of rebuffering - |change of bitrate|`. The search is exact: the
    tree of plans is grown level by level for many traces at once, and its last level, which holds
    most of it, is reduced by what can be proved about a last chunk: going up gains what the change
    costs, so only staying and going down have to be weighed (sizes rise with the bitrate).

    Args:
        steps: How many past chunks are looked at.
        ahead: How many chunks are planned.
        penalty: What a second of rebuffering costs, Mbit/s.
        robust: Divide the predicted throughput by 1 + the greatest relative error of the same
            prediction over the past `steps` chunks (RobustMPC, the same paper, section 5.2).
        ladder: The bitrates, Mbit/s, rising.
        chunk: Seconds of video in a chunk.
        cap: The most seconds that the buffer holds.

    Example:
        >>> sizes = 4 * torch.tensor(LADDER).expand(1, 5, 6)
        >>> policy = MPC()
        >>> def asked(buffer):
        ...     return policy(torch.tensor([buffer]), sizes, torch.full((1, 5), 2.0),
        ...                   torch.tensor([2])).item()
        >>> asked(9.0), asked(1.0)
        (3, 0)
    """

    steps: int = 5
    ahead: int = 5
    penalty: float = 4.3
    robust: bool = False
    ladder: tuple[float, ...] = LADDER
    chunk: float = 4.0
    cap: float = 10.0

    def __post_init__(self) -> None:
        window = counted("steps", self.steps) * (2 if self.robust else 1)
        counted("ahead", self.ahead)
        # Of one step `past` and `ahead` give no axis of steps.
        reads(
            self,
            buffer=inspect.Parameter.empty,
            sizes=ahead("size", steps=max(self.ahead, 2)),
            throughputs=past("throughput", steps=max(window, 2)),
            last=past("bitrate", steps=1),
        )

    def __call__(self, buffer: Tensor, sizes: Tensor, throughputs: Tensor, last: Tensor) -> Tensor:
        rate, sizes = self.predicted(throughputs), sizes[..., : self.ahead, :]
        shape = torch.broadcast_shapes(buffer.shape, rate.shape, last.shape, sizes.shape[:-2])
        start, rate, last = (part.expand(shape).reshape(-1) for part in (buffer, rate, last.long()))
        levels = len(self.ladder)
        sizes = sizes.expand(*shape, self.ahead, levels).reshape(-1, self.ahead, levels)
        # Single precision halves the time, and is far finer than a tie.
        seconds = (sizes / rate.clamp(min=1e-9)[:, None, None]).clamp(max=1e6).float()
        batch = max(1, _CELLS // levels ** max(self.ahead - 1, 1))
        choices = [
            self._first(
                start[at : at + batch].float(), seconds[at : at + batch], last[at : at + batch]
            )
            for at in range(0, len(start), batch)
        ]
        chosen = torch.cat(choices) if choices else last
        # Before the first chunk nothing is known.
        return torch.where(rate > 0, chosen, 0).reshape(shape)

    def predicted(self, throughputs: Tensor) -> Tensor:
        """The throughput that is reckoned with, `[..., trace]`, Mbit/s; 0 where none is known."""
        recent = throughputs[..., -self.steps :]
        rate = promised(recent)
        if not self.robust:
            return rate
        worst = torch.zeros_like(rate)
        for back in range(1, self.steps + 1):
            end = throughputs.shape[-1] - back
            actual, before = (
                throughputs[..., end],
                promised(throughputs[..., end - self.steps : end]),
            )
            error = (before - actual).abs() / actual.clamp(min=1e-12)
            worst = torch.where((before > 0) & (actual > 0), torch.maximum(worst, error), worst)
        return rate / (1 + worst)

    def _first(self, buffer: Tensor, seconds: Tensor, last: Tensor) -> Tensor:
        """The first bitrate of the best plan, for a batch of traces."""
        ladder = torch.tensor(self.ladder, device=buffer.device)
        change = ladder - (ladder[:, None] - ladder).abs()  # [before, after]: gain less change
        traces = len(buffer)
        worth, level, before = torch.zeros(traces, 1), buffer[:, None], change[last][:, None]
        for step in range(self.ahead - 1):
            wait = seconds[:, step, None, :] - level[..., None]  # [trace, plan, bitrate]
            worth = (worth[..., None] + before - self.penalty * wait.clamp(min=0)).flatten(1)
            level = ((-wait).clamp(min=0) + self.chunk).clamp(max=self.cap).flatten(1)
            before = change.repeat(len(ladder) ** step, 1)
        if self.ahead == 1:
            value = before[:, 0] - self.penalty * (seconds[:, 0] - level).clamp(min=0)
        else:
            value = (
                (worth + self._final(level, seconds[:, -1], ladder))
                .reshape(traces, len(ladder), -1)
                .amax(-1)
            )
        good = value >= value.amax(-1, keepdim=True) - _TIE
        return good.long().argmax(-1)

    def _final(self, level: Tensor, seconds: Tensor, ladder: Tensor) -> Tensor:
        """The worth of the best last chunk after each plan, which ends in the bitrates in turn."""
        levels = len(ladder)
        spare = level.reshape(len(level), -1, levels)  # [trace, plan but its end, its end]
        best = torch.full_like(spare, -torch.inf)
        for after in range(levels):
            wait = (seconds[:, after, None, None] - spare[..., after:]).clamp(min=0)
            # The worth of going down from r to a is 2a - r, and of staying r.
            here = 2 * ladder[after] - ladder[after:] - self.penalty * wait
            torch.maximum(best[..., after:], here, out=best[..., after:])
        return best.flatten(1)
