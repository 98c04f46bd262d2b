"""What is what in a district with a low-rank mechanism."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from causalsys.data.table import Table
from causalsys.errors import FitError
from causalsys.mechanisms.base import Mechanism
from causalsys.scm.blocks import Block
from causalsys.scm.declaration import Declaration, Node
from causalsys.scm.specs import LastingNormal, LowRank


@dataclass(frozen=True)
class Place:
    """A variable of low rank with its latents.

    Attributes:
        child: The variable.
        latents: Its latents, in the order of its components.
    """

    child: Node
    latents: tuple[Node, ...]


def has_lasting(node: Node) -> bool:
    """Whether a variable is a latent of a low-rank mechanism."""
    return isinstance(node.mechanism, LastingNormal)


def has_low_rank(block: Block, declaration: Declaration) -> bool:
    """Whether a block has such latents."""
    return any(has_lasting(declaration.nodes[name]) for name in block.latents)


def place_of(block: Block, declaration: Declaration) -> Place:
    """What is what in such a block.

    Raises:
        FitError: There is more in it than one variable with its latents.
    """
    nodes = declaration.nodes
    child = next(nodes[n] for n in block.variables if isinstance(nodes[n].mechanism, LowRank))
    assert isinstance(child.mechanism, LowRank)
    others = [n for n in block.latents if n not in child.mechanism.latents]
    others += [n for n in block.variables if n != child.name]
    if others:
        raise FitError(
            child.name,
            found=f"{others[0]}, which is tied to it by more than its own latents",
            mend="A low-rank mechanism is fitted with latents of its own only: drop the tie.",
        )
    return Place(child, tuple(nodes[name] for name in child.mechanism.latents))


def components(place: Place, values: Tensor) -> dict[str, Tensor]:
    """Each latent's part of all components, `[..., row, component]`."""
    found, first = {}, 0
    for node in place.latents:
        size = node.support.size or 1
        part = values[..., first : first + size]
        found[node.name] = part if node.support.size else part[..., 0]
        first += size
    return found


def persistence(place: Place, mechanisms: Mapping[str, Mechanism]) -> Tensor:
    """The persistence of all components, `[member, component]`."""
    return torch.cat([mechanisms[node.name].state["persistence"] for node in place.latents], -1)


def known_rows(place: Place, table: Table) -> Tensor | None:
    """Where the variable and its parents are known, `[row]`; None where they are everywhere."""
    # What was imputed says nothing that the rest does not, and a filter needs no value in a gap.
    return table.complete(place.child)
