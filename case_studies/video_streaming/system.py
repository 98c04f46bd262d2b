"""The true system: a video player behind a network path whose capacity nobody logs.

One step is one chunk of 4 s. A policy picks its bitrate; the download takes what TCP slow start and
the path's capacity at that step make it take; the buffer drains meanwhile, and gains the chunk. The
problem is CausalSim's synthetic one (Alomar et al., NSDI 2023), drawn anew here from its
description; what that leaves open is chosen here, and said beside it.

Everything random that no policy changes is drawn first and kept in `Truth`: so `simulate_true`
tells what would really have happened under another policy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from case_studies.video_streaming.player import Respond, roll
from case_studies.video_streaming.slow_start import CHUNK, download_time
from causalsys.simulate.policies.predictive import MPC
from causalsys.simulate.policies.streaming import (
    BBA,
    BOLA,
    LADDER,
    Mixed,
    RandomBitrate,
    RateBased,
)

if TYPE_CHECKING:
    import pandas as pd

Policy = Callable[..., Any]

ARMS: Mapping[str, Policy] = {
    "bba": BBA(reservoir=5.0, cushion=5.0),
    "bba_random_1": Mixed(BBA(reservoir=5.0, cushion=5.0), 0.5),
    "bba_random_2": Mixed(BBA(reservoir=2.0, cushion=6.0), 0.5),
    "mpc": MPC(),
    "random": RandomBitrate(),
    "bola": BOLA(gamma=2.0, capacity=10.0),
    "rate_harmonic": RateBased("harmonic"),
    "rate_max": RateBased("max"),
    "rate_min": RateBased("min"),
}
"""The trial's nine policies: those of the paper. It does not give their parameters."""


@dataclass(frozen=True)
class Truth:
    """What no policy changes.

    Attributes:
        rtt: Seconds, `[trace]`.
        size: Megabits at each bitrate, `[step, trace, level]`.
        capacity: Of the path, Mbit/s, `[step, trace]`: never logged.
        chance: Uniform numbers behind random policies, `[step, trace]`.
        arm: The index in `names` of the policy that the trial gave a trace, `[trace]`.
        names: The arms' names.
    """

    rtt: Tensor
    size: Tensor
    capacity: Tensor
    chance: Tensor
    arm: Tensor
    names: tuple[str, ...]

    @property
    def traces(self) -> int:
        """How many traces there are."""
        return len(self.rtt)

    def of(self, traces: Tensor) -> Truth:
        """The truth of some traces: their numbers, or a mask."""
        return replace(
            self,
            rtt=self.rtt[traces],
            size=self.size[:, traces],
            capacity=self.capacity[:, traces],
            chance=self.chance[:, traces],
            arm=self.arm[traces],
        )


def draw(
    traces: int,
    steps: int = 490,
    *,
    seed: int = 0,
    capacity: Tensor | None = None,
    names: Sequence[str] = tuple(ARMS),
) -> Truth:
    """Draw what no policy changes.

    Args:
        traces: How many traces.
        steps: Chunks in each.
        seed: Fixes every draw.
        capacity: Mbit/s, `[step, trace]`, in place of the synthetic one; see `capacity.py`.
        names: The arms among which each trace is assigned at random, with equal chances.
    """
    paths, videos, choices, trial = np.random.default_rng(seed).spawn(4)
    rtt = torch.from_numpy(paths.uniform(0.010, 0.500, traces))
    drawn = capacity_process(traces, steps, rng=paths) if capacity is None else capacity.double()
    return Truth(
        rtt,
        chunk_sizes(traces, steps, rng=videos),
        drawn,
        torch.from_numpy(choices.random((steps, traces))),
        torch.from_numpy(trial.integers(0, len(names), traces)),
        tuple(names),
    )


def chunk_sizes(traces: int, steps: int, *, rng: np.random.Generator) -> Tensor:
    """Megabits of each chunk at each bitrate, `[step, trace, level]`, rising in the bitrate.

    An encoder spends more on a busy scene, at all bitrates alike. So a size is bitrate · 4 s
    times a scene's factor (log-normal, standard deviation 15 %, correlated .9 from chunk to chunk)
    times one of its own (5 %); both have mean one. The chunks of capped encodings vary as much.
    """
    scene = rng.standard_normal((steps, traces))
    for step in range(1, steps):
        scene[step] = 0.9 * scene[step - 1] + np.sqrt(1 - 0.9**2) * scene[step]
    own = 0.05 * rng.standard_normal((steps, traces, len(LADDER)))
    log = 0.15 * scene[..., None] + own - (0.15**2 + 0.05**2) / 2
    sizes = CHUNK * np.asarray(LADDER) * np.exp(log)
    return torch.from_numpy(np.maximum.accumulate(sizes, axis=-1))


def capacity_process(traces: int, steps: int, *, rng: np.random.Generator) -> Tensor:
    """The path's capacity, Mbit/s, `[step, trace]`.

    Each trace has its limits `[l, h]` within [.5, 4.5] with (h - l)/(h + l) at least .3. A state
    in them stays for 30 to 100 chunks (uniform) and then jumps by a double exponential of scale
    (h - l)/4 (our choice), cut off at the limits. The capacity is normal around the state with
    a coefficient of variation drawn per trace from U(.05, .3), clipped to the limits.
    """
    low, high = _limits(traces, rng)
    jumps = steps // 30 + 1
    dwell = rng.integers(30, 101, (jumps, traces))
    states = np.empty((jumps + 1, traces))
    states[0] = rng.uniform(low, high)
    for jump in range(jumps):
        states[jump + 1] = _jumped(states[jump], low, high, rng.random(traces))
    regime = (np.arange(steps)[:, None, None] >= np.cumsum(dwell, axis=0)).sum(1)
    state = np.take_along_axis(states, regime, axis=0)
    spread = rng.uniform(0.05, 0.3, traces)
    noise = rng.standard_normal((steps, traces))
    return torch.from_numpy(np.clip(state * (1 + spread * noise), low, high))


def simulate_true(truth: Truth, policy: Policy, *, name: str | None = None) -> pd.DataFrame:
    """What these traces would have been under a policy: same path, same video, same chances.

    Args:
        truth: What no policy changes.
        policy: As `do` takes it: its arguments are names of variables, or `cs.past` and `cs.ahead`.
        name: What to write into the column `arm`; by default the arm of each trace.

    Returns:
        Rows by trace and step, with the columns of `models.video_streaming`.
    """

    def respond(step: int, chunk: Tensor, _buffer: Tensor) -> Tensor:
        return chunk / download_time(chunk, truth.capacity[step], truth.rtt)

    return played(truth, policy, respond=respond, name=name)


def played(
    truth: Truth, policy: Policy, *, respond: Respond, name: str | None = None
) -> pd.DataFrame:
    """What a policy does where the path answers with `respond`: the truth, or a simulator."""
    world = roll(truth.rtt, truth.size, policy=policy, respond=respond, chance=truth.chance)
    arms = np.asarray(truth.names, dtype=object)[truth.arm.numpy()]
    return _frame(truth, world, arms if name is None else np.full(truth.traces, name, dtype=object))


def trial(truth: Truth, policies: Mapping[str, Policy] = ARMS) -> pd.DataFrame:
    """The log of a randomised trial: each trace under its own arm. Capacity is not in it."""
    import pandas as pd

    parts = []
    for index, name in enumerate(truth.names):
        members = (truth.arm == index).nonzero()[:, 0]
        if len(members):
            frame = simulate_true(truth.of(members), policies[name])
            parts.append(frame.assign(trace=members.numpy()[frame["trace"]]))
    together = pd.concat(parts, ignore_index=True)
    return together.sort_values(["trace", "step"], kind="stable", ignore_index=True)


def _frame(truth: Truth, world: Mapping[str, Tensor], arms: np.ndarray[Any, Any]) -> pd.DataFrame:
    import pandas as pd

    steps, traces = truth.capacity.shape
    columns: dict[str, Any] = {
        "trace": np.repeat(np.arange(traces), steps),
        "step": np.tile(np.arange(steps), traces),
        "arm": np.repeat(arms, steps),
        "rtt": np.repeat(truth.rtt.numpy(), steps),
    }
    for level in range(truth.size.shape[-1]):
        columns[f"size_{level}"] = truth.size[..., level].T.reshape(-1).numpy()
    for column in ("bitrate", "throughput", "download_time", "buffer"):
        columns[column] = world[column].T.reshape(-1).numpy()
    return pd.DataFrame(columns)


def _limits(traces: int, rng: np.random.Generator) -> tuple[Any, Any]:
    """Uniform pairs of limits, drawn again while they are too close."""
    low, high = np.zeros(traces), np.zeros(traces)
    while (wrong := (high - low) < 0.3 * (high + low)).any() or not high.all():
        wrong |= high == 0
        pair = np.sort(rng.uniform(0.5, 4.5, (2, int(wrong.sum()))), axis=0)
        low[wrong], high[wrong] = pair
    return low, high


def _jumped(state: Any, low: Any, high: Any, chance: Any) -> Any:
    """A double exponential around `state`, given that it lies in [low, high]: by inversion."""
    scale = (high - low) / 4
    least = 0.5 * np.exp((low - state) / scale)
    most = 1 - 0.5 * np.exp(-(high - state) / scale)
    at = least + chance * (most - least)
    jump = np.where(at < 0.5, np.log(2 * at), -np.log(2 * (1 - at)))
    return np.clip(state + scale * jump, low, high)
