"""A randomised trial: recorded traces, their arms, and the policies of these; checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from causalsys.data.schema import columns_of, no_column
from causalsys.data.traces import Traces, as_traces
from causalsys.errors import QueryError, UnknownNameError
from causalsys.scm.declaration import Declaration
from causalsys.scm.supports import Boolean, Categorical
from causalsys.simulate.objective import Goal, Objective, objective
from causalsys.simulate.onestep import below, decisions
from causalsys.simulate.simulate import named, rows_of

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Trial:
    """A trial.

    Attributes:
        declaration: The model.
        frame: All rows, by trace and step.
        keys: The columns of traces and steps; None where each row stands alone.
        column: The arm's column.
        policies: The policies of arms, by the arms' names.
    """

    declaration: Declaration
    frame: pd.DataFrame
    keys: tuple[str, str] | None
    column: str
    policies: Mapping[str, Any]

    @classmethod
    def of(cls, declaration: Declaration, traces: object, *, policies: Mapping[str, Any]) -> Trial:
        """Check a trial before anything is fitted.

        Raises:
            QueryError: There is no arm, but one, or one that acts otherwise than by decisions; an
                outcome has missing cells.
            UnknownNameError: A policy names no arm.
        """
        given = as_traces(declaration, traces)
        rows = given.frame if isinstance(given, Traces) else rows_of(given)
        keys = (given.trace, given.step) if isinstance(given, Traces) else None
        column = _arm(declaration)
        if column not in rows.columns:
            raise no_column(column, column, rows.columns)
        if rows[column].isna().any():
            raise QueryError(
                column,
                found="rows that name no arm",
                mend="Say for every row which policy was live.",
            )
        trial = cls(declaration, rows.reset_index(drop=True), keys, column, named(policies))
        if len(trial.arms) < 2:
            raise QueryError(
                column,
                found=f"one arm only ({trial.arms[0]})",
                mend="Log at least two policies, assigned to traces at random.",
            )
        for name in policies:
            if name not in trial.arms:
                raise UnknownNameError.among(name, trial.arms, where="the arms")
        for outcome in trial.outcomes:
            if gone := int(rows[outcome].isna().sum()):
                raise QueryError(
                    outcome,
                    found=f"no value in {gone} of {len(rows)} rows: what is measured there cannot "
                    "be compared with what is simulated",
                    mend="Validate on traces in which it was logged throughout.",
                )
        return trial

    @property
    def name(self) -> str:
        """The model's name."""
        return self.declaration.name

    @cached_property
    def arms(self) -> tuple[str, ...]:
        """The arms by name."""
        return tuple(sorted(set(self.labels)))

    @cached_property
    def labels(self) -> NDArray[np.object_]:
        """Each row's arm, `[row]`."""
        return np.asarray(self.frame[self.column].astype(str), dtype=object)

    @cached_property
    def traces(self) -> NDArray[np.int64]:
        """The number of each row's trace, `[row]`."""
        if self.keys is None:
            return np.arange(len(self.frame))
        new = self.frame[self.keys[0]].ne(self.frame[self.keys[0]].shift())
        return np.asarray(new.cumsum().to_numpy() - 1, dtype=np.int64)

    def part(self, rows: NDArray[np.bool_]) -> tuple[object, pd.DataFrame, NDArray[np.int64]]:
        """Some whole traces: as a fit takes them, as rows, and each row's number of its trace."""
        frame = self.frame[rows].reset_index(drop=True)
        number = np.unique(self.traces[rows], return_inverse=True)[1]
        given = frame if self.keys is None else Traces(frame, trace=self.keys[0], step=self.keys[1])
        return given, frame, number

    def chosen(self, only: Sequence[str] | None, exclude: Sequence[str]) -> tuple[str, ...]:
        """The arms that are left out in turn.

        Raises:
            UnknownNameError: One of them is no arm.
            QueryError: None is left, one has no policy, or acts as no other arm does.
        """
        for name in (*(only or ()), *exclude):
            if name not in self.arms:
                raise UnknownNameError.among(name, self.arms, where="the arms")
        for name in only or ():
            if name not in self.policies:
                raise QueryError(
                    name,
                    found="an arm without a policy",
                    mend=f"Give it: policies={{{name!r}: ...}}.",
                )
        wanted = self.arms if only is None else tuple(dict.fromkeys(only))
        found = tuple(a for a in wanted if a in self.policies and a not in exclude)
        if not found:
            raise QueryError("policies", found="no arm to validate", mend="Give an arm's policy.")
        for name in found:
            self._check_actions(name)
        return found

    def objectives(self, metrics: Sequence[Goal] | None) -> tuple[Objective, ...]:
        """The metrics, checked; by default the mean and the 95 % quantile of each outcome."""
        if metrics is None:
            metrics = [f"{of}{each}" for each in self.outcomes for of in ("mean ", "p95 ")]
        elif isinstance(metrics, str) or callable(metrics):
            metrics = [metrics]
        found = tuple(
            objective(
                each,
                columns=self.frame.columns,
                name=_called(each, place),
                simulated=self.declaration,
            )
            for place, each in enumerate(metrics, 1)
        )
        for each in found:
            if each.quantile == 1:
                raise QueryError(
                    each.name,
                    found="a maximum, which grows with the number of traces, and arms have fewer",
                    mend='Ask for a quantile: "p99.9 latency".',
                )
        return found

    @cached_property
    def outcomes(self) -> tuple[str, ...]:
        """The recorded columns of numbers that a decision reaches."""
        reach = below(self.declaration, decisions(self.declaration))
        nodes = self.declaration.nodes
        found = [
            column
            for name in nodes
            if name in reach and nodes[name].kind != "decision"
            if not isinstance(nodes[name].support, Categorical)
            or isinstance(nodes[name].support, Boolean)
            for column in columns_of(nodes[name])
        ]
        return tuple(column for column in found if column in self.frame.columns)

    def _check_actions(self, arm: str) -> None:
        own = self.labels == arm
        for name in decisions(self.declaration):
            node = self.declaration.nodes[name]
            if not isinstance(node.support, Categorical):
                continue
            for column in columns_of(node):
                there = set(self.frame[column][~own].unique())
                alone = sorted(map(str, set(self.frame[column][own].unique()) - there))
                if alone:
                    raise QueryError(
                        arm,
                        found=f"{name} {', '.join(alone)} used by this arm alone, so what it does "
                        "cannot be told without it",
                        mend=f"Leave other arms out: exclude=[{arm!r}].",
                    )


def _called(goal: Goal, place: int) -> str:
    """A name for what has none."""
    return f"metric {place}" if getattr(goal, "__name__", "") == "<lambda>" else ""


def _arm(declaration: Declaration) -> str:
    arms = [node.name for node in declaration.nodes.values() if node.kind == "arm"]
    if len(arms) != 1:
        raise QueryError(
            declaration.name,
            found=f"{len(arms)} arms",
            mend="Declare the arm that was assigned to each trace at random: arm = cs.Arm().",
        )
    if not decisions(declaration):
        raise QueryError(
            declaration.name,
            found="no decision",
            mend="Declare what the arms' policies decide: cs.Decision(...).",
        )
    for node in declaration.nodes.values():
        if node.kind != "decision" and any(p.name == arms[0] for p in node.parents):
            raise QueryError(
                node.name,
                found="an arm that acts on it otherwise than by a decision",
                mend="A left-out arm tells nothing of that: let policies act by decisions alone.",
            )
    return arms[0]


__all__ = ["Trial"]
