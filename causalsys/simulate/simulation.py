"""`Simulation`: recorded traces as they would have been, a frame for each policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from causalsys.data.levels import coder
from causalsys.data.schema import Schema, columns_of
from causalsys.data.table import Layout
from causalsys.errors import UnknownNameError
from causalsys.identify.verdict import Verdict
from causalsys.scm.supports import Boolean, Categorical
from causalsys.simulate.objective import Goal, Objective, objective

if TYPE_CHECKING:
    import pandas as pd


class Frames(Mapping[str, "pd.DataFrame"]):
    """A policy's rows by its name, made when they are asked for."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._made: dict[str, pd.DataFrame] = {}

    def __getitem__(self, policy: str) -> pd.DataFrame:
        if policy not in self._made:
            self._made[policy] = self._simulation.frame(policy)
        return self._made[policy]

    def __iter__(self) -> Iterator[str]:
        return iter(self._simulation.policies)

    def __len__(self) -> int:
        return len(self._simulation.policies)


@dataclass(frozen=True, repr=False)
class Simulation:
    """What recorded traces would have been under other policies.

    Attributes:
        policies: The policies' names, in the order given.
        values: What the policies changed, `[policy, member, row]` (vectors with one more axis),
            rows by trace and step.
        recorded: The rows as they were given.
        layout: Which row belongs to which trace, and where it stands in `recorded`.
        schema: What the variables are.
        verdicts: Of each variable that changed: whether the data carry it, and on what terms.
        left: Of states whose recorded column holds what each step left: that, as in `values`,
            where they have what each step found. `frames` follow the record.
    """

    policies: tuple[str, ...]
    values: Mapping[str, Tensor]
    recorded: pd.DataFrame
    layout: Layout
    schema: Schema
    verdicts: Mapping[str, Verdict]
    left: Mapping[str, Tensor] = field(default_factory=dict)

    @cached_property
    def frames(self) -> Frames:
        """For each policy its rows: the recorded columns, for the same traces and steps.

        A column that is no variable of the model is kept as it was recorded.
        """
        return Frames(self)

    def frame(self, policy: str, *, member: int = 0) -> pd.DataFrame:
        """The rows under a policy, in the order in which they were given.

        Args:
            policy: Its name.
            member: Which parameter draw of the model; 0 is the best estimate.

        Raises:
            UnknownNameError: There is no such policy.
        """
        at = self._at(policy)
        made = self.recorded.copy()
        order = None if self.layout.order is None else self.layout.order.numpy()
        for name, tensor in {**self.values, **self.left}.items():
            node = self.schema.declaration.nodes[name]
            columns = columns_of(node)
            if not set(columns) <= set(made.columns):
                continue
            value = tensor[at][member if tensor.shape[1] > 1 else 0].numpy()
            parts = [value] if node.support.size is None else list(np.moveaxis(value, -1, 0))
            for column, part in zip(columns, parts, strict=True):
                placed = part
                if order is not None:
                    placed = np.empty_like(part)
                    placed[order] = part
                made[column] = self._as_recorded(name, placed, self.recorded[column])
        return made

    def score(self, goal: Goal, policy: str, *, member: int = 0) -> float:
        """An objective over all rows under a policy; see `cs.validate_fix` for what it may be."""
        return self._objective(goal).of(self.frame(policy, member=member))

    def __repr__(self) -> str:
        traces, rows = self.layout.traces, len(self.layout.trace)
        return f"<Simulation of {traces} traces, {rows} steps, under {', '.join(self.policies)}>"

    def _objective(self, goal: Goal) -> Objective:
        model = self.schema.declaration
        return objective(goal, columns=self.recorded.columns, simulated=model)

    def _at(self, policy: str) -> int:
        if policy not in self.policies:
            raise UnknownNameError.among(policy, self.policies, where="the simulated policies")
        return self.policies.index(policy)

    def _as_recorded(self, name: str, values: NDArray[np.float64], column: pd.Series) -> pd.Series:
        """Values as the record writes them: of its type, and levels as it names them."""
        import pandas as pd

        support = self.schema.supports[name]
        if not isinstance(support, Categorical) or support.levels is None:
            made = pd.Series(values, index=column.index)
            # Whole numbers in the record do not say that others are impossible.
            whole = pd.api.types.is_integer_dtype(column.dtype)
            return made if whole and not support.discrete else _of_type(made, column.dtype)
        text = pd.api.types.is_string_dtype(column.dropna())
        named: list[object] = [str(each) if text else each for each in support.levels]
        if isinstance(support, Boolean) and not text:
            named = [False, True]
        code = coder(support)
        for written in column.dropna().unique():
            if (at := code(written)) >= 0:
                named[at] = written
        codes = values.astype(np.int64)
        if isinstance(column.dtype, pd.CategoricalDtype):
            known = list(column.dtype.categories)
            new = [each for each in named if each not in known]
            kind = pd.CategoricalDtype(known + new, ordered=column.dtype.ordered)
            told = pd.Categorical.from_codes(
                pd.Index(known + new).get_indexer(named)[codes], dtype=kind
            )
            return pd.Series(told, index=column.index)
        return _of_type(pd.Series(pd.Index(named)[codes], index=column.index), column.dtype)


def _of_type(values: pd.Series, kind: Any) -> pd.Series:
    """Values of a recorded column's type, where it can hold them."""
    try:
        return values.astype(kind)
    except (TypeError, ValueError, OverflowError):
        return values


def traces_as_given(layout: Layout) -> NDArray[np.int64]:
    """The number of each row's trace, from 0, the rows in the order in which they were given."""
    numbers: NDArray[np.int64] = layout.trace.numpy()
    if layout.order is None:
        return numbers
    found = np.empty_like(numbers)
    found[layout.order.numpy()] = numbers
    return found
