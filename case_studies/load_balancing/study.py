"""The study: what would every trace have been under a policy that the fit never saw?

One arm is left out. The model is fitted to the log of the others, and simulates the left-out
policy on their traces. The true system runs that policy on the very same jobs: the truth.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch.distributions import Distribution

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
        table: A row for each way: errors against the truth. `floor` is the *true* system with
            its rates off by as much as the fitted ones, and, where the policy draws, with other
            luck: what no simulator of that accuracy can be expected to beat.
        rates: The servers' true and fitted slowdowns, each over their geometric mean.
        random: Whether the policy draws at random, so that a roll-out has luck of its own.
        verdict: What carries the answer.
    """

    target: str
    fitted: cs.FittedSCM
    log: pd.DataFrame
    runs: dict[str, pd.DataFrame]
    table: pd.DataFrame
    rates: pd.DataFrame
    random: bool
    verdict: str

    @property
    def rate_error(self) -> float:
        """The fitted slowdowns' error: root mean square over servers, in percent."""
        return 100 * _rate_error(self.rates)

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
    traces: int = 320,
    steps: int = 500,
    *,
    target: str = "shortest_queue",
    seed: int = 0,
    least_spread: float = 0.05,
) -> Study:
    """Generate the log, fit, simulate, and compare with the truth.

    Args:
        traces: Of all arms together.
        steps: Jobs in each.
        target: The arm that is left out.
        seed: Fixes the system, the jobs and the fit.
        least_spread: See `generate`; at the paper's 0 the fit is exact, by a quirk of the problem.
    """
    frame, truth = generate(traces, steps, seed=seed, least_spread=least_spread)
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
    random = _draws(truth, target)
    error = _rate_error(rates)
    table.loc["floor"] = [np.nan, *chaos_floor(truth, target, error, kept=kept, random=random)]
    return Study(
        target,
        fitted,
        log,
        runs,
        table,
        rates,
        random,
        str(simulation.verdicts["latency"]),
    )


def expert_sim(truth: Truth, frame: pd.DataFrame, target: str) -> pd.DataFrame:
    """Queues as they are, and every job takes as long as it was recorded to, on any server."""
    steps = len(truth.size)
    recorded = frame["work"].to_numpy().reshape(-1, steps).T
    plain = Servers(np.ones(SERVERS), np.ones(SERVERS), np.zeros(SERVERS))
    return simulate_true(replace(truth, servers=plain, size=recorded), target)


def chaos_floor(
    truth: Truth,
    target: str,
    error: float,
    *,
    kept: NDArray[np.bool_],
    random: bool = False,
    draws: int = 4,
) -> list[float]:
    """How far the true system is from itself, with rates that are off by `error`.

    Policies that compare queues are chaotic: one job sent elsewhere, and all later ones are.

    Args:
        truth: The system.
        target: The policy.
        error: Root mean square of the error of the rates' logarithms.
        kept: Which rows count.
        random: Whether to draw the policy's luck anew, too.
        draws: Over how many draws of the errors to average.

    Returns:
        Roll-out errors of work and latency in percent, mean latency in ms, and the root mean
        square of its bias in percent.
    """
    real = _kept(simulate_true(truth, target), kept)
    found = []
    for draw in range(draws):
        rng = np.random.default_rng([truth.seed, 3, draw])
        noise = rng.normal(size=SERVERS)
        other = truth.slowed(np.exp(error * noise / np.sqrt((noise**2).mean())))
        if random:
            other = replace(other, luck=rng.random(truth.luck.shape))
        off = _kept(simulate_true(other, target), kept)
        found.append(_against(real, off, real["work"])[1:])
    work, latency, mean, bias = np.array(found).T
    return [work.mean(), latency.mean(), mean.mean(), np.sqrt((bias**2).mean())]


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


def _rate_error(rates: pd.DataFrame) -> float:
    ratio = np.log(rates["fitted"] / rates["true"])
    return float(np.sqrt((ratio**2).mean()))


def _draws(truth: Truth, target: str) -> bool:
    nobody = {"waiting": torch.zeros(1, SERVERS), "job_size": torch.ones(1)}
    policy = truth.policies[target]
    read = inspect.signature(policy).parameters
    given = {name: value for name, value in nobody.items() if name in read}
    return isinstance(policy(**given), Distribution)


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
