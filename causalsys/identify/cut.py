"""Fewest variables that block all paths between two sets: Menger's theorem, on moral graphs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import TypeAlias

from causalsys.identify.mixed import Mixed, Names

Side: TypeAlias = tuple[str, bool]
"""Where a path stands: before a variable, or, if true, after it."""


def separator(
    graph: Mixed,
    one: Collection[str],
    other: Collection[str],
    *,
    allowed: Collection[str],
    given: Collection[str] = (),
) -> tuple[str, ...] | None:
    """The fewest variables that, with `given`, m-separate two sets; None if there are none.

    A smallest separator has only ancestors of the sets in it, so it is a smallest cut of the moral
    graph of these (van der Zander, Liskiewicz and Textor, Artificial Intelligence 2019).

    Args:
        graph: The graph.
        one: A set.
        other: Another.
        allowed: What may be in it.
        given: What is conditioned on in any case.

    Example:
        >>> chain = Mixed.of("abcd", directed=[("a", "b"), ("b", "c"), ("c", "d")])
        >>> separator(chain, "a", "d", allowed="bc")
        ('b',)
    """
    moral = graph.moral({*one, *other, *given})
    adjacent = {name: ties - set(given) for name, ties in moral.items() if name not in given}
    sources, sinks = frozenset(one).difference(given), frozenset(other).difference(given)
    free = sorted((adjacent.keys() & frozenset(allowed)) - sources - sinks)
    size = _paths(adjacent, sources, sinks, free)
    if size is None:
        return None
    chosen: list[str] = []
    for name in free:
        if len(chosen) == size:
            break
        # A variable is in a smallest cut if the rest needs one variable less without it.
        without = {n: ties - {name} for n, ties in adjacent.items() if n != name}
        if _paths(without, sources, sinks, free) == size - len(chosen) - 1:
            chosen.append(name)
            adjacent = without
    return tuple(chosen)


def _paths(
    adjacent: Mapping[str, Names], sources: Names, sinks: Names, allowed: Collection[str]
) -> int | None:
    """How many paths share no allowed variable; None where one meets no allowed variable.

    By augmenting paths (Ford and Fulkerson, 1956). A variable has two sides, and the way from the
    first to the second is used once where the variable is allowed in a cut.
    """
    single, used, count = frozenset(allowed), Counter[tuple[Side, Side]](), 0
    while path := _augmenting(adjacent, sources, sinks, single, used):
        count += 1
        if count > len(single):
            return None
        for step in path:
            back = step[::-1]
            if used[back]:
                used[back] -= 1
            else:
                used[step] += 1
    return count


def _augmenting(
    adjacent: Mapping[str, Names],
    sources: Names,
    sinks: Names,
    single: Names,
    used: Counter[tuple[Side, Side]],
) -> list[tuple[Side, Side]]:
    """The steps of one more path; none if there is none."""
    came: dict[Side, Side | None] = {(name, True): None for name in sorted(sources)}
    waiting = list(came)
    for side in waiting:
        name, out = side
        if name in sinks:
            return _steps(side, came)
        if out:
            onward = [(other, False) for other in sorted(adjacent[name])]
            if used[(name, False), side]:
                onward.append((name, False))
        else:
            onward = [(o, True) for o in sorted(adjacent[name]) if used[(o, True), side]]
            if name not in single or not used[side, (name, True)]:
                onward.append((name, True))
        for after in onward:
            if after not in came:
                came[after] = side
                waiting.append(after)
    return []


def _steps(side: Side, came: Mapping[Side, Side | None]) -> list[tuple[Side, Side]]:
    found = []
    while (before := came[side]) is not None:
        found.append((before, side))
        side = before
    return found
