"""What is watched of a stream of uniform numbers: bounded scores, each with mean zero."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from causalsys.detect.loss import Values

_COUNT = 3 / 8
"""What is added to a count below its root (Anscombe, Biometrika 1948)."""


@dataclass(frozen=True)
class Score:
    """A bounded function of a number that is uniform on (0, 1) while all is normal.

    Attributes:
        kind: What moves it: "location", "scale" or "tails".
        higher: What it is called when its mean rises.
        lower: What it is called when its mean falls; empty where nobody asks for that.
        tail: How much of the normal period lies in the tail that is watched, if one is: negative
            for the upper one.
        values: For the mean of values, what they are at evenly spaced ranks, less their mean;
            those beyond what is normal count as its ends.
    """

    kind: str
    higher: str
    lower: str = ""
    tail: float = 0.0
    values: tuple[float, ...] = ()

    @property
    def least(self) -> float:
        """Its least value."""
        if self.values:
            return self.values[0]
        return -abs(self.tail) if self.tail else -0.5

    @property
    def most(self) -> float:
        """Its largest value."""
        if self.values:
            return self.values[-1]
        return 1 - abs(self.tail) if self.tail else 0.5

    def of(self, uniform: Values) -> Values:
        """The score, of the shape of `uniform`; where that is missing, 0: no evidence."""
        return np.where(np.isnan(uniform), 0.0, self._of(np.nan_to_num(uniform, nan=0.5)))

    def _of(self, uniform: Values) -> Values:
        if self.values:
            found: Values = np.interp(uniform, np.linspace(0, 1, len(self.values)), self.values)
            return found
        if self.kind == "location":
            return uniform - 0.5
        if self.kind == "scale":
            return np.abs(2 * uniform - 1) - 0.5
        inside = uniform < self.tail if self.tail > 0 else uniform > 1 + self.tail
        return inside.astype(np.float64) - abs(self.tail)

    def root(self, mean: Values, *, rows: float) -> Values:
        """The root of the share of a tail in a block, above its normal one: about symmetric."""
        share = np.clip(mean + abs(self.tail), 0, None)
        found: Values = np.sqrt(share + _COUNT / rows) - math.sqrt(abs(self.tail))
        return found

    def error_of_root(self, rows: float) -> float:
        """The sampling error of `root`."""
        return _error_of_root(round(rows), abs(self.tail))

    def share(self, root: float) -> float:
        """The mean of the score of a tail whose root is so far above its normal one."""
        return min((math.sqrt(abs(self.tail)) + root) ** 2 - abs(self.tail), self.most)


@lru_cache(maxsize=64)
def _error_of_root(rows: int, share: float) -> float:
    """The standard deviation of the root of a share, exactly: rare values have small counts."""
    from scipy.stats import binom

    count = np.arange(rows + 1)
    chance = binom.pmf(count, rows, share)
    root = np.sqrt((count + _COUNT) / rows)
    return math.sqrt(float(chance @ root**2 - (chance @ root) ** 2))


SCORES = (
    Score("location", "higher", "lower"),
    Score("scale", "wider", "narrower"),
    Score("tails", "more low values", tail=0.05),
    Score("tails", "more high values", tail=-0.05),
    Score("tails", "more extremely low values", tail=0.005),
    Score("tails", "more extremely high values", tail=-0.005),
)
"""Location tells a shift, scale a wider or narrower law, and tails a group of few rows: those of
5 % a group that lies at the edge of what is normal, those of 0.5 % one that lies beyond it, such
as the normal period barely had, whatever its drift did to the ranks."""

__all__ = ["SCORES", "Score", "Values"]
