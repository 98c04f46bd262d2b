"""The player: policies run in it exactly as in a fitted model, whatever the path answers with."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Categorical

from case_studies.video_streaming.slow_start import CAP, CHUNK
from causalsys.query.policy import Ahead, Past

Respond = Callable[[int, Tensor, Tensor], Tensor]
"""Throughput of a chunk, Mbit/s, given the step, the chunk's megabits and the buffer: `[trace]`."""


def roll(
    rtt: Tensor,
    size: Tensor,
    *,
    policy: Callable[..., Any],
    respond: Respond,
    chance: Tensor,
    chunk: float = CHUNK,
    cap: float = CAP,
) -> dict[str, Tensor]:
    """Play all traces under a policy, all at once, step by step.

    Args:
        rtt: Seconds, `[trace]`.
        size: Megabits, `[step, trace, level]`.
        policy: Its arguments are `rtt`, `size`, `buffer`, or `cs.past(...)` and `cs.ahead(...)` of
            what is here; `memory` makes it stateful.
        respond: What the path answers with: the truth, or what a simulator takes for it.
        chance: Uniform numbers for a random policy, `[step, trace]`.
        chunk: Seconds of video in a chunk.
        cap: The most seconds that the buffer holds.

    Returns:
        `bitrate` (a code), `chunk` (the megabits asked for), `throughput` (Mbit/s),
        `download_time` (s) and `buffer` (s, as the policy saw it), each `[step, trace]`.
    """
    steps, traces = chance.shape
    world = {
        name: torch.zeros(steps, traces, dtype=torch.int64 if name == "bitrate" else torch.float64)
        for name in ("bitrate", "chunk", "throughput", "download_time", "buffer")
    }
    known = {**world, "size": size, "rtt": rtt.expand(steps, traces)}
    read = {name: p.default for name, p in inspect.signature(policy).parameters.items()}
    level, memory = torch.zeros(traces, dtype=torch.float64), None
    for step in range(steps):
        world["buffer"][step] = level
        arguments = {
            name: memory if name == "memory" else _seen(name, default, known, step)
            for name, default in read.items()
        }
        chosen = policy(**arguments)
        if "memory" in read:
            chosen, memory = chosen
        code = _code(chosen, chance[step])
        asked = size[step].gather(-1, code[:, None])[:, 0]
        rate = respond(step, asked, level)
        took = asked / rate
        world["bitrate"][step], world["throughput"][step] = code, rate
        world["chunk"][step], world["download_time"][step] = asked, took
        level = ((level - took).clamp(min=0) + chunk).clamp(max=cap)
    return world


def _seen(name: str, default: Any, known: dict[str, Tensor], step: int) -> Tensor:
    """What a policy reads: a value of this step, of past ones, or of those to come."""
    if isinstance(default, Past):
        values = known[default.name]
        wanted = torch.arange(step - default.steps, step)
        before = (wanted < 0).reshape(-1, *[1] * (values.dim() - 1))
        window = values[wanted.clamp(min=0)].masked_fill(before, 0).movedim(0, 1)
        return window[:, 0] if default.steps == 1 else window
    if isinstance(default, Ahead):
        values = known[default.name]
        wanted = torch.arange(step, step + default.steps).clamp(max=len(values) - 1)
        window = values[wanted].movedim(0, 1)
        return window[:, 0] if default.steps == 1 else window
    return known[name][step]


def _code(chosen: Any, chance: Tensor) -> Tensor:
    """A bitrate's code; a random policy's by inversion of the uniform number."""
    if isinstance(chosen, Categorical):
        below = chosen.probs.cumsum(-1)[..., :-1] <= chance[..., None]
        return below.sum(-1)
    return torch.as_tensor(chosen).long().expand(chance.shape)
