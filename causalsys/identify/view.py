"""A model as this room reads it: its graph over steps, its districts, its mechanisms' shapes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from causalsys.identify.exogeneity import Exogeneity, exogeneity
from causalsys.identify.mixed import Links
from causalsys.identify.question import Question, logged
from causalsys.identify.shapes import Shapes
from causalsys.identify.steps import Steps, steps_of
from causalsys.scm.blocks import Block, blocks
from causalsys.scm.declaration import Declaration
from causalsys.scm.order import reached
from causalsys.scm.supports import Support


@dataclass(frozen=True)
class View:
    """A model with the shapes that its mechanisms are declared to have, or were fitted with.

    Attributes:
        declaration: The model.
        shapes: Each learned variable's shape.
        supports: Each variable's support; of a fitted model, with all levels known.
    """

    declaration: Declaration
    shapes: Shapes
    supports: Mapping[str, Support]

    @cached_property
    def steps(self) -> Steps:
        """The graph over steps."""
        return steps_of(self.declaration)

    @cached_property
    def blocks(self) -> Mapping[str, Block]:
        """For each learned variable, what it is fitted together with."""
        return {
            name: block
            for block in blocks(self.declaration)
            for name in (*block.latents, *block.variables)
        }

    @cached_property
    def lasting(self) -> frozenset[str]:
        """The variables whose noise lasts from step to step."""
        return frozenset(n.name for n in self.declaration.nodes.values() if n.lasting)

    def exogeneity(self, name: str) -> Exogeneity:
        """What identifies the mechanism of a variable whose noise lasts."""
        if name not in self._exogeneity:
            self._exogeneity[name] = exogeneity(self.declaration, name, steps=self.steps)
        return self._exogeneity[name]

    @cached_property
    def _exogeneity(self) -> dict[str, Exogeneity]:
        return {}

    @cached_property
    def hidden(self) -> frozenset[str]:
        """What nobody logs: latents, and what is computed from them."""
        return frozenset(self.declaration.nodes) - logged(self.declaration)

    def revealed(self, names: Collection[str]) -> View:
        """The model in which these latents are logged."""
        nodes = {
            name: replace(node, kind="observed") if name in names else node
            for name, node in self.declaration.nodes.items()
        }
        return replace(self, declaration=replace(self.declaration, nodes=nodes))

    def now(self, name: str) -> str:
        """A variable at the last step."""
        return self.steps.at[name][0]

    def learned(self, names: Iterable[str]) -> frozenset[str]:
        """Those of some variables that have a mechanism to learn."""
        return frozenset(name for name in names if self.declaration.nodes[name].learned)

    def under(self, question: Question) -> Links:
        """Everything's causes once `do` is done: nothing, or what the policy looks at.

        A shift looks at what its variable would be by itself, and so at all causes of that.
        """
        parents = dict(self.steps.parents)
        reads = dict(question.reads)
        for name in question.do:
            for step, label in enumerate(self.steps.at[name]):
                looked = [self.steps.at[r] for r in reads.get(name, ()) if r != name]
                found = frozenset(labels[min(step, len(labels) - 1)] for labels in looked)
                own = parents[label] if name in question.shifts else frozenset()
                parents[label] = found | own
        return parents

    def untrue(self, question: Question) -> Mapping[str, str]:
        """Variables whose fitted mechanism is not the one in question, and why."""
        found: dict[str, str] = {}
        chosen = self.declaration.selected
        if chosen:
            above = self._above(chosen)
            for name in self._with_blocks(above):
                found[name] = f"rows were logged by {', '.join(chosen)}"
        for node in self.declaration.nodes.values():
            # What it chose tells of the latent; one drawn, or moved, without it does not.
            if node.sees:
                of = [c for c, child in self.declaration.absorbed.items() if child in node.sees]
                found[node.name] = f"it sees {', '.join(of)}, of which its fit knows nothing"
        for name in self._with_blocks(question.differs):
            found[name] = "its mechanism differs where the question is asked"
        return found

    def _above(self, names: Collection[str]) -> set[str]:
        causes: dict[str, set[str]] = {}
        for edge in self.declaration.graph.edges:
            causes.setdefault(edge.effect, set()).add(edge.cause)
        return reached(names, causes)

    def _with_blocks(self, names: Iterable[str]) -> set[str]:
        found = set(names)
        for name in list(found):
            if name in self.blocks and self.blocks[name].latents:
                found |= {*self.blocks[name].variables, *self.blocks[name].latents}
        return found


def links_reached(sources: Iterable[str], links: Links) -> frozenset[str]:
    """The sources and all that they lead to, along links."""
    return frozenset(reached(sources, links))


def turned(links: Links) -> Links:
    """Links the other way round."""
    found: dict[str, set[str]] = {name: set() for name in links}
    for effect, causes in links.items():
        for cause in causes:
            found[cause].add(effect)
    return {name: frozenset(effects) for name, effects in found.items()}
