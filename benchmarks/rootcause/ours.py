"""Our own method on a case: a model of the metrics, and `cs.root_cause` with its defaults."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import causalsys as cs
from benchmarks.rootcause.cases import Case
from benchmarks.rootcause.path import Edge
from benchmarks.rootcause.services_only import BeforeAfter
from causalsys.errors import CausalSysError


@dataclass(frozen=True)
class Named:
    """One cause of a ranking: its set of names, and what is said of it."""

    name: str
    others: tuple[str, ...]
    probability: float
    share: float
    path: frozenset[Edge]

    @property
    def all(self) -> frozenset[str]:
        """Everything that the data cannot tell apart from it, itself included."""
        return frozenset((self.name, *self.others))


@dataclass(frozen=True)
class Answer:
    """What a case is answered with.

    Attributes:
        ranking: Most probable first.
        none: The probability that nothing changed.
        alarm: Whether an incident is seen.
        warned: Whether an assumption says that data contradict the graph.
        seconds: Of model, fit and finding.
        finding_seconds: Of the finding alone.
        refused: Why there is no answer, if so.
    """

    ranking: tuple[Named, ...]
    none: float
    alarm: bool
    warned: bool
    seconds: float
    finding_seconds: float
    refused: str = ""


def ours(case: Case, *, hosts: bool = False, seed: int = 0) -> Answer:
    """The answer to a case; a refusal is an answer that names nobody.

    Args:
        case: What to answer.
        hosts: Whether the model is told which service runs on which host.
        seed: Of fit and finding.
    """
    # Imported here, so that the systems can be used without it.
    from models.microservices import Microservices

    begun = asked = time.perf_counter()
    try:
        system = Microservices.of(
            case.calls, case.normal, entry=case.target[0], hosts=case.hosts if hosts else None
        )
        fitted = system.fit(case.normal)
        normal, incident = system.table(case.normal), system.table(case.incident)
        asked = time.perf_counter()
        finding = cs.root_cause(
            fitted, incident, target=system.variable(*case.target), normal=normal, seed=seed
        )
    except CausalSysError as error:
        return _refused(error, begun)
    return _answer(finding, begun, asked)


def ours_before_after(made: BeforeAfter, *, seed: int = 0) -> Answer:
    """The answer where there is neither a graph nor a target."""
    from models.microservices import Microservices

    begun = asked = time.perf_counter()
    try:
        system = Microservices.of(None, made.before)
        fitted = system.fit(made.before)
        normal, incident = system.table(made.before), system.table(made.after)
        asked = time.perf_counter()
        finding = cs.root_cause(fitted, incident, target=None, normal=normal, seed=seed)
    except CausalSysError as error:
        return _refused(error, begun)
    return _answer(finding, begun, asked)


def _answer(finding: Any, begun: float, asked: float) -> Answer:
    now = time.perf_counter()
    told = " ".join(str(each) for each in finding.assumptions).lower()
    return Answer(
        tuple(_named(cause) for cause in finding.ranking),
        float(finding.none_probability),
        bool(finding.alarm),
        "contradict" in told,
        now - begun,
        now - asked,
    )


def _named(cause: Any) -> Named:
    pairs = ((_service(a), _service(b)) for a, b in cause.path)
    path = frozenset((a, b) for a, b in pairs if a != b)
    return Named(
        cause.name, tuple(cause.others), float(cause.probability), float(cause.share), path
    )


def _service(variable: str) -> str:
    """The service of a variable "service/kind"."""
    return variable.rsplit("/", 1)[0]


def _refused(error: Exception, begun: float) -> Answer:
    why = " ".join(str(error).split())
    return Answer((), 1.0, False, False, time.perf_counter() - begun, 0.0, why)
