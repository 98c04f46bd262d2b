"""A fitted model, as the rooms above read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from causalsys.data.schema import Schema
from causalsys.errors import UnknownNameError
from causalsys.fit.diagnostics import Diagnostics
from causalsys.fit.guide import Guide
from causalsys.identify.judge import Judge
from causalsys.identify.shapes import shape
from causalsys.identify.view import View
from causalsys.mechanisms.base import Mechanism
from causalsys.scm.declaration import Declaration, Node
from causalsys.scm.frozen import FrozenDict
from causalsys.scm.specs import Auto


@dataclass(frozen=True, repr=False)
class Fitted:
    """A declaration with parameters. Immutable: `refit` makes another one.

    Attributes:
        schema: What the variables are.
        mechanisms: Each learned variable's mechanism.
        guides: The guides of the districts with continuous latents.
        members: How many parameter draws every mechanism has.
        seed: The seed of the fit.
        diagnostics: How the fit went.
    """

    schema: Schema
    mechanisms: Mapping[str, Mechanism]
    guides: tuple[Guide, ...]
    members: int
    seed: int
    diagnostics: Diagnostics

    def __repr__(self) -> str:
        return f"<{self.declaration.name}, {self.diagnostics}>"

    def __post_init__(self) -> None:
        object.__setattr__(self, "mechanisms", FrozenDict(self.mechanisms))

    @property
    def declaration(self) -> Declaration:
        """The declared model."""
        return self.schema.declaration

    @cached_property
    def judge(self) -> Judge:
        """Says what this model can answer, given the shapes of its fitted mechanisms."""
        nodes = self.declaration.nodes
        shapes = {
            name: shape(
                mechanism.spec,
                self.schema.supports[name],
                chosen=isinstance(nodes[name].mechanism, Auto),
            )
            for name, mechanism in self.mechanisms.items()
        }
        return Judge(View(self.declaration, shapes, self.schema.supports))

    def node(self, name: str) -> Node:
        """The variable `name`; see `Declaration.node`."""
        return self.declaration.node(name)

    def mechanism(self, name: str) -> Mechanism:
        """The fitted mechanism of `name`.

        Raises:
            UnknownNameError: The variable is unknown, or has an equation instead.
        """
        node = self.node(name)
        if node.name not in self.mechanisms:
            raise UnknownNameError.among(
                name, self.mechanisms, where="the learned mechanisms (this one is declared)"
            )
        return self.mechanisms[name]
