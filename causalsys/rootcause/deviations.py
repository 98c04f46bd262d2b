"""How far each variable is from its usual value in the incident, and what passed that on.

Everything that is asked of an incident is asked of *deviations*. The mechanisms are asked, not
opened: each is evaluated with a parent where it usually is and where it went, and the difference
is what that parent passed on. What the parents passed on and the residual sum to the deviation,
whatever the family. A value that is not known is taken where its mechanism puts it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from causalsys.data.table import Table
from causalsys.rootcause.usual import Model, Usual, numbers
from causalsys.scm.declaration import Node

_STILL = 1e-12


@dataclass(frozen=True)
class Deviation:
    """A variable in the incident.

    Attributes:
        value: How far it is from its usual value, `[row]`.
        known: Where that was observed, `[row]`; elsewhere it is what its parents make of it.
        passed: What its mechanism passes on of each parent's deviation, `[parent, row]`.
        doubt: The standard deviation of each slope over the fitted members, `[parent]`.
    """

    value: Tensor
    known: Tensor
    passed: Tensor
    doubt: Tensor


def deviations(model: Model, incident: Table, usual: Mapping[str, Usual]) -> dict[str, Deviation]:
    """Every variable that was seen in the normal period, causes before effects."""
    found: dict[str, Deviation] = {}
    for name, node in model.fitted.declaration.nodes.items():
        if name in usual:
            found[name] = _deviation(model, node, incident, usual[name], above=found)
    return found


def _deviation(
    model: Model, node: Node, incident: Table, usual: Usual, *, above: Mapping[str, Deviation]
) -> Deviation:
    support = model.fitted.schema.supports[node.name]
    passed, doubt = _passed(model, node, incident, above=above)
    known = torch.zeros(incident.rows, dtype=torch.bool)
    value = passed.sum(0)
    if node.name in incident.values:
        known = ~incident.missing.get(node.name, known)
        line = numbers(incident.values[node.name][0], usual.value, support)
        middle = numbers(usual.value, usual.value, support)
        value = torch.where(known, line - middle, value)
    return Deviation(value, known, passed, doubt)


def _passed(
    model: Model, node: Node, incident: Table, *, above: Mapping[str, Deviation]
) -> tuple[Tensor, Tensor]:
    """Differences as the parents go, one after another, from their usual values to the incident's.

    Returns:
        What each passed on, `[parent, row]`, and the deviation of its slope over members,
        `[parent]`.
    """
    rows, count = incident.rows, len(node.parents)
    if not count:
        return torch.zeros(0, rows, dtype=torch.float64), torch.zeros(0, dtype=torch.float64)
    supports = model.fitted.schema.supports
    configurations: dict[str, Tensor] = {}
    moves = torch.zeros(count, rows, dtype=torch.float64)
    for place, ref in enumerate(node.parents):
        support = supports[ref.name]
        before = model.middle(ref.name).expand(1, rows)
        here = before
        if ref.name in above:
            parent = above[ref.name]
            moves[place] = parent.value
            if not support.discrete:
                here = before + parent.value
            if ref.name in incident.values:
                here = torch.where(parent.known, incident.values[ref.name], here)
        went = (torch.arange(count + 1) > place)[:, None, None]
        configurations[ref.key] = torch.where(went, here, before)
    steps = model.expected(node, configurations).diff(dim=0)  # [parent, member, row]
    still = moves.abs() < _STILL
    slopes = torch.where(still[:, None], 0.0, steps / torch.where(still, 1.0, moves)[:, None])
    mean = slopes.sum(-1) / (~still).sum(-1).clamp(min=1)[:, None]
    doubt = mean.std(1) if mean.shape[1] > 1 else torch.zeros(count, dtype=torch.float64)
    return steps.mean(1), doubt


__all__ = ["Deviation", "deviations"]
