"""Data as tensors, checked against the schema; what is missing is marked, never guessed here.

A table is rows of traces laid end to end. In a model without lags and states each row is its
own trace of one step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from causalsys.data.schema import Schema
from causalsys.scm.declaration import Node, ParentRef

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Layout:
    """Which rows belong to which trace, rows of a trace being adjacent and in order.

    Attributes:
        trace: `[row]`, the number of each row's trace, rising from 0.
        position: `[row]`, how many steps into its trace a row is.
        names: The traces' names as the data give them.
        order: `[row]`, where each row stands in the data as given; None where that is here.
        first: `[trace]`, the number that the data give a trace's first step; None where that is 0.
    """

    trace: Tensor
    position: Tensor
    names: tuple[object, ...] = ()
    order: Tensor | None = None
    first: Tensor | None = None

    @classmethod
    def single(cls, rows: int) -> Layout:
        """Every row is a trace of its own."""
        return cls(torch.arange(rows), torch.zeros(1, dtype=torch.int64).expand(rows))

    @cached_property
    def traces(self) -> int:
        """How many traces there are."""
        return int(self.trace[-1]) + 1 if len(self.trace) else 0

    @cached_property
    def steps(self) -> int:
        """The number of steps of the longest trace."""
        return int(self.position.max()) + 1 if len(self.position) else 0

    def told(self, step: int, trace: int) -> str:
        """A step of a trace, in words, as the data number and name them.

        Args:
            step: How many steps into its trace.
            trace: The trace's number.
        """
        at = step if self.first is None else step + int(self.first[trace])
        return f"step {at} of trace {self.names[trace] if self.names else trace}"

    def rows_of(self, traces: Tensor) -> Tensor:
        """The rows of some traces, in order, `[row]`."""
        inside = torch.zeros(self.traces, dtype=torch.bool)
        inside[traces] = True
        return inside[self.trace].nonzero()[:, 0]

    def mean_by_trace(self, values: Tensor) -> Tensor:
        """The mean of `values` over the rows of each trace, `[..., row]` to `[..., trace]`."""
        total = values.new_zeros(*values.shape[:-1], self.traces)
        return total.index_add(-1, self.trace, values) / torch.bincount(self.trace)

    @cached_property
    def first_rows(self) -> Tensor:
        """The first row of each trace, `[trace]`."""
        return (self.position == 0).nonzero()[:, 0]

    @cached_property
    def rows_at(self) -> list[Tensor]:
        """For each step, the row of every trace; -1 where a trace has ended."""
        grid = torch.full((self.steps, self.traces), -1, dtype=torch.int64)
        grid[self.position, self.trace] = torch.arange(len(self.trace))
        return list(grid)

    def earlier(self, values: Tensor, lag: int, *, initial: float, row_axis: int) -> Tensor:
        """`values` as they were `lag` steps ago, `initial` before a trace began."""
        rows = torch.arange(len(self.position)) - lag
        moved = values.index_select(row_axis, rows.clamp(min=0))
        before = self.position < lag
        if not bool(before.any()):
            return moved
        shape = [1] * moved.dim()
        shape[row_axis] = -1
        return torch.where(before.reshape(shape), torch.full_like(moved, initial), moved)


def place_of(index: pd.Index, layout: Layout | None) -> Callable[[int], str]:
    """A function that says which row is meant: by its label and, in traces, by step and trace."""

    def told(row: int) -> str:
        named = index[row]
        label = f"row {(named.item() if isinstance(named, np.generic) else named)!r}"
        if layout is None or not layout.names:
            return label
        step = layout.told(int(layout.position[row]), int(layout.trace[row]))
        return f"{label} ({step})"

    return told


@dataclass(frozen=True)
class Table:
    """Checked data.

    Attributes:
        schema: What the columns are.
        values: Each variable that the data have or that follows from them, `[1, row]` (vectors
            `[1, row, size]`); codes (int64) for categories, float64 otherwise. Missing cells
            hold a placeholder inside the support; once imputed, the first axis is the member.
        missing: For variables with missing cells, where they are, `[row]`.
        weight: `[row]`, how much each row counts; 1 by default.
        layout: The traces.
        index: The rows' labels.
        unkept: Variables that follow from the values and are not among them: structures, and
            vectors that are read off one for logged policies only.
        left: States whose columns hold what each step left; here is what each step found.
    """

    schema: Schema
    values: Mapping[str, Tensor]
    missing: Mapping[str, Tensor]
    weight: Tensor
    layout: Layout
    index: pd.Index
    unkept: frozenset[str] = frozenset()
    left: frozenset[str] = frozenset()

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.weight)

    @property
    def told(self) -> Callable[[int], str]:
        """Says which row is meant, for messages."""
        return place_of(self.index, self.layout)

    @property
    def imputed(self) -> bool:
        """Whether the missing cells have been filled in, for each member in its own way."""
        return any(value.shape[0] > 1 for value in self.values.values())

    def value_of(self, parent: ParentRef) -> Tensor:
        """A parent's values, `[1 or member, row]` (vectors with one more axis)."""
        values = self.values[parent.name]
        if parent.lag:
            return self.layout.earlier(values, parent.lag, initial=parent.initial, row_axis=1)
        return values

    def parents_of(self, node: Node) -> dict[str, Tensor]:
        """The values of a node's parents by key, without those that the table lacks."""
        return {
            parent.key: self.value_of(parent)
            for parent in node.parents
            if parent.name in self.values
        }

    def complete(self, node: Node) -> Tensor | None:
        """Where a node and its parents are all known, `[row]`; None when that is everywhere."""
        unknown: Tensor | None = self.missing.get(node.name)
        for parent in node.parents:
            gone = self.missing.get(parent.name)
            if gone is None:
                continue
            if parent.lag:
                gone = self.layout.earlier(gone, parent.lag, initial=0, row_axis=0)
            unknown = gone if unknown is None else unknown | gone
        return None if unknown is None else ~unknown

    def take(self, rows: Tensor) -> Table:
        """The table with these rows only, each a trace of its own."""
        return replace(
            self,
            values={name: value.index_select(1, rows) for name, value in self.values.items()},
            missing={name: gone[rows] for name, gone in self.missing.items()},
            weight=self.weight[rows],
            layout=Layout.single(len(rows)),
            index=self.index[rows.numpy()],
        )

    def with_values(self, values: Mapping[str, Tensor]) -> Table:
        """The same table with values added or replaced."""
        return replace(self, values={**self.values, **values})
