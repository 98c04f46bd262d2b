"""One service is deployed anew: all fitted again, or what changed and what lies below it.

Sage's way of training (Gan et al., ASPLOS 2021): a latent per service, an amortised guide, and only
what a deployment touched is trained again. Two systems: six services with bent mechanisms, whose
districts are fitted variationally, and a hundred linear ones, whose likelihood is exact. The
deployment changes how the service answers its load. Beside cost and held-out likelihood stands what
a root cause hangs on: the entry's latency, had the load been the usual one, per row and under
that row's own noise, against the truth.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import causalsys as cs
from benchmarks.lines import Line

NAME = "redeploy"
_REPORTED = (1000, 1001, 1002)
_ROWS = 1000
_MEMBERS = 2
_SMALL = {
    "frontend": ("cart", "search"),
    "cart": ("payment", "stock"),
    "search": ("index",),
    "payment": (),
    "stock": (),
    "index": (),
}
_NATS, _ERROR = 0.02, 0.02
"""What a partial refit may lose: nats per row and touched service; spreads of the truth."""

Column = NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """A system whose truth is known: callers before callees.

    Attributes:
        calls: The callees of each service.
        bent: Whether mechanisms are nonlinear.
        deployed: The service that answers differently; None before the deployment.
    """

    calls: dict[str, tuple[str, ...]]
    bent: bool
    deployed: str | None = None

    @property
    def entry(self) -> str:
        """The service that users see."""
        return next(iter(self.calls))

    def rows(self, rows: int, *, seed: int, load: float | None = None) -> dict[str, Column]:
        """Metrics of each service; under one load and the same noise, if that is given."""
        rng = np.random.default_rng(seed)
        loads = rng.gamma(20, 0.05, rows)
        if load is not None:
            loads = np.full(rows, load)
        found: dict[str, Column] = {"load": loads}
        for name in reversed(self.calls):
            latent, noise = rng.normal(size=rows), 0.15 * rng.normal(size=(3, rows))
            slope = 1.8 if name == self.deployed else 1.0
            cpu, queue, own = self._answers(loads * slope, latent)
            waits = sum(0.7 * found[f"{callee}/latency"] for callee in self.calls[name])
            found[f"{name}/cpu"] = cpu + noise[0]
            found[f"{name}/queue"] = queue + noise[1]
            found[f"{name}/latency"] = slope * own + waits + noise[2]
        return found

    def _answers(self, load: Column, latent: Column) -> tuple[Column, Column, Column]:
        if not self.bent:
            return 0.8 * load + 0.5 * latent, 0.5 * load + 0.4 * latent, load + 0.6 * latent
        soft = np.log1p(np.exp(2 * load - 1 + 0.8 * latent))
        return 2 * np.tanh(0.8 * load + 0.5 * latent), np.exp(0.5 * load + 0.4 * latent), soft

    def model(self) -> type[cs.SCM]:
        """Its graph, a latent for each service."""
        spec = cs.NeuralAdditive(hidden=(16,), noise="normal") if self.bent else cs.Linear()
        variables: dict[str, cs.Observed | cs.Latent] = {"load": cs.Observed(cs.Real())}
        edges = []
        for name, callees in self.calls.items():
            variables[f"{name}/hidden"] = cs.Latent(cs.Real(), component=name)
            for kind in ("cpu", "queue", "latency"):
                metric = f"{name}/{kind}"
                variables[metric] = cs.Observed(cs.Real(), mechanism=spec, component=name)
                edges += [("load", metric), (f"{name}/hidden", metric)]
            edges += [(f"{callee}/latency", f"{name}/latency") for callee in callees]
        return cs.SCM.from_graph(edges, variables=variables, name="Redeployed")


def many(services: int, *, seed: int) -> dict[str, tuple[str, ...]]:
    """A random call graph in which each service but the entry has one or two callers."""
    rng = np.random.default_rng(seed)
    callees: dict[str, set[str]] = {f"s{i}": set() for i in range(services)}
    for i in range(1, services):
        for caller in rng.integers(max(0, i - 12), i, size=rng.integers(1, 3)):
            callees[f"s{caller}"].add(f"s{i}")
    return {name: tuple(sorted(found)) for name, found in callees.items()}


@dataclass(frozen=True)
class Result:
    """One way of training again: seconds, nats per held-out row, error in spreads of the truth."""

    seconds: float
    nats: float
    error: float


def compared(
    calls: dict[str, tuple[str, ...]], *, bent: bool, deployed: str, rows: int, seed: int
) -> tuple[dict[str, Result], int]:
    """Full and partial refits after one deployment, and how many services the latter touch."""
    before, after = World(calls, bent), World(calls, bent, deployed)
    model = before.model()
    old, new = before.rows(rows, seed=seed), after.rows(rows, seed=seed + 10_000)
    fitted = model.fit(old, seed=seed, ensemble=_MEMBERS)
    own = [f"{deployed}/{kind}" for kind in ("cpu", "queue", "latency")]
    ways: dict[str, Callable[[], cs.FittedSCM]] = {
        "full": lambda: model.fit(new, seed=seed, ensemble=_MEMBERS),
        "changed and below": lambda: fitted.refit(new, changed=[deployed]),
        "changed only": lambda: fitted.refit(new, only=own),
        "not at all": lambda: fitted,
    }
    held = after.rows(rows, seed=seed + 20_000)
    usual = {"load": float(np.median(old["load"]))}
    target = f"{after.entry}/latency"
    truth = after.rows(rows, seed=seed + 20_000, **usual)[target] - held[target]
    found = {}
    for way, refit in ways.items():
        begun = time.perf_counter()
        again = refit()
        seconds = time.perf_counter() - begun
        answer = again.counterfactual(held, do=usual, outcome=target, allow="spread")
        told = answer.mean(target) - held[target]
        error = float(np.sqrt(np.mean((told - truth) ** 2)) / np.std(truth))
        found[way] = Result(seconds, float(np.mean(again.log_prob(held))), error)
    reached = {deployed}
    while more := {n for n, below in calls.items() if reached & set(below)} - reached:
        reached |= more
    return found, len(reached)


def run(*, quick: bool = False) -> list[Line]:
    """Both systems, a line for cost, likelihood and error of each way."""
    seeds = (0,) if quick else _REPORTED
    rows, services = (200, 20) if quick else (_ROWS, 100)
    lines = []
    for bent in (True, False):
        results = []
        for seed in seeds:
            calls = _SMALL if bent else many(services, seed=seed)
            deployed = "payment" if bent else f"s{services // 2}"
            results.append(compared(calls, bent=bent, deployed=deployed, rows=rows, seed=seed))
        told = "6 services, variational" if bent else f"{services} services, exact"
        lines += _lines(results, told, seeds)
    return lines


def _lines(
    results: list[tuple[dict[str, Result], int]], told: str, seeds: tuple[int, ...]
) -> list[Line]:
    touched = float(np.mean([count for _, count in results]))
    note = f"seeds {', '.join(map(str, seeds))}; {touched:.3g} services touched"
    whole = float(np.mean([found["full"].error for found, _ in results]))
    lines = []
    for way in ("changed and below", "changed only", "not at all"):
        pairs = [(found["full"], found[way]) for found, _ in results]
        cost = np.median([part.seconds / full.seconds for full, part in pairs])
        lost = np.mean([full.nats - part.nats for full, part in pairs])
        measured = {
            "time over a full refit's": float(cost),
            "nats per row lost to a full refit": float(lost),
            "error under the usual load": float(np.mean([part.error for _, part in pairs])),
        }
        for (what, figure), most in zip(
            measured.items(), (0.5, _NATS * touched, whole + _ERROR), strict=True
        ):
            judged = way == "changed and below"
            lines.append(
                Line(
                    NAME,
                    f"{told}: {way}, {what}",
                    figure,
                    target=f"< {most:.3g}" if judged else "",
                    met=figure < most if judged else None,
                    note=f"{note}; full refit {whole:.3g}" if "error" in what else note,
                )
            )
    return lines
