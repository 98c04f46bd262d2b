"""What a joint table says of a district: its kernel, as far as rows were seen.

`Q[district]`, the law of a district when its causes are set, is the product over its variables of
their chances given what precedes them in the district and the causes of that (Tian and Pearl,
2002). Where a combination was never seen, only sums of the kernel are known.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product

from causalsys.identify.mixed import Mixed, Names
from causalsys.identify.responses import Array, Levels, Wants


@dataclass(frozen=True)
class Leaf:
    """A known sum of a kernel: the first variables of a district have these levels.

    Attributes:
        levels: Of the first variables, in causal order; all, where everything was seen.
        chance: Its probability.
    """

    levels: Levels
    chance: float


@dataclass(frozen=True)
class Observed:
    """A joint table of a graph's variables.

    Attributes:
        graph: The graph.
        cards: How many levels each variable has.
        joint: Probabilities, one axis for each of the graph's nodes.
    """

    graph: Mixed
    cards: Mapping[str, int]
    joint: Array
    _tables: dict[tuple[str, ...], Array] = field(default_factory=dict, repr=False, compare=False)
    _pillows: dict[str, Names] = field(default_factory=dict, repr=False, compare=False)

    def keep(self, names: Collection[str]) -> Observed:
        """The table of some variables, which hold all their ancestors."""
        part = self.graph.keep(names)
        return Observed(part, self.cards, self._table(part.nodes))

    def chance(self, levels: Mapping[str, int]) -> float:
        """The probability that these variables have these levels."""
        names = tuple(name for name in self.graph.nodes if name in levels)
        return float(self._table(names)[tuple(levels[name] for name in names)])

    def outside(self, district: Names) -> tuple[str, ...]:
        """The causes of a district that are not in it, sorted by name."""
        causes = frozenset[str]().union(*(self.graph.parents[name] for name in district))
        return tuple(sorted(causes - district))

    def leaves(self, district: Names, outside: Mapping[str, int]) -> list[Leaf]:
        """The kernel of a district when its outside causes are set: known sums, that add to 1."""
        order = [name for name in self.graph.nodes if name in district]
        found: list[Leaf] = []
        waiting = [Leaf((), 1.0)]
        while waiting:
            leaf = waiting.pop()
            grown = self._grown(order, leaf, outside) if len(leaf.levels) < len(order) else None
            if grown is None:
                found.append(leaf)
            else:
                waiting.extend(grown)
        return found

    def known(self, district: Names, wants: Wants) -> float | None:
        """The probability that a district answers so, where its kernel tells; else None."""
        names = frozenset(name for name, _, _ in wants)
        if names <= self.graph.known:
            return self._computed(wants)
        levels = {name: level for name, _, level in wants}
        if len(levels) < len(wants):
            return None
        outside: dict[str, int] = {}
        for name, causes, _ in wants:
            for cause, level in zip(sorted(self.graph.parents[name]), causes, strict=True):
                if cause in district and cause not in names:
                    return None
                if levels.get(cause, outside.setdefault(cause, level)) != level:
                    return None
                if outside[cause] != level:
                    return None
        part = self.keep(self.graph.ancestors(names))
        inner = district & frozenset(part.graph.nodes)
        return part.sums(inner, levels, {k: v for k, v in outside.items() if k not in inner})

    def sums(
        self, district: Names, levels: Mapping[str, int], outside: Mapping[str, int]
    ) -> float | None:
        """The chance of some levels of a district, where the same for all other causes."""
        order = [name for name in self.graph.nodes if name in district]
        for rest in self.settings(frozenset(self.outside(district)) - frozenset(outside)):
            total = 0.0
            for leaf in self.leaves(district, {**outside, **rest}):
                mine = dict(zip(order, leaf.levels, strict=False))
                if all(mine.get(name, level) == level for name, level in levels.items()):
                    if leaf.chance > 0 and not set(levels) <= set(mine):
                        break
                    total += leaf.chance
            else:
                return total
        return None

    def settings(self, names: Collection[str]) -> Iterator[dict[str, int]]:
        """All combinations of levels, those that are seen most often first."""
        order = sorted(names)
        every = [
            dict(zip(order, levels, strict=True))
            for levels in product(*(range(self.cards[name]) for name in order))
        ]
        yield from sorted(every, key=lambda setting: -self.chance(setting))

    def _grown(self, order: list[str], leaf: Leaf, outside: Mapping[str, int]) -> list[Leaf] | None:
        """A leaf split by the next variable's levels; None where such rows were never seen."""
        if leaf.chance <= 0:
            return None
        name = order[len(leaf.levels)]
        known = {**outside, **dict(zip(order, leaf.levels, strict=False))}
        near = {cause: known[cause] for cause in self._pillow(name)}
        whole = self.chance(near)
        if whole <= 0:
            return None
        return [
            Leaf((*leaf.levels, level), leaf.chance * self.chance({**near, name: level}) / whole)
            for level in range(self.cards[name])
        ]

    def _pillow(self, name: str) -> Names:
        """What a variable depends on, of all that precedes it (Tian and Pearl, 2002)."""
        if name not in self._pillows:
            end = self.graph.nodes.index(name)
            district = self.graph.keep(self.graph.nodes[: end + 1]).district(name)
            causes = district.union(*(self.graph.parents[each] for each in district))
            self._pillows[name] = causes - {name}
        return self._pillows[name]

    def _computed(self, wants: Wants) -> float | None:
        """Known functions answer one way only."""
        found = 1.0
        for name, causes, level in wants:
            given = dict(zip(sorted(self.graph.parents[name]), causes, strict=True))
            whole = self.chance(given)
            if whole <= 0:
                return None
            found *= self.chance({**given, name: level}) / whole
        return found

    def _table(self, names: tuple[str, ...]) -> Array:
        if names not in self._tables:
            gone = tuple(i for i, name in enumerate(self.graph.nodes) if name not in names)
            self._tables[names] = self.joint.sum(gone)
        return self._tables[names]
