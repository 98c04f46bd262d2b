"""The directions of a skeleton's edges, as far as knowledge and independences decide them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import combinations, permutations

from causalsys.query.suggestion import Edge, Known
from causalsys.scm.order import reached

Pair = frozenset[str]


def oriented(
    names: Collection[str],
    skeleton: Collection[Pair],
    separators: Mapping[Pair, frozenset[str] | None],
    *,
    known: Known,
) -> tuple[tuple[Edge, ...], tuple[Edge, ...]]:
    """Direct the edges of a skeleton: knowledge first, then colliders, then what follows.

    Args:
        names: The variables.
        skeleton: The pairs that are joined.
        separators: What made each other pair independent; None where that is unknown.
        known: What the user knows; nothing overrules it.

    Returns:
        The directed edges, and the pairs that stay open, both sorted.
    """
    found = _Orientation(set(skeleton), known)
    for one, other in sorted(tuple(sorted(pair)) for pair in skeleton):
        for cause, effect in ((one, other), (other, one)):
            if (cause, effect) in known.edges or known.bars(effect, cause):
                found.direct(cause, effect)
    found.follow(names)
    for middle in sorted(names):
        sides = sorted(name for name in names if found.joined(name, middle))
        for one, other in combinations(sides, 2):
            given = separators.get(frozenset({one, other}))
            if found.joined(one, other) or given is None or middle in given:
                continue
            if found.may(one, middle) and found.may(other, middle):
                found.direct(one, middle)
                found.direct(other, middle)
    found.follow(names)
    directed = tuple(sorted(found.edges))
    open_pairs = [tuple(sorted(pair)) for pair in skeleton if not found.decided(*sorted(pair))]
    return directed, tuple(sorted((pair[0], pair[1]) for pair in open_pairs))


class _Orientation:
    """A graph whose edges are directed one by one, and never into a cycle."""

    def __init__(self, skeleton: set[Pair], known: Known) -> None:
        self.skeleton, self.known = skeleton, known
        self.edges: set[Edge] = set()

    def joined(self, one: str, other: str) -> bool:
        return frozenset({one, other}) in self.skeleton

    def decided(self, one: str, other: str) -> bool:
        return (one, other) in self.edges or (other, one) in self.edges

    def open(self, one: str, other: str) -> bool:
        return self.joined(one, other) and not self.decided(one, other)

    def may(self, cause: str, effect: str) -> bool:
        """Whether an edge has this direction, or could be given it."""
        if (cause, effect) in self.edges:
            return True
        if (effect, cause) in self.edges or self.known.bars(cause, effect):
            return False
        effects: dict[str, list[str]] = {}
        for one, other in self.edges:
            effects.setdefault(one, []).append(other)
        return cause not in reached([effect], effects)

    def direct(self, cause: str, effect: str) -> bool:
        if self.decided(cause, effect) or not self.may(cause, effect):
            return False
        self.edges.add((cause, effect))
        return True

    def follow(self, names: Collection[str]) -> None:
        """Direct what follows from what is directed (Meek, 1995, rules 1 to 4)."""
        changed = True
        while changed:
            changed = False
            for one, other in permutations(sorted(names), 2):
                if self.open(one, other) and self._follows(one, other, names):
                    changed = self.direct(one, other) or changed

    def _follows(self, one: str, other: str, names: Collection[str]) -> bool:
        """Whether `one` → `other` follows."""
        rest = [name for name in sorted(names) if name not in (one, other)]
        into = [name for name in rest if (name, other) in self.edges]
        if any((n, one) in self.edges and not self.joined(n, other) for n in rest):
            return True
        if any((one, n) in self.edges for n in into):
            return True
        beside = [name for name in into if self.open(one, name)]
        if any(not self.joined(a, b) for a, b in combinations(beside, 2)):
            return True
        return any(
            self.open(one, start) and self.joined(one, way) and not self.joined(start, other)
            for way in into
            for start in rest
            if (start, way) in self.edges
        )
