"""Categorical latents given what is known: every combination of their levels, exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from causalsys.data.table import Table
from causalsys.fit.fitted import Fitted
from causalsys.fit.joint import Scope
from causalsys.fit.posterior import by_configuration, configurations
from causalsys.scm.declaration import Node
from causalsys.scm.supports import Categorical


def follow_their_law(unknown: Sequence[Node], part: Sequence[Node], table: Table) -> bool:
    """Whether the latents are categorical, and nothing known depends on what else is unknown.

    The latents' posterior is then that of the known variables, and the rest follows its law.
    """
    supports = table.schema.supports
    whole = torch.ones(table.rows, dtype=torch.bool)
    for node in unknown:
        if node.kind == "latent":
            if not isinstance(supports[node.name], Categorical):
                return False
            continue
        gone = table.missing.get(node.name, whole)
        below = {node.name}
        for other in part:
            tied = [parent for parent in other.parents if parent.name in below]
            if not tied:
                continue
            below.add(other.name)
            absent = whole if other.name not in table.values else table.missing.get(other.name)
            told = other.function is None and bool(
                (gone if absent is None else gone & ~absent).any()
            )
            if told or any(parent.lag for parent in tied):
                return False
    return True


def joint_by_member(
    scope: Scope, fitted: Fitted, ends: Mapping[str, Tensor], samples: int
) -> Tensor:
    """The log joint of known values and each combination of the latents' levels.

    It is the same for all samples under the same member, and whatever the noises of variables
    on which nothing known depends.

    Returns:
        `[combination, member, unit]`; as many members as samples where the data are each sample's.
    """
    if any(len(value) > 1 for value in scope.known.values()):
        return by_configuration(scope, ends)
    index = torch.arange(min(samples, fitted.members))
    mechanisms = {
        n.name: fitted.mechanisms[n.name].members(index) for n in scope.nodes if n.learned
    }
    noises = {name: torch.zeros_like(noise[: len(index)]) for name, noise in ends.items()}
    return by_configuration(scope.with_mechanisms(mechanisms), noises)


def draw_categories(
    scope: Scope,
    noises: Mapping[str, Tensor],
    joint: Tensor,
    index: Tensor,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Draw the categorical latents given the rest, then the Gumbel noises behind them.

    Args:
        scope: What is known, under the parameters of each sample's member.
        noises: Of what else is unknown.
        joint: The log joint of each combination of levels, `[combination, member, unit]`.
        index: The member of each sample.
        generator: Fixes the draws.
    """
    codes = configurations(scope)
    if not codes:
        return {}
    below = torch.softmax(joint, 0).cumsum(0)[:-1]
    if 1 < below.shape[1] < len(index):
        below = below[:, index % below.shape[1]]
    shape = (len(index), joint.shape[-1])
    uniform = torch.rand(shape, generator=generator, dtype=joint.dtype)
    chosen = torch.zeros(shape, dtype=torch.int64)
    for edge in below:
        chosen += uniform > edge
    if scope.by_trace:
        chosen = chosen[:, scope.layout.trace]
    values = {name: code[chosen] for name, code in codes.items()}
    known = {**values}
    found: dict[str, Tensor] = {}
    for node in scope.nodes:
        if node.name in values:
            parents = scope.parents(node, known)
            found[node.name] = scope.mechanisms[node.name].pull(
                values[node.name], parents, generator=generator
            )
        elif node.name in noises:
            known[node.name] = scope.mechanisms[node.name].push(
                noises[node.name], scope.parents(node, known)
            )
    return found


__all__ = ["draw_categories", "follow_their_law", "joint_by_member"]
