"""Mixed graphs: causal edges, and two-headed edges where variables share a latent.

A latent projection (Verma, 1993) keeps all that the observed variables can tell of a graph with
latents, so everything in this room is decided on it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from causalsys.scm.frozen import FrozenDict
from causalsys.scm.order import reached

Names = frozenset[str]
Links = Mapping[str, Names]


@dataclass(frozen=True)
class Mixed:
    """An acyclic directed mixed graph.

    Attributes:
        nodes: The variables, in a causal order.
        parents: Each variable's direct causes.
        siblings: What each variable shares a latent with; symmetric.
        known: Variables that are known functions of their parents, without noise.
    """

    nodes: tuple[str, ...]
    parents: Links
    siblings: Links
    known: Names = frozenset()

    @classmethod
    def of(
        cls,
        nodes: Iterable[str],
        *,
        directed: Iterable[tuple[str, str]] = (),
        bidirected: Iterable[tuple[str, str]] = (),
        known: Iterable[str] = (),
    ) -> Mixed:
        """A graph by its edges, (cause, effect) and pairs; `nodes` are in a causal order.

        Example:
            >>> bow = Mixed.of("xy", directed=[("x", "y")], bidirected=[("x", "y")])
            >>> [sorted(part) for part in bow.districts()]
            [['x', 'y']]
        """
        names = tuple(nodes)
        parents: dict[str, set[str]] = {name: set() for name in names}
        siblings: dict[str, set[str]] = {name: set() for name in names}
        for cause, effect in directed:
            parents[effect].add(cause)
        for one, other in bidirected:
            siblings[one].add(other)
            siblings[other].add(one)
        return cls(names, _frozen(parents), _frozen(siblings), frozenset(known))

    @cached_property
    def children(self) -> Links:
        """Each variable's direct effects."""
        found: dict[str, set[str]] = {name: set() for name in self.nodes}
        for effect, causes in self.parents.items():
            for cause in causes:
                found[cause].add(effect)
        return _frozen(found)

    def ancestors(self, names: Collection[str]) -> Names:
        """The variables that cause one of `names`, and these themselves."""
        return frozenset(reached(names, self.parents))

    def descendants(self, names: Collection[str]) -> Names:
        """The variables that one of `names` causes, and these themselves."""
        return frozenset(reached(names, self.children))

    def district(self, name: str) -> Names:
        """The variables tied to `name` by two-headed edges, and itself (its c-component)."""
        return frozenset(reached([name], self.siblings))

    def districts(self) -> tuple[Names, ...]:
        """All districts, in causal order of their first variables."""
        found: list[Names] = []
        seen: set[str] = set()
        for name in self.nodes:
            if name not in seen:
                found.append(self.district(name))
                seen |= found[-1]
        return tuple(found)

    def keep(self, names: Collection[str]) -> Mixed:
        """The graph over these variables alone, with the edges among them."""
        kept = frozenset(names)
        return Mixed(
            tuple(name for name in self.nodes if name in kept),
            FrozenDict({n: causes & kept for n, causes in self.parents.items() if n in kept}),
            FrozenDict({n: ties & kept for n, ties in self.siblings.items() if n in kept}),
            self.known & kept,
        )

    def without_into(self, names: Collection[str]) -> Mixed:
        """The graph in which nothing acts on `names`: no arrow points at them."""
        cut = frozenset(names)
        none: Names = frozenset()
        return Mixed(
            self.nodes,
            FrozenDict({n: none if n in cut else c for n, c in self.parents.items()}),
            FrozenDict({n: none if n in cut else t - cut for n, t in self.siblings.items()}),
            self.known - cut,
        )

    def without_out_of(self, names: Collection[str]) -> Mixed:
        """The graph in which `names` cause nothing: no arrow leaves them."""
        cut = frozenset(names)
        parents = FrozenDict({n: causes - cut for n, causes in self.parents.items()})
        return Mixed(self.nodes, parents, self.siblings, self.known)

    def m_separated(
        self, one: Collection[str], other: Collection[str], *, given: Collection[str] = ()
    ) -> bool:
        """Whether every path between two sets is blocked by `given` (Richardson, 2003).

        By moralisation: among the ancestors of all three, `given` must cut the two sets apart.
        """
        known = frozenset(given)
        moral = self.moral({*one, *other, *known})
        open_to = {n: ties - known for n, ties in moral.items() if n not in known}
        return not reached(frozenset(one) - known, open_to) & (frozenset(other) - known)

    def connected(self, name: str, *, given: Collection[str] = ()) -> Names:
        """All that some path from `name` reaches that `given` does not block.

        By walks (Bayes ball; Shachter, 1998): one search where `m_separated` takes one a pair.
        """
        known = frozenset(given)
        opened = self.ancestors(known)
        seen: set[tuple[str, bool]] = {(name, False)}
        waiting = [(name, False)]
        while waiting:
            here, into = waiting.pop()
            steps: list[tuple[str, bool]] = []
            if here not in known:
                steps += [(child, True) for child in self.children[here]]
            if here in opened if into else here not in known:
                steps += [(cause, False) for cause in self.parents[here]]
                steps += [(sibling, True) for sibling in self.siblings[here]]
            new = [step for step in steps if step not in seen]
            seen.update(new)
            waiting += new
        return frozenset(each for each, _ in seen) - known - {name}

    def moral(self, names: Collection[str]) -> Links:
        """Among the ancestors of `names`: what is adjacent, or joined by colliders alone."""
        part = self.keep(self.ancestors(names))
        adjacent: dict[str, set[str]] = {name: set() for name in part.nodes}
        for district in part.districts():
            inside = district.union(*(part.parents[name] for name in district))
            for name in inside:
                adjacent[name] |= inside - {name}
        return _frozen(adjacent)


def _frozen(links: Mapping[str, set[str]]) -> Links:
    return FrozenDict({name: frozenset(others) for name, others in links.items()})
