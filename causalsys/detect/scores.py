"""What is watched of a stream of uniform numbers: four bounded scores, each with mean zero."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

TAIL = 0.05
"""How much of the normal period lies in either tail."""
_NORMAL_TAIL = -1.6448536269514722
"""The normal quantile at `TAIL`."""
_NODES = np.linspace(-6, 6, 241)
_WEIGHTS = np.exp(-0.5 * _NODES**2) / np.exp(-0.5 * _NODES**2).sum()
"""A normal law on a grid."""


@dataclass(frozen=True)
class Score:
    """A bounded function of a number that is uniform on (0, 1) while all is normal.

    Attributes:
        kind: What moves it: "location", "scale" or "tails".
        higher: What it is called when its mean rises.
        lower: What it is called when its mean falls; empty where nobody asks for that.
        least: Its least value.
        most: Its largest value.
        error: The standard deviation of a row's share in `level`.
    """

    kind: str
    higher: str
    lower: str
    least: float
    most: float
    error: float

    def of(self, uniform: Values) -> Values:
        """The score, of the shape of `uniform`; where that is missing, 0: no evidence."""
        return np.where(np.isnan(uniform), 0.0, self._of(np.nan_to_num(uniform, nan=0.5)))

    def _of(self, uniform: Values) -> Values:
        if self.kind == "location":
            return uniform - 0.5
        if self.kind == "scale":
            return np.abs(2 * uniform - 1) - 0.5
        inside = uniform < TAIL if "low" in self.higher else uniform > 1 - TAIL
        return inside.astype(np.float64) - TAIL

    def level(self, mean: Values, *, rows: float) -> Values:
        """The mean of a block of rows on a scale on which drift is about normal: a normal shift.

        A share of a tail is skewed, and a mean of ranks has an end; a drift's spread, estimated
        there, would say little of how far it may go.
        """
        from scipy.special import ndtri

        if self.kind == "location":
            edge = 0.5 / rows
            return math.sqrt(2) * np.asarray(ndtri(np.clip(mean + 0.5, edge, 1 - edge)))
        if self.kind == "scale":
            return mean
        # The root of a count has about the same spread everywhere (Anscombe, 1948).
        return np.sqrt(mean + TAIL + 3 / (8 * rows)) - math.sqrt(TAIL + 3 / (8 * rows))

    def mean(self, level: float) -> float:
        """What the score's mean becomes by so much drift: the inverse of `level`."""
        if self.kind == "location":
            return _normal(level / math.sqrt(2)) - 0.5
        if self.kind == "scale":
            return min(level, self.most)
        return min((math.sqrt(TAIL) + level) ** 2 - TAIL, self.most)

    def under_shift(self, level: float) -> float:
        """What the score's mean becomes where a normal variable's location drifts so far.

        A shift alone widens the ranks and fills a tail, in proportion to its square or faster,
        and a few blocks of a normal period do not show how far that goes.
        """
        if self.kind == "location":
            return self.mean(level)
        if self.kind == "scale":
            ranks = [_normal(node + level) for node in _NODES]
            mean = sum(w * abs(2 * r - 1) for w, r in zip(_WEIGHTS, ranks, strict=True))
            return mean - 0.5
        return _normal(_NORMAL_TAIL + level) - TAIL


def _normal(value: float) -> float:
    return 0.5 * math.erfc(-value / math.sqrt(2))


_TAIL_ERROR = math.sqrt(1 - TAIL) / 2

SCORES = (
    # d mean / d level is 1 / sqrt(4 pi) for ranks of a normal variable.
    Score("location", "higher", "lower", -0.5, 0.5, math.sqrt(4 * math.pi / 12)),
    Score("scale", "wider", "narrower", -0.5, 0.5, math.sqrt(1 / 12)),
    Score("tails", "more very low values", "", -TAIL, 1 - TAIL, _TAIL_ERROR),
    Score("tails", "more very high values", "", -TAIL, 1 - TAIL, _TAIL_ERROR),
)
"""Location tells a shift, scale a wider or narrower law, the tails a group of few rows."""

__all__ = ["SCORES", "TAIL", "Score", "Values"]
