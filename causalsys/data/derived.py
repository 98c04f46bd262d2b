"""What follows from the logged columns by the declared equations and transitions.

A column that is given for an equation or a state must agree with it: a model whose physics
contradicts its data would answer with both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from causalsys.data.table import Table
from causalsys.errors import EvidenceError
from causalsys.scm.declaration import Node
from causalsys.scm.evaluate import call
from causalsys.scm.supports import Categorical

_TOLERANCE = 1e-3
"""Of the column's standard deviation: room for logs that were rounded."""


def derive(table: Table) -> Table:
    """Add the values of equations and states wherever their parents are known.

    Raises:
        EvidenceError: A given column contradicts its equation, or would have to be inverted.
    """
    ready = [
        node
        for node in table.schema.declaration.nodes.values()
        if node.function is not None and _computable(node, table)
    ]
    if not ready:
        return table
    derived = _Derivation(ready, table).run()
    for node in ready:
        if node.name in table.values:
            _agrees(node.name, table, derived)
    return derived


def _computable(node: Node, table: Table) -> bool:
    """Whether every ancestor through functions ends in a column that the table has."""
    seen: set[str] = set()
    waiting = [node.name]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        current = table.schema.declaration.nodes[name]
        if current.function is not None:
            waiting.extend(parent.name for parent in current.parents)
        elif name not in table.values:
            return False
    return True


class _Derivation:
    """Computes equations and states step by step, all traces at once."""

    def __init__(self, nodes: Sequence[Node], table: Table) -> None:
        self.nodes, self.table, self.supports = nodes, table, table.schema.supports
        self.columns = dict(table.values)
        self.gaps = dict(table.missing)
        lead = max((len(value) for value in table.values.values()), default=1)
        for node in nodes:
            support = self.supports[node.name]
            shape = (lead, table.rows, *([support.size] if support.size else []))
            kind = torch.int64 if isinstance(support, Categorical) else torch.float64
            self.columns[node.name] = torch.full(shape, node.initial, dtype=kind)
            self.gaps[node.name] = torch.zeros(table.rows, dtype=torch.bool)

    def run(self) -> Table:
        """The table with the computed columns, and with gaps where a parent has one."""
        for rows in self._steps():
            for node in self.nodes:
                live = rows
                if node.kind == "state":
                    live = rows[self.table.layout.position[rows] > 0]
                if len(live):
                    self._compute(node, live)
        gaps = {name: gone for name, gone in self.gaps.items() if bool(gone.any())}
        return replace(self.table, values=self.columns, missing=gaps)

    def _steps(self) -> list[Tensor]:
        """The rows to compute together: all at once where no function looks back."""
        if not any(parent.lag for node in self.nodes for parent in node.parents):
            return [torch.arange(self.table.rows)]
        return [rows[rows >= 0] for rows in self.table.layout.rows_at]

    def _compute(self, node: Node, rows: Tensor) -> None:
        arguments = []
        unknown = torch.zeros(len(rows), dtype=torch.bool)
        for parent in node.parents:
            at = (rows - parent.lag).clamp(min=0)
            value = self.columns[parent.name][:, at]
            before = self.table.layout.position[rows] < parent.lag
            if parent.lag:
                shape = (1, -1, *[1] * (value.dim() - 2))
                value = torch.where(
                    before.reshape(shape), torch.full_like(value, parent.initial), value
                )
            arguments.append(value)
            if parent.name in self.gaps:
                unknown |= self.gaps[parent.name][at] & ~before
        assert node.function is not None
        self.columns[node.name][:, rows] = call(
            node.function,
            arguments,
            name=node.name,
            support=self.supports[node.name],
            supports=[self.supports[parent.name] for parent in node.parents],
        )
        self.gaps[node.name][rows] = unknown


def _agrees(name: str, table: Table, derived: Table) -> None:
    given, wanted = table.values[name][0].double(), derived.values[name][0].double()
    nowhere = torch.zeros(table.rows, dtype=torch.bool)
    known = ~table.missing.get(name, nowhere)
    unknown = known & derived.missing.get(name, nowhere)
    if bool(unknown.any()):
        raise EvidenceError(
            name,
            found=f"given in row {table.index[int(unknown.nonzero()[0])]!r}, where one of its "
            "parents is missing",
            mend="Give the parent, or leave both missing: an equation is not inverted.",
        )
    scale = given.std(unbiased=False) if table.rows > 1 else given.abs().max()
    allowed = _TOLERANCE * scale + 1e-9 + 1e-6 * wanted.abs()
    wrong = (given - wanted).abs() > allowed
    wrong = (wrong.any(-1) if wrong.dim() > 1 else wrong) & known
    if not bool(wrong.any()):
        return
    row = int(wrong.nonzero()[0])
    raise EvidenceError(
        name,
        found=f"{given[row].tolist()} in row {table.index[row]!r}, but its equation gives "
        f"{wanted[row].tolist()} ({int(wrong.sum())} rows differ)",
        mend="Mend the equation or the data, or drop the column: it is computed.",
    )
