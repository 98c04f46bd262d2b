"""Guarded policies: what a guard costs where all is well, and what it saves where a policy fails.

A bitrate policy is trained on fast paths, guarded, and played in the true system, on sessions that
neither it nor the guard has seen. The reward is QoE per chunk (Yin et al., SIGCOMM 2015): bitrate,
less 4.3 Mbit/s per second of rebuffering, less the change of bitrate. On failing paths it is
negative, and a plain ratio means nothing; so what is lost is put over the greater of the
reference's own size and .3 Mbit/s, the QoE of the lowest bitrate without a stall:

    kept = 1 - (policy - guarded) / max(|policy|, .3)
    lost = (heuristic - guarded) / max(|heuristic|, .3)

With rewards above .3 these are plain ratios. The heuristic, and what the guard falls back to, is
MPC. A policy counts as failing on a kind of path where it loses more than 5 % to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import causalsys as cs
from benchmarks.lines import Line
from case_studies.bitrate_policy.guard import SCALE, guard
from case_studies.bitrate_policy.network import BitratePolicy
from case_studies.bitrate_policy.paths import HELD_OUT, paths
from case_studies.bitrate_policy.training import Schedule, train
from case_studies.video_streaming.baselines import qoe
from case_studies.video_streaming.system import simulate_true, trial
from causalsys.engine.base import one_thread
from causalsys.simulate.policies.predictive import MPC
from causalsys.simulate.simulate import Simulator
from models.video_streaming import VideoStreaming

NAME = "guarded"
SEEDS = (1001, 1002, 1003)
"""Never used while developing."""
KEPT, LOST = 0.98, 0.05


@dataclass(frozen=True)
class Tried:
    """Mean QoE on one kind of path, in the true system.

    Attributes:
        policy: Of the policy alone.
        heuristic: Of MPC alone.
        guarded: Of the guarded policy.
        fallback: The share of steps that the fallback decided.
    """

    policy: float
    heuristic: float
    guarded: float
    fallback: float

    @property
    def kept(self) -> float:
        """The share of the policy's reward that the guard keeps."""
        return 1 - (self.policy - self.guarded) / max(abs(self.policy), SCALE)

    @property
    def lost(self) -> float:
        """The share of the heuristic's reward that the guard loses."""
        return (self.heuristic - self.guarded) / max(abs(self.heuristic), SCALE)

    @property
    def lost_alone(self) -> float:
        """The same of the policy without a guard."""
        return (self.heuristic - self.policy) / max(abs(self.heuristic), SCALE)


def run(*, quick: bool = False) -> list[Line]:
    """A policy trained and guarded by seed, on all kinds of path."""
    seeds = SEEDS[:1] if quick else SEEDS
    found = [tried(seed, quick=quick) for seed in seeds]
    return lines(found, f"seeds {', '.join(map(str, seeds))}")


@one_thread()
def tried(seed: int, *, quick: bool = False) -> dict[str, Tried]:
    """By kind of path, what came of one seed's policy."""
    few = {"training": 80, "logged": 100, "tried": 40}
    drawn = paths(real=False, seed=seed, **few) if quick else paths(real=False, seed=seed)
    fitted = VideoStreaming.fit(cs.Traces(trial(drawn.logged)), seed=seed, ensemble=1)
    simulator = Simulator.of(fitted, cs.Traces(trial(drawn.training)))
    schedule = Schedule(rounds=120) if quick else Schedule(rounds=350)
    policy = BitratePolicy(train(simulator, seed=seed, schedule=schedule))
    watched = guard(policy, fitted, training=drawn.training, logged=drawn.logged)
    found = {}
    for kind, truth in drawn.tried.items():

        def score(each: Callable[..., Any], truth: Any = truth) -> float:
            return float(qoe(simulate_true(truth, each)).mean())

        own = watched.fresh()
        guarded = score(own)
        found[kind] = Tried(score(policy), score(MPC()), guarded, own.counters.share)
    return found


def lines(found: list[dict[str, Tried]], note: str) -> list[Line]:
    """Means over seeds, the worst seed beside."""
    usual = [each[HELD_OUT] for each in found]
    kept = [each.kept for each in usual]
    share = float(np.mean([each.fallback for each in usual]))
    made = [
        Line(
            NAME,
            "in distribution: the policy's reward that is kept",
            float(np.mean(kept)),
            f"≥ {KEPT}",
            float(np.mean(kept)) >= KEPT,
            f"{note}; worst {min(kept):.3f}; policy {np.mean([u.policy for u in usual]):.2f}, "
            f"MPC {np.mean([u.heuristic for u in usual]):.2f}; fallback in {100 * share:.0f} %",
        )
    ]
    return made + [_failing(kind, found, note) for kind in found[0] if kind != HELD_OUT]


def _failing(kind: str, found: list[dict[str, Tried]], note: str) -> Line:
    here = [each[kind] for each in found if each[kind].lost_alone > LOST]
    if not here:
        return Line(NAME, f"{kind}: lost to the heuristic", float("nan"), note="no policy fails")
    lost = [each.lost for each in here]
    told = f"policy {np.mean([each.policy for each in here]):.2f}, MPC " + (
        f"{np.mean([each.heuristic for each in here]):.2f}, guarded "
        f"{np.mean([each.guarded for each in here]):.2f}"
    )
    return Line(
        NAME,
        f"{kind}: lost to the heuristic",
        float(np.mean(lost)),
        f"≤ {LOST}",
        float(np.mean(lost)) <= LOST,
        f"{note}; failing {len(here)} of {len(found)}; worst {max(lost):.3f}; {told}",
    )


__all__ = ["NAME", "SEEDS", "Tried", "lines", "run", "tried"]
