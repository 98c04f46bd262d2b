"""Fitting ten variables on ten thousand rows: linear against dowhy, networks against a loop."""

from __future__ import annotations

from statistics import median

import causalsys as cs
from benchmarks import with_dowhy
from benchmarks.by_hand import train_networks
from benchmarks.clock import alternate, ratio
from benchmarks.report import SEED, Row
from benchmarks.system import System

NAME = "fit"
_BATCH, _RATE = 512, 1e-2
"""The defaults of `causalsys.mechanisms.training.Training`."""


def run(*, quick: bool) -> list[Row]:
    """Linear with one member and the default eight; networks with one member."""
    rows = 1000 if quick else 10_000
    system = System.random(10, 17, seed=SEED)
    data = system.data(rows, seed=SEED)
    return [*_linear(system, data, quick=quick), *_neural(system, data, quick=quick)]


def _linear(system: System, data: object, *, quick: bool) -> list[Row]:
    model = system.model(cs.Linear())
    taken = alternate(
        {
            "1 member": lambda: model.fit(data, seed=SEED, ensemble=1),
            "8 members": lambda: model.fit(data, seed=SEED),
            "dowhy": lambda: with_dowhy.fitted(system, data),  # type: ignore[arg-type]
        },
        rounds=2 if quick else 21,
    )
    return [
        Row(
            NAME,
            f"linear, {ours}, against dowhy",
            median(taken[ours]),
            median(taken["dowhy"]),
            "s",
            ratio(taken[ours], taken["dowhy"]),
            1.0,
        )
        for ours in ("1 member", "8 members")
    ]


def _neural(system: System, data: object, *, quick: bool) -> list[Row]:
    # Early stopping cannot end a fit before step 550: up to there both take the same steps.
    steps = 50 if quick else 500
    spec = cs.NeuralAdditive()
    model = system.model(spec)
    taken = alternate(
        {
            "ours": lambda: model.fit(data, seed=SEED, ensemble=1, steps=steps),
            "loop": lambda: train_networks(
                system,
                data,  # type: ignore[arg-type]
                hidden=spec.hidden,  # type: ignore[arg-type]
                steps=steps,
                batch=_BATCH,
                rate=_RATE,
                seed=SEED,
            ),
        },
        rounds=1 if quick else 5,
    )
    figure = ratio(taken["ours"], taken["loop"])
    case = f"networks, 1 member, {steps} steps, against a hand-written loop"
    return [Row(NAME, case, median(taken["ours"]), median(taken["loop"]), "s", figure, 1.5)]
