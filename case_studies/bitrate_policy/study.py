"""The study: train, find what is never picked, tell what that costs and where, repair, guard."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

import causalsys as cs
from case_studies.bitrate_policy.branches import Branches, branches
from case_studies.bitrate_policy.guard import SCALE, SLICED, guard
from case_studies.bitrate_policy.network import INPUTS, BitratePolicy, Network, columns_of
from case_studies.bitrate_policy.paths import HELD_OUT, Paths, paths
from case_studies.bitrate_policy.repair import repaired
from case_studies.bitrate_policy.training import Schedule, train
from case_studies.video_streaming.baselines import qoe
from case_studies.video_streaming.system import simulate_true, trial
from causalsys.detect.slice_result import Slices
from causalsys.detect.slices import find_slices
from causalsys.engine.base import one_thread
from causalsys.query.draws import Estimate
from causalsys.replace.guarded import Guarded
from causalsys.replace.guarded_report import GuardReport, validate_guard
from causalsys.simulate.policies.predictive import MPC
from causalsys.simulate.policies.streaming import LADDER
from causalsys.simulate.simulate import Simulator
from models.video_streaming import VideoStreaming

RARE = 0.002
"""A bitrate that is picked in a smaller share of chunks counts as never picked."""
LEARNED, REPAIRED, PLANNER = "learned", "repaired", "MPC"


@dataclass(frozen=True)
class Study:
    """What was found.

    Attributes:
        real: Whether capacities are recordings.
        never: The codes of the bitrates that the learned policy never picks.
        usage: By bitrate the share of states of the logged sessions in which the learned policy
            picks it, in which MPC would, and in which the branches say it is best.
        lost: By sessions, what never picking these costs per state, discounted QoE [Mbit/s].
        slices: Where that is lost.
        reach: By input of the network, the greatest mean probability that a bitrate has as that
            input is set to values of its whole range.
        fixes: By sessions, the repair validated on traces that the learned policy had recorded.
        guards: By policy, its guard's validation.
        guarded: By policy, the guard.
        true: By sessions and policy, the mean QoE in the true system.
        chosen: By sessions and policy, the share of each bitrate in the true system.
    """

    real: bool
    never: list[int]
    usage: pd.DataFrame
    lost: Mapping[str, Estimate]
    slices: Slices
    reach: pd.DataFrame
    fixes: Mapping[str, Any]
    guards: Mapping[str, GuardReport]
    guarded: Mapping[str, Guarded]
    true: pd.DataFrame
    chosen: Mapping[tuple[str, str], NDArray[np.float64]]

    @property
    def sentence(self) -> str:
        """The story in a few sentences."""
        named = " and ".join(f"{LADDER[code]:g}" for code in self.never) or "none"
        logged = self.lost["the whole log"]
        slow = {name: float(self.true[name]["slow"]) for name in self.true}
        return (
            f"The learned policy never picks {named} Mbit/s. In the sessions of its training that "
            f"costs {self.lost['training'].value:.2f} of QoE per decision; in all that was logged "
            f"{logged}. On slow paths its QoE is {slow[LEARNED]:.2f}, where MPC's is "
            f"{slow[PLANNER]:.2f}; repaired {slow[REPAIRED]:.2f}, guarded "
            f"{slow[f'guarded {LEARNED}']:.2f}."
        )


@one_thread()
def run(
    *,
    seed: int = 0,
    real: bool = False,
    schedule: Schedule | None = None,
    training: int = 200,
    logged: int = 240,
    tried: int = 150,
    rounds: int = 10,
) -> Study:
    """Do all of it.

    Args:
        seed: Fixes paths, networks and luck.
        real: Take capacities from recordings.
        schedule: How both networks are trained.
        training: Sessions of training.
        logged: Sessions of the log.
        tried: Sessions of each kind to try on.
        rounds: Branches of each session.
    """
    found = paths(real=real, seed=seed, training=training, logged=logged, tried=tried)
    log = trial(found.logged)
    fitted = VideoStreaming.fit(cs.Traces(log), seed=seed, ensemble=1)
    shown = Simulator.of(fitted, cs.Traces(trial(found.training)))
    whole = Simulator.of(fitted, cs.Traces(log))
    network = train(shown, seed=seed, schedule=schedule)
    learned = BitratePolicy(network)

    own = branches(shown, network, rounds=rounds, seed=seed)
    all_kinds = branches(whole, network, rounds=rounds, seed=seed + 1)
    never = never_picked(own)
    lost = all_kinds.lost_by(never)
    # Before the first chunk has come no throughput is known, and 0 stands in its place.
    later = (all_kinds.rows["chunk"] > 0).to_numpy()
    slices = find_slices(all_kinds.rows[later], lost[later], columns=list(SLICED), seed=seed)

    mended = repaired(
        fitted,
        network,
        training=found.training,
        logged=found.logged,
        found=all_kinds,
        never=never,
        seed=seed + 7,
        schedule=schedule,
    )
    policies = {LEARNED: learned, REPAIRED: BitratePolicy(mended)}
    guards = {
        name: guard(
            policy,
            fitted,
            training=found.training if name == LEARNED else found.logged,
            logged=found.logged,
        )
        for name, policy in policies.items()
    }
    tried_on = {name: cs.Traces(trial(truth)) for name, truth in found.tried.items()}
    reports = {
        name: validate_guard(
            fitted,
            tried_on[HELD_OUT],
            each,
            objective=qoe,
            failing={n: t for n, t in tried_on.items() if n != HELD_OUT},
            scale=SCALE,
            seed=seed,
        )
        for name, each in guards.items()
    }
    fixes = {
        name: cs.validate_fix(
            fitted,
            cs.Traces(simulate_true(truth, learned)),
            policies[REPAIRED],
            objective=qoe,
            prefer="higher",
            seed=seed,
        )
        for name, truth in found.tried.items()
    }
    live: dict[str, Callable[..., Any]] = {PLANNER: MPC(), **policies}
    live |= {f"guarded {name}": each.fresh() for name, each in guards.items()}
    true, chosen = _true(found, live)
    return Study(
        real,
        never,
        _usage(all_kinds),
        {"training": _mean(own, own.lost_by(never)), "the whole log": _mean(all_kinds, lost)},
        slices,
        reach(network, all_kinds),
        fixes,
        reports,
        guards,
        true,
        chosen,
    )


def never_picked(found: Branches) -> list[int]:
    """The bitrates that the policy never picks."""
    share = np.bincount(found.chosen.numpy(), minlength=len(LADDER)) / len(found.chosen)
    return [code for code in range(len(LADDER)) if share[code] < RARE]


def reach(network: Network, found: Branches) -> pd.DataFrame:
    """What one input can do: `do(input = value)` in every state, the others as they are.

    The network's inputs are its causes, all of them, so setting one of them is an intervention on
    the policy's own mechanism. Values are those of 40 of the states.

    Returns:
        By input and bitrate (Mbit/s) the greatest mean probability, over the values.
    """
    rows = {}
    for name in INPUTS:
        where, mean = columns_of(name), []
        for value in found.seen[:: max(len(found.seen) // 40, 1), where]:
            seen = found.seen.clone()
            seen[:, where] = value
            with torch.no_grad():
                mean.append(torch.softmax(network(seen)[0], -1).mean(0))
        rows[name] = torch.stack(mean).amax(0).numpy()
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(LADDER))


def _usage(found: Branches) -> pd.DataFrame:
    columns = {
        "learned policy": found.chosen.numpy(),
        "MPC would": found.planner.numpy(),
        "best": found.best,
    }
    shares = {
        name: np.bincount(codes, minlength=len(LADDER)) / len(codes)
        for name, codes in columns.items()
    }
    return pd.DataFrame(shares, index=pd.Index(LADDER, name="Mbit/s"))


def _mean(found: Branches, values: NDArray[np.float64], *, level: float = 0.9) -> Estimate:
    """The mean over states, with an interval by sessions drawn anew: states of one are alike."""
    session = found.rows["session"].to_numpy()
    by_session = np.bincount(session, values) / np.bincount(session)
    rng = np.random.default_rng(0)
    drawn = by_session[rng.integers(0, len(by_session), (1000, len(by_session)))].mean(1)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(values.mean()), float(low), float(high), level)


def _true(
    found: Paths, policies: Mapping[str, Callable[..., Any]]
) -> tuple[pd.DataFrame, dict[tuple[str, str], NDArray[np.float64]]]:
    """What really comes of each policy, on each kind of sessions."""
    score: dict[str, dict[str, float]] = {}
    chosen = {}
    for kind, truth in found.tried.items():
        score[kind] = {}
        for name, policy in policies.items():
            rows = simulate_true(truth, policy)
            score[kind][name] = float(qoe(rows).mean())
            codes = rows["bitrate"].to_numpy()
            chosen[kind, name] = np.bincount(codes, minlength=len(LADDER)) / len(codes)
    return pd.DataFrame.from_dict(score, orient="index"), chosen


__all__ = ["LEARNED", "PLANNER", "REPAIRED", "Study", "never_picked", "reach", "run"]
