"""Where assumptions bend: other shapes, a second latent, noise, a policy that sees the latent."""

from __future__ import annotations

import numpy as np
import pandas as pd

import causalsys as cs
from benchmarks.lines import Line
from benchmarks.simulation.luck import with_luck
from case_studies.load_balancing.system import SERVERS, generate
from case_studies.video_streaming.baselines import buffer_error, expert_sim
from case_studies.video_streaming.system import ARMS, draw, simulate_true, trial
from causalsys.errors import NotIdentifiedError
from models.load_balancing import LoadBalancer
from models.video_streaming import VideoStreaming

NAME = "hard"
SEEDS = (4001, 4002, 4003)
"""Never used while developing."""
TARGETS = ("shortest_queue", "random", "pair_34")


class Bent(LoadBalancer):
    """Each server its own monotone map of a job's size."""

    work = cs.Observed(cs.Positive("ms"), parents=["job_size", "server"], mechanism=cs.Monotone())


class Seeing(LoadBalancer):
    """A policy looks at the size that nobody logs."""

    server = cs.Decision(
        cs.Categorical(range(SERVERS)),
        parents=["arm", "waiting", "job_size"],
        mechanism=cs.Logged(),
    )


class Untried(Seeing):
    """The same without a trial."""

    arm = cs.Observed(cs.Categorical(), parents=["gap"])


class Blind(VideoStreaming):
    """Round trips are not logged either: two latents behind one throughput."""

    throughput = cs.Observed(
        cs.Positive("Mbit/s"), parents=["capacity", "chunk"], mechanism=cs.SplineFlow()
    )


def run(*, quick: bool = False) -> list[Line]:
    """One line or two for each."""
    size = (160, 120) if quick else (2000, 500)
    seeds = SEEDS[: 1 if quick else None]
    return [
        *_bent(size, seeds),
        *_noisy(size, seeds),
        *_seeing(size, seeds),
        *_blind((90, 40) if quick else (900, 100), seeds[:2]),
    ]


def _bent(size: tuple[int, int], seeds: tuple[int, ...]) -> list[Line]:
    """Powers and offsets differ by server; rank one beside it."""
    errors: dict[str, list[float]] = {"monotone": [], "rank one": []}
    for seed in seeds:
        log, truth = generate(*size, seed=seed, rank_one=False)
        for target in TARGETS:
            rows = log[log["arm"] != target]
            for name, model in (("monotone", Bent), ("rank one", LoadBalancer)):
                fitted = model.fit(rows, seed=0, ensemble=1)
                policy = truth.policies[target]
                frame = cs.simulate(fitted, rows, policies={"it": policy}).frames["it"]
                size_of = truth.size[:, truth.arm != target].T.ravel()
                real = truth.servers.work(frame["server"].astype(int), size_of)
                errors[name].append(float(np.median(np.abs(frame["work"] / real - 1))))
    note = _note(size, seeds, f"rank one: {np.mean(errors['rank one']):.2%}")
    figure = float(np.mean(errors["monotone"]))
    case = "work = r·u^γ + c, a monotone map per server: median one-step error"
    return [Line(NAME, case, figure, "≤ 0.01", figure <= 0.01, note)]


def _noisy(size: tuple[int, int], seeds: tuple[int, ...]) -> list[Line]:
    """A job's time has luck of its own, 10 %, that another server would not repeat."""
    errors, biases = [], []
    for seed in seeds:
        log, truth = generate(*size, seed=seed)
        rng = np.random.default_rng(seed)
        luck = np.exp(rng.normal(0, 0.1, len(log)))
        noisy = _requeued(log, log["work"] * luck)
        fitted = LoadBalancer.fit(noisy, seed=0, ensemble=1)
        frame = cs.simulate(fitted, noisy, policies={"it": truth.policies["random"]}).frames["it"]
        real = truth.servers.work(frame["server"].astype(int), truth.size.T.ravel())
        errors.append(float(np.median(np.abs(frame["work"] / real - 1))))
        biases.append(float(frame["work"].mean() / (real * np.exp(0.005)).mean() - 1))
    note = _note(size, seeds, f"bias of the mean {np.abs(biases).max():.2%}; the luck alone: 6.7 %")
    case = "10 % noise of the mechanism's own: median one-step error"
    return [Line(NAME, case, float(np.mean(errors)), note=note)]


def _requeued(log: pd.DataFrame, work: pd.Series) -> pd.DataFrame:
    """The log with other work; latencies follow when they are derived."""
    return log.assign(work=work).drop(columns="latency")


def _seeing(size: tuple[int, int], seeds: tuple[int, ...]) -> list[Line]:
    """Declared, it is answered by arms alone; without a trial, refused; undeclared, it is wrong."""
    errors: dict[str, list[float]] = {"arms": [], "undeclared": []}
    refused = 0
    for seed in seeds:
        log, truth = generate(*size, seed=seed, sees_size=True)
        for name, model in (("arms", Seeing), ("undeclared", LoadBalancer)):
            fitted = model.fit(log, seed=0, ensemble=1)
            found = cs.simulate(fitted, log, policies={"it": truth.policies["random"]})
            frame = found.frames["it"]
            real = truth.servers.work(frame["server"].astype(int), truth.size.T.ravel())
            errors[name].append(float(np.median(np.abs(frame["work"] / real - 1))))
        try:
            cs.simulate(Untried.fit(log, seed=0, ensemble=1), log, policies={"it": 3})
        except NotIdentifiedError:
            refused += 1
    note = _note(size, seeds, f"undeclared: {np.mean(errors['undeclared']):.2%}")
    case = "a policy that sees the latent, declared: by arms alone, median one-step error"
    return [
        Line(NAME, case, float(np.mean(errors["arms"])), note=note),
        Line(
            NAME,
            "the same without a trial: refused",
            refused / len(seeds),
            "= 1",
            refused == len(seeds),
            _note(size, seeds, ""),
        ),
    ]


def _blind(size: tuple[int, int], seeds: tuple[int, ...]) -> list[Line]:
    found: dict[str, list[float]] = {"blind": [], "rtt logged": [], "ExpertSim": []}
    target = "bba"
    for seed in seeds:
        truth = draw(*size, seed=seed)
        log = trial(truth)
        others = (truth.arm != truth.names.index(target)).nonzero()[:, 0]
        rest, rows = truth.of(others), log[log["arm"] != target].reset_index(drop=True)
        real = simulate_true(rest, ARMS[target])
        for name, model in (("blind", Blind), ("rtt logged", VideoStreaming)):
            fitted = model.fit(rows, seed=0, ensemble=1)
            policy = with_luck(ARMS[target], rest.chance)
            frame = cs.simulate(fitted, rows, policies={"it": policy}).frames["it"]
            found[name].append(buffer_error(frame, real))
        found["ExpertSim"].append(buffer_error(expert_sim(rest, rows, ARMS[target]), real))
    mean = {name: float(np.mean(errors)) for name, errors in found.items()}
    note = _note(
        size, seeds, f"rtt logged {mean['rtt logged']:.1f} %, ExpertSim {mean['ExpertSim']:.1f} %"
    )
    return [Line(NAME, "two latents (rtt unlogged): buffer error [%]", mean["blind"], note=note)]


def _note(size: tuple[int, int], seeds: tuple[int, ...], rest: str) -> str:
    told = f"{size[0]} × {size[1]}, seeds {', '.join(map(str, seeds))}"
    return f"{told}; {rest}" if rest else told
