"""How far a mechanism drifts in normal operation, and how far it may: the tolerance of an alarm.

A real system is never quite still, and a test of "nothing changed at all" alarms on every real
system that is watched long enough. What is tested here is "no more drift than in the normal
period". The means of a score over consecutive blocks of normal rows are taken as

    mean[k] = level + drift[k] + sampling[k],

with a drift that is a normal autoregression of order one. Its size and its memory are not
estimated but integrated out over a grid, so that few blocks, or a drift with a long memory (which
makes few blocks of many), give a wide tolerance: the tails are those of a t law.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from causalsys.detect.scores import Values

_SIZES = 2.0 ** np.arange(-2, 5.01, 0.5)
"""Standard deviations of the drift, in units of the sampling error of a block's mean."""
_SHORTEST = (0.0, 0.5)
"""Memories of the drift, as autocorrelations from block to block, beside those of long ones."""
_LONGEST = 6
"""A drift of which the normal period has not seen so many memories is a change."""


@dataclass(frozen=True)
class Grid:
    """Models of the drift, and what they say of the means of some blocks.

    Attributes:
        size: `[model]`, the drift's standard deviation.
        memory: `[model]`, its autocorrelation from block to block.
        prior: `[model]`.
        precision: `[model, block, block]`, of the blocks' means, the level integrated out.
        log_det: `[model]`, what goes with it.
        level: `[model]`, the variance of the level's estimate.
    """

    size: Values
    memory: Values
    prior: Values
    precision: Values
    log_det: Values
    level: Values

    def posterior(self, means: Values) -> Values:
        """The probability of each model given the blocks' means, `[model]`."""
        quadratic = np.einsum("k,mkl,l->m", means, self.precision, means)
        log = np.log(self.prior) - 0.5 * (quadratic + self.log_det)
        weight = np.exp(log - log.max())
        found: Values = weight / weight.sum()
        return found


@lru_cache(maxsize=16)
def _grid(blocks: int) -> Grid:
    """The grid for so many blocks, in units of the sampling error of a block's mean."""
    longest = max(blocks / _LONGEST, 1.0)
    memories = [1.0]
    while memories[-1] * 2 < longest:
        memories.append(memories[-1] * 2)
    rhos = [*_SHORTEST, *(math.exp(-1 / each) for each in [*memories[1:], longest])]
    size = np.concatenate([[0.0], np.repeat(_SIZES, len(rhos))])
    memory = np.concatenate([[0.0], np.tile(rhos, len(_SIZES))])
    # No drift counts as one more size.
    prior = np.full(len(size), 1 / (len(_SIZES) + 1) / len(rhos))
    prior[0] = 1 / (len(_SIZES) + 1)
    lag = np.abs(np.subtract.outer(np.arange(blocks), np.arange(blocks)))
    correlation = memory[:, None, None] ** lag
    covariance = size[:, None, None] ** 2 * correlation + np.eye(blocks)
    inverse, log_det = np.linalg.inv(covariance), np.linalg.slogdet(covariance)[1]
    ones = inverse.sum(-1)
    total = ones.sum(-1)
    precision = inverse - ones[:, :, None] * ones[:, None, :] / total[:, None, None]
    return Grid(size, memory, prior, precision, log_det + np.log(total), 1 / total)


@dataclass(frozen=True)
class Drift:
    """What the normal period says of a score's drift.

    Attributes:
        error: The sampling error of a block's level.
        grid: Models of the drift.
        weight: `[model]`, their probabilities.
    """

    error: float
    grid: Grid
    weight: Values

    @classmethod
    def of(cls, levels: Values, *, error: float, drift: bool = True) -> Drift:
        """The drift in the levels of some blocks.

        Args:
            levels: A score's level in each block of the normal period, in time order, `[block]`.
            error: The sampling error of one.
            drift: Whether there is any; without, only the level itself is uncertain.
        """
        grid = _grid(len(levels))
        still = (grid.size == 0).astype(np.float64)
        return cls(error, grid, grid.posterior(levels / error) if drift else still)

    def tolerance(self, *, ahead: int, window: int, chance: float) -> float:
        """The drift that is exceeded in some window ahead with no more than a stated chance.

        Args:
            ahead: How many blocks are watched.
            window: Over how many consecutive blocks the drift is averaged.
            chance: The chance.
        """
        grid = self.grid
        averaged = np.array([_averaged(rho, window) for rho in grid.memory])
        spread = np.sqrt(grid.size**2 * averaged + grid.level)
        memory = grid.memory**window
        windows = max(ahead // window, 1)

        def exceeded(limit: float) -> float:
            far = limit / spread
            # Crossings of a high level by a normal process: no more than one try in each window,
            # fewer where it has a memory (Leadbetter, Lindgren and Rootzén, 1983, thm 12.2.9).
            tries = 1 + (windows - 1) * np.minimum(1.0, (1 - memory) * (1 + far**2))
            tries = np.where(grid.size > 0, tries, 1.0)
            return float(self.weight @ np.minimum(1.0, tries * _two_sided(far)))

        low, high = 0.0, 1.0
        while exceeded(high) > chance:
            low, high = high, 2 * high
        for _ in range(30):
            middle = (low + high) / 2
            low, high = (middle, high) if exceeded(middle) > chance else (low, middle)
        return high * self.error


@lru_cache(maxsize=1024)
def _averaged(memory: float, window: int) -> float:
    """The variance of the mean of `window` steps of an autoregression whose own variance is 1."""
    lag = np.arange(1, window)
    return float((1 + 2 * np.sum((1 - lag / window) * memory**lag)) / window)


def _two_sided(far: Values) -> Values:
    from scipy.special import erfc

    found: Values = erfc(far / math.sqrt(2))
    return found


def block_means(values: Values, *, bounds: Sequence[int] | Values) -> Values:
    """The mean of each block of rows, `[block]`.

    Args:
        values: `[row]`.
        bounds: Where each block begins, and where the last one ends.
    """
    begin = np.asarray(bounds[:-1], dtype=int)
    found: Values = np.add.reduceat(values, begin) / np.diff(bounds)
    return found


__all__ = ["Drift", "block_means"]
