"""Many cases, one after the other or on several cores."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

from benchmarks.rootcause.cases import Case, random_case
from benchmarks.rootcause.faults import KINDS
from benchmarks.rootcause.ours import ours
from benchmarks.rootcause.scores import Score, scored

REPORTED = 1000
"""The least seed of what is reported: defaults were chosen below it."""
ONE = tuple(kind for kind in KINDS if kind not in ("none", "two faults", "noisy host"))
"""Kinds with a single cause, of which no host needs to be known."""
AT_SERVICES = tuple(kind for kind in ONE if kind != "load surge")
"""Kinds of which a service is the cause."""


@dataclass(frozen=True)
class Asked:
    """What a case is made from: see `random_case`."""

    services: int
    kind: str
    seed: int
    noise: str = "medium"
    clean: bool = True
    drift: float = 0.0
    hosts: bool = False

    def made(self) -> Case:
        """The case."""
        return random_case(
            self.services,
            self.kind,
            seed=self.seed,
            noise=self.noise,
            clean=self.clean,
            drift=self.drift,
        )


Spoil = Callable[[Case, int], Case | None]


def asked(
    services: int,
    kinds: Sequence[str],
    count: int,
    *,
    first: int = REPORTED,
    noise: str = "medium",
    drift: float = 0.0,
    hosts: bool = False,
) -> list[Asked]:
    """So many of each kind, all seeds different; `hosts`: whether models are told of them."""
    return [
        Asked(services, kind, first + at * len(kinds) + turn, noise=noise, drift=drift, hosts=hosts)
        for at in range(count)
        for turn, kind in enumerate(kinds)
    ]


def run_all(cases: Sequence[Asked], *, spoil: Spoil | None = None) -> list[Score]:
    """Answer them all; cases that do not show in the target, and those not to be spoiled, fall out.

    As many at once as the environment's `BENCH_WORKERS` says: 1 without.
    """
    return list(_each(cases, partial(_one, spoil=spoil)))


def _each(cases: Sequence[Asked], act: Callable[[Asked], Score | None]) -> Iterator[Score]:
    workers = int(os.environ.get("BENCH_WORKERS", "1"))
    if workers == 1:
        yield from (score for score in map(act, cases) if score is not None)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from (score for score in pool.map(act, cases) if score is not None)


def _one(each: Asked, *, spoil: Spoil | None) -> Score | None:
    case = each.made()
    if not case.truth.visible and each.kind != "none":
        return None
    spoiled = case if spoil is None else spoil(case, each.seed)
    return None if spoiled is None else scored(spoiled, ours(spoiled, hosts=each.hosts))
