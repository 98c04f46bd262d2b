"""Bets against "the mean of this score is within its tolerance", and the evidence they gain.

A bet on a row multiplies its capital by `1 + share * (score - tolerance)`. While the score's mean,
given all that came before, is at most the tolerance, no bet gains on average, so that its capital
is a test supermartingale: by Ville's inequality it ever reaches `1 / a` with a chance of at most
`a` (Waudby-Smith and Ramdas, JRSS B 2023, section 4; bets on p-values: Vovk, Statistical Science
2021). A change may come late, when a bet made at the start has lost its capital. So a bit of
capital is held back for a new bet in each block: the sum is an e-detector (Shin, Ramdas and
Rinaldo, 2023, section 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from causalsys.detect.scores import Score, Values

_SHARES = (0.05, 0.15, 0.4, 0.8)
"""Of the largest bet that cannot lose everything: small ones for small changes."""


@dataclass(frozen=True)
class Bet:
    """One way to bet on a stream.

    Attributes:
        score: On what.
        sign: 1 for a mean that rises, -1 for one that falls.
        tolerance: How far it may go.
        share: How much is bet, of the largest that cannot lose everything.
    """

    score: Score
    sign: int
    tolerance: float
    share: float

    @property
    def direction(self) -> str:
        return self.score.higher if self.sign > 0 else self.score.lower

    def gains(self, uniform: Values) -> Values:
        """The logarithm of what a unit becomes in each row, `[row]`; 0 where it is missing."""
        worst = (-self.score.least if self.sign > 0 else self.score.most) + self.tolerance
        score = self.sign * self.score.of(uniform) - self.tolerance
        return np.where(np.isnan(uniform), 0.0, np.log1p(self.share / worst * score))


def bets(scores: Sequence[Score], tolerances: Sequence[float]) -> tuple[Bet, ...]:
    """All bets on some scores, each with its tolerance."""
    return tuple(
        Bet(score, sign, tolerance, share)
        for score, tolerance in zip(scores, tolerances, strict=True)
        for sign in ((1, -1) if score.lower else (1,))
        for share in _SHARES
    )


def evidence(gains: Values, *, fresh: Values) -> Values:
    """The logarithm of the capital after each row, `[bet, row]`.

    Args:
        gains: `[bet, row]`, the logarithm of what a unit becomes in each row.
        fresh: `[row]`, the capital that a new bet gets before each row.
    """
    grown = np.cumsum(gains, axis=1)
    before = np.concatenate([np.zeros((len(gains), 1)), grown[:, :-1]], axis=1)
    with np.errstate(divide="ignore"):
        started = np.log(fresh) - before
    found: Values = grown + np.logaddexp.accumulate(started, axis=1)
    return found


def onset(gains: Values, *, until: int) -> int:
    """Since when a bet that has won by a row has been winning: Page's estimate (1954)."""
    grown = np.concatenate([[0.0], np.cumsum(gains[: until + 1])])
    return int(np.argmin(grown[:-1]))


__all__ = ["Bet", "bets", "evidence", "onset"]
