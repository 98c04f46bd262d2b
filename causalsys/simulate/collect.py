"""From simulated rows to aggregates."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from causalsys.data.schema import Schema, columns_of
from causalsys.errors import QueryError
from causalsys.scm.supports import Categorical, Support
from causalsys.simulate.aggregate import RECORDED, Aggregates, Levels, Numbers
from causalsys.simulate.moments import ByTrace, Moments
from causalsys.simulate.objective import Goal, Objective, objective, split_goal
from causalsys.simulate.simulation import Simulation
from causalsys.simulate.sketch import Sketch

if TYPE_CHECKING:
    import pandas as pd

Goals = Sequence[tuple[str, Goal]]
_GREATEST = 1e100
"""Squares of sums of what is larger may be no doubles."""


@dataclass(frozen=True)
class Collector:
    """What is kept of simulated rows.

    Attributes:
        schema: What the variables are.
        plain: The columns of the model that hold numbers.
        levels: Those that hold categories, with their levels.
        goals: Objectives that are had from a column of the model, with their quantiles.
        further: Objectives that have values of their own.
    """

    schema: Schema
    plain: tuple[str, ...]
    levels: Mapping[str, tuple[object, ...]]
    goals: Mapping[str, tuple[str, float | None]]
    further: tuple[Objective, ...]

    @classmethod
    def of(cls, schema: Schema, columns: Sequence[str], objectives: Goals) -> Collector:
        """What is wanted, checked.

        Raises:
            QueryError: An objective is none, or has a name that is taken.
            UnknownNameError: An objective reads a column that there is not.
        """
        levels: dict[str, tuple[object, ...]] = {}
        plain: list[str] = []
        for column, support in _columns(schema, columns):
            if isinstance(support, Categorical):
                levels[column] = tuple(support.levels or ())
            else:
                plain.append(column)
        goals: dict[str, tuple[str, float | None]] = {}
        further: list[Objective] = []
        for name, goal in objectives:
            checked = objective(goal, columns=columns, name=name, simulated=schema.declaration)
            column, quantile = (
                split_goal(goal, list(columns)) if isinstance(goal, str) else ("", None)
            )
            own = column not in plain
            taken = checked.name in goals or (own and checked.name in columns)
            if taken and (own or goals.get(checked.name) != (column, quantile)):
                raise QueryError(
                    checked.name,
                    found="the name of two objectives, or of a column and an objective",
                    mend="Name them yourself: objectives={name: objective}.",
                )
            goals[checked.name] = (checked.name, checked.quantile) if own else (column, quantile)
            if own:
                further.append(checked)
        return cls(schema, tuple(plain), levels, goals, tuple(further))

    def collect(
        self,
        simulation: Simulation,
        *,
        lengths: NDArray[np.int64],
        keep: Callable[[str, pd.DataFrame], None] | None = None,
    ) -> Aggregates:
        """The aggregates of some whole traces.

        Args:
            simulation: The traces, simulated; rows of a trace adjacent in what was recorded.
            lengths: How many rows each trace has, in their order there.
            keep: Is given each policy's rows before they are let go.
        """
        nodes = self.schema.declaration.nodes
        moved = {column for name in simulation.values for column in columns_of(nodes[name])}
        seen = Seen({}, {})
        self._look(seen, simulation.recorded, RECORDED, lengths=lengths, only=None)
        for policy in simulation.policies:
            frame = simulation.frame(policy)
            self._look(seen, frame, policy, lengths=lengths, only=moved)
            if keep is not None:
                keep(policy, frame)
        return Aggregates(
            simulation.policies,
            len(lengths),
            int(lengths.sum()),
            {name: _together(worlds) for name, worlds in seen.numbers.items()},
            {
                name: Levels(tuple(worlds), self.levels[name], np.stack(list(worlds.values())))
                for name, worlds in seen.levels.items()
            },
            self.goals,
            simulation.verdicts,
        )

    def _look(
        self,
        seen: Seen,
        frame: pd.DataFrame,
        world: str,
        *,
        lengths: NDArray[np.int64],
        only: set[str] | None,
    ) -> None:
        """Add what there is to see in one world."""
        for column in self.levels:
            if only is None or column in only:
                counts = _counts(frame[column], self.levels[column])
                seen.levels.setdefault(column, {})[world] = counts
        values = {
            column: frame[column].to_numpy(dtype=np.float64, na_value=np.nan)
            for column in self.plain
            if only is None or column in only
        }
        values |= {goal.name: _by_row(goal, frame) for goal in self.further}
        for name, each in values.items():
            if (large := np.abs(each) > _GREATEST).any():
                raise QueryError(
                    name,
                    found=f"infinite or hardly finite values in {int(large.sum())} rows",
                    mend="Say what such a row counts for: a mean of it would say nothing.",
                )
            gone = np.isnan(each)
            sketch = Sketch.of(each[~gone] if gone.any() else each)
            by_trace = ByTrace.of(each, lengths=lengths)
            seen.numbers.setdefault(name, {})[world] = by_trace, sketch


@dataclass(frozen=True)
class Seen:
    """What was seen in each world, by column."""

    numbers: dict[str, dict[str, tuple[ByTrace, Sketch]]]
    levels: dict[str, dict[str, NDArray[np.int64]]]


def _together(worlds: Mapping[str, tuple[ByTrace, Sketch]]) -> Numbers:
    parts, sketches = zip(*worlds.values(), strict=True)
    return Numbers(tuple(worlds), Moments.of(parts), sketches)


def wanted_columns(schema: Schema, columns: Sequence[str], objectives: Goals) -> list[str]:
    """The columns to read: those of the model, and those that objectives look at."""
    found = {c for node in schema.declaration.nodes.values() for c in columns_of(node)}
    for _, goal in objectives:
        if isinstance(goal, str):
            found.add(split_goal(goal, list(columns))[0])
        elif isinstance(goal, Objective):
            return list(columns)
        elif callable(goal):
            try:
                reads = list(inspect.signature(goal).parameters)
            except (TypeError, ValueError):
                return list(columns)
            if "frame" in reads:
                return list(columns)
            found.update(reads)
    return [column for column in columns if column in found]


def named_goals(objectives: Iterable[Goal] | Mapping[str, Goal]) -> Goals:
    """Objectives with their names, empty where they have none.

    Raises:
        QueryError: They are no list and no mapping.
    """
    if isinstance(objectives, str) or not isinstance(objectives, Iterable):
        raise QueryError(
            "objectives",
            found=repr(objectives),
            mend='Give a list, ["p99 latency"], or a mapping from names.',
        )
    if isinstance(objectives, Mapping):
        return list(objectives.items())
    return [("", goal) for goal in objectives]


def _columns(schema: Schema, columns: Sequence[str]) -> Iterator[tuple[str, Support]]:
    """The columns of the model's variables among those of the data."""
    for node in schema.declaration.nodes.values():
        if node.kind != "latent":
            yield from ((c, schema.supports[node.name]) for c in columns_of(node) if c in columns)


def _by_row(goal: Objective, frame: pd.DataFrame) -> NDArray[np.float64]:
    values = goal.by_row(frame)
    if values.ndim == 0:
        raise QueryError(
            goal.name,
            found="one number for all rows that it was given, which are not all rows",
            mend="Return a value for each row: its mean over all batches is the objective.",
        )
    return values


def _counts(column: pd.Series, levels: tuple[object, ...]) -> NDArray[np.int64]:
    """How many rows have each level."""
    import pandas as pd

    codes = pd.Index(list(levels)).get_indexer(pd.Index(column))
    return np.bincount(codes[codes >= 0], minlength=len(levels)).astype(np.int64)
