"""The law of a variable with its latents integrated out, given what it does not cause."""

from __future__ import annotations

import torch
from torch import Tensor

from causalsys.data.table import Table
from causalsys.detect.drawn import among_draws
from causalsys.detect.law import below, usable
from causalsys.fit.district import scope_nodes
from causalsys.fit.factors import Factors, is_gaussian
from causalsys.fit.fitted import Fitted
from causalsys.fit.joint import Scope
from causalsys.fit.posterior import configurations
from causalsys.scm.blocks import Block
from causalsys.scm.declaration import Node
from causalsys.scm.supports import Categorical


def integrated(
    node: Node, fitted: Fitted, table: Table, block: Block, *, place: Tensor, seed: int
) -> Tensor:
    """The chance of a value below this one, `[row]`.

    Args:
        node: A logged variable of the block.
        fitted: The model.
        table: The rows.
        block: The variables that share latents with it.
        place: `[row]`, uniform: where a category lies within its step.
        seed: Fixes draws.
    """
    caused = fitted.declaration.graph.descendants(node.name)
    nodes = [each for each in scope_nodes(block, table) if each.name not in caused]
    logged = [each for each in nodes if each.kind != "latent" and each.function is None]
    complete = all(
        each.name in table.values and all(p.name in table.values for p in _seen(each, fitted))
        for each in logged
    )
    levels = all(_has_levels(name, fitted) for name in block.latents)
    if complete and levels and usable(fitted.mechanisms[node.name]):
        return _by_class(node, fitted, table, nodes, place=place, seed=seed)
    if not complete or not is_gaussian(Scope.of(table, fitted.mechanisms, nodes=nodes)):
        return among_draws(node, fitted, table, place=place, seed=seed)
    return _normal(node, fitted, table, nodes, place=place, seed=seed)


def _seen(node: Node, fitted: Fitted) -> list[Node]:
    found = [fitted.declaration.nodes[parent.name] for parent in node.parents]
    return [each for each in found if each.kind not in ("latent", "equation")]


def _has_levels(name: str, fitted: Fitted) -> bool:
    return isinstance(fitted.schema.supports[name], Categorical)


def _by_class(
    node: Node,
    fitted: Fitted,
    table: Table,
    nodes: list[Node],
    *,
    place: Tensor,
    seed: int,
) -> Tensor:
    """A mixture over the latents' levels, weighted by what the other variables say of them."""
    scope = Scope.of(table, fitted.mechanisms, nodes=nodes)
    values = {name: code.reshape(-1, 1, 1) for name, code in configurations(scope).items()}
    weight = torch.zeros(1, 1, table.rows, dtype=torch.float64)
    own = torch.zeros(())
    for each in nodes:
        parents = scope.parents(each, values)
        if each.function is not None:
            values[each.name] = scope.compute(each, parents)
            continue
        mechanism = fitted.mechanisms[each.name]
        if each.name == node.name:
            own = below(mechanism, table.values[each.name], parents, place=place, seed=seed)
            continue
        told = values[each.name] if each.kind == "latent" else table.values[each.name]
        term = mechanism.log_prob(told, parents)
        known = table.complete(each)
        weight = weight + (term if known is None else torch.where(known, term, 0.0))
    return (torch.softmax(weight, 0) * own).sum(0).mean(0)


def _normal(
    node: Node,
    fitted: Fitted,
    table: Table,
    nodes: list[Node],
    *,
    place: Tensor,
    seed: int,
) -> Tensor:
    """Exact where all is known; draws in the rows with gaps."""
    found = _exactly(node, Factors.of(Scope.of(table, fitted.mechanisms, nodes=nodes)))
    known = [row for each in nodes if (row := table.complete(each)) is not None]
    gaps = ~torch.stack(known).all(0) if known else torch.zeros(0, dtype=torch.bool)
    rows = gaps.nonzero()[:, 0]
    if len(rows):
        part = table.take(rows)
        found[rows] = among_draws(node, fitted, part, place=place[rows], seed=seed)
    return found


def _exactly(node: Node, factors: Factors) -> Tensor:
    """The normal law, from the covariance of the district's residuals."""
    residual, covariance = factors.moments()
    at = [each.name for each in factors.variables].index(node.name)
    rest = [k for k in range(len(factors.variables)) if k != at]
    cross = covariance[:, rest, at]
    slope = torch.linalg.solve(covariance[:, rest][:, :, rest], cross.unsqueeze(-1))
    mean = (residual[..., rest] @ slope).squeeze(-1)
    variance = covariance[:, at, at] - (cross.unsqueeze(-2) @ slope)[:, 0, 0]
    far = (residual[..., at] - mean) / variance.sqrt().unsqueeze(-1)
    return torch.special.ndtr(far).mean(0)


__all__ = ["integrated"]
