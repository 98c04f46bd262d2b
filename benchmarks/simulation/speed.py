"""Steps per second, beside a hand-written compiled simulator, and how cost grows."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

import numpy as np
import pandas as pd

import causalsys as cs
from benchmarks.lines import Line
from benchmarks.simulation import truth as by_hand
from case_studies.load_balancing.system import Truth, generate
from causalsys.simulate.simulate import Simulator
from models.load_balancing import LoadBalancer

NAME = "speed"
SEED = 3001


def run(*, quick: bool = False) -> list[Line]:
    """The ratio for two policies, and exponents in traces, policies and steps."""
    traces, steps = (200, 100) if quick else (5000, 1000)
    log, truth = generate(traces, steps, seed=SEED)
    fitted = LoadBalancer.fit(log, seed=0, ensemble=1)
    lines = []
    for name in ("shortest_queue", "random"):
        ours, theirs = _ratio(fitted, log, truth, name)
        note = f"{traces} × {steps}: {traces * steps / ours / 1e6:.2f} million steps a second"
        lines.append(
            Line(
                NAME,
                f"time under {name}, over numba's",
                ours / theirs,
                "≤ 5",
                ours / theirs <= 5,
                note,
            )
        )
    return [*_together(log, truth), *lines, *_growth(quick=quick)]


def _together(log: pd.DataFrame, truth: Truth) -> list[Line]:
    """One fit and all sixteen policies, by the clock."""
    begun = time.perf_counter()
    fitted = LoadBalancer.fit(log, seed=0, ensemble=1)
    fitting = time.perf_counter() - begun
    cs.simulate(fitted, log, policies=truth.policies, engine=cs.Cores(2))
    whole = time.perf_counter() - begun
    note = f"fit {fitting:.1f} s on one core, {len(truth.policies)} simulations on two"
    return [Line(NAME, "a fit and 16 simulations [s]", whole, "≤ 60", whole <= 60, note)]


def _ratio(fitted: cs.FittedSCM, log: pd.DataFrame, truth: Truth, name: str) -> tuple[float, float]:
    """The shortest of alternating rounds, each."""
    simulator = Simulator.of(fitted, log)
    by_hand.simulate(truth, name)
    ours, theirs = [], []
    for _ in range(3):
        ours.append(_seconds(lambda: simulator.run({name: truth.policies[name]})))
        theirs.append(_seconds(lambda: by_hand.simulate(truth, name)))
    return min(ours), min(theirs)


def _growth(*, quick: bool) -> list[Line]:
    base = (100, 50) if quick else (1000, 250)
    log, truth = generate(8 * base[0], base[1], seed=SEED)
    fitted = LoadBalancer.fit(log, seed=0, ensemble=1)
    policy = truth.policies["shortest_queue"]

    def traces(scale: int) -> Callable[[], object]:
        simulator = Simulator.of(fitted, log[log["trace"] < scale * base[0]])
        return lambda: simulator.run({"it": policy})

    def policies(scale: int) -> Callable[[], object]:
        simulator = Simulator.of(fitted, log[log["trace"] < base[0]])
        return lambda: simulator.run({str(i): policy for i in range(scale)})

    def steps(scale: int) -> Callable[[], object]:
        longer, _ = generate(base[0], scale * base[1], seed=SEED)
        simulator = Simulator.of(fitted, longer)
        return lambda: simulator.run({"it": policy})

    lines = []
    for name, made in (("traces", traces), ("policies", policies), ("steps", steps)):
        scales = [1, 2, 4, 8]
        seconds = [min(_seconds(act) for _ in range(3)) for act in map(made, scales)]
        exponent = float(np.polyfit(np.log(scales), np.log(seconds), 1)[0])
        case = f"time grows with {name} by the power"
        lines.append(
            Line(
                NAME,
                case,
                exponent,
                "≤ 1.05",
                exponent <= 1.05,
                f"from {base[0]} × {base[1]}, to 8 times as many",
            )
        )
    return lines


def _seconds(act: Callable[[], object]) -> float:
    gc.collect()
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun
