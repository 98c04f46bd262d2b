"""Our own answer: the microservice model, and `cs.root_cause` with its defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

import causalsys as cs
from case_studies.petshop.case import Case
from causalsys.errors import CausalSysError
from models.microservices import Microservices

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
        self._fitted: dict[tuple[str, str], tuple[Microservices, cs.FittedSCM, pd.DataFrame]] = {}

    def judge(self, case: Case) -> Answer:
        """The finding, with the data's own names; a case that is refused counts as silent."""
        try:
            system, fitted, normal = self._system(case)
            finding = cs.root_cause(
                fitted,
                system.table(case.window, absent="missing"),
                target=system.variable(
                    case.target.node, KINDS.get(case.target.metric, case.target.metric)
                ),
                normal=normal,
                seed=self._seed,
            )
        except CausalSysError as error:
            return Answer(False, 1.0, (), " ".join(str(error).split()))
        return Answer(bool(finding.alarm), float(finding.none_probability), _ranking(finding))

    def _system(self, case: Case) -> tuple[Microservices, cs.FittedSCM, pd.DataFrame]:
        statistic = case.target.statistic if case.target.metric == "latency" else "mean"
        key = (case.fold, statistic)
        if key not in self._fitted:
            system = Microservices.of(case.calls, case.normal, statistic=statistic)
            table = system.table(case.normal)
            self._fitted[key] = system, system.model.fit(table, seed=self._seed), table
        return self._fitted[key]


def _ranking(finding: Any) -> tuple[Blamed, ...]:
    """Causes in order; those that cannot be told apart follow the one that names them."""
    found: dict[str, Blamed] = {}
    for cause in finding.ranking:
        for name in (cause.name, *cause.others):
            found.setdefault(name, Blamed(name, float(cause.probability), float(cause.share)))
    return tuple(found.values())
