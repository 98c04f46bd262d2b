"""Our own answer: the microservice model, and `cs.root_cause` with its defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

import causalsys as cs
from case_studies.petshop.case import Case
from case_studies.petshop.read import columns
from causalsys.errors import CausalSysError

KINDS = {"latency": "latency", "availability": "errors", "requests": "requests"}
"""The model's kind of variable for a metric of the data."""


@dataclass(frozen=True)
class Blamed:
    """One node of a ranking. `share` is the part of the target's excess that it explains."""

    cause: str
    probability: float
    share: float


@dataclass(frozen=True)
class Answer:
    """What one case is answered with. `refused` says why there is none, if so."""

    alarm: bool
    none_probability: float
    ranking: tuple[Blamed, ...]
    refused: str | None = None

    @property
    def named(self) -> tuple[str, ...]:
        """The ranking's nodes, if there is an alarm: a silent method names nobody."""
        return tuple(blamed.cause for blamed in self.ranking) if self.alarm else ()


class Ours:
    """Fits one model for each block of normal rows and statistic, and keeps it."""

    def __init__(self, *, seed: int = 0) -> None:
        self._seed = seed
        self._fitted: dict[tuple[str, str], tuple[Any, Any, pd.DataFrame]] = {}

    def judge(self, case: Case) -> Answer:
        """The finding, with the data's own names; a case that is refused counts as silent."""
        try:
            system, fitted, normal = self._system(case)
            finding = cs.root_cause(
                fitted,
                system.table(_seen(case.window, case)),
                target=system.variable(case.target.node, KINDS[case.target.metric]),
                normal=normal,
                seed=self._seed,
            )
        except CausalSysError as error:
            return Answer(False, 1.0, (), " ".join(str(error).split()))
        return Answer(bool(finding.alarm), float(finding.none_probability), _ranking(finding))

    def _system(self, case: Case) -> tuple[Any, Any, pd.DataFrame]:
        key = (case.fold, case.target.statistic)
        if key not in self._fitted:
            # Imported here, so that the rivals run without it.
            from models.microservices import Microservices

            normal = _seen(case.normal, case)
            system = Microservices.of(case.calls, normal)
            self._fitted[key] = system, system.fit(normal), system.table(normal)
        return self._fitted[key]


def _seen(raw: pd.DataFrame, case: Case) -> pd.DataFrame:
    """Raw metrics (service, metric): latency in the target's statistic, or else as a mean."""
    wanted = case.target.statistic if case.target.metric == "latency" else "Average"
    kept = {
        (service, metric, statistic): (service, metric)
        for service, metric, statistic in columns(raw)
        if metric != "latency" or statistic == wanted
    }
    table = raw[list(kept)]
    return table.set_axis(pd.MultiIndex.from_tuples(kept.values()), axis=1)


def _ranking(finding: Any) -> tuple[Blamed, ...]:
    """Causes in order; those that cannot be told apart follow the one that names them."""
    found: dict[str, Blamed] = {}
    for cause in finding.ranking:
        for name in (cause.name, *cause.others):
            found.setdefault(name, Blamed(name, float(cause.probability), float(cause.share)))
    return tuple(found.values())
