"""How far two laws are apart, and how far they would be by chance.

The distance is the earth mover's, 1-Wasserstein: the area between two distribution functions
(Vallender, Theory of Probability and its Applications, 1974), in the variable's unit. It is never
negative, so a distance alone says nothing; it is compared with those of traces whose labels are
permuted, which is exact for traces that are drawn alike (Fisher, 1935). Whole traces are permuted:
the steps of one are not independent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Codes = NDArray[np.int64]

_GRID = 512
"""Points of the grid on which permuted laws are compared; the distance itself is exact."""
_PERMUTATIONS = 200


def emd(first: Values, second: Values) -> float:
    """The earth mover's distance of two samples, `[row]` each, in their unit.

    Example:
        >>> emd(np.array([0.0, 1.0]), np.array([0.5, 2.5]))
        1.0
    """
    first, second = np.sort(first), np.sort(second)
    both = np.sort(np.concatenate([first, second]))
    below = np.searchsorted(first, both[:-1], side="right") / len(first)
    under = np.searchsorted(second, both[:-1], side="right") / len(second)
    return float(np.abs(below - under) @ np.diff(both))


def spread(values: Values) -> float:
    """The distance of a sample from its own median: what a law is measured in.

    Of two distances of this size, one law says of the other no more than its median does.
    """
    found = float(np.abs(values - np.median(values)).mean())
    return found or float(np.abs(values).mean()) or 1.0


@dataclass(frozen=True)
class Distance:
    """A distance with what chance alone would make of it, in units of the measured spread.

    Attributes:
        value: The distance.
        chance: Its mean over permutations of the traces.
        p_value: The probability of a distance as large by chance.
    """

    value: float
    chance: float
    p_value: float


@dataclass(frozen=True)
class Rows:
    """Values of rows, and whose they are.

    Attributes:
        values: `[row]`.
        trace: The number of each row's trace, from 0, `[row]`.
    """

    values: Values
    trace: Codes


def distance(predicted: Rows, measured: Rows, *, excused: float = 0.0, seed: int = 0) -> Distance:
    """Compare two laws.

    Args:
        predicted: Rows of some traces.
        measured: Rows of others.
        excused: A distance that does not count, in units of the measured spread.
        seed: Fixes the permutations.
    """
    scale = spread(measured.values)
    found = emd(predicted.values, measured.values) / scale
    pooled = np.sort(np.concatenate([predicted.values, measured.values]))
    edges = np.unique(pooled[np.linspace(0, len(pooled) - 1, _GRID).astype(np.int64)])
    if len(edges) < 2:
        return Distance(found, 0.0, 1.0)
    counts = np.concatenate([below(predicted, edges), below(measured, edges)])
    first, traces = int(predicted.trace.max()) + 1, len(counts)
    rng = np.random.default_rng(seed)
    order = rng.permuted(np.tile(np.arange(traces) < first, (_PERMUTATIONS, 1)), axis=1)
    one, other = order @ counts, ~order @ counts
    apart = np.abs(one / one[:, -1:] - other / other[:, -1:])
    drawn = (apart[:, :-1] @ np.diff(edges)) / scale
    return Distance(found, float(drawn.mean()), _tail(max(found - excused, 0.0), drawn))


def below(rows: Rows, edges: Values) -> Values:
    """How many rows of each trace are at most each edge, `[trace, edge]`."""
    at = np.searchsorted(edges, rows.values, side="left").clip(max=len(edges) - 1)
    traces = int(rows.trace.max()) + 1
    counts = np.bincount(rows.trace * len(edges) + at, minlength=traces * len(edges))
    return counts.reshape(traces, -1).cumsum(1).astype(np.float64)


def _tail(found: float, drawn: Values) -> float:
    """The tail beyond `found` of a gamma law with the draws' moments: finer than counting draws."""
    from scipy.stats import gamma

    mean, variance = float(drawn.mean()), float(drawn.var())
    if mean <= 0 or variance <= 0:
        return 1.0 if found <= mean else 0.0
    return float(gamma.sf(found, mean**2 / variance, scale=variance / mean))


__all__ = ["Distance", "Rows", "below", "distance", "emd", "spread"]
