"""Going along traces step by step: values with the steps in front, all traces together.

Traces are ordered by length, the longest first, so that those which still go on at a step are
the first ones, and a step's values are a slice. Nothing is padded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from causalsys.data.table import Layout
from causalsys.errors import CausalSysError, OutsideSupportError, QueryError
from causalsys.scm.declaration import ParentRef
from causalsys.scm.evaluate import checked, evaluated, first_outside
from causalsys.scm.structure import Structure
from causalsys.scm.supports import Categorical, Count, Fraction, Positive, Support
from causalsys.scm.variables import Function

Course = Sequence[Tensor]
"""A variable's values by step: `[..., trace]` (vectors `[..., trace, size]`), longest first."""


@dataclass(frozen=True)
class Stepwise:
    """Where a layout's rows stand when steps come first.

    Attributes:
        traces: The traces, the longest first, `[trace]`.
        lengths: Their lengths in that order, `[trace]`.
        layout: What it is of.
    """

    traces: Tensor
    lengths: Tensor
    layout: Layout

    @classmethod
    def of(cls, layout: Layout) -> Stepwise:
        """The steps of a layout."""
        first = layout.first_rows
        ends = torch.cat([first[1:], first.new_full((1,), len(layout.position))])
        lengths = ends - first
        traces = lengths.argsort(descending=True, stable=True)
        return cls(traces, lengths[traces], layout)

    @cached_property
    def lives(self) -> list[int]:
        """How many traces go on at each step."""
        steps = torch.arange(int(self.lengths[0])) if len(self.lengths) else torch.arange(0)
        # The lengths fall, so those above a step are counted from the end.
        shorter = torch.searchsorted(self.lengths.flip(0), steps, right=True)
        found: list[int] = (len(self.lengths) - shorter).tolist()
        return found

    @cached_property
    def starts(self) -> Tensor:
        """The row in which each trace begins, the longest trace first, `[trace]`."""
        return self.layout.first_rows[self.traces]

    @property
    def even(self) -> bool:
        """Whether all traces are of one length."""
        return len(self.lengths) > 0 and bool(self.lengths[0] == self.lengths[-1])

    @cached_property
    def rows(self) -> Tensor:
        """The rows by step, then by trace, `[row]`."""
        if self.even:
            count, steps = len(self.traces), int(self.lengths[0])
            return torch.arange(count * steps).view(count, steps).T.reshape(-1)
        parts = [self.starts[:live] + step for step, live in enumerate(self.lives)]
        return torch.cat(parts) if parts else torch.arange(0)

    def rows_of(self, first: int, last: int) -> Tensor:
        """The rows of the steps from `first` to before `last`, by step, then by trace."""
        return torch.cat([self.starts[: self.lives[t]] + t for t in range(first, last)])

    def course(self, value: Tensor, *, vector: bool) -> list[Tensor]:
        """Values `[..., row]` (vectors `[..., row, size]`) by step."""
        axis = value.dim() - (2 if vector else 1)
        if self.even:
            count, steps = len(self.traces), int(self.lengths[0])
            shape = (*value.shape[:axis], count, steps, *value.shape[axis + 1 :])
            moved = value.reshape(shape).movedim(axis + 1, 0)
            return list(_room(tuple(moved.shape), moved.dtype).copy_(moved).unbind(0))
        return list(value.index_select(axis, self.rows).split(self.lives, dim=axis))

    def by_row(self, course: Course, *, vector: bool) -> Tensor:
        """What `course` laid out, by row again."""
        axis = course[0].dim() - (2 if vector else 1)
        if self.even:
            first, steps = course[0], len(course)
            out = _room((*first.shape[: axis + 1], steps, *first.shape[axis + 1 :]), first.dtype)
            for start in range(0, steps, _BLOCK):
                block = torch.stack(list(course[start : start + _BLOCK]))
                out.narrow(axis + 1, start, len(block)).copy_(block.movedim(0, axis + 1))
            return out.flatten(axis, axis + 1)
        joined = torch.cat(list(course), dim=axis)
        return torch.empty_like(joined).index_copy_(axis, self.rows, joined)

    def told(self, step: int, trace: int) -> str:
        """A step of a trace, in words; `trace` counts the longest first."""
        return f"at {self.layout.told(step, int(self.traces[trace]))}"


def _room(shape: tuple[int, ...], kind: torch.dtype) -> Tensor:
    """Room for values. It is numpy that asks for large pages, of which a large block needs few."""
    if kind not in (torch.float64, torch.int64):
        return torch.empty(shape, dtype=kind)
    return torch.from_numpy(np.empty(shape, np.float64 if kind.is_floating_point else np.int64))


@dataclass(frozen=True)
class Argument:
    """A parent of a function, step by step.

    Attributes:
        ref: The parent.
        course: Its values, which may still be growing; or what is carried, once it is there.
        support: Its support.
    """

    ref: ParentRef
    course: Sequence[Tensor]
    support: Support

    def at(self, step: int, live: int, *, axes: int) -> Tensor:
        """Its value for a step, `[..., live]`; `initial` before a trace began.

        Args:
            step: The step.
            live: How many traces go on.
            axes: How many axes come before that of traces.
        """
        size, before = self.support.size, step - self.ref.lag
        if before < 0:
            kind = torch.int64 if isinstance(self.support, Categorical) else torch.float64
            shape = (*[1] * axes, live, *([size] if size else []))
            return torch.full(shape, self.ref.initial, dtype=kind)
        value = self.course[before]
        axis = -2 if size else -1
        return value if value.shape[axis] == live else value.narrow(axis, 0, live)


@dataclass(frozen=True)
class Computed:
    """A function of some variables, evaluated step by step; what it gives is checked later.

    Attributes:
        name: The variable it gives.
        function: The user's function.
        support: That variable's support.
        arguments: Its parents.
        refusal: What to raise.
    """

    name: str
    function: Function
    support: Support
    arguments: tuple[Argument, ...]
    refusal: type[CausalSysError] = QueryError

    def at(
        self, step: int, live: int, *, carried: Mapping[str, object], lead: Sequence[int]
    ) -> object:
        """What it gives for a step: values `[..., live]`, or what is carried.

        Args:
            step: The step.
            live: How many traces go on.
            carried: The structures, as they are now, by name.
            lead: The leading axes of structures.

        Raises:
            CausalSysError: It failed, or gave something of another kind or shape.
        """
        given: list[object] = []
        widest = [1] * len(lead)
        for argument in self.arguments:
            if argument.ref.name in carried:
                given.append(carried[argument.ref.name])
                widest = [max(pair) for pair in zip(widest, lead, strict=True)]
                continue
            value = argument.at(step, live, axes=len(lead))
            for axis in range(len(lead)):
                widest[axis] = max(widest[axis], value.shape[axis])
            given.append(value)
        result = evaluated(
            self.function,
            given,
            name=self.name,
            supports=[argument.support for argument in self.arguments],
            refusal=self.refusal,
        )
        if isinstance(self.support, Structure):
            return result
        return taken(
            result,
            name=self.name,
            support=self.support,
            shape=(*widest, live),
            refusal=self.refusal,
        )


def taken(
    result: object,
    *,
    name: str,
    support: Support,
    shape: tuple[int, ...],
    refusal: type[CausalSysError],
) -> Tensor:
    """What a function gave, as values `shape`; plain tensors are looked into only later.

    Raises:
        CausalSysError: It cannot be that.
    """
    whole = (*shape, support.size) if support.size else shape
    if isinstance(result, Tensor) and result.shape == whole:
        if not isinstance(support, Categorical):
            if result.dtype == torch.float64:
                return result
            if not result.is_complex():
                return result.double()
        elif result.dtype == torch.int64:
            return result
        elif result.dtype == torch.bool and support.cardinality == 2:
            return result.long()
    return checked(result, name=name, support=support, shape=torch.Size(shape), refusal=refusal)


def first_wrong(course: Course, support: Support, *, exact: bool) -> tuple[int, int, float] | None:
    """The first step, trace and value that is NaN, or outside a support; None where all are in.

    Args:
        course: Values by step.
        support: What they ought to be.
        exact: Whether what is outside the support counts; otherwise only NaN, and no level.
    """
    for first in range(0, len(course), _BLOCK):
        block = course[first : first + _BLOCK]
        if all(_fine(value, support, exact=exact) for value in block):
            continue
        for step, value in enumerate(block, first):
            found = _wrong_in(value, support, exact=exact)
            if found is not None:
                return step, *found
    return None


_BLOCK = 64


def _fine(value: Tensor, support: Support, *, exact: bool) -> bool:
    """Whether all values are surely inside; False where a closer look is needed."""
    if not value.numel():
        return True
    if not exact and not isinstance(support, Categorical):
        total = float(value.sum())
        return total == total
    least, most = (float(end) for end in value.aminmax())
    if isinstance(support, Categorical):
        whole = not value.is_floating_point() or bool((value == value.floor()).all())
        return least >= 0 and most < support.cardinality and whole
    if not (least > -_ENDLESS and most < _ENDLESS):
        return False
    if isinstance(support, Fraction):
        return least >= 0 and most <= 1
    if isinstance(support, Count):
        return least >= 0 and bool((value == value.floor()).all())
    return not isinstance(support, Positive) or least >= 0


_ENDLESS = float("inf")


def _wrong_in(value: Tensor, support: Support, *, exact: bool) -> tuple[int, float] | None:
    axis = value.dim() - (2 if support.size else 1)
    gone = value.isnan()
    if bool(gone.any()):
        return int(gone.nonzero()[0, axis]), float("nan")
    if not exact and not isinstance(support, Categorical):
        return None
    for trace, part in enumerate(value.unbind(axis)):
        wrong = first_outside(part, support)
        if wrong is not None:
            return trace, wrong
    return None


def check_course(
    name: str,
    course: Course,
    support: Support,
    *,
    told: Callable[[int, int], str],
    refusal: type[CausalSysError],
    source: str = "its function",
    exact: bool = True,
) -> None:
    """Refuse NaN, and values outside a support, by the step and the trace.

    Args:
        name: The variable.
        course: Its values by step.
        support: Its support.
        told: A step and a trace, in words.
        refusal: What to raise for NaN.
        source: What gave the values.
        exact: Whether what is outside the support counts; otherwise only NaN, and no level.

    Raises:
        CausalSysError: There is one.
    """
    found = first_wrong(course, support, exact=exact)
    if found is None:
        return
    step, trace, wrong = found
    where = told(step, trace)
    if wrong != wrong:
        raise refusal(
            name,
            found=f"NaN from {source} {where}",
            mend="Guard the division or logarithm in it.",
        )
    if isinstance(support, Categorical):
        raise OutsideSupportError(
            name,
            found=f"{wrong:g} from {source} {where}, which is no level's place",
            mend=f"Return a whole number from 0 to {support.cardinality - 1}.",
        )
    raise OutsideSupportError(
        name,
        found=f"{wrong:g} from {source} {where}, outside {support}",
        mend="Mend it or the data, or declare another support.",
    )


__all__ = ["Argument", "Computed", "Course", "Stepwise", "check_course", "taken"]
