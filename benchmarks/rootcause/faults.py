"""Faults with a known cause, as strong as makes the target move so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.rootcause.physics import Push
from benchmarks.rootcause.systems import System
from benchmarks.rootcause.topology import Floats, Ints

_Made = Callable[[System, int, Floats], Push]
_INSIST = 3.0


@dataclass(frozen=True)
class Fault:
    """A kind of fault.

    Attributes:
        metric: What is at fault: of the five that are scraped, or "hits", "network", "steal".
        target: Which metric of the entry it is seen in.
        most: The largest magnitude there is.
        push: The push, of a system, a service (or host), and the magnitude row by row.
        where: Which services (or hosts) can have it.
        between: Whether it sits on calls between two services: metrics alone do not tell which of
            both ends to blame.
    """

    metric: str
    target: str
    most: float
    push: _Made
    where: Callable[[System], Ints]
    between: bool = False


def _all(system: System) -> Ints:
    return np.arange(len(system.services))


def _called(system: System) -> Ints:
    return np.arange(1, len(system.services))


def _cached(system: System) -> Ints:
    return np.flatnonzero(system.levels.hit > 0)


def _backends(system: System) -> Ints:
    callers = np.bincount(system.graph.callee, minlength=len(system.services))
    shared = np.flatnonzero(system.graph.leaf & (callers >= 2))
    return shared if len(shared) else np.flatnonzero(system.graph.leaf)


def _hosts(system: System) -> Ints:
    """Hosts of at least three services: with fewer, one service is as good an explanation."""
    guests = np.bincount(system.levels.host)
    return np.flatnonzero(guests >= min(3, guests.max()))


def _slow(system: System, at: int, by: Floats) -> Push:
    return Push(slow={at: by * system.levels.own[at]})


FAULTS: dict[str, Fault] = {
    "cpu hog": Fault("cpu", "latency", 0.93, lambda _, at, by: Push(hog={at: by}), _all),
    "latency": Fault("latency", "latency", 400.0, _slow, _all),
    "errors": Fault("errors", "errors", 0.9, lambda _, at, by: Push(failing={at: by}), _all),
    "cache misses": Fault(
        "hits", "latency", 1.0, lambda _, at, by: Push(misses={at: by}), _cached, between=True
    ),
    "memory leak": Fault(
        "memory",
        "latency",
        3.0,
        lambda system, at, by: Push(leak={at: by * system.levels.memory[at]}),
        _all,
    ),
    "network": Fault(
        "network", "latency", 2.0, lambda _, at, by: Push(network={at: by}), _called, between=True
    ),
    "slow database": Fault("latency", "latency", 400.0, _slow, _backends),
    "retry storm": Fault(
        "errors",
        "latency",
        0.9,
        lambda _, at, by: Push(failing={at: by}, insist={at: _INSIST}),
        _called,
    ),
    "load surge": Fault(
        "requests", "latency", 3.0, lambda _, at, by: Push(load=1 + by), lambda _: np.array([0])
    ),
    "noisy host": Fault("steal", "latency", 0.8, lambda _, at, by: Push(steal={at: by}), _hosts),
}
"""Those of one cause. "two faults" and "none" are made of them."""

TWO = ("cpu hog", "latency", "memory leak", "slow database")
"""What two faults at once are drawn from."""

KINDS = (*FAULTS, "two faults", "none")
"""All kinds of cases."""


def named(kind: str, system: System, at: int) -> str:
    """The component that a fault at this place is a fault of."""
    if kind == "load surge":
        return "load"
    if kind == "noisy host":
        return f"host:node-{at:03d}"
    return system.services[at]


def profile(kind: str, rows: int, clean: int, rng: np.random.Generator) -> Floats:
    """How strong a fault is in each row, near 1 once it is there.

    A leak grows; others start within a row or two, waver, and three in ten are over before the
    window is.

    Args:
        kind: Of the fault.
        rows: Of the window.
        clean: Rows before it starts.
        rng: Of the rest.
    """
    faulty = rows - clean
    if kind == "memory leak":
        after = np.linspace(0.4 if clean == 0 else 0.25, 1.2, faulty)
    else:
        after = rng.uniform(0.7, 1.3, faulty)
        if clean:
            after[0] *= rng.uniform(0.3, 1.0)
            if faulty > 3 and rng.random() < 0.3:
                after[-int(rng.integers(1, 3)) :] = 0.0
    return np.concatenate([np.zeros(clean), after])


def bystanders(system: System, rows: int, *, spare: set[int], rng: np.random.Generator) -> Push:
    """Batch jobs that start somewhere for the first time, and slow nobody down.

    Args:
        system: Where.
        rows: Of the window.
        spare: Services that have none.
        rng: Of how many, where, and when.
    """
    count = 1 + len(system.services) // 100
    batch = {}
    for at in rng.choice(len(system.services), count, replace=False):
        if int(at) in spare:
            continue
        first, length = int(rng.integers(0, rows)), int(rng.integers(1, rows))
        level = np.zeros(rows)
        level[first : first + length] = rng.uniform(0.1, 0.4)
        batch[int(at)] = level
    return Push(batch=batch)
