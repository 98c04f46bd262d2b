"""Which independence of a lasting noise identifies its variable's mechanism.

    sequential   `u_t ⟂ parents_t | u_<t`: nothing that acts on the variable looks at the noise of
                 the same step, or shares a cause with it. A row is compared with its neighbours in
                 time, so the information grows with the number of steps.
    arms         a policy sees the noise, but which policy was live was drawn at random:
                 `u ⟂ arm`. Only whole arms can be compared, so the information grows with the
                 number of traces.
    none         neither holds, and the mechanism is not identified.

The graph is laid out over steps with each lasting noise as a chain, so that these are
d-separations like any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from causalsys.identify.steps import Steps, steps_of
from causalsys.scm.declaration import Declaration, Node

Constraint = Literal["sequential", "arms", "none"]


@dataclass(frozen=True)
class Exogeneity:
    """What the graph says of a lasting noise.

    Attributes:
        variable: The variable whose noise it is.
        constraint: The strongest independence that holds.
        tied: The variable's parents that are not independent of the noise given its past.
        arms: The arms that randomise them.
        reason: Why it is no more than that, in words.
    """

    variable: str
    constraint: Constraint
    tied: tuple[str, ...] = ()
    arms: tuple[str, ...] = ()
    reason: str = ""


def exogeneity(declaration: Declaration, name: str, *, steps: Steps | None = None) -> Exogeneity:
    """The strongest independence of a variable's lasting noise from what acts on it.

    Args:
        declaration: The model.
        name: A variable with a lasting noise.
        steps: The model's graph over steps, where it is at hand.
    """
    found = steps_of(declaration) if steps is None else steps
    node = declaration.nodes[name]
    tied = tuple(p.key for p in node.parents if _is_tied(p.name, p.lag, name, found))
    if not tied:
        return Exogeneity(name, "sequential")
    reason = _reason(node, tied, declaration)
    arms = _arms(tied, name, declaration, found)
    return Exogeneity(name, "arms" if arms else "none", tied, arms, reason)


def _is_tied(parent: str, lag: int, name: str, steps: Steps) -> bool:
    """Whether a parent tells of the noise of this step, given that of all steps before."""
    labels = steps.at[parent]
    if lag >= len(labels):
        return False
    past = {_noise(label) for label in steps.at[name][1:]} & steps.parents.keys()
    return not _separated(labels[lag], _noise(steps.at[name][0]), past, steps)


def _arms(
    tied: tuple[str, ...], name: str, declaration: Declaration, steps: Steps
) -> tuple[str, ...]:
    """The arms above what is tied, where all of it is a decision under one and none is the noise's.

    Whatever a policy sees, which one is live tells nothing of the noise.
    """
    kinds = declaration.graph.kinds
    arms = [arm for arm, kind in kinds.items() if kind == "arm"]
    noises = {_noise(label) for label in steps.at[name]}
    free = [
        arm
        for arm in arms
        if all(_separated(arm, noise, set(), steps) for noise in noises & steps.parents.keys())
        # An arm that acts on the variable past the decision compares nothing.
        and arm not in {parent.name for parent in declaration.nodes[name].parents}
    ]
    for parent in tied:
        above = {ref.name for ref in declaration.nodes[parent.split("[")[0]].parents}
        if kinds[parent.split("[")[0]] != "decision" or not above & set(free):
            return ()
    return tuple(sorted(free))


def _separated(one: str, other: str, given: set[str], steps: Steps) -> bool:
    import networkx as nx

    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(steps.parents)
    graph.add_edges_from((c, effect) for effect, causes in steps.parents.items() for c in causes)
    if one in given:
        return True
    return bool(nx.is_d_separator(graph, {one}, {other}, given - {one, other}))


def _reason(node: Node, tied: tuple[str, ...], declaration: Declaration) -> str:
    names = ", ".join(tied)
    seeing = [p for p in tied if node.name in declaration.nodes[p.split("[")[0]].sees]
    of = next((latent for latent, child in declaration.absorbed.items() if child == node.name), "")
    noise = of or f"the noise of {node.name}"
    if seeing:
        return f"{', '.join(seeing)} sees {noise} of the same step"
    return f"{names} shares a cause with {noise} of the same step"


def _noise(label: str) -> str:
    return f"noise of {label}"


__all__ = ["Constraint", "Exogeneity", "exogeneity"]
