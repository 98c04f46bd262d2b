"""Order, reach and parts of small graphs: what every fit and every question walks along.

Plain dictionaries in, lists out. `networkx`, which knows much more, is slower to import than
all of this package, and by call slower than a small model is to answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from heapq import heapify, heappop, heappush


def causal_order(causes: Mapping[str, Iterable[str]]) -> list[str] | None:
    """The nodes with causes before effects, ties by name; None where there is a cycle.

    Args:
        causes: Each node's causes, all of them nodes too.

    Example:
        >>> causal_order({"c": ["a", "b"], "b": [], "a": []})
        ['a', 'b', 'c']
    """
    order = _peeled(causes)
    return order if len(order) == len(causes) else None


def some_cycle(causes: Mapping[str, Iterable[str]]) -> list[str]:
    """A cycle, each node causing the next and the last the first, the smallest name first.

    Args:
        causes: As for `causal_order`, which found no order.

    Example:
        >>> some_cycle({"c": ["b"], "b": ["c", "a"], "a": []})
        ['b', 'c']
    """
    left = set(causes).difference(_peeled(causes))
    walk = [min(left)]
    while walk.count(walk[-1]) < 2:
        walk.append(min(left.intersection(causes[walk[-1]])))
    loop = walk[walk.index(walk[-1]) + 1 :][::-1]
    start = loop.index(min(loop))
    return [*loop[start:], *loop[:start]]


def _peeled(causes: Mapping[str, Iterable[str]]) -> list[str]:
    """The nodes that no cycle reaches, in order."""
    effects: dict[str, list[str]] = {name: [] for name in causes}
    open_causes: dict[str, int] = {}
    for name, mine in causes.items():
        distinct = set(mine)
        open_causes[name] = len(distinct)
        for cause in distinct:
            effects[cause].append(name)
    ready = [name for name, count in open_causes.items() if not count]
    heapify(ready)
    order: list[str] = []
    while ready:
        name = heappop(ready)
        order.append(name)
        for effect in effects[name]:
            open_causes[effect] -= 1
            if not open_causes[effect]:
                heappush(ready, effect)
    return order


def reached(sources: Iterable[str], effects: Mapping[str, Iterable[str]]) -> set[str]:
    """The sources and all that they lead to.

    Args:
        sources: Where to start.
        effects: What each node leads to; one that is not a key leads nowhere.

    Example:
        >>> sorted(reached(["b"], {"a": ["b"], "b": ["c"]}))
        ['b', 'c']
    """
    found = set(sources)
    waiting = list(found)
    while waiting:
        new = set(effects.get(waiting.pop(), ())) - found
        found |= new
        waiting.extend(new)
    return found


def parts(nodes: Iterable[str], ties: Iterable[tuple[str, str]]) -> list[list[str]]:
    """The connected parts, each in the order of `nodes`, and sorted by their first node.

    Args:
        nodes: All nodes.
        ties: Pairs of nodes that belong together.

    Example:
        >>> parts(["a", "b", "c"], [("c", "a")])
        [['a', 'c'], ['b']]
    """
    root = {name: name for name in nodes}

    def find(name: str) -> str:
        while root[name] != name:
            root[name] = root[root[name]]
            name = root[name]
        return name

    for one, other in ties:
        root[find(one)] = find(other)
    found: dict[str, list[str]] = {}
    for name in root:
        found.setdefault(find(name), []).append(name)
    return list(found.values())
