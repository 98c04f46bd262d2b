"""The study: what would every trace have been under a policy that the fit never saw?

One arm is left out. The model is fitted to the log of the others, and simulates the left-out
policy on their traces. The true system runs that policy on the very same jobs: the truth.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

import causalsys as cs
from case_studies.load_balancing.system import SERVERS, Servers, Truth, generate, simulate_true
from models.load_balancing import LoadBalancer

Floats = NDArray[np.float64]
COLUMNS = [
    "one-step error, work [%]",
    "roll-out error, work [%]",
    "roll-out error, latency [%]",
    "mean latency [ms]",
    "its bias [%]",
]


@dataclass(frozen=True)
class Study:
    """One policy, left out and simulated.

    Attributes:
        target: The policy's name.
        fitted: The model, fitted to the other arms.
        log: Their rows.
        runs: For each way of simulating, the target's rows for the same traces; `truth` is one.
        table: A row for each way: errors against the truth.
        floor: The roll-out errors of the *true* system with its rates off by as much as the
            fitted ones (root mean square): work and latency, in percent. Below it nobody can be.
        rates: The servers' true and fitted slowdowns, each over their geometric mean.
        random: Whether the policy draws at random, so that a roll-out has luck of its own.
        verdict: What carries the answer.
    """

    target: str
    fitted: cs.FittedSCM
    log: pd.DataFrame
    runs: dict[str, pd.DataFrame]
    table: pd.DataFrame
    floor: tuple[float, float]
    rates: pd.DataFrame
    random: bool
    verdict: str

    @property
    def rate_error(self) -> float:
        """The fitted slowdowns' error: root mean square over servers, in percent."""
        ratio = np.log(self.rates["fitted"] / self.rates["true"])
        return float(100 * np.sqrt((ratio**2).mean()))

    @property
    def sentence(self) -> str:
        """The answer in one sentence."""
        mean = self.table["mean latency [ms]"]
        return (
            f"Under {self.target}, which the model never saw, mean latency would be "
            f"{mean['causalsys']:.1f} ms; it is {mean['truth']:.1f} ms. ExpertSim says "
            f"{mean['ExpertSim']:.1f} ms, and the record itself {mean['replay']:.1f} ms."
        )


def run(
    traces: int = 320, steps: int = 500, *, target: str = "shortest_queue", seed: int = 0
) -> Study:
    """Generate the log, fit, simulate, and compare with the truth.

    Args:
        traces: Of all arms together.
        steps: Jobs in each.
        target: The arm that is left out.
        seed: Fixes the system, the jobs and the fit.
    """
    frame, truth = generate(traces, steps, seed=seed)
    kept = (frame["arm"] != target).to_numpy()
    log = frame[kept].reset_index(drop=True)
    fitted = LoadBalancer.fit(cs.Traces(log), seed=seed)

    real = _kept(simulate_true(truth, target), kept)
    simulation = cs.simulate(
        fitted,
        cs.Traces(log),
        policies={target: truth.policies[target], "one step": real["server"].to_numpy()},
        seed=seed,
    )
    runs = {
        "truth": real,
        "causalsys": simulation.frames[target],
        "ExpertSim": _kept(expert_sim(truth, frame, target), kept),
        "replay": log,
    }
    one_step = {
        "truth": real["work"],
        "causalsys": simulation.frames["one step"]["work"],
        # Both hold that a job takes as long on any server.
        "ExpertSim": log["work"],
        "replay": log["work"],
    }
    table = pd.DataFrame(
        {name: _against(real, runs[name], one_step[name]) for name in runs}, index=COLUMNS
    ).T
    rates = _rates(fitted, log, truth)
    study = Study(
        target,
        fitted,
        log,
        runs,
        table,
        (np.nan, np.nan),
        rates,
        not isinstance(truth.policies[target](torch.zeros(1, SERVERS)), torch.Tensor | tuple),
        str(simulation.verdicts["latency"]),
    )
    return replace(study, floor=chaos_floor(truth, target, study.rate_error / 100, kept=kept))


def expert_sim(truth: Truth, frame: pd.DataFrame, target: str) -> pd.DataFrame:
    """Queues as they are, and every job takes as long as it was recorded to, on any server."""
    steps = len(truth.size)
    recorded = frame["work"].to_numpy().reshape(-1, steps).T
    plain = Servers(np.ones(SERVERS), np.ones(SERVERS), np.zeros(SERVERS))
    return simulate_true(replace(truth, servers=plain, size=recorded), target)


def chaos_floor(
    truth: Truth, target: str, error: float, *, kept: NDArray[np.bool_], draws: int = 3
) -> tuple[float, float]:
    """Roll-out errors of the true system whose rates are off by `error`, in percent.

    Policies that compare queues are chaotic: one job sent elsewhere, and all later ones are.

    Args:
        truth: The system.
        target: The policy.
        error: Root mean square of the error of the rates' logarithms.
        kept: Which rows count.
        draws: Over how many draws of the errors to average.
    """
    real = _kept(simulate_true(truth, target), kept)
    found = []
    for draw in range(draws):
        noise = np.random.default_rng(draw).normal(size=SERVERS)
        factors = np.exp(error * noise / np.sqrt((noise**2).mean()))
        off = _kept(simulate_true(truth.slowed(factors), target), kept)
        found.append((_mape(off["work"], real["work"]), _mape(off["latency"], real["latency"])))
    work, latency = np.mean(found, axis=0)
    return float(work), float(latency)


def _rates(fitted: cs.FittedSCM, log: pd.DataFrame, truth: Truth) -> pd.DataFrame:
    """How much slower each server is, asked of the model as a user would ask it."""
    one = log[log["trace"] == log["trace"].iloc[0]]
    asked = cs.simulate(
        fitted, cs.Traces(one), policies={str(server): server for server in range(SERVERS)}
    )
    took = [np.log(asked.frames[str(server)]["work"]).mean() for server in range(SERVERS)]
    true = truth.servers.rates
    return pd.DataFrame(
        {
            "true": true / np.exp(np.log(true).mean()),
            "fitted": np.exp(np.array(took) - np.mean(took)),
        }
    ).rename_axis("server")


def _against(real: pd.DataFrame, run: pd.DataFrame, one_step: pd.Series[float]) -> list[float]:
    mean = run["latency"].mean()
    return [
        _mape(one_step, real["work"]),
        _mape(run["work"], real["work"]),
        _mape(run["latency"], real["latency"]),
        mean,
        100 * (mean / real["latency"].mean() - 1),
    ]


def _mape(found: pd.Series[float], real: pd.Series[float]) -> float:
    return float(100 * (found / real - 1).abs().mean())


def _kept(frame: pd.DataFrame, kept: NDArray[np.bool_]) -> pd.DataFrame:
    return frame[kept].reset_index(drop=True)
