"""`Microservices`: from a call graph and a table of metrics to a model of the system."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np

import causalsys as cs
from causalsys.errors import DataError, UnknownNameError
from models.microservices.calls import Calls, read_calls
from models.microservices.gaps import filled
from models.microservices.kept import Raw, Spelling, read_raw
from models.microservices.names import read_metric
from models.microservices.twins import Seen, find_twins
from models.microservices.vocabulary import ERRORS, LATENCY, REQUESTS
from models.microservices.weigh import Column, chosen, listed, seen, tabled
from models.microservices.wiring import Wiring, add_hidden, add_hosts, add_latents

if TYPE_CHECKING:
    import pandas as pd

_NO_CALLS = Calls((), {}, {}, (), {})


@dataclass(frozen=True)
class Microservices:
    """A system of microservices as a structural causal model.

    Attributes:
        model: The model; its variables are named `service/kind`, its components are services.
        notes: What was assumed, left out or put together, in sentences.
        twins: From a client's view of a service to the service.
        cycles: For each component of services that call each other: its services.
        hidden: For each service without any metric: the variables that it acts on.
    """

    model: type[cs.SCM]
    notes: tuple[str, ...]
    twins: Mapping[str, str]
    cycles: Mapping[str, tuple[str, ...]]
    hidden: Mapping[str, tuple[str, ...]]
    _columns: tuple[Column, ...] = field(repr=False)
    _services: frozenset[str] = field(repr=False)

    @classmethod
    def of(
        cls,
        calls: Any,
        normal: pd.DataFrame,
        *,
        entry: str | Iterable[str] | None = None,
        hosts: Mapping[str, str] | None = None,
        metrics: Iterable[str] | None = None,
        latents: bool = False,
        statistic: str | Mapping[str, str] = "mean",
        twins: bool = True,
        name: str = "Microservices",
    ) -> Self:
        """Build the model of a system.

        Args:
            calls: Who calls whom: a networkx graph, edges (caller, callee), {caller: [callees]},
                an adjacency frame, or None where that is not known.
            normal: Raw metrics of normal operation, one row per step.
            entry: Where load comes in; by default the services that nobody calls.
            hosts: The host of each service: one latent each, which slows all services on it.
            metrics: The kinds that are modelled, such as ("latency", "cpu"); all by default.
                Requests always are: they weigh the rest.
            latents: One latent per service behind its latency, errors and cpu.
            statistic: Which latency is modelled where a service has several, such as "p99", for
                all or by service. By default the mean, or else the median-most percentile.
            twins: Whether to look for clients' views of services.
            name: The model's name.

        Raises:
            DataError: The frame or the call graph cannot be read, or nothing was seen.
            UnknownNameError: `entry`, or a service of `hosts` or `statistic`, is not known.
        """
        graph = _NO_CALLS if calls is None else read_calls(calls, entry=entry)
        raw = read_raw(normal, known=graph.services)
        spelled = Spelling({*graph.services, *raw.services})
        wanted = _statistics(statistic, spelled)
        kinds = None if metrics is None else {read_metric(kind).kind for kind in metrics}
        columns, notes = chosen(raw, metrics=kinds, statistic=wanted, others=calls is None)
        if not columns:
            raise DataError(
                "normal", found="no metric with values", mend="Give rows in which some were seen."
            )
        table, more = tabled(raw, columns)
        found = find_twins(graph, _per_request(raw, columns)) if twins else {}
        wiring = Wiring({c.name: c for c in columns}, table, graph, found)
        hidden = add_hidden(wiring)
        unseen = add_hosts(wiring, {_known(spelled, s): h for s, h in (hosts or {}).items()})
        if latents:
            add_latents(wiring)
        told = (
            *notes,
            *more,
            *_notes(wiring, hidden, without=calls is None),
            *(f"Nothing in the metrics shows the host {host}." for host in unseen),
        )
        model = wiring.build(name, "Services, their metrics, and what flows between them.")
        return cls(model, told, found, graph.cycles, hidden, columns, spelled.known)

    def table(self, raw: pd.DataFrame, *, absent: str = "error") -> pd.DataFrame:
        """The model's columns of a frame of raw metrics; the index is the frame's own.

        Seconds and failed requests are totals of the step, zero where there was no request.
        Metrics that the model does not have are ignored; `table.attrs["notes"]` says which.

        Args:
            raw: Raw metrics, named as in the normal frame or in any other way.
            absent: With "missing", metrics that the frame lacks count as not seen.

        Raises:
            DataError: The frame cannot be read.
            MissingColumnError: A metric of the model is not in it.
        """
        if absent not in ("error", "missing"):
            raise DataError("absent", found=f"{absent!r}", mend='Write "error" or "missing".')
        table, notes = tabled(read_raw(raw, known=self._services), self._columns, absent=absent)
        table.attrs["notes"] = notes
        return table

    def variable(self, service: str, kind: str) -> str:
        """The name of a variable of the model, from a service and what is measured of it.

        Raises:
            UnknownNameError: The model has no such service, or not this of it.
        """
        nodes = self.model.declaration.nodes
        named = Spelling(self._services)(str(service))
        found = f"{named}/{read_metric(kind).kind}"
        if found not in nodes:
            raise UnknownNameError.among(f"{service}/{kind}", nodes, where="the microservices")
        return found

    def fit(self, normal: pd.DataFrame, *, seed: int = 0, ensemble: int = 8) -> cs.FittedSCM:
        """Fit the model to raw metrics of normal operation; see `cs.SCM.fit`.

        Rows in which nothing was seen are left out, and a column's few gaps are filled from the
        rows beside them; `system.model.fit(system.table(normal))` infers them as latents.
        """
        rows = filled(self.table(normal), self._columns)
        return self.model.fit(rows, seed=seed, ensemble=ensemble)


def _statistics(statistic: str | Mapping[str, str], spelled: Spelling) -> Callable[[str], str]:
    if isinstance(statistic, str):
        same = read_metric("latency", statistic=statistic).statistic
        return lambda service: same
    by = {
        _known(spelled, service): read_metric("latency", statistic=each).statistic
        for service, each in statistic.items()
    }
    return lambda service: by.get(service, "mean")


def _known(spelled: Spelling, service: str) -> str:
    found = spelled(service)
    if found not in spelled.known:
        raise UnknownNameError.among(service, spelled.known, where="the services")
    return found


def _per_request(raw: Raw, columns: Iterable[Column]) -> dict[str, Seen]:
    """What a view and its service are compared by: requests, and what each of them met."""
    by: dict[tuple[str, str], Column] = {(c.service, c.kind): c for c in columns}
    found = {}
    for (service, kind), column in by.items():
        if kind != REQUESTS:
            continue
        latency, errors = by.get((service, LATENCY)), by.get((service, ERRORS))
        requests = raw.columns[column.key]
        failing = None if errors is None else raw.columns[errors.key]
        if errors is not None and errors.form == "errors" and failing is not None:
            failing = np.divide(
                failing, requests, out=np.full_like(failing, np.nan), where=requests > 0
            )
        speed = None
        if latency is not None and latency.form == "latency":
            speed = raw.columns[latency.key]
        found[service] = Seen(requests, speed, failing)
    return found


def _notes(
    wiring: Wiring, hidden: Mapping[str, tuple[str, ...]], *, without: bool
) -> tuple[str, ...]:
    calls, notes = wiring.calls, []
    services = dict.fromkeys(column.service for column in wiring.columns.values())
    if without:
        notes.append("No call graph is known: nothing is assumed to pass between services.")
    outside = [s for s in services if s not in calls.callers]
    if outside and not without:
        notes.append(f"Not in the call graph, so taken as on their own: {listed(outside)}.")
    if hidden:
        notes.append(f"In the call graph, but without any metric: {listed(hidden)}.")
    for name, members in calls.cycles.items():
        notes.append(f"Services that call each other are one component, {name}: {listed(members)}.")
    for view, service in wiring.twins.items():
        notes.append(f"{view} is taken for a client's view of {service}: an effect of it.")
    if wiring.constant:
        notes.append(f"Constant in normal rows: {listed(sorted(wiring.constant))}.")
    notes += [
        f"The load of {entry} is not measured: its change cannot be named."
        for entry in calls.entries
        if wiring.named(entry, REQUESTS) is None and entry in services
    ]
    gaps = [name for name in wiring.columns if seen(wiring.table[name].to_numpy()) < 0.8]
    if gaps:
        notes.append(f"Missing in more than a fifth of the normal rows: {listed(gaps)}.")
    return tuple(notes)
