"""What a row's inputs say of a hidden class among the target's causes, by the fitted model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causalsys.audit.subject import Subject
from causalsys.data.read import read
from causalsys.data.table import Table
from causalsys.fit.fitted import Fitted
from causalsys.scm.declaration import Node
from causalsys.scm.supports import Categorical

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
_STEPS = 200


def hidden_class(fitted: Fitted, target: str) -> Node | None:
    """The one categorical latent that the target depends on; None where there is none, or more."""
    above = fitted.declaration.graph.ancestors(target)
    found = [
        node
        for name, node in fitted.declaration.nodes.items()
        if name in above
        and node.kind == "latent"
        and isinstance(fitted.schema.supports[name], Categorical)
    ]
    return found[0] if len(found) == 1 else None


def class_chances(
    fitted: Fitted, rows: pd.DataFrame, target: str, *, names: Sequence[str], member: int = 0
) -> Floats | None:
    """The chance of each level given some columns but not the target, `[row, level]`.

    Args:
        fitted: The model.
        rows: The rows.
        target: The variable whose value, and whose effects, are not looked at.
        names: The columns that are looked at.
        member: Which parameters.

    Returns:
        None where no single hidden class is among the target's causes, or no column tells of it.
    """
    latent = hidden_class(fitted, target)
    if latent is None or latent.name not in fitted.mechanisms:
        return None
    below = fitted.declaration.graph.descendants(target) | {target}
    told = [
        node
        for name, node in fitted.declaration.nodes.items()
        if name in names
        and name not in below
        and name in fitted.mechanisms
        and any(ref.name == latent.name for ref in node.parents)
    ]
    table = read(fitted.schema, rows, purpose="evidence")
    told = [node for node in told if _known(node, table, latent)]
    if not told or not all(ref.name in table.values for ref in latent.parents):
        return None
    index = torch.tensor([member % fitted.members])
    support = fitted.schema.supports[latent.name]
    assert isinstance(support, Categorical)
    each = []
    for level in range(support.cardinality):
        code = torch.full((1, table.rows), level)
        prior = fitted.mechanisms[latent.name].members(index)
        score = prior.log_prob(code, _parents(latent, table, latent, code))
        for node in told:
            law = fitted.mechanisms[node.name].members(index)
            score = score + law.log_prob(
                table.values[node.name], _parents(node, table, latent, code)
            )
        each.append(score.expand(1, table.rows)[0])
    return _own_shares(torch.stack(each, -1).double().numpy())


def _own_shares(scores: Floats) -> Floats:
    """The chances with the levels' shares in these rows, by EM (Saerens et al., 2002).

    A level that is rare where the model was fitted may be frequent here: that is its mix, and the
    laws of what it drives stay.
    """
    scores = scores - scores.max(1, keepdims=True)
    first = _shares(np.exp(scores))
    shares, chances = first, np.exp(scores)
    for _ in range(_STEPS):
        chances = np.exp(scores) * (shares / first)
        chances /= chances.sum(1, keepdims=True)
        new = _shares(chances)
        if float(np.abs(new - shares).max()) < 1e-5:
            break
        shares = new
    return chances


def _shares(chances: Floats) -> Floats:
    each = chances / chances.sum(1, keepdims=True)
    found: Floats = (each.sum(0) + 1.0) / (len(each) + each.shape[1])
    return found


def _known(node: Node, table: Table, latent: Node) -> bool:
    """Whether a variable and all its causes but the class are known."""
    names = [node.name, *(ref.name for ref in node.parents if ref.name != latent.name)]
    return all(name in table.values and name not in table.missing for name in names)


def _parents(node: Node, table: Table, latent: Node, code: Tensor) -> dict[str, Tensor]:
    return {
        ref.key: code if ref.name == latent.name else table.values[ref.name] for ref in node.parents
    }


def mean_over_classes(
    fitted: Fitted, rows: pd.DataFrame, target: str, chances: Floats, *, member: int
) -> Floats | None:
    """The target without noise at each level, `[row, level]`; None where it cannot be evaluated."""
    latent, node = hidden_class(fitted, target), fitted.node(target)
    table = read(fitted.schema, rows, purpose="evidence")
    names = [ref.name for ref in node.parents if latent is None or ref.name != latent.name]
    if latent is None or any(n not in table.values or n in table.missing for n in names):
        return None
    law = fitted.mechanisms[target].members(torch.tensor([member % fitted.members]))
    noise = torch.zeros(1, table.rows, dtype=torch.float64)
    found = []
    for level in range(chances.shape[1]):
        code = torch.full((1, table.rows), level)
        value = law.push(noise, _parents(node, table, latent, code))
        found.append(value.expand(1, table.rows)[0].double().numpy())
    return np.stack(found, -1)


def named_levels(subject: Subject, levels: Sequence[int]) -> str:
    """Levels of the hidden class in words, such as "host = old"."""
    latent = hidden_class(subject.fitted, subject.target)
    if latent is None:
        return ""
    support = subject.fitted.schema.supports[latent.name]
    assert isinstance(support, Categorical)
    named = support.levels or tuple(range(support.cardinality))
    return f"{latent.name} = {' or '.join(str(named[level]) for level in levels)}"


__all__ = ["class_chances", "hidden_class", "mean_over_classes", "named_levels"]
