"""The law of a variable where nothing exact is known: its rank among draws given the rest."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from causalsys.data.table import Table
from causalsys.fit.abduct import abduct
from causalsys.fit.fitted import Fitted
from causalsys.scm.declaration import Node

_DRAWS = 200
"""Ranks are then told to half a hundredth."""


def among_draws(node: Node, fitted: Fitted, table: Table, *, place: Tensor, seed: int) -> Tensor:
    """The share of draws below the value, `[row]`, ties broken by `place`.

    A value is one more draw where the model holds, so that its rank is uniform.
    """
    gone = fitted.declaration.graph.descendants(node.name) | {node.name}
    without = replace(
        table,
        values={name: value for name, value in table.values.items() if name not in gone},
        missing={name: gaps for name, gaps in table.missing.items() if name not in gone},
    )
    drawn = abduct(fitted, without, samples=_DRAWS, seed=seed).table.values[node.name]
    value = table.values[node.name][0]
    less, ties = (drawn < value).sum(0), (drawn == value).sum(0)
    return (less + place * (ties + 1)) / (_DRAWS + 1)


__all__ = ["among_draws"]
