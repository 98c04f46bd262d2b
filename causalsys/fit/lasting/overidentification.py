"""Is the mechanism's shape right? More moments than it has slopes, and a test whether they hold.

If the noise is what the model says, its next step is independent of the action given its past, so
that nothing of it differs by action: neither where it lies in any region of the past, nor how
widely it scatters. A wrong rank or shape lets an action's effect change with the level of the
noise, and both show it. The statistic is that of Hansen (1982), in the form of a score test:
moments are corrected for the slopes having been estimated (Newey, 1985), and their covariance is
clustered by trace.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from causalsys.errors import FitError
from causalsys.fit.lasting.course import Course
from causalsys.fit.lasting.equations import TAILS, robust
from causalsys.fit.lasting.history import Block, Guess, walk
from causalsys.fit.lasting.marginal import LogAdditive, started
from causalsys.fit.lasting.moments import estimated, grids
from causalsys.fit.lasting.steps import Steps
from causalsys.mechanisms.base import Sample

_EDGES = (-0.5, 0.5)
"""Where the past is cut into low, middle and high, in units of the noise's scale."""
_SINGULAR = 1e-9


@dataclass(frozen=True)
class JTest:
    """A test of over-identifying moments.

    Attributes:
        statistic: How far the moments are from 0, squared, in units of their covariance.
        degrees: How many there are, which is the statistic's mean if the shape is right.
        p: The chance of so large a statistic if it is.

    Example:
        >>> print(JTest(109.3, 21, 0.0002))
        J = 109.3 on 21 degrees of freedom, p = 0.0002
    """

    statistic: float
    degrees: int
    p: float

    def __str__(self) -> str:
        return f"J = {self.statistic:.1f} on {self.degrees} degrees of freedom, p = {self.p:.2g}"


def j_test(
    mechanism: LogAdditive,
    sample: Sample,
    *,
    course: Course,
    generator: torch.Generator,
) -> JTest:
    """Test whether a log-additive mechanism whose noise lasts has the right shape.

    Args:
        mechanism: Linear, or Multiplicative of rank one; it is fitted anew.
        sample: Its data, rows in the order of the course.
        course: How rows go on in time.
        generator: Fixes which traces the fit starts from.

    Returns:
        The test. Its reference is Hotelling's law, as the covariance is of finitely many traces.

    Raises:
        FitError: As `fit_moments`; or there are too few traces for so many moments.
    """
    mechanism = started(mechanism, sample, generator=generator)
    spec = type(mechanism.spec).__name__
    data = grids(mechanism, sample, course=course)[0]
    count = (len(_EDGES) + 1) * data.width
    traces = data.line.shape[1]
    if traces < 3 * count or not count:
        raise FitError(
            spec,
            found=f"{traces} traces for a test of {count} moments",
            mend=f"Give at least {3 * count} traces, or do without the test.",
        )
    guess, _ = estimated(data, generator=generator, spec=spec)
    place, move = _places(data, guess)
    moments = torch.cat([place, _scatters(data, guess, move)])
    total = moments.sum(-1)
    centred = moments - moments.mean(-1, keepdim=True)
    size = centred.square().sum(-1).sqrt().clamp(min=1e-300)
    values, vectors = torch.linalg.eigh(
        (centred / size.unsqueeze(-1)) @ (centred / size[:, None]).mT
    )
    kept = values > _SINGULAR
    along = (vectors.mT @ (total / size))[kept]
    degrees = int(kept.sum())
    statistic = float((along**2 / values[kept]).sum()) * (traces - 1) / traces
    rest = max(traces - degrees, 1)
    from scipy.stats import f

    p = float(f.sf(statistic * rest / (degrees * (traces - 1)), degrees, rest))
    return JTest(statistic, degrees, p)


def _bins(block: Block, guess: Guess) -> Tensor:
    """Whether the past was low, or high, `[2, step, trace]`."""
    level = block.past[2] / guess.spread
    return torch.stack([level < _EDGES[0], level > _EDGES[1]]).to(block.moved.dtype)


def _places(data: Steps, guess: Guess) -> tuple[Tensor, Tensor]:
    """Where the noise lies by action and past: the moments of each trace, `[moment, trace]`.

    Returns:
        The moments; and by how much each trace moves the slopes, `[slope, trace]`.
    """
    width, nuisance = data.width, data.width + len(guess.history) + len(_EDGES)
    size = nuisance + len(_EDGES) * width
    bend = torch.zeros((size, size), dtype=torch.float64)
    scores = bend.new_zeros((size, data.line.shape[1]))
    for block in walk(data, guess):
        weight, bending = robust(block)
        bins = _bins(block, guess)
        products = (bins.unsqueeze(1) * block.moved).flatten(0, 1)
        root = weight.sqrt()
        parts = (block.moved, block.past, bins, products)
        full = torch.cat([(part * root).to(torch.float32) for part in parts])
        flat = full.flatten(1)
        bend += (flat * bending.flatten().to(flat.dtype)) @ flat.mT
        scores += (full * (block.error * root).to(full.dtype)).sum(1)
    scale = bend.diagonal().abs().clamp(min=1e-300).sqrt()
    bend, scores = bend / scale / scale.unsqueeze(-1), scores / scale.unsqueeze(-1)
    inverse = torch.linalg.pinv(bend[:nuisance, :nuisance], rtol=1e-8)
    move = (inverse @ scores[:nuisance])[:width] / scale[:width, None]
    return scores[nuisance:] - bend[nuisance:, :nuisance] @ inverse @ scores[:nuisance], move


def _scatters(data: Steps, guess: Guess, move: Tensor) -> Tensor:
    """How widely the noise scatters by action, `[column, trace]`."""
    # Two passes: what the past says of action and scatter, then what is left of both.
    width, size = data.width, len(guess.history) + len(_EDGES)
    gram = torch.zeros((size, size + width + 1), dtype=torch.float64)
    for block in walk(data, guess):
        past, target, _ = _scattered(block, guess)
        gram += (past * block.weight.to(past.dtype)).flatten(1) @ target.flatten(1).mT
    own = gram[:, :size]
    scale = own.diagonal().clamp(min=1e-300).sqrt()
    inverse = (
        torch.linalg.pinv(own / scale / scale.unsqueeze(-1), rtol=1e-7) / scale / scale[:, None]
    )
    fitted = (inverse @ gram[:, size:]).to(torch.float32)
    moments = move.new_zeros((width, data.line.shape[1]))
    jacobian = move.new_zeros((width, width))
    for block in walk(data, guess):
        past, target, slope = _scattered(block, guess)
        left = target[size:] - torch.einsum("qst,qc->cst", past, fitted)
        weighted = left[:width] * block.weight.to(left.dtype)
        moments += (weighted * left[width]).sum(1)
        jacobian -= (weighted * slope).flatten(1) @ block.moved.flatten(1).mT
    return moments + jacobian @ move


def _scattered(block: Block, guess: Guess) -> tuple[Tensor, Tensor, Tensor]:
    """The past; the past, the columns and the scatter; and how that moves with the error."""
    square = (block.error / block.scale) ** 2
    scatter = square / (TAILS + square)
    slope = 2 * TAILS * block.error / block.scale**2 / (TAILS + square) ** 2
    past = torch.cat([block.past.to(torch.float32), _bins(block, guess)])
    target = torch.cat([past, block.columns, scatter.unsqueeze(0).to(torch.float32)])
    return past, target, slope.to(torch.float32)
