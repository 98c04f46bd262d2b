"""The data of a fit along time: grids with the steps in front, a few steps at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from causalsys.fit.lasting.course import Course
from causalsys.mechanisms.base import Parents, State
from causalsys.mechanisms.features import Scale, design, plus_weighted, widths
from causalsys.scm.supports import Categorical, Support

_CELLS = 1_500_000
"""Numbers in a block of columns: enough for the arithmetic to outweigh the calls."""
_LONGEST = 64
_FEW_TRACES = 20
"""With fewer traces than this, parts of them are the clusters."""
_BESIDE = 16
"""About how many columns of the past there are beside those of the parents."""


@dataclass(frozen=True)
class Steps:
    """The data of a fit as grids.

    Attributes:
        line: The value on the link's scale, `[step, trace]`.
        parents: Each parent, `[step, trace]` (vectors `[step, trace, size]`).
        weight: The rows' own weights, 0 where there is no row, `[step, trace]`.
        propensity: `[step, trace, action]`, where the policy is known.
        supports: The parents' supports.
        scale: How positive parents enter.
        state: The constants of `start_columns`.
    """

    line: Tensor
    parents: Parents
    weight: Tensor
    propensity: Tensor | None
    supports: Mapping[str, Support]
    scale: Scale
    state: State

    @property
    def width(self) -> int:
        """How many columns the parents take."""
        return self.state["center"].shape[-1]

    @classmethod
    def of(
        cls,
        line: Tensor,
        parents: Parents,
        weight: Tensor,
        *,
        course: Course,
        propensity: Tensor | None,
        supports: Mapping[str, Support],
        scale: Scale,
        state: State,
    ) -> Steps:
        """The grids of rows; `line`, `weight` and each parent are `[row]` or `[row, size]`."""

        def grid(values: Tensor) -> Tensor:
            return course.grid(values) if values.dim() == 1 else course.grid(values.mT).mT

        return cls(
            grid(line),
            {key: grid(parent) for key, parent in parents.items()},
            grid(weight) * course.live,
            None if propensity is None else grid(propensity),
            supports,
            scale,
            state,
        )

    @cached_property
    def parts(self) -> Tensor:
        """Which part of its trace a step is in, `[step]`: one, or more where traces are few.

        What is clustered is then independent enough: errors of forecasts are not correlated.
        """
        steps, traces = self.line.shape
        count = 1 if traces >= _FEW_TRACES else math.ceil(2 * _FEW_TRACES / traces)
        return torch.arange(steps) * min(count, steps) // steps

    def some(self, traces: Tensor) -> Steps:
        """Some of the traces only."""
        return Steps(
            self.line[:, traces],
            {key: parent[:, traces] for key, parent in self.parents.items()},
            self.weight[:, traces],
            None if self.propensity is None else self.propensity[:, traces],
            self.supports,
            self.scale,
            self.state,
        )

    @property
    def action_columns(self) -> slice:
        """Where the columns of the one categorical parent are."""
        first = 0
        for key, width in widths(self.supports, scale=self.scale).items():
            if isinstance(self.supports[key], Categorical):
                return slice(first, first + width)
            first += width
        return slice(0, 0)

    def blocks(self) -> Iterator[slice]:
        """The steps, a few at a time."""
        total, traces = self.line.shape
        length = _CELLS // max((self.width + _BESIDE) * traces, 1)
        # Sums over the past of a block take its square.
        length = min(max(length, 1), _LONGEST)
        for first in range(0, total, length):
            yield slice(first, min(first + length, total))

    @cached_property
    def even(self) -> bool:
        """Whether no trace has a gap: after its end nothing counts, whatever is in its past."""
        live = self.weight > 0
        return not bool((live[1:] & ~live[:-1]).any())

    def line_of(self, slope: Tensor, steps: slice) -> Tensor:
        """The slopes' part of the line, `[step, trace]`."""
        raw = slope / self.state["spread"].flatten()
        shift = -(raw * self.state["center"].flatten()).sum()
        rows = {key: each[steps].flatten(0, 1)[None] for key, each in self.parents.items()}
        found = plus_weighted(
            shift.reshape(1, 1),
            rows,
            raw.unsqueeze(0),
            parents=self.supports,
            scale=self.scale,
            state=self.state,
        )
        shape = self.line[steps].shape
        return found[0].expand(shape.numel()).unflatten(-1, shape)

    def columns(self, steps: slice) -> Tensor:
        """The columns of some steps, `[column, step, trace]`.

        In single precision: they are instruments, and noises are taken from `line_of`.
        """
        line = self.line[steps]
        if all(isinstance(each, Categorical) and not each.size for each in self.supports.values()):
            return self._indicators(steps)
        rows = {
            key: parent[steps].flatten(0, 1).unsqueeze(0) for key, parent in self.parents.items()
        }
        ones = torch.ones((1, 1, line.numel()), dtype=torch.float32)
        full = design(rows, ones, parents=self.supports, scale=self.scale, state=self.state)
        return full[0, 1:].unflatten(-1, line.shape)

    def _indicators(self, steps: slice) -> Tensor:
        """The columns where all parents are categories, which are not standardised."""
        parts = [torch.zeros((0, *self.line[steps].shape))]
        for key, width in widths(self.supports, scale=self.scale).items():
            levels = torch.arange(1, width + 1).view(-1, 1, 1)
            parts.append((self.parents[key][steps] == levels).to(torch.float32))
        return torch.cat(parts)
