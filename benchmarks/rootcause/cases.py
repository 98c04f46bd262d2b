"""A case: a normal period, an incident after it, and what caused it."""

from __future__ import annotations

from dataclasses import dataclass, field

import networkx as nx
import numpy as np
import pandas as pd

from benchmarks.rootcause.faults import FAULTS, TWO, bystanders, named, profile
from benchmarks.rootcause.path import Edge, carried
from benchmarks.rootcause.physics import Flow, Push
from benchmarks.rootcause.systems import System, random_system
from benchmarks.rootcause.topology import Floats
from benchmarks.rootcause.weather import DAY, Weather

VISIBLE = 3.0
"""Spreads of the target: a change of fewer is none that anybody would call."""
_TRIED = 60
_ERRORS_SHOWN = 1e-3
"""Share of requests: what a monitor of availability shows."""


@dataclass(frozen=True)
class Truth:
    """What caused an incident.

    Attributes:
        kind: Of the fault; one of `faults.KINDS`.
        causes: Components at fault: services, "load", or "host:NAME". Empty where nothing is.
        metrics: Of each cause, what is at fault.
        alike: Further components that may be named instead: the other ends of the calls where a
            fault sits between two services.
        shares: Of each call, from callee to caller, the share of the target's change that came
            along it; calls between a cause and the target only.
        clean: How many rows the window has before the fault.
        moved: The target's mean change over the faulty rows, in spreads of its normal period.
        present: How strong the fault is in each row; 0 without.
    """

    kind: str
    causes: tuple[str, ...]
    metrics: tuple[str, ...]
    alike: frozenset[str]
    shares: dict[Edge, float] = field(repr=False)
    clean: int
    moved: float
    present: Floats = field(repr=False)

    @property
    def visible(self) -> bool:
        """Whether the target moved for everybody to see."""
        return self.moved >= VISIBLE

    @property
    def edges(self) -> frozenset[Edge]:
        """The calls that carried at least a twentieth, from callee to caller."""
        return frozenset(edge for edge, share in self.shares.items() if share >= 0.05)


@dataclass(frozen=True)
class Case:
    """An incident with its answer.

    Attributes:
        system: As it was in the normal period.
        calls: The call graph, as it is told to the methods.
        hosts: The host of each service, as it is told.
        normal: Metrics before, one row per five minutes; columns (service, metric).
        incident: Metrics of the window.
        target: The entry, and "latency" or "errors".
        truth: The answer.
        seed: Of the case.
    """

    system: System = field(repr=False)
    calls: nx.DiGraph = field(repr=False)
    hosts: dict[str, str] = field(repr=False)
    normal: pd.DataFrame = field(repr=False)
    incident: pd.DataFrame = field(repr=False)
    target: tuple[str, str]
    truth: Truth
    seed: int


def random_case(
    services: int,
    kind: str,
    *,
    seed: int,
    noise: str = "medium",
    rows: int = 10,
    normal: int = 600,
    clean: bool = True,
    drift: float = 0.0,
) -> Case:
    """A random system and an incident in it.

    Args:
        services: How many, from 20.
        kind: One of `faults.KINDS`.
        seed: Of everything. Below 1000 for developing, from 1000 for what is reported.
        noise: "low", "medium" or "high".
        rows: Of the incident.
        normal: Rows of the normal period.
        clean: Whether the window starts before the fault, by 2 to 4 rows.
        drift: Standard deviation of the logarithm by which levels of three services in ten moved
            between the normal period and the incident. 0: the incident follows at once.

    >>> case = random_case(20, "cpu hog", seed=1, normal=100)
    >>> case.truth.visible, case.target, case.incident.shape
    (True, ('frontend', 'latency'), (10, 100))
    """
    system = random_system(services, seed=seed, noise=noise)
    rng = np.random.default_rng([seed, services, 11])
    before = system.normal(normal, seed=seed, start=0)
    later = system.drifted(0.3, drift, seed=seed) if drift else system
    start = normal + (int(rng.integers(1, 20)) * DAY if drift else 0)
    weather = later.weather(rows, seed=seed + 500_009, start=start)
    lead = int(rng.integers(2, min(5, rows))) if clean else 0
    made = _Maker(later, weather, before, lead, rng).make(kind)
    happened = later.flow(weather, made.push)
    return Case(
        system,
        system.calls,
        system.hosts,
        before,
        later.scraped(happened, weather, start=start),
        (system.entry, made.target),
        made.truth,
        seed,
    )


@dataclass(frozen=True)
class _Made:
    push: Push
    target: str
    truth: Truth


@dataclass(frozen=True)
class _One:
    """One fault at one place, strong enough."""

    kind: str
    at: int
    size: float
    moved: float
    shape: Floats


@dataclass(frozen=True)
class _Maker:
    system: System
    weather: Weather
    before: pd.DataFrame
    clean: int
    rng: np.random.Generator

    @property
    def rows(self) -> int:
        return self.weather.mix.shape[1]

    def make(self, kind: str) -> _Made:
        if kind == "none":
            push = bystanders(self.system, self.rows, spare=set(), rng=self.rng)
            target = str(self.rng.choice(["latency", "errors"]))
            none = np.zeros(self.rows)
            truth = Truth(kind, (), (), frozenset(), {}, self.rows, 0.0, none)
            return _Made(push, target, truth)
        faults = self._two() if kind == "two faults" else [self._placed(kind, set())]
        spare = {fault.at for fault in faults}
        around = bystanders(self.system, self.rows, spare=spare, rng=self.rng)
        push = around
        for fault in faults:
            push = push.with_(self._push(fault, fault.size))
        target = FAULTS[faults[0].kind].target
        names = tuple(named(fault.kind, self.system, fault.at) for fault in faults)
        quiet = self.system.flow(self.weather, around, lucky=False)
        faulty = self.system.flow(self.weather, push, lucky=False)
        shares = carried(self.system, quiet, faulty, metric=target, causes=names)
        present = np.max([fault.shape for fault in faults], axis=0)
        truth = Truth(
            kind,
            names,
            tuple(FAULTS[fault.kind].metric for fault in faults),
            self._alike(faults[0]),
            shares,
            self.clean,
            self._change(target, faulty, quiet, present),
            present,
        )
        return _Made(push, target, truth)

    def _two(self) -> list[_One]:
        """Two kinds at two places; each makes the target move by itself."""
        first = self._placed(str(self.rng.choice(TWO)), set())
        # Within a factor of two, so that both matter.
        wanted = first.moved * float(self.rng.uniform(0.6, 1.5))
        second = self._placed(str(self.rng.choice(TWO)), {first.at}, wanted=wanted)
        return [first, second]

    def _placed(self, kind: str, taken: set[int], wanted: float | None = None) -> _One:
        """The fault at the first random place from where it can be seen, or at the best tried."""
        fault = FAULTS[kind]
        severity = wanted or float(np.exp(self.rng.uniform(np.log(4), np.log(25))))
        shape = profile(kind, self.rows, self.clean, self.rng)
        quiet = self.system.flow(self.weather, lucky=False)
        places = [int(at) for at in self.rng.permutation(fault.where(self.system))]
        best: _One | None = None
        for at in [each for each in places if each not in taken][:_TRIED]:
            whole = _One(kind, at, fault.most, 0.0, shape)
            moved = self._moved(whole, quiet)
            if best is None or moved > best.moved:
                best = _One(kind, at, fault.most, moved, shape)
            if moved >= min(severity, 1.5 * VISIBLE):
                return self._sized(whole, quiet, severity)
        if best is None:
            raise ValueError(f"no place for a fault of kind {kind!r} in this system")
        return best

    def _sized(self, fault: _One, quiet: Flow, severity: float) -> _One:
        """Its size by bisection, with the same weather throughout."""
        low, high = fault.size * 1e-4, fault.size
        for _ in range(9):
            middle = (low * high) ** 0.5
            tried = _One(fault.kind, fault.at, middle, 0.0, fault.shape)
            low, high = (middle, high) if self._moved(tried, quiet) < severity else (low, middle)
        sized = _One(fault.kind, fault.at, high, 0.0, fault.shape)
        return _One(fault.kind, fault.at, high, self._moved(sized, quiet), fault.shape)

    def _push(self, fault: _One, size: float) -> Push:
        most = FAULTS[fault.kind].most
        by = np.minimum(size * fault.shape, most)
        return FAULTS[fault.kind].push(self.system, fault.at, by)

    def _moved(self, fault: _One, quiet: Flow) -> float:
        """The target's change in spreads, in expectation."""
        flow = self.system.flow(self.weather, self._push(fault, fault.size), lucky=False)
        return self._change(FAULTS[fault.kind].target, flow, quiet, fault.shape)

    def _change(self, metric: str, faulty: Flow, quiet: Flow, shape: Floats) -> float:
        after, before = (
            (flow.latency if metric == "latency" else flow.failed)[0][shape > 0]
            for flow in (faulty, quiet)
        )
        change = float((after - before).mean())
        return change / spread(self.before, self.system.entry, metric)

    def _alike(self, fault: _One) -> frozenset[str]:
        if not FAULTS[fault.kind].between:
            return frozenset()
        graph, names = self.system.graph, self.system.services
        if fault.kind == "network":
            ends = graph.caller[graph.callee == fault.at]
        else:
            ends = graph.callee[(graph.caller == fault.at) & self.system.levels.cached]
        return frozenset(names[end] for end in ends)


def spread(normal: pd.DataFrame, service: str, metric: str) -> float:
    """A robust standard deviation of a metric in a normal period."""
    values = normal[service, metric].to_numpy()
    values = values[np.isfinite(values)]
    found = 1.4826 * float(np.median(np.abs(values - np.median(values))))
    if metric == "errors":
        requests = float(normal[service, "requests"].median())
        return max(found, _ERRORS_SHOWN * requests)
    return max(found, 1e-6)
