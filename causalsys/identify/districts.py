"""What the shapes of a district's mechanisms identify, where the graph alone does not."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from causalsys.identify import classes, linear, words
from causalsys.identify.classes import TableBlock
from causalsys.identify.dynamics import by_dynamics, has_dynamics, of_rows
from causalsys.identify.linear import LinearBlock
from causalsys.identify.low_rank import by_low_rank, has_low_rank
from causalsys.identify.room import reveal, room
from causalsys.identify.shapes import matches
from causalsys.identify.verdict import Assumption, together
from causalsys.identify.view import View
from causalsys.identify.witnesses import views
from causalsys.scm.blocks import Block
from causalsys.scm.dynamics import goes_on
from causalsys.scm.specs import StandardNormal
from causalsys.scm.supports import Categorical, Positive, Real

Granted = tuple[Assumption, ...]
"""The assumptions under which something is identified."""


@dataclass(frozen=True)
class District:
    """A block with its latents, as far as its shapes identify anything.

    Attributes:
        view: The model.
        block: The block.
    """

    view: View
    block: Block

    def population(self, part: Collection[str]) -> Granted | None:
        """Under what the law of `part`, its causes being set, is identified; None if nothing."""
        if has_low_rank(self.view, self.block):
            return by_low_rank(self.view, self.block)
        if has_dynamics(self.view, self.block):
            return by_dynamics(self.view, self.block)
        wanted = frozenset(part)
        line = self._line()
        if line is not None:
            return (self._linear(),) if linear.kernel(line, wanted) else None
        table = self._table()
        if table is not None and classes.kernel(table, wanted):
            return (self._levels(),)
        return None

    @property
    def anew(self) -> Granted:
        """What is assumed of its latents from step to step, where they have no law for that."""
        nodes = self.view.declaration.nodes
        found = [
            name
            for name in self.block.latents
            if nodes[name].per == "step" and not goes_on(nodes[name])
        ]
        return (words.anew(found),) if found and self.view.declaration.temporal else ()

    def infers(self, part: Collection[str]) -> bool:
        """Whether what rows do not tell of `part` can be inferred from what they do tell."""
        line = self._line()
        if line is not None:
            return linear.structure(line, frozenset(part))
        return self.population(part) is not None

    def rows(
        self, needed: Collection[str], changed: Collection[str], *, redraw: Collection[str] = ()
    ) -> Granted | None:
        """Under what the rows' own change is identified; None if under nothing known here.

        Args:
            needed: The block's variables that change.
            changed: Everything that changes, or is set.
            redraw: What gets new noise, so that its own share of a row must be known.
        """
        if has_low_rank(self.view, self.block):
            return by_low_rank(self.view, self.block)
        if has_dynamics(self.view, self.block):
            return of_rows(self.view, self.block, needed)
        line = self._line()
        if line is not None:
            anew, every = frozenset(redraw) & set(line.variables), frozenset(line.variables)
            if anew and not (linear.structure(line, every) and linear.shares(line, every)):
                return None
            return self._moves(line, needed, frozenset(changed))
        table = self._table()
        if table is not None:
            sure = classes.parameters(table)
            return (self._levels(), *self._noises(needed)) if sure else None
        found = self._views()
        return None if found is None else (*found, *self._noises(needed))

    def latent(self, name: str) -> Granted | None:
        """Under what a latent of the block is known, up to its scale."""
        if has_low_rank(self.view, self.block):
            return None
        if has_dynamics(self.view, self.block):
            return by_dynamics(self.view, self.block)
        table = self._table()
        if table is not None:
            return (self._levels(),) if classes.parameters(table) else None
        found, line = self._views(name), self._line()
        if found is None or line is None:
            return found
        # Normal dimensions can be turned among each other, and nothing shows.
        turns = self.view.supports[name].size or 1
        return (self._linear(), *found) if turns == 1 else None

    def _moves(
        self, line: LinearBlock, needed: Collection[str], changed: frozenset[str]
    ) -> Granted | None:
        """Linear mechanisms: a row moves by its coefficients times what changed above it."""
        sure = linear.coefficients(line)
        wanted = [
            (parent.key, name)
            for name in sorted(needed)
            for parent in self.view.declaration.nodes[name].parents
            if parent.name in changed and parent.name not in self.block.latents
        ]
        if not all(pair in sure for pair in wanted):
            return None
        known: list[Assumption] = []
        for latent in sorted(changed & set(self.block.latents)):
            if (found := self.latent(latent)) is None:
                return None
            known += found
        if len(self.block.variables) == 1:
            return (words.rank_one(needed, self.block.latents, self.view.shapes),)
        return together([self._linear(), *known])

    def _line(self) -> LinearBlock | None:
        """The block as linear equations; None where it is not linear."""
        nodes, shapes = self.view.declaration.nodes, self.view.shapes
        inside = set(self.block.variables)
        if not inside:
            return None
        for name in self.block.variables:
            mine = shapes[name]
            if mine.link is None or nodes[name].support.size or name in self.view.lasting:
                return None
            for parent in nodes[name].parents:
                if parent.name in self.block.latents:
                    if parent.lag or not _on_line(self.view, parent.name, log=mine.link == "log"):
                        return None
                elif parent.name in inside:
                    if not parent.lag and not matches(shapes.get(parent.name), mine):
                        return None
                elif parent.name in self.view.hidden:
                    return None
        return LinearBlock(
            self.block.variables,
            {name: frozenset(self._among(name, inside)) for name in self.block.variables},
            {name: frozenset(self._beside(name, inside)) for name in self.block.variables},
            {name: frozenset(self._loadings(name)) for name in self.block.variables},
        )

    def _among(self, name: str, inside: set[str]) -> Iterator[str]:
        """The causes of a variable inside the block, in the same step."""
        for ref in self.view.declaration.nodes[name].parents:
            if ref.name in inside and not ref.lag:
                yield ref.key

    def _beside(self, name: str, inside: set[str]) -> Iterator[str]:
        """The observed causes of a variable outside the block, or in earlier steps."""
        for ref in self.view.declaration.nodes[name].parents:
            if ref.name not in self.block.latents and (ref.name not in inside or ref.lag):
                yield ref.key

    def _loadings(self, name: str) -> Iterator[str]:
        """The dimensions of latents that act on a variable."""
        for ref in self.view.declaration.nodes[name].parents:
            if ref.name in self.block.latents:
                size = self.view.declaration.nodes[ref.name].support.size or 1
                yield from (f"{ref.name}[{axis}]" for axis in range(size))

    def _table(self) -> TableBlock | None:
        """The block as tables; None where something in it is no plain category."""
        cards: dict[str, int] = {}
        parents: dict[str, tuple[str, ...]] = {}
        for name in (*self.block.latents, *self.block.variables):
            node = self.view.declaration.nodes[name]
            computed = self.view.hidden.difference(self.block.latents)
            if node.per == "trace" or any(r.lag or r.name in computed for r in node.parents):
                return None
            for each in (name, *(ref.name for ref in node.parents)):
                support = self.view.supports[each]
                if not isinstance(support, Categorical) or support.size or not support.levels:
                    return None
                cards[each] = support.cardinality
            parents[name] = tuple(ref.name for ref in node.parents)
        return TableBlock(cards, parents, self.block.latents)

    def _views(self, latent: str = "") -> Granted | None:
        """Three views of every latent of the block, or of one, each with room for its values."""
        nodes = self.view.declaration.nodes
        if any(
            ref.lag and ref.name in self.view.hidden
            for node in nodes.values()
            for ref in node.parents
        ):
            return None
        parents = {
            name: frozenset(ref.name for ref in node.parents if not ref.lag)
            for name, node in nodes.items()
        }
        hidden, size = self.view.hidden, partial(room, self.view.supports)
        found = []
        for name in [latent] if latent else self.block.latents:
            groups = views(parents, latents=hidden, latent=name, room=size)
            if groups is None or not reveal(size([name]), [size(g) for g in groups]):
                return None
            found.append(words.views(name, groups))
        return tuple(found)

    def _noises(self, names: Iterable[str]) -> Granted:
        return tuple(words.noises(names, self.view.shapes))

    def _linear(self) -> Assumption:
        return words.linear(self.block.variables, self.view.shapes)

    def _levels(self) -> Assumption:
        counts = [self.view.supports[name] for name in self.block.latents]
        told = ", ".join(str(c.cardinality) for c in counts if isinstance(c, Categorical))
        return words.levels(self.block.latents, f"exactly {told} levels")


def _on_line(view: View, latent: str, *, log: bool) -> bool:
    """Whether a latent enters a mechanism of that scale as a normal variable."""
    node = view.declaration.nodes[latent]
    normal = isinstance(node.mechanism, StandardNormal)
    return normal and isinstance(node.support, (Real, Positive) if log else (Real,))
