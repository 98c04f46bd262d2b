"""What follows from the logged columns by the declared equations and transitions.

A column that is given for an equation or a state must agree with it: a model whose physics
contradicts its data would answer with both. A state's column may hold what each step found, or
what it left (`data/left.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from causalsys.data.derived_steps import step_by_step
from causalsys.data.left import as_left
from causalsys.data.table import Table
from causalsys.errors import CausalSysError, DataError, OutsideSupportError
from causalsys.scm.declaration import Node, ParentRef
from causalsys.scm.evaluate import computed, first_outside
from causalsys.scm.structure import Structure
from causalsys.scm.supports import Categorical

_TOLERANCE = 1e-3
"""Of the column's standard deviation: room for logs that were rounded."""


def derive(table: Table, *, refusal: type[CausalSysError] = DataError) -> Table:
    """Add the values of equations and states wherever their parents are known.

    Args:
        table: The columns as given.
        refusal: What to raise: `EvidenceError` where the table is evidence.

    Raises:
        CausalSysError: A given column contradicts its equation, or would have to be inverted;
            or an equation fails, or leaves its support.
    """
    computed = [n for n in table.schema.declaration.nodes.values() if n.function is not None]
    absent = {node.name: _absent(node, table) for node in computed}
    ready = [node for node in computed if absent[node.name] is None]
    for node in computed:
        if node.name in table.values and (lacks := absent[node.name]) is not None:
            raise refusal(
                node.name,
                found=f"given, while {lacks}, which it is computed from, is not",
                mend=f"Give {lacks}, or drop {node.name}: an equation is not inverted.",
            )
    if not ready:
        return table
    looks_back = any(parent.lag for node in ready for parent in node.parents)
    if looks_back and not _gappy(ready, table):
        derived = step_by_step(ready, table, refusal=refusal)
    else:
        _no_structures(ready, table, refusal=refusal)
        derived = _Derivation(ready, table, refusal).run()
    states = [node for node in ready if node.kind == "state" and node.name in table.values]
    off = [n for n in states if not _close(table.values[n.name], derived.values[n.name])]
    if off:
        other = as_left(off, table, derive=partial(derive, refusal=refusal), agrees=_close)
        if other is not None:
            return other
    for node in ready:
        if node.name in table.values:
            _agrees(node.name, table, derived, refusal=refusal)
    return derived


def _absent(node: Node, table: Table) -> str | None:
    """An ancestor through functions that the table lacks; None when it has them all."""
    nodes = table.schema.declaration.nodes
    lacks = [n for n in _above(node, table) if nodes[n].function is None and n not in table.values]
    return lacks[0] if lacks else None


def _above(node: Node, table: Table) -> list[str]:
    """What a variable is computed from, through functions; itself first."""
    seen: dict[str, None] = {}
    waiting = [node.name]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen[name] = None
        current = table.schema.declaration.nodes[name]
        if current.function is not None:
            waiting.extend(parent.name for parent in current.parents)
    return list(seen)


def _gappy(nodes: Sequence[Node], table: Table) -> bool:
    """Whether something that these are computed from is missing in some rows."""
    return any(parent.name in table.missing for node in nodes for parent in node.parents)


def _no_structures(nodes: Sequence[Node], table: Table, *, refusal: type[CausalSysError]) -> None:
    for node in nodes:
        if not isinstance(node.support, Structure):
            continue
        above = _above(node, table)
        name = next((name for name in table.missing if name in above), None)
        if name is None:
            name = next(p.name for n in nodes for p in n.parents if p.name in table.missing)
        place = table.told(int(table.missing[name].nonzero()[0]))
        raise refusal(
            name,
            found=f"a missing value in {place}, beside the structure {node.name}",
            mend="Drop the trace, or mend the value: what a structure holds is known wholly or "
            "not at all.",
        )


class _Derivation:
    """Computes equations and states where cells are missing, or where no function looks back."""

    def __init__(self, nodes: Sequence[Node], table: Table, refusal: type[CausalSysError]) -> None:
        self.nodes, self.table, self.supports = nodes, table, table.schema.supports
        self.refusal = refusal
        self.columns = dict(table.values)
        self.gaps = dict(table.missing)
        lead = max((len(value) for value in table.values.values()), default=1)
        for node in nodes:
            support = self.supports[node.name]
            shape = (lead, table.rows, *([support.size] if support.size else []))
            kind = torch.int64 if isinstance(support, Categorical) else torch.float64
            self.columns[node.name] = torch.full(shape, node.initial, dtype=kind)
            if node.kind == "state" and node.name in table.values:
                # A log may begin in the middle: its own first value is where the trace starts.
                first = table.layout.first_rows
                self.columns[node.name][:, first] = table.values[node.name][:, first].to(kind)
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
        """Evaluate a function in those of the rows in which all that it needs is known."""
        unknown = torch.zeros(len(rows), dtype=torch.bool)
        for parent in node.parents:
            if parent.name in self.gaps:
                at, before = self._before(parent, rows)
                unknown |= self.gaps[parent.name][at] & ~before
        self.gaps[node.name][rows] = unknown
        rows = rows[~unknown]
        if not len(rows):
            return
        support = self.supports[node.name]
        value = computed(
            node,
            [self._argument(parent, rows) for parent in node.parents],
            supports=self.supports,
            refusal=self.refusal,
        )
        # What was imputed is drawn, and a rare draw must not end a fit.
        wrong = None if self.table.imputed else first_outside(value, support)
        if wrong is not None:
            raise OutsideSupportError(
                node.name,
                found=f"{wrong:g} from its equation, outside {support}",
                mend="Mend the equation or the data, or declare another support.",
            )
        self.columns[node.name][:, rows] = value

    def _argument(self, parent: ParentRef, rows: Tensor) -> Tensor:
        at, before = self._before(parent, rows)
        value = self.columns[parent.name][:, at]
        if not parent.lag:
            return value
        shape = (1, -1, *[1] * (value.dim() - 2))
        return torch.where(before.reshape(shape), torch.full_like(value, parent.initial), value)

    def _before(self, parent: ParentRef, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The rows in which a parent acts on these, and where that is before the trace."""
        return (rows - parent.lag).clamp(min=0), self.table.layout.position[rows] < parent.lag


def _agrees(name: str, table: Table, derived: Table, *, refusal: type[CausalSysError]) -> None:
    given, wanted = table.values[name][0].double(), derived.values[name][0].double()
    nowhere = torch.zeros(table.rows, dtype=torch.bool)
    known = ~table.missing.get(name, nowhere)
    unknown = known & derived.missing.get(name, nowhere)
    if bool(unknown.any()):
        raise refusal(
            name,
            found=f"given in {table.told(int(unknown.nonzero()[0]))}, where one of its "
            "parents is missing",
            mend="Give the parent, or leave both missing: an equation is not inverted.",
        )
    wrong = _far(given, wanted)
    wrong = (wrong.any(-1) if wrong.dim() > 1 else wrong) & known
    if not bool(wrong.any()):
        return
    row = int(wrong.nonzero()[0])
    raise refusal(
        name,
        found=f"{given[row].tolist()} in {table.told(row)}, but its equation gives "
        f"{wanted[row].tolist()} ({int(wrong.sum())} rows differ)",
        mend="Mend the equation or the data, or drop the column: it is computed.",
    )


def _close(given: Tensor, wanted: Tensor) -> bool:
    return not bool(_far(given[0].double(), wanted[0].double()).any())


def _far(given: Tensor, wanted: Tensor) -> Tensor:
    """Where values are further from the wanted ones than rounding makes them."""
    scale = given.std(unbiased=False) if len(given) > 1 else given.abs().max()
    return (given - wanted).abs() > _TOLERANCE * scale + 1e-9 + 1e-6 * wanted.abs()
