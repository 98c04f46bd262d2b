"""Systems with several lasting latents behind one value, whose truth is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import causalsys as cs

ACTIONS = 4
KEEPS = (0.97, 0.8)
NOISE = 0.25


@dataclass(frozen=True)
class World:
    """What nobody logs: `log speed = constant[a] + loading[a] · u + NOISE · e`."""

    constant: NDArray[np.float64]
    loading: NDArray[np.float64]


class Two(cs.SCM):
    """Two latents; a policy that looks at the last outcome."""

    arm = cs.Arm()
    path = cs.Latent(cs.Real(size=2))
    speed = cs.Observed(cs.Positive(), parents=["path", "rung"], mechanism=cs.LowRank(link="log"))
    rung = cs.Decision(
        cs.Categorical(range(ACTIONS)), parents=[arm, speed.lag(1)], mechanism=cs.Logged()
    )


class One(Two):
    """The same with a single latent."""

    path = cs.Latent(cs.Real())


class Absorbed(cs.SCM):
    """The same system as a user would write it first: the latent is the noise."""

    arm = cs.Arm()
    path = cs.Latent(cs.Positive())
    speed = cs.Observed(cs.Positive(), parents=["path", "rung"], mechanism=cs.Multiplicative())
    rung = cs.Decision(
        cs.Categorical(range(ACTIONS)), parents=[arm, speed.lag(1)], mechanism=cs.Logged()
    )


def world(seed: int, *, rank: int = 2, alike: bool = False) -> World:
    """Loadings that point in different directions; of rank one of different lengths."""
    rng = np.random.default_rng(1000 + seed)
    constant = rng.normal(0, 0.4, ACTIONS)
    if rank < 2:
        loading = 0.8 * (np.ones((ACTIONS, 1)) if alike else rng.uniform(0.5, 1.2, (ACTIONS, 1)))
        return World(constant, rank * loading)
    angle = np.linspace(-0.5, 0.75 * np.pi - 0.5, ACTIONS) + rng.uniform(-0.2, 0.2, ACTIONS)
    length = rng.uniform(0.6, 1, (ACTIONS, 1))
    return World(constant, length * np.stack([np.cos(angle), np.sin(angle)], 1))


def log_of(
    world: World, seed: int = 0, *, traces: int = 80, steps: int = 80, force: int | None = None
) -> pd.DataFrame:
    """Traces of four arms, one random and three that look at past outcomes; or of one action.

    Latents and noise belong to seed, step and trace, whatever is done.
    """
    rng = np.random.default_rng(seed)
    size = world.loading.shape[1]
    keeps = np.array(KEEPS[:size])
    latent = rng.normal(size=(traces, size))
    luck, pick = rng.random((2, steps, traces)), rng.integers(0, ACTIONS, (steps, traces))
    shock, noise = rng.normal(size=(steps, traces, size)), rng.normal(size=(steps, traces))
    arm, every = np.arange(traces) % 4, np.arange(traces)
    last, mean, before = np.zeros(traces), np.zeros(traces), np.zeros(traces, int)
    parts = []
    for step in range(steps):
        if step:
            latent = keeps * latent + np.sqrt(1 - keeps**2) * shock[step]
        rung = pick[step]
        level = [((1.2 + s * x) / 2.4 * ACTIONS).astype(int) for s, x in ((1, last), (-1, mean))]
        eager, timid = (x.clip(0, ACTIONS - 1) for x in level)
        rung = np.where((arm == 1) & (luck[0, step] > 0.2), eager, rung)
        rung = np.where((arm == 2) & (luck[0, step] > 0.2), timid, rung)
        rung = np.where((arm == 3) & (luck[1, step] > 0.3) & (last > 0), before, rung)
        rung = rung if force is None else np.full(traces, force)
        last = world.constant[rung] + (world.loading[rung] * latent).sum(1) + NOISE * noise[step]
        mean, before = 0.8 * mean + 0.2 * last, rung
        columns = {"trace": every, "step": step, "arm": arm, "rung": rung, "speed": np.exp(last)}
        parts.append(pd.DataFrame(columns))
    found = pd.concat(parts).sort_values(["trace", "step"], ignore_index=True)
    found["arm"] = found["arm"].map("p{}".format)
    return found
