"""Streaming: every policy left out in turn, over synthetic and over real capacities.

The error is the mean absolute percentage error of the buffer over 35 steps, against the true
player under the same policy, on the same paths and with the same luck. ExpertSim replays logged
throughputs; SLSim is a network of two layers of 128 units without latents.
"""

from __future__ import annotations

import numpy as np

import causalsys as cs
from benchmarks.lines import Line
from benchmarks.simulation.luck import with_luck
from case_studies.video_streaming.baselines import buffer_error, expert_sim, sl_sim
from case_studies.video_streaming.capacity import default_folder, real_capacity
from case_studies.video_streaming.system import ARMS, draw, simulate_true, trial
from models.video_streaming import VideoStreaming

NAME = "streaming"
SEEDS = (2001, 2002)
"""Never used while developing."""


def run(*, quick: bool = False) -> list[Line]:
    """Synthetic capacities, and real ones where the recordings are."""
    lines = _left_out("synthetic", quick=quick)
    if default_folder() is not None:
        lines += _left_out("real", quick=quick)
    return lines


def _left_out(kind: str, *, quick: bool) -> list[Line]:
    traces, steps = (90, 40) if quick else (1800, 100)
    found: dict[str, list[float]] = {"causalsys": [], "ExpertSim": [], "SLSim": []}
    arms: list[str] = []
    for seed in SEEDS[: 1 if quick else None]:
        capacity = real_capacity(traces, steps, seed=seed) if kind == "real" else None
        truth = draw(traces, steps, seed=seed, capacity=capacity)
        log = trial(truth)
        for target, policy in list(ARMS.items())[: 2 if quick else None]:
            others = (truth.arm != truth.names.index(target)).nonzero()[:, 0]
            rest, rows = truth.of(others), log[log["arm"] != target].reset_index(drop=True)
            lucky = with_luck(policy, rest.chance)
            fitted = VideoStreaming.fit(rows, seed=0, ensemble=1)
            ours = cs.simulate(fitted, rows, policies={target: lucky}).frames[target]
            real = simulate_true(rest, policy)
            found["causalsys"].append(buffer_error(ours, real))
            found["ExpertSim"].append(buffer_error(expert_sim(rest, rows, policy), real))
            found["SLSim"].append(buffer_error(sl_sim(rows, seed=0)(rest, rows, policy), real))
            arms.append(target)
    mean = {name: float(np.mean(errors)) for name, errors in found.items()}
    note = f"{traces} × {steps}, seeds {', '.join(map(str, SEEDS))}"
    worst = int(np.argmax(found["causalsys"]))
    best = min(mean["ExpertSim"], mean["SLSim"])
    target = None if kind == "real" else 4.0
    return [
        _line(
            kind,
            "buffer error over 35 steps, mean over policies [%]",
            mean["causalsys"],
            target,
            f"{note}; worst {arms[worst]} {found['causalsys'][worst]:.2f} %; ExpertSim "
            f"{mean['ExpertSim']:.1f} %, SLSim {mean['SLSim']:.1f} %",
        ),
        _line(kind, "the same, over the better baseline's", mean["causalsys"] / best, 1 / 3, note),
    ]


def _line(kind: str, case: str, measured: float, most: float | None, note: str) -> Line:
    target = "" if most is None else f"≤ {most:.3g}"
    met = None if most is None else measured <= most
    return Line(NAME, f"{kind} capacity: {case}", measured, target, met, note)
