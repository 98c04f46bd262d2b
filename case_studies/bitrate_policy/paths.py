"""The paths of the study: those that the policy is trained on, and those on which it is tried.

The policy is trained where most sessions are: on paths of at least `FAST` Mbit/s on average. What
it is never shown are slow ones. Four sets of sessions, drawn anew, tell what comes of that:

    held out    paths like those of training
    middling    paths of less than `FAST` on average
    slow        paths like those of training, of which a quarter of the capacity is left
    outage      the same, of which a fifth is left after a third of the session
    waves       adversarial: fast for 6 chunks, slow for 6, so that trust is always betrayed

Capacities are recordings where `CAUSALSYS_DATA` has them (every second recording to learn from, the
others to try on), else those of the synthetic process; see `case_studies.video_streaming`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch

from case_studies.video_streaming.capacity import real_capacity
from case_studies.video_streaming.system import Truth, draw

FAST = 1.5
"""Mbit/s: the ladder's fourth bitrate needs more."""
STEPS = 48
"""Chunks in a session: 192 s of video, as in Pensieve's."""
HELD_OUT = "held out"


@dataclass(frozen=True)
class Paths:
    """What no policy changes, of all sessions.

    Attributes:
        training: The sessions on which the policy is trained.
        logged: Sessions of all kinds of path, as a service logs them; the model is fitted to them.
        tried: By name the sessions on which it is tried.
    """

    training: Truth
    logged: Truth
    tried: Mapping[str, Truth]


def paths(
    *, real: bool, seed: int, training: int = 200, logged: int = 240, tried: int = 150
) -> Paths:
    """Draw the study's sessions.

    Args:
        real: Whether capacities are recordings.
        seed: Fixes all of them.
        training: How many sessions the policy is trained on.
        logged: How many the model is fitted to.
        tried: How many there are of each kind to try it on; of those held out twice as many.
    """
    fast = _of_kind(2 * tried, real=real, seed=seed + 50_000, fast=True, held_out=True)
    some = fast.of(torch.arange(tried))
    return Paths(
        _of_kind(training, real=real, seed=seed, fast=True, held_out=False),
        _drawn(logged, real=real, seed=seed + 10_000, held_out=False),
        {
            HELD_OUT: fast,
            "middling": _of_kind(tried, real=real, seed=seed + 70_000, fast=False, held_out=True),
            "slow": replace(some, capacity=0.25 * some.capacity),
            "outage": _outage(some),
            "waves": _waves(some, seed),
        },
    )


def _drawn(traces: int, *, real: bool, seed: int, held_out: bool) -> Truth:
    capacity = real_capacity(traces, STEPS, seed=seed, held_out=held_out) if real else None
    return draw(traces, STEPS, seed=seed, capacity=capacity)


def _of_kind(traces: int, *, real: bool, seed: int, fast: bool, held_out: bool) -> Truth:
    """The first sessions of a draw whose path is fast, or not."""
    many = _drawn(8 * traces, real=real, seed=seed, held_out=held_out)
    chosen = ((many.capacity.mean(0) >= FAST) == fast).nonzero()[:traces, 0]
    return many.of(chosen)


def _outage(truth: Truth) -> Truth:
    late = torch.arange(STEPS) >= STEPS // 3
    return replace(truth, capacity=torch.where(late[:, None], 0.2, 1.0) * truth.capacity)


def _waves(truth: Truth, seed: int) -> Truth:
    high = (torch.arange(STEPS) // 6 % 2 == 0)[:, None]
    noise = np.random.default_rng(seed).uniform(0.8, 1.2, tuple(truth.capacity.shape))
    return replace(truth, capacity=torch.where(high, 4.0, 0.4) * torch.from_numpy(noise))


__all__ = ["FAST", "HELD_OUT", "STEPS", "Paths", "paths"]
