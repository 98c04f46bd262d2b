"""The law of a stream in the normal period, and what a drift of it would do to each score.

A drift moves a law, or widens it, and with that its tails fill. How far they fill depends on the
law: a shift that fills the tails of a normal law many times over leaves heavy tails about as they
are. So what is normal is moved and widened as it is, and not as if it were normal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from causalsys.detect.scores import SCORES, Score, Values

_POINTS = 400
_CUT = 0.0025
"""What is beyond these shares of the normal values counts as they do."""
_SHIFTS = np.linspace(-10, 10, 161)
"""In units of the law's spread."""
_WIDER = np.linspace(-2.5, 2.5, 81)
"""Logarithms of factors."""


@dataclass(frozen=True)
class Usual:
    """The law of a stream in the normal period.

    Attributes:
        order: Its values in the normal period, sorted, `[normal row]`.
    """

    order: Values

    @cached_property
    def scores(self) -> tuple[Score, ...]:
        """What is watched of the stream: `SCORES`, and the mean of its values.

        Ranks do not tell a little too low from far too low; a mean does. It is of values cut at
        the ends of what is normal, or a single one would decide.
        """
        ends = np.linspace(_CUT, 1 - _CUT, _POINTS)
        values = np.quantile(self.order, ends)
        values = values - values.mean()
        size = float(np.abs(values).max())
        if not size:
            return SCORES
        return (
            *SCORES,
            Score("location", "higher mean", "lower mean", values=tuple(values / size)),
        )

    @cached_property
    def shifted(self) -> Values:
        """Ranks of the law, moved, `[shift, point]`."""
        low, high = np.quantile(self.order, [0.25, 0.75])
        # A spread of nothing (most values equal) leaves the whole range.
        spread = (high - low) / 1.349 or float(np.ptp(self.order)) or 1.0
        return self._ranks(self._points[None, :] + spread * _SHIFTS[:, None])

    @cached_property
    def widened(self) -> Values:
        """Ranks of the law, wider or narrower around its median, `[factor, point]`."""
        middle = np.median(self.order)
        return self._ranks(middle + np.exp(_WIDER)[:, None] * (self._points - middle)[None, :])

    @cached_property
    def _points(self) -> Values:
        found: Values = np.quantile(self.order, (np.arange(_POINTS) + 0.5) / _POINTS)
        return found

    def _ranks(self, values: Values) -> Values:
        low = np.searchsorted(self.order, values, side="left")
        high = np.searchsorted(self.order, values, side="right")
        found: Values = (low + high + 1) / 2 / (len(self.order) + 1)
        return found

    def level(self, score: Score, means: Values, *, rows: float) -> Values:
        """The means of blocks of rows on a scale on which drift is about normal.

        For the location that is a shift, for the scale the logarithm of a factor, for tails the
        root of the share. A mean of ranks has an end and a share is skewed: their own spread
        would say little of how far they may go.
        """
        if score.tail:
            return score.root(means, rows=rows)
        if score.values:
            return means
        at, curve = self._curve(score)
        found: Values = np.interp(means, curve, at)
        return found

    def error(self, score: Score, *, rows: float) -> float:
        """The sampling error of the level of a block of so many rows."""
        if score.tail:
            return score.error_of_root(rows)
        if score.values:
            return float(np.std(score.values)) / math.sqrt(rows)
        at, curve = self._curve(score)
        near = np.abs(curve - np.interp(0.0, at, curve)) < 0.1
        slope = np.polyfit(at[near], curve[near], 1)[0] if near.sum() > 1 else 0.3
        return math.sqrt(1 / 12 / rows) / float(slope)

    def _curve(self, score: Score) -> tuple[Values, Values]:
        at = _SHIFTS if score.kind == "location" else _WIDER
        curves = self.shift_curves if score.kind == "location" else self.wider_curves
        return at, np.maximum.accumulate(curves[score])

    @cached_property
    def shift_curves(self) -> dict[Score, Values]:
        """Each score's mean where the law moves, `[shift]`."""
        return {score: score.of(self.shifted).mean(1) for score in SCORES}

    @cached_property
    def wider_curves(self) -> dict[Score, Values]:
        """Each score's mean where the law widens, `[factor]`."""
        return {score: score.of(self.widened).mean(1) for score in SCORES}

    def under_shift(self, score: Score, level: float) -> float:
        """What the score's mean becomes where the law moves so far, either way."""
        return _worst(self.shift_curves[score], _SHIFTS, level)

    def under_widening(self, score: Score, level: float) -> float:
        """What the score's mean becomes where the law widens, or narrows, so far."""
        return _worst(self.wider_curves[score], _WIDER, level)


def _worst(curve: Values, at: Values, level: float) -> float:
    ends = np.interp([-level, level], at, curve)
    return float(np.abs(ends).max())


__all__ = ["Usual"]
