"""A sequential test that new residuals are exchangeable with the calibration residuals.

Each residual is ranked among the calibration residuals and all new ones before it; while all are
exchangeable these ranks, ties broken at random, are independent and uniform (Vovk, Gammerman and
Shafer 2005, theorem 8.1). Bets on their location, scale and tails then gain nothing on average, and
reach `1 / a` with a chance of at most `a`, however long one watches (Vovk, "Testing randomness
online", Statistical Science 2021). The capital is spread over starting times, so that a late change
is found too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from causalsys.detect.bets import bets, evidence, onset
from causalsys.detect.loss import Values
from causalsys.detect.scores import SCORES

if TYPE_CHECKING:
    import pandas as pd

_CHUNK = 2048


@dataclass(frozen=True)
class Exchangeability:
    """Whether new residuals may be read like the calibration residuals.

    Attributes:
        row: The number of the row that raised the alarm, from 0; None without an alarm.
        since: The number of the row since when the change is estimated to last.
        direction: How the residuals changed: "higher", "lower", "wider", "narrower".
        evidence: The logarithm of the evidence after each row, `[row]`.
        threshold: What it has to reach.
        false_alarms: The chance of an alarm, ever, while all rows are exchangeable.
    """

    row: int | None
    since: int | None
    direction: str
    evidence: Values
    threshold: float
    false_alarms: float

    @property
    def holds(self) -> bool:
        """Whether nothing speaks against it: the intervals' guarantee stands."""
        return self.row is None

    def to_frame(self) -> pd.DataFrame:
        """One row per new residual: the logarithm of the evidence, and whether it was reached."""
        import pandas as pd

        reached = np.maximum.accumulate(self.evidence) >= self.threshold
        return pd.DataFrame({"evidence": self.evidence, "alarm": reached})

    def __str__(self) -> str:
        if self.row is None:
            return (
                f"{len(self.evidence)} residuals look like the calibration residuals "
                f"(false alarms {self.false_alarms:.0%})."
            )
        return (
            f"row {self.row}: residuals are {self.direction} than in calibration, probably since "
            f"row {self.since}; coverage cannot be relied on (false alarms "
            f"{self.false_alarms:.0%}). Calibrate again on rows since then."
        )


def exchangeable(
    new: Values, *, calibration: Values, false_alarms: float, seed: int
) -> Exchangeability:
    """Test new residuals in their order.

    Args:
        new: Residuals in units of their difficulty, signed, `[row]`.
        calibration: Those of calibration.
        false_alarms: The chance of a false alarm, ever.
        seed: Breaks ties.
    """
    uniform = _ranks(new, calibration, seed=seed)
    chosen = bets(SCORES[:4], (0.0,) * 4)
    gains = np.stack([bet.gains(uniform) for bet in chosen])
    times = np.arange(1, len(new) + 1)
    capital = evidence(gains, fresh=1 / (times * (times + 1.0)))
    total: Values = np.logaddexp.reduce(capital, axis=0) - np.log(len(chosen))
    threshold = float(-np.log(false_alarms))
    reached = np.flatnonzero(total >= threshold)
    if not len(reached):
        return Exchangeability(None, None, "", total, threshold, false_alarms)
    row = int(reached[0])
    best = int(capital[:, row].argmax())
    since = onset(gains[best], until=row)
    return Exchangeability(row, since, chosen[best].direction, total, threshold, false_alarms)


def _ranks(new: Values, calibration: Values, *, seed: int) -> Values:
    """The rank of each among the calibration residuals and the new ones up to it, in (0, 1)."""
    ordered = np.sort(calibration)
    less = np.searchsorted(ordered, new, side="left").astype(np.float64)
    ties = np.searchsorted(ordered, new, side="right") - less
    numbers = np.arange(len(new))
    for start in range(0, len(new), _CHUNK):
        rows = slice(start, start + _CHUNK)
        before = numbers[None, :] < numbers[rows, None]
        less[rows] += ((new[None, :] < new[rows, None]) & before).sum(1)
        ties[rows] += ((new[None, :] == new[rows, None]) & before).sum(1)
    place = np.random.default_rng(seed).random(len(new))
    found: Values = (less + place * (ties + 1)) / (len(calibration) + numbers + 1)
    return found


__all__ = ["Exchangeability", "exchangeable"]
