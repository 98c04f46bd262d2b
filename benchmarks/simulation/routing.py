"""Load balancing: every policy left out in turn, at full size, on servers and jobs drawn anew.

The one-step error is of the processing time on the server that the simulated policy chose, against
what the same job takes there: it needs no roll-out of the truth. The bias is of the mean latency,
against the true system under the same policy and with the same jobs.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import causalsys as cs
from benchmarks.lines import Line
from benchmarks.simulation import truth as by_hand
from case_studies.load_balancing.system import Truth, generate
from models.load_balancing import LoadBalancer

NAME = "load balancing"
SEEDS = (1001, 1002, 1003)
"""Never used while developing."""
_FULL, _SMALL = (5000, 1000), (160, 120)


def run(*, quick: bool = False) -> list[Line]:
    """Leave out every arm in turn with the first seed, and some of them with the others."""
    traces, steps = _SMALL if quick else _FULL
    errors, biases = [], []
    for seed in SEEDS[: 1 if quick else None]:
        log, truth = generate(traces, steps, seed=seed)
        targets = list(truth.policies) if seed == SEEDS[0] else list(truth.policies)[::4]
        for target in targets:
            kept, inside = log[log["arm"] != target], truth.arm != target
            fitted = LoadBalancer.fit(kept, seed=0, ensemble=1)
            frame = cs.simulate(fitted, kept, policies={target: truth.policies[target]}).frames[
                target
            ]
            errors.append((seed, target, _one_step(frame, truth, inside)))
            real = by_hand.simulate(truth, target)[2][inside].mean()
            biases.append((seed, target, float(frame["latency"].mean() / real - 1)))
    size = (
        f"{traces} × {steps}, seeds {', '.join(map(str, SEEDS))}; {len(errors)} policies left out"
    )
    worst = max(errors, key=lambda each: each[2])
    most = max(biases, key=lambda each: abs(each[2]))
    return [
        _line("median one-step error, the worst policy", worst[2], 1e-3, f"{worst[1]}; {size}"),
        _line("median one-step error, median", float(np.median([e for *_, e in errors])), None, ""),
        _line("bias of mean latency, the worst policy", abs(most[2]), 1e-2, most[1]),
    ]


def ratio(frame: pd.DataFrame, truth: Truth, inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Each job's work over what it takes on the server that it was sent to."""
    server = frame["server"].to_numpy().astype(int)
    real = truth.servers.work(server, truth.size[:, inside].T.ravel())
    return np.asarray(frame["work"].to_numpy() / real)


def _one_step(frame: pd.DataFrame, truth: Truth, inside: NDArray[np.bool_]) -> float:
    """The median relative error of a job's work on the server that it was sent to."""
    return float(np.median(np.abs(ratio(frame, truth, inside) - 1)))


def _line(case: str, measured: float, most: float | None, note: str) -> Line:
    target = "" if most is None else f"≤ {most:g}"
    return Line(NAME, case, measured, target, None if most is None else measured <= most, note)
