"""How rows go on in time: between rows laid end to end and grids with the steps in front."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from causalsys.data.table import Layout


@dataclass(frozen=True)
class Course:
    """Which rows follow which.

    Attributes:
        trace: `[row]`, the number of each row's trace, rising from 0; rows of a trace are adjacent.
        position: `[row]`, how many steps into its trace a row is. Rows may be left out: their
            steps are then not live.
        arm: `[trace]`, the code of each trace's arm; None where there are no arms.

    Example:
        >>> course = Course(torch.tensor([0, 0, 0, 1]), torch.tensor([0, 1, 2, 0]))
        >>> course.grid(torch.tensor([5.0, 6.0, 7.0, 8.0]))
        tensor([[5., 8.],
                [6., 0.],
                [7., 0.]])
        >>> course.flat(course.grid(torch.tensor([5, 6, 7, 8])))
        tensor([5, 6, 7, 8])
    """

    trace: Tensor
    position: Tensor
    arm: Tensor | None = None

    @classmethod
    def of(cls, layout: Layout, arm: Tensor | None = None) -> Course:
        """The course of a table's rows.

        Args:
            layout: Its traces.
            arm: `[row]`, the code of the arm; the first row of a trace says it.
        """
        return cls(layout.trace, layout.position, None if arm is None else arm[layout.first_rows])

    @cached_property
    def traces(self) -> int:
        """How many traces there are."""
        return int(self.trace[-1]) + 1 if len(self.trace) else 0

    @cached_property
    def steps(self) -> int:
        """The number of steps of the longest trace."""
        return int(self.position.max()) + 1 if len(self.position) else 0

    @cached_property
    def live(self) -> Tensor:
        """Where there is a row, `[step, trace]`."""
        if self._full:
            ones = torch.ones((), dtype=torch.bool, device=self.trace.device)
            return ones.expand(self.steps, self.traces)
        return self._rows >= 0

    def grid(self, values: Tensor, *, fill: float = 0) -> Tensor:
        """Values `[..., row]` as `[step, ..., trace]`, `fill` where there is no row."""
        if self._full:
            split = values.unflatten(-1, (self.traces, self.steps))
            return split.movedim(-1, 0).contiguous()
        found = values[..., self._rows.clamp(min=0)]
        padded = torch.where(self.live, found, torch.full_like(found, fill))
        return padded.movedim(-2, 0).contiguous()

    def flat(self, grid: Tensor) -> Tensor:
        """The inverse of `grid`: `[step, ..., trace]` as `[..., row]`."""
        if self._full:
            return grid.movedim(0, -1).flatten(-2)
        return grid.movedim(0, -2)[..., self.position, self.trace]

    @cached_property
    def _full(self) -> bool:
        """Whether all traces have the same steps: then no row must be looked up."""
        if len(self.trace) != self.steps * self.traces:
            return False
        steps = torch.arange(self.steps, device=self.position.device)
        return bool((self.position.reshape(-1, self.steps) == steps).all())

    @cached_property
    def _rows(self) -> Tensor:
        """The row of each step and trace, -1 where there is none."""
        device = self.trace.device
        rows = torch.full((self.steps, self.traces), -1, dtype=torch.int64, device=device)
        rows[self.position, self.trace] = torch.arange(len(self.trace), device=device)
        return rows
