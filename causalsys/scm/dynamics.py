"""Latents with dynamics of their own: each is its own parent, one step ago."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from causalsys.errors import DeclarationError, SupportError
from causalsys.scm.declaration import Node, ParentRef
from causalsys.scm.specs import Dynamics, HiddenMarkov, Measurement

BEFORE = -math.inf
"""What a latent "was" before its trace began: no state. Its first step has a law of its own."""


def goes_on(node: Node) -> bool:
    """Whether a variable follows dynamics of its own."""
    return isinstance(node.mechanism, Dynamics)


def itself(name: str) -> ParentRef:
    """The variable as it was one step ago, as its own parent."""
    return ParentRef(name, 1, BEFORE)


def check_dynamics(node: Node, nodes: Mapping[str, Node]) -> None:
    """Refuse dynamics where they cannot be fitted, and measurements of anything but one parent.

    Raises:
        DeclarationError: The variable is logged, has causes, or belongs to a trace.
        SupportError: Its values are no scalars, or lie outside the support.
    """
    if isinstance(node.mechanism, Measurement):
        _check_measurement(node, nodes)
    spec = node.mechanism
    if not isinstance(spec, Dynamics):
        return
    family = type(spec).__name__
    if node.kind != "latent":
        raise DeclarationError(
            node.name,
            found=f"{family} for a variable that is logged",
            mend="Let it have its own past among its parents: parents=[x.lag(1)].",
        )
    causes = [ref.name for ref in node.parents if ref != itself(node.name)]
    if causes:
        raise DeclarationError(
            node.name,
            found=f"{family} with the parent {causes[0]}: its dynamics would have causes",
            mend="Dynamics are those of a latent that nothing in the model acts on. Let "
            f"{causes[0]} act on what the latent acts on instead.",
        )
    if node.per == "trace":
        raise DeclarationError(
            node.name, found=f"{family} with one value per trace", mend="Drop per='trace'."
        )
    if node.support.size:
        raise SupportError(
            node.name, found=f"{family} for a vector", mend="Declare one latent per component."
        )
    given = spec.levels if isinstance(spec, HiddenMarkov) and spec.levels else spec.between
    if given and node.support.outside(np.asarray(given)).any():
        raise SupportError(
            node.name,
            found=f"the values {given} of a variable that is {node.support}",
            mend="Give values of its support.",
        )


def _check_measurement(node: Node, nodes: Mapping[str, Node]) -> None:
    kinds = [type(nodes[ref.name].support) for ref in node.parents]
    if kinds != [type(node.support)] or node.support.size:
        told = ", ".join(ref.name for ref in node.parents) or "no parent"
        raise DeclarationError(
            node.name,
            found=f"Measurement over {told}",
            mend="Give it one parent, a scalar with the same kind of support: what is measured.",
        )
