"""The study: a policy that never ran, and a policy tuned where it never ran.

One arm of the trial is left out. A model fitted to the log of the others simulates it on their
traces; so do ExpertSim and SLSim; the true system tells what would have happened. Then each of the
three picks the parameters of a buffer-based policy, and the true system tells what was gained: on
the same sessions, and on new ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

import causalsys as cs
from case_studies.video_streaming.baselines import buffer_error, expert_sim, qoe, sl_sim
from case_studies.video_streaming.capacity import default_folder, real_capacity
from case_studies.video_streaming.system import ARMS, Truth, draw, simulate_true, trial
from causalsys.simulate.policies.streaming import BBA
from causalsys.simulate.simulate import simulate
from causalsys.simulate.tune import Tuned, tune
from models.video_streaming import VideoStreaming

CAUSAL, EXPERT, SUPERVISED = "causalsys", "ExpertSim", "SLSim"
LIVE = BBA(reservoir=5.0, cushion=5.0)
"""What the service runs, and would like to tune."""
SPACE = {"reservoir": (0.0, 9.0), "cushion": (1.0, 12.0)}


Worlds = dict[str, Callable[[Sequence[BBA]], list[float]]]
"""By who says so, the mean QoE of policies on the same sessions."""


@dataclass(frozen=True)
class Study:
    """One policy left out and simulated, and one tuned.

    Attributes:
        target: The arm that was left out.
        real: Whether capacities are recordings of real paths.
        fitted: The model, fitted to the other arms.
        log: Their rows.
        runs: The target's rows for the same traces, by who says so; `truth` is one.
        errors: By simulator: the buffer's error over 35 steps (%), and mean QoE with its bias.
        candidates: For each candidate of the search its parameters, and its QoE by who says so.
        choices: By simulator: what it picked, what it promised, and what came of it.
        tuned: What `cs.tune` says itself.
        verdict: What carries the answer.
    """

    target: str
    real: bool
    fitted: cs.FittedSCM
    log: pd.DataFrame
    runs: dict[str, pd.DataFrame]
    errors: pd.DataFrame
    candidates: pd.DataFrame
    choices: pd.DataFrame
    tuned: Tuned
    verdict: str

    @property
    def sentence(self) -> str:
        """The answer in one sentence."""
        errors, told = self.errors["buffer error [%]"], self.choices.loc[CAUSAL]
        return (
            f"Under {self.target}, which the model never saw, the buffer is simulated to "
            f"{errors[CAUSAL]:.1f} % (ExpertSim {errors[EXPERT]:.1f} %, SLSim "
            f"{errors[SUPERVISED]:.1f} %). The policy tuned in it promises a QoE of "
            f"{told['promised']:.2f} and gets {told['true']:.2f}, where the live one has "
            f"{self.choices.loc['live', 'true']:.2f}."
        )


def run(
    traces: int = 270,
    steps: int = 80,
    *,
    target: str = "mpc",
    real: bool | None = None,
    seed: int = 0,
) -> Study:
    """Generate the trial, fit, simulate, tune, and compare with the truth.

    Args:
        traces: Of all arms together.
        steps: Chunks in each.
        target: The arm that is left out.
        real: Take capacities from recordings; by default where there are any.
        seed: Fixes the system and the fit.
    """
    real = default_folder() is not None if real is None else real
    truth = _draw(traces, steps, real=real, seed=seed)
    others = (truth.arm != truth.names.index(target)).nonzero()[:, 0]
    log, truth = trial(truth), truth.of(others)
    log = log[log["arm"] != target].reset_index(drop=True)
    fitted = VideoStreaming.fit(cs.Traces(log), seed=seed, ensemble=4)
    supervised = sl_sim(log, seed=seed)

    simulation = simulate(fitted, cs.Traces(log), policies={target: ARMS[target]}, seed=seed)
    runs = {
        "truth": simulate_true(truth, ARMS[target]),
        CAUSAL: simulation.frames[target],
        EXPERT: expert_sim(truth, log, ARMS[target]),
        SUPERVISED: supervised(truth, log, ARMS[target]),
    }
    runs = {name: rows.assign(trace=log["trace"].to_numpy()) for name, rows in runs.items()}
    tuned = tune(
        fitted, cs.Traces(log), BBA, space=SPACE, objective=qoe, prefer="higher", seed=seed
    )

    def simulated(policies: Sequence[BBA]) -> list[float]:
        named = {str(number): policy for number, policy in enumerate(policies)}
        found = simulate(fitted, cs.Traces(log), policies=named, seed=seed)
        return [found.score(qoe, name) for name in named]

    worlds: Worlds = {
        CAUSAL: simulated,
        EXPERT: lambda policies: [qoe(expert_sim(truth, log, p)).mean() for p in policies],
        SUPERVISED: lambda policies: [qoe(supervised(truth, log, p)).mean() for p in policies],
        "truth": lambda policies: [qoe(simulate_true(truth, p)).mean() for p in policies],
    }
    candidates = _candidates(tuned, worlds)
    fresh = _draw(traces, steps, real=real, seed=seed + 1000)
    return Study(
        target,
        real,
        fitted,
        log,
        runs,
        _errors(runs),
        candidates,
        _choices(tuned, candidates, worlds, fresh),
        tuned,
        str(simulation.verdicts["buffer"]),
    )


def _draw(traces: int, steps: int, *, real: bool, seed: int) -> Truth:
    capacity = real_capacity(traces, steps, seed=seed) if real else None
    return draw(traces, steps, seed=seed, capacity=capacity)


def _errors(runs: dict[str, pd.DataFrame]) -> pd.DataFrame:
    true = qoe(runs["truth"]).mean()
    rows = {
        name: {
            "buffer error [%]": buffer_error(frame, runs["truth"]),
            "mean QoE": qoe(frame).mean(),
            "its bias": qoe(frame).mean() - true,
        }
        for name, frame in runs.items()
    }
    return pd.DataFrame(rows).T


def _candidates(tuned: Tuned, worlds: Worlds) -> pd.DataFrame:
    """What each world says of every fourth candidate of the search, and of the one it chose."""
    found = pd.concat([tuned.trials.iloc[::4], tuned.trials.tail(1)])[[*SPACE]].drop_duplicates()
    chosen = pd.DataFrame([dict(tuned.parameters)])
    found = pd.concat([chosen, found], ignore_index=True).drop_duplicates(ignore_index=True)
    policies = [BBA(reservoir, cushion) for reservoir, cushion in found[[*SPACE]].to_numpy()]
    for name, world in worlds.items():
        found[name] = world(policies)
    return found


def _choices(tuned: Tuned, candidates: pd.DataFrame, worlds: Worlds, fresh: Truth) -> pd.DataFrame:
    """What each simulator would have put live, and the QoE that it promised and that it got."""
    picked = {"live": LIVE, CAUSAL: tuned.policy}
    for name in (EXPERT, SUPERVISED, "truth"):
        best = candidates.loc[candidates[name].idxmax()]
        picked[name] = BBA(**{parameter: float(best[parameter]) for parameter in SPACE})
    rows = {
        name: {
            "reservoir": policy.reservoir,
            "cushion": policy.cushion,
            "promised": worlds[CAUSAL if name == "live" else name]([policy])[0],
            "true": worlds["truth"]([policy])[0],
            "true, new sessions": qoe(simulate_true(fresh, policy)).mean(),
        }
        for name, policy in picked.items()
    }
    return pd.DataFrame(rows).T
