"""What the past of a noise says of its next step: means and scales of the steps before.

Averages are exponentially weighted, at several half-lives, over strictly earlier steps, and are
carried from one block of steps to the next: the memory they take does not grow with the steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from causalsys.fit.lasting.steps import Steps

MEANS = (0.0, 3.0, 15.0, 80.0, math.inf)
"""Half-lives in steps, from the step before alone to all earlier ones alike."""
_CURVED = (0, 2)
"""Which of the averages are curved, too."""
SUMMARIES = len(MEANS) + 3 + 4 * len(_CURVED)
"""How many columns a history has."""
_SCALES = (12.0, 100.0)
_FEW = 5
"""With fewer earlier steps than this, how far a trace scatters is not taken from itself."""
_LOG_CHI = 1.2704
"""Minus the mean of the log of a squared standard normal."""


class Past:
    """Weighted sums over earlier steps, block after block.

    Args:
        half_lives: In steps.
        even: Whether every step counts: sums are then products of matrices; otherwise a step
            that does not count does not age the others.
    """

    def __init__(self, half_lives: tuple[float, ...], *, even: bool) -> None:
        decay = [0.5 ** (1 / each) if each else 0.0 for each in half_lives]
        self._decay = torch.tensor(decay, dtype=torch.float64)
        self._even = even
        self._state: Tensor | None = None

    def sums(self, block: Tensor, live: Tensor) -> Tensor:
        """The sums over the steps before each step.

        Args:
            block: The next steps, `[..., step, trace]`, 0 where none counts.
            live: Which of them count, `[step, trace]`.

        Returns:
            `[..., half-life, step, trace]`.
        """
        state, decay = self._begun(block), self._decay.to(block.dtype)
        if self._even:
            inside, carried, kept = _powers(decay, block.shape[-2])
            found = inside @ block.unsqueeze(-3)
            found += carried.unsqueeze(-1) * state.unsqueeze(-2)
            self._state = carried[:, -1:] * decay[:, None] * state + kept @ block
            return found
        found = block.new_empty((*state.shape[:-1], *block.shape[-2:]))
        for step in range(block.shape[-2]):
            found[..., step, :] = state
            fade = torch.where(live[step], decay.unsqueeze(-1), 1.0)
            state = state * fade + block[..., step, :].unsqueeze(-2)
        self._state = state
        return found

    def mixed(self, block: Tensor, live: Tensor, *, share: Tensor) -> Tensor:
        """The sums added up over half-lives by `share`, `[half-life, step, trace]`.

        Args:
            block: The next steps of many columns, `[column, step, trace]`.
            live: Which of them count.
            share: Its last axis is 1 where every step counts.

        Returns:
            `[column, step, trace]`.
        """
        share = share.to(block.dtype)
        if not self._even:
            return (self.sums(block, live) * share).sum(-3)
        state, decay = self._begun(block), self._decay.to(block.dtype)
        inside, carried, kept = _powers(decay, block.shape[-2])
        each = share[..., 0]
        found = (each.unsqueeze(-1) * inside).sum(0) @ block + (each * carried).mT @ state
        self._state = carried[:, -1:] * decay[:, None] * state + kept @ block
        return found

    def _begun(self, block: Tensor) -> Tensor:
        if self._state is None:
            return block.new_zeros((*block.shape[:-2], len(self._decay), block.shape[-1]))
        return self._state


def _powers(decay: Tensor, steps: int) -> tuple[Tensor, Tensor, Tensor]:
    """By how much a step counts.

    Within a block, `[half-life, later, step]`; what came before it, `[half-life, later]`; and at
    its end, `[half-life, step]`.
    """
    at = torch.arange(steps)
    gap = at.unsqueeze(-1) - 1 - at
    inside = torch.where(gap >= 0, decay[:, None, None] ** gap.clamp(min=0), 0.0)
    return inside, decay[:, None] ** at, decay[:, None] ** (steps - 1 - at)


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
        columns: The parents' columns, `[column, step, trace]`.
        moved: The columns less their own forecast: how the error of the forecast moves with the
            slopes.
        past: The columns of the history, `[summary, step, trace]`.
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
    even = data.even
    of_noise, of_columns, of_count, of_error, of_known = (
        Past(lives, even=even) for lives in (MEANS, MEANS, MEANS, _SCALES, _SCALES)
    )
    for steps in data.blocks():
        columns, weight = data.columns(steps), data.weight[steps]
        live = weight > 0
        noise = data.line[steps] - data.line_of(guess.slope, steps) - guess.center
        noise = torch.where(live, noise, 0)
        # Without gaps, what is averaged is as much in every trace.
        counted = torch.ones_like(live[:, :1]) if even else live
        counts = of_count.sums(counted.to(noise.dtype), live)
        known = counts[-1] > 0
        counts = counts.clamp(min=1e-12)
        means = of_noise.sums(noise, live) / counts
        rough = torch.where(live, noise - torch.einsum("kst,k->st", means, guess.share), 0)
        missed = torch.where(known, torch.log(rough**2 + guess.floor**2), 0)
        both = counted & known
        logs = of_error.sums(missed * both, both)
        misses = of_known.sums(both.to(noise.dtype), both)
        scale = _scale(logs, misses, guess=guess)
        share = guess.share[:, None, None] / counts * known
        moved = columns - of_columns.mixed(
            columns * live if not even else columns, live, share=share
        )
        # Where errors vanish no forecast may be shifted by the floor.
        bare = (scale**2 - math.exp(_LOG_CHI) * guess.floor**2).clamp(min=0).sqrt()
        past = _summaries(means, known, bare, spread=guess.spread)
        error = noise - torch.einsum("qst,q->st", past, guess.history)
        yield Block(noise, columns, moved, past, error, scale, weight, steps)


def _scale(logs: Tensor, counts: Tensor, *, guess: Guess) -> Tensor:
    """How far forecasts have missed: geometric means, which one jump does not throw off."""
    # The wider of two memories, as a calm that has ended is soon forgotten.
    widest = (logs / counts.clamp(min=1e-12)).amax(0)
    scale = torch.exp(0.5 * (widest + _LOG_CHI))
    return torch.where(counts[-1] > _FEW, scale, guess.spread).clamp(min=guess.floor)


def _summaries(means: Tensor, known: Tensor, scale: Tensor, *, spread: float) -> Tensor:
    """The columns of the history, `[summary, step, trace]`.

    Beside the averages they are an offset and curves, as they are for what a policy makes of the
    past, and in units of the scale for what a noise does: where errors are skewed, robust weights
    shift its forecast by so much.
    """
    found = means.new_empty((SUMMARIES, *scale.shape))
    found[: len(MEANS)] = means
    curves = found[len(MEANS) :]
    curves[0], curves[1] = ~known, known
    torch.mul(scale, known, out=curves[2])
    place = 3
    for which in _CURVED:
        level = means[which] / spread
        for curve in (torch.tanh(2 * level), level.abs()):
            torch.mul(curves[2], curve, out=curves[place])
            curves[place + 1] = curve
            place += 2
    return found
