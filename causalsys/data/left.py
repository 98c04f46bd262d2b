"""Logs that hold a state as a step left it, where the model means what the step found.

A player's log may say how full the buffer was when a chunk was asked for, or when it had come.
Which of the two a column holds need not be declared: the transition tells, exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from causalsys.data.schema import Schema
from causalsys.data.table import Layout, Table
from causalsys.errors import CausalSysError, DataError
from causalsys.scm.declaration import Node
from causalsys.scm.evaluate import computed


def left(
    node: Node,
    values: Mapping[str, Tensor],
    layout: Layout,
    *,
    schema: Schema,
    refusal: type[CausalSysError] = DataError,
) -> Tensor:
    """What each step leaves of a state: its transition, by the values of the same step.

    Args:
        node: The state.
        values: What it is computed from, `[..., row]` (vectors `[..., row, size]`).
        layout: Which rows follow each other.
        schema: What the variables are.
        refusal: What to raise.

    Returns:
        `[..., row]` (vectors with one more axis).

    Raises:
        CausalSysError: The transition fails.
    """
    arguments = []
    for parent in node.parents:
        value = values[parent.name]
        if parent.lag > 1:
            axis = value.dim() - (2 if schema.supports[parent.name].size else 1)
            value = layout.earlier(value, parent.lag - 1, initial=parent.initial, row_axis=axis)
        arguments.append(value)
    return computed(node, arguments, supports=schema.supports, refusal=refusal)


def as_left(
    nodes: list[Node],
    table: Table,
    *,
    derive: Callable[[Table], Table],
    agrees: Callable[[Tensor, Tensor], bool],
) -> Table | None:
    """The derived table, if these states' columns hold what each step left; else None.

    The traces then begin with the states' initial values: what a first step found is in no column.

    Args:
        nodes: States whose columns are not what the steps found.
        table: The columns as given.
        derive: Computes equations and states of a table.
        agrees: Whether given values are the wanted ones.
    """
    names = frozenset(node.name for node in nodes)
    if any(parent.name in table.missing for node in nodes for parent in node.parents):
        return None
    if names & set(table.missing):
        return None
    others = {name: value for name, value in table.values.items() if name not in names}
    try:
        derived = derive(replace(table, values=others))
    except CausalSysError:
        return None
    for node in nodes:
        if any(parent.name not in derived.values for parent in node.parents):
            return None
        wanted = left(node, derived.values, derived.layout, schema=table.schema)
        if not agrees(table.values[node.name], wanted):
            return None
    return replace(derived, left=names)


def states_left(values: Mapping[str, Tensor], table: Table) -> dict[str, Tensor]:
    """What each step leaves of the states that the table's log holds so, in other worlds.

    Args:
        values: What the worlds changed, `[world, member, row]` (vectors with one more axis).
        table: What was recorded.
    """
    told = {}
    for name in sorted(table.left & set(values)):
        node = table.schema.declaration.nodes[name]
        axes = {p.name: -2 if table.schema.supports[p.name].size else -1 for p in node.parents}
        known = {parent: values.get(parent, table.values[parent]) for parent in axes}
        lead = torch.broadcast_shapes(*(known[p].shape[:axis] for p, axis in axes.items()))
        spread = {
            parent: known[parent].expand(*lead, *known[parent].shape[axis:])
            for parent, axis in axes.items()
        }
        told[name] = left(node, spread, table.layout, schema=table.schema)
    return told
