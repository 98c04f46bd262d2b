"""What the past of a noise says of its next step: means and scales of the steps before.

Averages are exponentially weighted, at several half-lives, over strictly earlier steps, and are
carried from one block of steps to the next: the memory they take does not grow with the steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from causalsys.fit.lasting.course import Course
from causalsys.mechanisms.base import Parents, State
from causalsys.mechanisms.features import Scale, design, widths
from causalsys.scm.supports import Categorical, Support

MEANS = (0.0, 3.0, 15.0, 80.0, math.inf)
"""Half-lives in steps, from the step before alone to all earlier ones alike."""
SUMMARIES = len(MEANS) + 4
"""How many columns a history has."""
_SCALES = (12.0, 100.0)
_FEW = 5
"""With fewer earlier steps than this, how far a trace scatters is not taken from itself."""
_LOG_CHI = 1.2704
"""Minus the mean of the log of a squared standard normal."""
_CELLS = 1_500_000
"""Numbers in a block of columns: enough for the arithmetic to outweigh the calls."""


class Past:
    """Averages over earlier steps, block after block."""

    def __init__(self, half_lives: tuple[float, ...]) -> None:
        decay = [0.5 ** (1 / h) if h else 0.0 for h in half_lives]
        self._decay = torch.tensor(decay, dtype=torch.float64)
        self._sums: Tensor | None = None
        self._counts: Tensor | None = None

    def means(self, block: Tensor, live: Tensor) -> tuple[Tensor, Tensor]:
        """The averages of the steps before each step, 0 where there is none.

        Args:
            block: The next steps, `[step, trace]`.
            live: Which of them count, `[step, trace]`.

        Returns:
            The averages `[step, half-life, trace]`, and how many steps each is of, alike.
        """
        decay, seen = self._decay.unsqueeze(-1), torch.where(live, block, 0)
        counted = live.to(block.dtype)
        shape = (len(block), len(decay), block.shape[-1])
        if self._sums is None or self._counts is None:
            self._sums, self._counts = block.new_zeros(shape[1:]), block.new_zeros(shape[1:])
        sums, counts = block.new_empty(shape), block.new_empty(shape)
        for step in range(len(block)):
            sums[step], counts[step] = self._sums, self._counts
            # A step that does not count does not age the others.
            fade = torch.where(live[step], decay, 1.0)
            self._sums = self._sums * fade + seen[step]
            self._counts = self._counts * fade + counted[step]
        return sums / counts.clamp(min=1e-12), counts

    def mixed(self, block: Tensor, live: Tensor, *, share: Tensor) -> Tensor:
        """Weighted sums of the averages, of many columns at once.

        Args:
            block: The next steps, `[step, column, trace]`.
            live: Which of them count, `[step, trace]`.
            share: The weight of each average over its count, `[step, half-life, trace]`.

        Returns:
            `[step, column, trace]`.
        """
        decay, mixed = self._decay.view(-1, 1, 1), torch.empty_like(block)
        sums = self._sums
        if sums is None:
            sums = block.new_zeros((len(self._decay), *block.shape[1:]))
        for step in range(len(block)):
            torch.sum(sums * share[step].unsqueeze(1), 0, out=mixed[step])
            sums = sums * torch.where(live[step], decay, 1.0)
            sums += block[step] * live[step]
        self._sums = sums
        return mixed


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
        length = max(_CELLS // max((self.width + SUMMARIES) * traces, 1), 1)
        for first in range(0, total, length):
            yield slice(first, min(first + length, total))

    def columns(self, steps: slice) -> Tensor:
        """The columns of some steps, `[step, column, trace]`."""
        line = self.line[steps]
        rows = {
            key: parent[steps].flatten(0, 1).unsqueeze(0) for key, parent in self.parents.items()
        }
        ones = torch.ones((1, 1, line.numel()), dtype=line.dtype)
        full = design(rows, ones, parents=self.supports, scale=self.scale, state=self.state)
        return full[0, 1:].unflatten(-1, line.shape).movedim(0, 1)


@dataclass(frozen=True)
class Guess:
    """What one pass over the data needs from the pass before.

    Attributes:
        slope: The columns' coefficients, `[column]`.
        center: Where the noise lies when nothing is known, and `spread`, its scale.
        share: How the averages of the past add up to a forecast, `[half-life]`.
        history: The coefficients of all columns of the past.
        floor: The least scale of a forecast's error that is told from 0.
    """

    slope: Tensor
    center: float
    spread: float
    share: Tensor
    history: Tensor
    floor: float


@dataclass(frozen=True)
class Block:
    """Some steps of all traces, seen with the past.

    Attributes:
        noise: `[step, trace]`, on the link's scale.
        columns: The parents' columns, `[step, column, trace]`.
        moved: The columns less their own forecast: how the error of the forecast moves with the
            slopes.
        past: The columns of the history, `[step, summary, trace]`.
        error: The noise less its forecast, `[step, trace]`.
        scale: The scale of that error, as the past has it, `[step, trace]`.
        weight: The rows' own weights, `[step, trace]`.
        steps: Which steps.
    """

    noise: Tensor
    columns: Tensor
    moved: Tensor
    past: Tensor
    error: Tensor
    scale: Tensor
    weight: Tensor
    steps: slice


def walk(data: Steps, guess: Guess) -> Iterator[Block]:
    """Go along the steps, block by block."""
    of_noise, of_columns, of_error = Past(MEANS), Past(MEANS), Past(_SCALES)
    for steps in data.blocks():
        columns, weight = data.columns(steps), data.weight[steps]
        live = weight > 0
        noise = data.line[steps] - torch.einsum("sct,c->st", columns, guess.slope) - guess.center
        noise = torch.where(live, noise, 0)
        means, counts = of_noise.means(noise, live)
        # Each average counts only where it has something to average.
        known = counts[:, -1] > 0
        share = guess.share.unsqueeze(-1) / counts.clamp(min=1e-12) * known.unsqueeze(1)
        rough = noise - torch.einsum("skt,k->st", means, guess.share)
        scale = _scale(of_error, rough, live & known, guess=guess)
        moved = columns - of_columns.mixed(columns, live, share=share)
        # Where errors vanish no forecast may be shifted by the floor.
        bare = (scale**2 - math.exp(_LOG_CHI) * guess.floor**2).clamp(min=0).sqrt()
        past = _summaries(means, known, bare)
        error = noise - torch.einsum("sqt,q->st", past, guess.history)
        yield Block(noise, columns, moved, past, error, scale, weight, steps)


def _scale(of_error: Past, rough: Tensor, live: Tensor, *, guess: Guess) -> Tensor:
    """How far forecasts have missed: geometric means, which one jump does not throw off."""
    logs, counts = of_error.means(torch.log(rough**2 + guess.floor**2), live)
    # The wider of two memories, as a calm that has ended is soon forgotten.
    scale = torch.exp(0.5 * (logs.amax(1) + _LOG_CHI))
    return torch.where(counts[:, -1] > _FEW, scale, guess.spread).clamp(min=guess.floor)


def _summaries(means: Tensor, known: Tensor, scale: Tensor) -> Tensor:
    """The columns of the history, `[step, summary, trace]`.

    In units of the scale they also have an offset and a curve: where errors are skewed, robust
    weights shift a forecast by so much, and so many noises are more or less even.
    """
    level = means[:, 3]
    own = torch.stack([(~known).to(scale.dtype), scale * known, scale * level, scale * level**2], 1)
    return torch.cat([means, own], 1)
