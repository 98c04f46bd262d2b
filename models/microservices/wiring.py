"""From calls and metrics to the causal graph: its variables, edges and mechanisms."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import causalsys as cs
from models.microservices.calls import Calls
from models.microservices.priors import SPREAD, down, rate, shares
from models.microservices.queueing import unit_of, waiting, waiting_percent
from models.microservices.vocabulary import ERRORS, KINDS, LATENCY, REQUESTS
from models.microservices.weigh import Column

if TYPE_CHECKING:
    import pandas as pd

Prior = tuple[float, float]
_PER_REQUEST: Prior = (1.0, 1.0)
"""Of a callee's latency per request in its caller's: once per request, or a few times, or never."""
LOAD = "load"


@dataclass
class Wiring:
    """The graph as it grows.

    Attributes:
        columns: The observed variables.
        table: Their normal rows.
        calls: The call graph.
        twins: From views to services.
        priors: For each variable the priors of its parents' slopes; None where there is none.
        latents: For each latent its component and its children.
    """

    columns: Mapping[str, Column]
    table: pd.DataFrame
    calls: Calls
    twins: Mapping[str, str]
    priors: dict[str, dict[str, Prior | None]] = field(default_factory=lambda: defaultdict(dict))
    latents: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._values = {name: self.table[name].to_numpy() for name in self.columns}
        self.constant = frozenset(name for name, v in self._values.items() if _constant(v))
        self._views: dict[str, list[str]] = defaultdict(list)
        for view, service in self.twins.items():
            self._views[service].append(view)
        for service in self.calls.services:
            self._requests_down(service)
            for kind in (LATENCY, ERRORS):
                self._totals_up(service, kind)
        for column in self.columns.values():
            self._inside(column)
        self.queues: dict[str, tuple[str, str, float]] = {}
        for service in self.calls.services:
            self._queue(service)

    def above(self, service: str, kind: str) -> tuple[str, ...]:
        """The nearest services above that have the kind: callers, or theirs in turn."""
        return self._nearest(service, kind, self.calls.callers)

    def add_latent(self, name: str, component: str, children: Iterable[str], *, least: int) -> bool:
        """Add a latent above the children that move at all, if there are at least so many."""
        moving = tuple(dict.fromkeys(c for c in children if c not in self.constant))
        if len(moving) < least:
            return False
        self.latents[name] = component, moving
        return True

    def named(self, service: str, kind: str) -> str | None:
        """The variable, if there is one."""
        name = f"{service}/{kind}"
        return name if name in self.columns else None

    def build(self, name: str, doc: str) -> type[cs.SCM]:
        """The model."""
        edges = [(p, child) for child, parents in self.priors.items() for p in parents]
        edges += [(p, child) for p, (_, several) in self.latents.items() for child in several]
        edges += [(p, child) for child, (*parents, _) in self.queues.items() for p in parents]
        variables: dict[str, Any] = {
            name: cs.Observed(
                cs.Real(_unit(column)),
                mechanism=cs.Linear(prior=self._given(name)),
                component=self._component(column),
            )
            for name, column in self.columns.items()
        }
        for latent, (component, _) in self.latents.items():
            variables[latent] = cs.Latent(cs.Real(), component=component)
        for queue, (load, use, unit) in self.queues.items():
            written = cs.equation(
                cs.Real("waiting"),
                parents=[load, use],
                component=self._component(self.columns[use]),
            )
            variables[queue] = written(waiting if unit == 1 else waiting_percent)
        return cs.SCM.from_graph(_graph(variables, edges), name=name, variables=variables, doc=doc)

    def _given(self, name: str) -> dict[str, Prior]:
        return {p: prior for p, prior in self.priors.get(name, {}).items() if prior is not None}

    def _component(self, column: Column) -> str:
        if column.kind == REQUESTS and column.service in self.calls.entries:
            return LOAD
        return self.calls.component(column.service)

    def _requests_down(self, callee: str) -> None:
        below = self.named(callee, REQUESTS)
        callers = self.above(callee, REQUESTS)
        if below is None or not callers:
            return
        names = [f"{caller}/{REQUESTS}" for caller in callers]
        value = self._values[below]
        parts = shares(value, [self._values[name] for name in names])
        for name, share in zip(names, parts, strict=True):
            self.priors[below][name] = down(share, caller=self._values[name], callee=value)

    def _totals_up(self, callee: str, kind: str) -> None:
        below = self.named(callee, kind)
        if below is None:
            return
        callers = self.above(callee, kind)
        counts = [self._count(service) for service in (callee, *callers)]
        parts = shares(counts[0], counts[1:])
        for caller, share in zip(callers, parts, strict=True):
            above = f"{caller}/{kind}"
            self.priors[above][below] = self._slope(below, above, share)
        for view in self._views.get(callee, ()):
            above = f"{view}/{kind}"
            if above in self.columns:
                self.priors[above][below] = self._slope(below, above, self._part(view, callee))

    def _inside(self, column: Column) -> None:
        """Within a service: load makes seconds, errors and use; use makes seconds, too."""
        load = self.named(column.service, REQUESTS)
        if column.kind in (LATENCY, ERRORS) and load is not None:
            self.priors[column.name][load] = self._own_rate(column, self._values[load])
        if column.kind in KINDS or column.kind.startswith(f"{LATENCY}_"):
            return
        if load is not None:
            self.priors[column.name][load] = None
        own = self.named(column.service, LATENCY)
        slow = [own] if own else [f"{s}/{LATENCY}" for s in self.above(column.service, LATENCY)]
        for latency in slow:
            self.priors[latency][column.name] = None

    def _queue(self, service: str) -> None:
        """The seconds waited, where load and use tell them."""
        load, use = self.named(service, REQUESTS), self.named(service, "cpu")
        latency = self.named(service, LATENCY)
        if load is None or use is None or latency is None or use in self.constant:
            return
        unit = unit_of(self._values[use])
        if unit is not None and self.columns[latency].weighted:
            name = f"{service}/waiting"
            self.queues[name] = load, use, unit
            self.priors[latency][name] = None

    def _own_rate(self, column: Column, requests: NDArray[np.float64]) -> Prior | None:
        if not column.weighted:
            return None
        passed = {
            n: (prior[0], self._values[parent])
            for n, (parent, prior) in enumerate(self.priors[column.name].items())
            if prior is not None and self.columns[parent].kind == column.kind
        }
        return rate(self._values[column.name], requests, passed_on=passed)

    def _slope(self, below: str, above: str, share: float) -> Prior | None:
        weighted = {self.columns[name].weighted for name in (below, above)}
        if len(weighted) > 1:
            return None
        return (share, SPREAD) if weighted == {True} else _PER_REQUEST

    def _part(self, view: str, service: str) -> float:
        """The part of a service's requests that a view of it shows."""
        seen, whole = self._count(view), self._count(service)
        if seen is None or whole is None or not np.nansum(whole) > 0:
            return SPREAD
        return float(min(np.nansum(seen) / np.nansum(whole), 1.0))

    def _count(self, service: str) -> NDArray[np.float64] | None:
        return self._values.get(f"{service}/{REQUESTS}")

    def _nearest(
        self, service: str, kind: str, step: Mapping[str, Sequence[str]]
    ) -> tuple[str, ...]:
        found, seen, open_ = [], {service}, list(step.get(service, ()))
        while open_:
            each = open_.pop(0)
            if each in seen:
                continue
            seen.add(each)
            if f"{each}/{kind}" in self.columns:
                found.append(each)
            else:
                open_ += step[each]
        return tuple(found)


def _unit(column: Column) -> str:
    """Variables of one kind are in one unit: where some never moved, the others tell its steps."""
    totals = {LATENCY: "s", ERRORS: "errors"}
    if column.kind in totals and not column.weighted:
        return f"{column.kind} per request"
    return totals.get(column.kind, column.kind)


def add_hidden(wiring: Wiring) -> dict[str, tuple[str, ...]]:
    """A latent for each kind of a service that has no metric at all; returns what they feed."""
    seen = {column.service for column in wiring.columns.values()}
    hidden: dict[str, tuple[str, ...]] = {}
    for service in wiring.calls.services:
        if service in seen:
            continue
        fed: list[str] = []
        for kind in (LATENCY, ERRORS):
            children = [f"{above}/{kind}" for above in wiring.above(service, kind)]
            component = wiring.calls.component(service)
            wiring.add_latent(f"{service}/{kind}", component, children, least=1)
            fed += children
        hidden[service] = tuple(fed)
    return hidden


def add_hosts(wiring: Wiring, hosts: Mapping[str, str]) -> tuple[str, ...]:
    """A latent per host that slows its services; returns the hosts that data cannot show."""
    placed: dict[str, list[str]] = defaultdict(list)
    for service, host in hosts.items():
        placed[str(host)] += _fed(wiring, service, (LATENCY, "cpu"))
    return tuple(
        host
        for host, children in placed.items()
        if not wiring.add_latent(f"host:{host}", f"host:{host}", children, least=2)
    )


def add_latents(wiring: Wiring) -> None:
    """One latent per service, behind its latency, errors and use of the processor (Sage)."""
    for service in dict.fromkeys(column.service for column in wiring.columns.values()):
        children = _fed(wiring, service, (LATENCY, ERRORS, "cpu"))
        wiring.add_latent(f"{service}/latent", wiring.calls.component(service), children, least=2)


def _fed(wiring: Wiring, service: str, kinds: Iterable[str]) -> list[str]:
    named: Callable[[str], str | None] = lambda kind: wiring.named(service, kind)  # noqa: E731
    return [name for name in map(named, kinds) if name is not None]


def _graph(nodes: Iterable[str], edges: Iterable[tuple[str, str]]) -> object:
    import networkx as nx

    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(nodes)
    graph.add_edges_from(edges)
    return graph


def _constant(values: NDArray[np.float64]) -> bool:
    some = values[~np.isnan(values)]
    return not len(some) or bool((some == some[0]).all())
