"""How much each row counts, for each member of an ensemble: drawn only where it is asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from causalsys.mechanisms.base import Sample
from causalsys.mechanisms.draws import bootstrap, some_rows

ENOUGH = 200_000
"""Rows beyond which a family without sufficient statistics sees a random sample of them."""
_ENOUGH_TRACES = 20


@dataclass(frozen=True)
class Weights:
    """The weights of rows.

    Attributes:
        own: The rows' own weights, `[row]`.
        trace: The number of each row's trace, from 0, `[row]`.
        members: How many members there are.
        seed: Fixes the draws.
    """

    own: Tensor
    trace: Tensor
    members: int
    seed: int

    @property
    def plain(self) -> Tensor:
        """The rows' own weights for every member, `[member, row]`, in the memory of one."""
        return self.own.expand(self.members, -1)

    @cached_property
    def drawn(self) -> Tensor:
        """A Bayesian bootstrap of them (Rubin, 1981), `[member, row]`.

        Member 0 keeps the weights as they are. Rows of a trace share their draw, since they are
        not independent (Field and Welsh, 2007), unless there are too few traces to draw from.
        """
        rows, traces = len(self.own), int(self.trace[-1]) + 1
        units = traces if traces >= _ENOUGH_TRACES else rows
        draws = bootstrap(torch.ones(1).expand(self.members, units), generator=self._generator())
        return (draws if units == rows else draws[:, self.trace]) * self.own

    def take(self, rows: Tensor) -> Weights:
        """The weights of these rows, which are in order."""
        trace = torch.unique_consecutive(self.trace[rows], return_inverse=True)[1]
        return replace(self, own=self.own[rows], trace=trace)

    def resampled(self, sample: Sample) -> Sample:
        """At most `ENOUGH` rows of a sample of these very rows, with weights that are drawn."""
        if sample.rows <= ENOUGH:
            return replace(sample, weight=self.drawn)
        rows = some_rows(sample.rows, ENOUGH, generator=self._generator()).sort().values
        return replace(sample.take(rows), weight=self.take(rows).drawn)

    def _generator(self) -> torch.Generator:
        return torch.Generator().manual_seed(self.seed)
