"""What is what in a block with a chain: the latent, the equations over it, its children."""

from __future__ import annotations

from dataclasses import dataclass

from causalsys.data.table import Table
from causalsys.errors import FitError
from causalsys.scm.blocks import Block
from causalsys.scm.declaration import Node, ParentRef
from causalsys.scm.dynamics import goes_on, itself
from causalsys.scm.specs import Logged


@dataclass(frozen=True)
class Place:
    """A chain and what it acts on.

    Attributes:
        chain: The latent.
        equations: The names of the equations over it.
        children: The learned variables that it acts on, or that are tied to it.
    """

    chain: Node
    equations: frozenset[str]
    children: tuple[Node, ...]


def has_chain(block: Block, table: Table) -> bool:
    """Whether a block has a latent with dynamics of its own."""
    nodes = table.schema.declaration.nodes
    return any(goes_on(nodes[name]) for name in block.latents)


def place_of(block: Block, table: Table) -> tuple[Place, list[Node]]:
    """What is what in a block with a chain, and its nodes in causal order.

    Raises:
        FitError: There is more in it than one chain and its children of the same step.
    """
    nodes = table.schema.declaration.nodes
    chain = next(nodes[name] for name in block.latents if goes_on(nodes[name]))
    if others := [name for name in block.latents if name != chain.name]:
        raise FitError(
            chain.name,
            found=f"the latent {others[0]}, which acts on the same variables",
            mend="Next to a latent with dynamics no other latent is fitted: drop one of them.",
        )
    hidden = {chain.name}
    found = [chain]
    for node in nodes.values():
        ties = [ref for ref in node.parents if ref.name in hidden and node is not chain]
        if ties or node.name in block.variables:
            _check(node, ties, chain.name, table)
            found.append(node)
        if ties and node.function is not None:
            hidden.add(node.name)
    children = tuple(node for node in found if node.name in block.variables)
    if not children:
        raise FitError(
            chain.name, found="nothing that it acts on", mend="Give it an effect that is logged."
        )
    assert itself(chain.name) in chain.parents
    return Place(chain, frozenset(hidden - {chain.name}), children), found


def _check(node: Node, ties: list[ParentRef], chain: str, table: Table) -> None:
    """Refuse what a chain acts on in a way that is not fitted."""
    lagged = [ref.name for ref in ties if ref.lag]
    if lagged:
        raise FitError(
            node.name,
            found=f"{lagged[0]} of an earlier step among its causes",
            mend="What a latent with dynamics acts on, it acts on in the same step: drop the lag.",
        )
    if node.function is not None and node.name in table.values:
        raise FitError(
            node.name,
            found=f"a column for an equation over the latent {chain}, without error",
            mend="Declare it as cs.Observed(..., mechanism=cs.Measurement(...)) of another "
            "equation.",
        )
    if isinstance(node.mechanism, Logged):
        raise FitError(
            node.name,
            found=f"cs.Logged() of a decision that sees the latent {chain}",
            mend="What a policy knows of the latent must be learned: give it another mechanism, "
            "such as cs.GumbelMax().",
        )
