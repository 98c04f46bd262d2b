"""What is fitted together: each variable on its own, or a district with its latents."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from causalsys.scm.declaration import Declaration
from causalsys.scm.order import parts


@dataclass(frozen=True)
class Block:
    """Variables that are fitted together.

    Attributes:
        latents: The latents that tie them, in causal order; empty for a variable on its own.
        variables: The learned variables, in causal order.
    """

    latents: tuple[str, ...]
    variables: tuple[str, ...]

    @property
    def name(self) -> str:
        """A name for people, for seeds and for checkpoints."""
        return "+".join((*self.latents, *self.variables))

    def seed(self, base: int) -> int:
        """The block's own seed: it does not depend on which other blocks there are."""
        return (base * 1_000_003 + zlib.crc32(self.name.encode())) % (2**31)


def blocks(declaration: Declaration) -> tuple[Block, ...]:
    """Split the learned variables into blocks, in causal order.

    The likelihood factorises over districts (c-components; Tian and Pearl, 2002), so each can
    be fitted without the others. A block is a district with the latents that tie it; an
    equation of a latent carries the tie on to its own children.
    """
    learned = [node for node in declaration.nodes.values() if node.learned]
    hidden = _hidden(declaration)
    ties = [
        (source, node.name)
        for node in learned
        for parent in node.parents
        for source in hidden.get(parent.name, ())
    ]
    found = [
        Block(
            tuple(name for name in part if declaration.nodes[name].kind == "latent"),
            tuple(name for name in part if declaration.nodes[name].kind != "latent"),
        )
        for part in parts((node.name for node in learned), ties)
    ]
    return tuple(found)


def _hidden(declaration: Declaration) -> dict[str, frozenset[str]]:
    """For each latent, and each equation over latents, the latents that it is made of."""
    found: dict[str, frozenset[str]] = {}
    for node in declaration.nodes.values():
        if node.kind == "latent":
            found[node.name] = frozenset({node.name})
        elif node.kind == "equation":
            sources = [found[p.name] for p in node.parents if p.name in found]
            if sources:
                found[node.name] = frozenset().union(*sources)
    return found
