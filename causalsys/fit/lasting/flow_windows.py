"""Windows of traces: pieces of one length, side by side, that a flow is fitted on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from causalsys.fit.lasting.course import Course
from causalsys.mechanisms.base import Sample

LENGTH = 128
"""Steps of a window: several times as many as a conditional law looks back with any weight."""


@dataclass(frozen=True)
class Windows:
    """Pieces of traces.

    Attributes:
        rows: The row of each step of each window, -1 where there is none, `[window, step]`.
        trace: Each window's trace, `[window]`.
    """

    rows: Tensor
    trace: Tensor

    @classmethod
    def of(cls, course: Course, counts: Tensor, *, steps_in_view: int = LENGTH) -> Windows:
        """All windows of the rows that count.

        Args:
            course: How the rows go on in time.
            counts: Which rows count, `[row]`.
            steps_in_view: The most steps of a window.
        """
        pieces = -(-course.steps // steps_in_view)
        # Pieces of one size: a last one of a few steps would show little of the past.
        length = -(-course.steps // pieces)
        piece = course.trace * pieces + course.position // length
        rows = torch.full((course.traces * pieces, length), -1, dtype=torch.int64)
        some = counts.nonzero()[:, 0]
        rows[piece[some], (course.position % length)[some]] = some
        kept = (rows >= 0).any(-1).nonzero()[:, 0]
        return cls(rows[kept], kept // pieces)

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, which: Tensor) -> Windows:
        """These windows."""
        return Windows(self.rows[which], self.trace[which])

    def some(self, rows: int, *, generator: torch.Generator) -> Windows:
        """At random as many windows as hold about so many rows; all, if they hold fewer."""
        most = max(rows // self.rows.shape[1], 1)
        if len(self) <= most:
            return self
        return self.take(torch.randperm(len(self), generator=generator)[:most].sort().values)

    def renumbered(self) -> Windows:
        """The windows of a sample that has their rows only, window after window."""
        rows = torch.full_like(self.rows, -1)
        rows[self.live] = torch.arange(int(self.live.sum()))
        return Windows(rows, self.trace)

    @property
    def live(self) -> Tensor:
        """Where there is a row, `[window, step]`."""
        return self.rows >= 0

    def sample(self, sample: Sample) -> Sample:
        """The rows of the windows, one window after the other, of no weight where there are none.

        Where there is none, the values of some other row stand in.
        """
        taken = sample.take(self.rows.clamp(min=0).flatten())
        weight = taken.weight * self.live.flatten()
        return Sample(taken.value, taken.parents, weight)
