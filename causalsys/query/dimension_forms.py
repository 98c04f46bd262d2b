"""What a latent of traces may be, as models: luck, one number that a value reveals, several."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from causalsys.errors import DeclarationError, QueryError
from causalsys.scm.absorb import absorb
from causalsys.scm.declaration import Declaration, Node
from causalsys.scm.specs import Linear, LowRank, Multiplicative, StandardNormal, natural_link
from causalsys.scm.supports import Categorical, Real

Kind = Literal["luck", "declared", "low rank"]


def child_of(declaration: Declaration, latent: str) -> str | None:
    """The one variable that a latent of traces acts on; None where it is another kind of latent.

    Raises:
        QueryError: It is one of several latents of a low-rank variable.
    """
    if latent in declaration.absorbed:
        return declaration.absorbed[latent]
    for node in declaration.nodes.values():
        if isinstance(node.mechanism, LowRank) and latent in node.mechanism.latents:
            if len(node.mechanism.latents) > 1:
                others = ", ".join(n for n in node.mechanism.latents if n != latent)
                raise QueryError(
                    latent,
                    found=f"one of several latents of {node.name}, beside {others}",
                    mend="Declare them as one, cs.Latent(cs.Real(size=2)), and ask for its size.",
                )
            return node.name
    return None


def kinds(declaration: Declaration, latent: str, size: int) -> tuple[Kind, ...]:
    """What so many latents may be, simplest first.

    "luck" is none that lasts: the noise falls anew. "declared" is one number that the value rises
    with, as the model says; "low rank" are latents that actions weigh differently, beside noise.
    """
    if size == 0:
        return ("luck",)
    return (
        ("declared", "low rank") if size == 1 and latent in declaration.absorbed else ("low rank",)
    )


def formed(declaration: Declaration, latent: str, *, size: int, kind: Kind) -> Declaration:
    """The model in which a latent is of that kind.

    Args:
        declaration: The model.
        latent: A latent that `child_of` knows.
        size: How many lasting latents.
        kind: See `kinds`.

    Raises:
        DeclarationError: Such a model cannot be declared.
    """
    child = child_of(declaration, latent)
    assert child is not None
    if kind == "declared":
        return declaration
    if kind == "luck":
        return _without(declaration, latent, child)
    parents = declaration.nodes[child].parents
    if not any(isinstance(declaration.nodes[ref.name].support, Categorical) for ref in parents):
        raise DeclarationError(
            child,
            found="no categorical parent, so that no action weighs its latents differently",
            mend="Leave this size out: latents that all weigh alike are one.",
        )
    return _low_rank(declaration, latent, child, size)


def _without(declaration: Declaration, latent: str, child: str) -> Declaration:
    """The model without the latent, its child's noise being new in every step."""
    nodes = {}
    for name, node in declaration.as_written.nodes.items():
        if name == latent:
            continue
        kept = tuple(parent for parent in node.parents if parent.name != latent)
        spec = declaration.nodes[child].mechanism if name == child else node.mechanism
        if name == child and isinstance(spec, LowRank):
            spec = Multiplicative() if spec.link == "log" else Linear(link=spec.link)
        nodes[name] = replace(node, parents=kept, mechanism=spec)
    return _declared(declaration, nodes)


def _low_rank(declaration: Declaration, latent: str, child: str, size: int) -> Declaration:
    """The model with so many latents behind the child, weighed by its categorical parents."""
    nodes = dict(declaration.as_written.nodes)
    link = natural_link(nodes[child].support)
    nodes[child] = replace(nodes[child], mechanism=LowRank(link=link))
    real = Real(size=size if size > 1 else None)
    nodes[latent] = replace(nodes[latent], support=real, mechanism=StandardNormal())
    return _declared(declaration, nodes)


def _declared(declaration: Declaration, nodes: dict[str, Node]) -> Declaration:
    # It is no longer the model that a class declares, so that it has no origin.
    written = Declaration(
        declaration.name, nodes, declaration.doc, selected=declaration.as_written.selected
    )
    return absorb(written)
