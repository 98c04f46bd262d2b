"""Fewest variables that block all paths between two sets: Menger's theorem, on moral graphs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import TypeAlias

from causalsys.identify.mixed import Mixed, Names

Side: TypeAlias = tuple[str, bool]
"""Where a path stands: before a variable, or, if true, after it."""
Step: TypeAlias = tuple[Side, Side]


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
    size = disjoint_paths(adjacent, sources, sinks, single=frozenset(free))
    if size is None:
        return None
    chosen: list[str] = []
    for name in free:
        if len(chosen) == size:
            break
        # A variable is in a smallest cut if the rest needs one variable less without it.
        without = {n: ties - {name} for n, ties in adjacent.items() if n != name}
        rest = disjoint_paths(without, sources, sinks, single=frozenset(free))
        if rest == size - len(chosen) - 1:
            chosen.append(name)
            adjacent = without
    return tuple(chosen)


def disjoint_paths(
    effects: Mapping[str, Names], sources: Names, sinks: Names, *, single: Names
) -> int | None:
    """How many paths share no variable of `single`; None where one meets none of these at all.

    By augmenting paths (Ford and Fulkerson, 1956). A variable has two sides, and the way from the
    first to the second is used once where the variable is in `single`.

    Args:
        effects: Where the paths lead on from each variable.
        sources: Where they begin.
        sinks: Where they end.
        single: What only one of them may pass.

    Example:
        >>> way = {"a": frozenset("c"), "b": frozenset("c"), "c": frozenset("d")}
        >>> disjoint_paths(way, frozenset("ab"), frozenset("d"), single=frozenset("abc"))
        1
    """
    used, count = Counter[Step](), 0
    causes: dict[str, set[str]] = {}
    for name, others in effects.items():
        for other in others:
            causes.setdefault(other, set()).add(name)
    while path := _augmenting(effects, causes, sources, sinks, single, used):
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
    effects: Mapping[str, Names],
    causes: Mapping[str, set[str]],
    sources: Names,
    sinks: Names,
    single: Names,
    used: Counter[Step],
) -> list[Step]:
    """The steps of one more path; none if there is none."""
    came: dict[Side, Side | None] = {(name, False): None for name in sorted(sources)}
    waiting = list(came)
    for side in waiting:
        name, out = side
        if name in sinks:
            return _steps(side, came)
        if out:
            onward = [(other, False) for other in sorted(effects.get(name, ()))]
            if used[(name, False), side]:
                onward.append((name, False))
        else:
            onward = [(o, True) for o in sorted(causes.get(name, ())) if used[(o, True), side]]
            if name not in single or not used[side, (name, True)]:
                onward.append((name, True))
        for after in onward:
            if after not in came:
                came[after] = side
                waiting.append(after)
    return []


def _steps(side: Side, came: Mapping[Side, Side | None]) -> list[Step]:
    found = []
    while (before := came[side]) is not None:
        found.append((before, side))
        side = before
    return found
