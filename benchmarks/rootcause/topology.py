"""Random call graphs: layers, one entry, fan-out, backends that many share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Topology:
    """Who calls whom, services numbered so that callers come before callees; 0 is the entry.

    Attributes:
        names: One per service. Their numbers say nothing about the place in the graph.
        caller: One per call, sorted by it.
        callee: One per call.
        leaf: Whether a service calls nobody.
    """

    names: tuple[str, ...]
    caller: Ints
    callee: Ints
    leaf: NDArray[np.bool_]


def random_topology(services: int, rng: np.random.Generator) -> Topology:
    """A layered graph: every service is reached from the entry.

    Args:
        services: How many, at least 5.
        rng: Of every choice.
    """
    layer = _layers(services, rng)
    backends = max(1, services // 10)
    leaf = np.zeros(services, dtype=bool)
    leaf[-backends:] = True
    pairs = _spanning(layer, leaf, rng) | _further(layer, leaf, rng)
    pairs |= _shared(leaf, rng)
    caller, callee = np.array(sorted(pairs), dtype=np.int64).T
    calls_none = np.bincount(caller, minlength=services) == 0
    return Topology(_names(services, leaf, rng), caller, callee, leaf | calls_none)


def _layers(services: int, rng: np.random.Generator) -> Ints:
    """The layer of each service, ascending: few at the top, most in the middle."""
    depth = round(2 + 0.6 * np.log2(services))
    weight = np.arange(1.0, depth + 1) ** 1.5 * np.exp(rng.normal(0, 0.2, depth))
    weight[-1] *= 0.6
    drawn = 1 + rng.choice(depth, services - 1 - depth, p=weight / weight.sum())
    return np.sort(np.concatenate([[0], np.arange(1, depth + 1), drawn])).astype(np.int64)


def _spanning(
    layer: Ints, leaf: NDArray[np.bool_], rng: np.random.Generator
) -> set[tuple[int, int]]:
    """Each service has one caller in the layer above that is not a backend."""
    pairs = set()
    for service in range(1, len(layer)):
        above = np.flatnonzero((layer < layer[service]) & ~leaf)
        nearest = above[layer[above] == layer[above].max()]
        pairs.add((int(rng.choice(nearest)), service))
    return pairs


def _further(
    layer: Ints, leaf: NDArray[np.bool_], rng: np.random.Generator
) -> set[tuple[int, int]]:
    """About as many further calls, to any deeper layer, mostly the next."""
    pairs = set()
    for caller in np.flatnonzero(~leaf & (layer < layer.max())):
        deeper = np.flatnonzero(layer > layer[caller])
        weight = 0.35 ** (layer[deeper] - layer[caller] - 1.0)
        count = min(int(rng.poisson(1.2)), len(deeper))
        for callee in rng.choice(deeper, count, replace=False, p=weight / weight.sum()):
            pairs.add((int(caller), int(callee)))
    return pairs


def _shared(leaf: NDArray[np.bool_], rng: np.random.Generator) -> set[tuple[int, int]]:
    """A third of the others use one of the backends; some backends are popular."""
    others, backends = np.flatnonzero(~leaf), np.flatnonzero(leaf)
    users = others[1:][rng.random(len(others) - 1) < 0.35]
    popular = rng.dirichlet(np.full(len(backends), 0.7))
    used = rng.choice(backends, len(users), p=popular)
    return set(zip(users.tolist(), used.tolist(), strict=True))


def _names(services: int, leaf: NDArray[np.bool_], rng: np.random.Generator) -> tuple[str, ...]:
    numbers = rng.permutation(services)
    kinds = np.where(leaf, "db", "svc")
    named = [f"{kind}-{number:04d}" for kind, number in zip(kinds, numbers, strict=True)]
    return ("frontend", *named[1:])
