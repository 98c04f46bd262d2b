"""Latents that are one variable's noise: in traces, declared once and fitted exactly.

A latent that nothing causes, with one child that is learned, cannot be told from that child's own
noise: any data that the two explain, one explains, too. Where the child rises with it, every row
then tells it (`u = g⁻¹(m; a, x)`; Nasr-Esfahany, Alizadeh and Shah, ICML 2023). So it is taken for
that noise, and of its course over a trace nothing is assumed: it may last for many steps, or change
at any. A decision may see it, which is remembered, for then less is known of it.
"""

from __future__ import annotations

from dataclasses import replace

from causalsys.scm.declaration import Declaration, Node
from causalsys.scm.low_rank import with_lasting_latents
from causalsys.scm.specs import (
    Auto,
    Custom,
    Linear,
    MechanismSpec,
    Monotone,
    Multiplicative,
    NeuralAdditive,
    SplineFlow,
    StandardNormal,
)
from causalsys.scm.supports import Fraction, Positive, Real


def absorb(declaration: Declaration) -> Declaration:
    """The declaration with such latents taken for noises; what was written is kept beside it.

    A variable whose mechanism has `memory=True` is marked as lasting, too. The latents of a
    low-rank mechanism are more than its noise, and keep their names (`low_rank.py`).
    """
    nodes = {
        name: replace(node, lasting=bool(getattr(node.mechanism, "memory", False)))
        for name, node in with_lasting_latents(declaration).items()
    }
    absorbed: dict[str, str] = {}
    if declaration.temporal:
        for node in declaration.nodes.values():
            child = _revealing(node, declaration)
            if child is not None and child not in absorbed.values():
                absorbed[node.name] = child
    for latent, child in absorbed.items():
        del nodes[latent]
        for name, node in nodes.items():
            if all(parent.name != latent for parent in node.parents):
                continue
            parents = tuple(parent for parent in node.parents if parent.name != latent)
            if name == child:
                spec = SplineFlow() if isinstance(node.mechanism, Auto) else node.mechanism
                nodes[name] = replace(node, parents=parents, mechanism=spec, lasting=True)
            else:
                nodes[name] = replace(node, parents=parents, sees=(*node.sees, child))
    if nodes == dict(declaration.nodes):
        return declaration
    return replace(declaration, nodes=nodes, absorbed=absorbed, written=declaration)


def _revealing(latent: Node, declaration: Declaration) -> str | None:
    """The variable whose noise a latent is; None where it is more than that."""
    plain = (
        latent.kind == "latent"
        and latent.per == "step"
        and not latent.parents
        and isinstance(latent.support, Real | Positive | Fraction)
        and not latent.support.size
        and isinstance(latent.mechanism, StandardNormal)
    )
    if not plain:
        return None
    children = [
        node
        for node in declaration.nodes.values()
        if any(parent.name == latent.name for parent in node.parents)
    ]
    if any(p.lag for node in children for p in node.parents if p.name == latent.name):
        return None
    told = [node for node in children if node.kind != "decision"]
    if len(told) != 1 or not _inverts(told[0], declaration):
        return None
    return told[0].name


def _inverts(node: Node, declaration: Declaration) -> bool:
    """Whether a variable is one number that rises with its one latent cause."""
    causes = [declaration.nodes[parent.name] for parent in node.parents]
    hidden = [cause for cause in causes if _is_hidden(cause, declaration)]
    return (
        node.kind == "observed"
        and node.per == "step"
        and not node.support.size
        and isinstance(node.support, Real | Positive | Fraction)
        and len(hidden) == 1
        and _bijective(node.mechanism)
    )


def _is_hidden(node: Node, declaration: Declaration) -> bool:
    if node.kind == "latent":
        return True
    if node.kind != "equation":
        return False
    return any(
        _is_hidden(declaration.nodes[parent.name], declaration)
        for parent in node.parents
        if not parent.lag
    )


def _bijective(spec: MechanismSpec | None) -> bool:
    if isinstance(spec, Multiplicative):
        return spec.rank == 1
    if isinstance(spec, Custom):
        return bool(getattr(spec.family, "bijective", False))
    families = (Auto, Linear, Monotone, NeuralAdditive, SplineFlow)
    return isinstance(spec, families)


__all__ = ["absorb"]
