"""Anomaly attribution: time at equal Monte Carlo error beside dowhy's, and how cost grows.

Both have the same models (linear, normal noise), fitted to the same rows. dowhy's cost is a loop
over anomalies, so a few are timed, one at a time, and scaled. Errors are measured, not reported
ones: the mean square against a long reference run. A method that is wrong by twice as much needs a
quarter of the time for the other's error, so time times square error is what is compared.
"""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import causalsys as cs
from benchmarks.clock import exponent
from benchmarks.lines import Line
from benchmarks.system import System
from causalsys.rootcause.attribution import attribute_anomalies

NAME = "attribution"
SEED = 5100
_SHIFT = 5.0


def run(*, quick: bool = False) -> list[Line]:
    """The ratio over several seeds, and the exponent in nodes."""
    seeds = range(SEED, SEED + (1 if quick else 4))
    found = [_against_dowhy(seed, nodes=5 if quick else 10, quick=quick) for seed in seeds]
    ratios = [each["ratio"] for each in found]
    middle = float(np.median(ratios))

    def told(key: str, form: str = "{:.3g}") -> str:
        return ", ".join(form.format(each[key]) for each in found)

    note = (
        f"seeds {seeds.start} to {seeds.stop - 1}: {told('ratio', '{:.0f}')}; ours "
        f"{told('ours')} s, dowhy's {told('theirs')} s (one anomaly, scaled to 100); root mean "
        f"square errors {told('our_error')} and {told('their_error')} nats"
    )
    lines = [
        Line(
            NAME,
            "100 anomalies × 10 nodes, dowhy's time over ours at equal error",
            middle,
            "≥ 200",
            middle >= 200,
            note,
        )
    ]
    return [*lines, *_growth(quick=quick)]


def _against_dowhy(seed: int, *, nodes: int, quick: bool) -> dict[str, float]:
    """Time and error of both on one system."""
    system, frame, rows = _anomalies(nodes, 100, seed)
    fitted = _fitted(system, frame)
    some = rows.iloc[[seed % 100]].reset_index(drop=True)
    long = attribute_anomalies(fitted, some, target=system.last, precision=1e-9, seed=seed)
    theirs, their_time = _dowhy(system, frame, some, long.names, seed=seed, quick=quick)
    attribute_anomalies(fitted, rows, target=system.last, seed=1)
    begun = time.perf_counter()
    found = attribute_anomalies(fitted, rows, target=system.last, seed=seed + 1)
    ours = time.perf_counter() - begun
    runs = [
        attribute_anomalies(fitted, rows, target=system.last, seed=seed + at).values[seed % 100]
        for at in range(2, 5)
    ]
    own = np.stack([found.values[seed % 100], *runs])
    our_square = float(((own - long.values[0]) ** 2).mean())
    their_square = float(((theirs - long.values[0]) ** 2).mean())
    scaled = their_time * len(rows)
    return {
        "ours": ours,
        "theirs": scaled,
        "our_error": our_square**0.5,
        "their_error": their_square**0.5,
        "ratio": scaled * their_square / (ours * our_square),
    }


def _dowhy(
    system: System,
    frame: pd.DataFrame,
    rows: pd.DataFrame,
    names: tuple[str, ...],
    *,
    seed: int,
    quick: bool,
) -> tuple[NDArray[np.float64], float]:
    """dowhy's contributions of one row, and the seconds they took, in its default configuration."""
    from dowhy import gcm

    model = _declared(system)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gcm.fit(model, frame)
        gcm.util.general.set_random_seed(seed)
        begun = time.perf_counter()
        size = {"num_distribution_samples": 300} if quick else {}
        found = gcm.attribute_anomalies(model, system.last, rows, **size)
        taken = time.perf_counter() - begun
    return np.array([found[name][0] for name in names]), taken


def _declared(system: System) -> Any:
    import networkx as nx
    from dowhy import gcm
    from scipy.stats import norm

    gcm.config.disable_progress_bars()
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(system.slopes)
    graph.add_edges_from(system.edges)
    model = gcm.InvertibleStructuralCausalModel(graph)
    for name, causes in system.slopes.items():
        normal = gcm.ScipyDistribution(norm)
        model.set_causal_mechanism(
            name,
            gcm.AdditiveNoiseModel(gcm.ml.create_linear_regressor(), normal) if causes else normal,
        )
    return model


def _growth(*, quick: bool) -> list[Line]:
    """Seconds over nodes, where orders are sampled, for 20 anomalies."""
    sizes = (12, 24) if quick else (12, 25, 50, 100)
    seconds = []
    for nodes in sizes:
        system, frame, rows = _anomalies(nodes, 20, SEED)
        fitted = _fitted(system, frame)
        taken = []
        for turn in range(2):
            begun = time.perf_counter()
            attribute_anomalies(fitted, rows, target=system.last, precision=0.5, seed=turn)
            taken.append(time.perf_counter() - begun)
        seconds.append(min(taken))
    figure = exponent(sizes, seconds)
    shown = ", ".join(f"{n}: {s:.2f} s" for n, s in zip(sizes, seconds, strict=True))
    return [Line(NAME, "exponent of time in nodes", figure, note=f"20 anomalies; {shown}")]


def _anomalies(nodes: int, count: int, seed: int) -> tuple[System, pd.DataFrame, pd.DataFrame]:
    """A system, its normal rows, and rows in each of which one noise is large."""
    system = System.random(nodes, 2 * nodes - 3, seed=seed)
    random = np.random.default_rng(seed)
    hit = random.integers(nodes, size=count)
    columns: dict[str, NDArray[np.float64]] = {}
    for at, (name, causes) in enumerate(system.slopes.items()):
        columns[name] = random.standard_normal(count) + _SHIFT * (hit == at)
        for cause, slope in causes.items():
            columns[name] = columns[name] + slope * columns[cause]
    return system, system.data(5000, seed=seed), pd.DataFrame(columns)


def _fitted(system: System, frame: pd.DataFrame) -> cs.FittedSCM:
    model = cs.SCM.from_graph(system.edges, default=cs.Observed(cs.Real(), mechanism=cs.Linear()))
    return model.fit(frame, seed=0)
