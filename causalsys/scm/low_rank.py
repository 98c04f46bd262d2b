"""Latents of a low-rank mechanism: they last from step to step, and are not the child's noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from causalsys.errors import DeclarationError
from causalsys.scm.declaration import Declaration, Node
from causalsys.scm.dynamics import itself
from causalsys.scm.specs import LastingNormal, LowRank, StandardNormal
from causalsys.scm.supports import Real


def with_lasting_latents(declaration: Declaration) -> dict[str, Node]:
    """The nodes, the latents of low-rank mechanisms having the dynamics that those give them.

    Raises:
        DeclarationError: Such a mechanism has no latent parent, or one that is not its own, real,
            of the same step and without causes.
    """
    nodes = dict(declaration.nodes)
    for node in declaration.nodes.values():
        if not isinstance(node.mechanism, LowRank):
            continue
        latents = tuple(r.name for r in node.parents if nodes[r.name].kind == "latent")
        if not latents or node.support.size:
            raise DeclarationError(
                node.name,
                found="LowRank for a vector" if latents else "LowRank without a latent parent",
                mend="Declare one variable per component."
                if latents
                else "Name the latents among its parents: path = cs.Latent(cs.Real(size=2)).",
            )
        for ref in node.parents:
            if ref.name in latents:
                _check(nodes[ref.name], node, lag=ref.lag, nodes=declaration.nodes)
        nodes[node.name] = replace(node, mechanism=replace(node.mechanism, latents=latents))
        for name in latents:
            nodes[name] = replace(nodes[name], parents=(itself(name),), mechanism=LastingNormal())
    return nodes


def _check(latent: Node, child: Node, *, lag: int, nodes: Mapping[str, Node]) -> None:
    found = mend = ""
    others = [
        n.name
        for n in nodes.values()
        if n.name != child.name and any(ref.name == latent.name for ref in n.parents)
    ]
    if not isinstance(latent.support, Real):
        found = f"a latent of LowRank that is {latent.support}"
        mend = "Declare it as cs.Latent(cs.Real()), or cs.Real(size=2): it acts on the link."
    elif not isinstance(latent.mechanism, StandardNormal) or latent.parents:
        found, mend = "a latent of LowRank with causes or a law of its own", "Leave both out."
    elif latent.per == "trace" or lag:
        found = f"a latent of LowRank that is not of the same step as {child.name}"
        mend = "Declare it per step, and without a lag."
    elif others:
        found = f"a latent of LowRank that also acts on {others[0]}"
        mend = (
            f"Its latents may have one child, {child.name}: a policy that sees them, or a second "
            "effect, needs another mechanism, such as cs.Linear."
        )
    if found:
        raise DeclarationError(latent.name, found=found, mend=mend)
