"""From draws on a grid to draws between its values: Metropolis moves under the exact AR(1)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from causalsys.fit.markov.emissions import Emissions
from causalsys.mechanisms.autoregressive import AutoRegressiveMechanism
from causalsys.mechanisms.base import Mechanism
from causalsys.mechanisms.links import from_line
from causalsys.scm.dynamics import BEFORE

_SWEEPS = 12


def polished(
    values: Tensor,
    chain: AutoRegressiveMechanism,
    children: Mapping[str, Mechanism],
    emissions: Emissions,
    *,
    generator: torch.Generator,
) -> Tensor:
    """Draws of a path whose values may lie anywhere, `[sample, row]`.

    Draws on the grid are its posterior but for the grid, so a few moves about as long as its gaps
    do. Every second step moves at once: given its neighbours, a step depends on no other.

    Args:
        values: Draws on the grid, `[sample, row]`.
        chain: The AR(1), one member per sample.
        children: The mechanisms of what was seen, likewise.
        emissions: What was seen.
        generator: Fixes the moves.
    """
    (key,) = chain.parents
    layout = emissions.scope.layout
    line = chain.line(values)
    levels = chain.state["levels"]
    gap = (levels[:, 1:] - levels[:, :-1]).mean(-1, keepdim=True)
    follows = torch.cat([layout.position[1:] > 0, torch.zeros(1, dtype=torch.bool)])

    def value_of(at: Tensor) -> Tensor:
        return from_line(at, support=chain.support, offset=chain.offset)

    def shown(value: Tensor) -> Tensor:
        return emissions.log_prob(children, emissions.given(value))

    def moves(now: Tensor, before: Tensor) -> Tensor:
        """The log density of the shock, on the line."""
        return -0.5 * chain.pull(now, {key: before}) ** 2

    def ahead(value: Tensor) -> Tensor:
        """The same of the step that follows each row."""
        after = torch.cat([current[:, 1:], current[:, :1]], -1)
        return torch.where(follows, moves(after, value), torch.zeros_like(value))

    current = value_of(line)
    likelihood = shown(current)
    for turn in range(2 * _SWEEPS):
        tried_line = line + gap * (2 * torch.rand(line.shape, generator=generator).double() - 1)
        tried = value_of(tried_line)
        there = shown(tried)
        before = layout.earlier(current, 1, initial=BEFORE, row_axis=1)
        gain = there - likelihood + moves(tried, before) - moves(current, before)
        gain = gain + ahead(tried) - ahead(current)
        chance = torch.rand(line.shape, generator=generator).double().log()
        accept = (chance < gain) & (layout.position % 2 == turn % 2)
        line = torch.where(accept, tried_line, line)
        current = torch.where(accept, tried, current)
        likelihood = torch.where(accept, there, likelihood)
    return current
