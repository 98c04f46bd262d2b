"""A district level by level of the observed causes that all of it shares.

Where everything in a district answers to an observed cause, what its latents do at one level of
the cause says nothing of what they do at another, so each level has its own, far smaller program.
Variables without causes may be there too: all levels see the same law of them, and what else the
latents do can be chosen for each level, given them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from causalsys.identify.mixed import Names
from causalsys.identify.observed import Observed
from causalsys.identify.responses import Wants


@dataclass(frozen=True)
class Slice:
    """A district at fixed levels of some outside causes.

    Attributes:
        fixed: These causes and their levels.
        parents: Each variable of the district, in causal order, with its other causes.
        asked: What it must answer to those, with weights.
    """

    fixed: Mapping[str, int]
    parents: Mapping[str, tuple[str, ...]]
    asked: tuple[tuple[Wants, float], ...]


def slices_of(seen: Observed, district: Names, asked: Sequence[tuple[Wants, float]]) -> list[Slice]:
    """Split what is asked of a district; one slice where some way compares two levels."""
    graph = seen.graph
    every = {n: tuple(sorted(graph.parents[n])) for n in graph.nodes if n in district}
    shared = frozenset(seen.outside(district)).intersection(
        *(causes for causes in every.values() if causes)
    )
    if any(not causes for causes in list(every.values())[len(_first(every)) :]):
        shared = frozenset()
    found: dict[tuple[tuple[str, int], ...], list[tuple[Wants, float]]] = {}
    for wants, weight in asked:
        levels = {
            (cause, level)
            for name, at, _ in wants
            for cause, level in zip(every[name], at, strict=True)
            if cause in shared
        }
        if len(levels) != len(shared):
            return [Slice({}, every, tuple(asked))]
        found.setdefault(tuple(sorted(levels)), []).append((wants, weight))
    kept = {n: tuple(c for c in causes if c not in shared) for n, causes in every.items()}
    return [
        Slice(dict(levels), kept, tuple((_less(every, kept, wants), w) for wants, w in mine))
        for levels, mine in sorted(found.items())
    ]


def _first(every: Mapping[str, tuple[str, ...]]) -> list[str]:
    """The variables without causes that come before all others: the table tells their law."""
    return list(takewhile(lambda name: not every[name], every))


def _less(
    every: Mapping[str, tuple[str, ...]], kept: Mapping[str, tuple[str, ...]], wants: Wants
) -> Wants:
    """What must be answered, without the causes that are fixed."""
    return frozenset(
        (
            name,
            tuple(v for c, v in zip(every[name], at, strict=True) if c in kept[name]),
            level,
        )
        for name, at, level in wants
    )
