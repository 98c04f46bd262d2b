"""Prediction intervals, and how they fared against the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from causalsys.detect.loss import Values

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Intervals:
    """A calibrated interval for each row.

    Attributes:
        prediction: `[row]`, in the target's unit.
        low: The lower ends, `[row]`.
        high: The upper ends, `[row]`.
        level: The share of rows that they cover while rows are exchangeable.
    """

    prediction: Values
    low: Values
    high: Values
    level: float

    @property
    def width(self) -> Values:
        """How wide each is, `[row]`."""
        width: Values = self.high - self.low
        return width

    def to_frame(self) -> pd.DataFrame:
        """One row per prediction: prediction, low, high."""
        import pandas as pd

        return pd.DataFrame({"prediction": self.prediction, "low": self.low, "high": self.high})

    def __str__(self) -> str:
        rows = len(self.low)
        return (
            f"{rows} interval{'s' * (rows != 1)} at {self.level:.0%}, "
            f"{self.width.mean():.3g} wide on average."
        )


@dataclass(frozen=True)
class Coverage:
    """How many truths the intervals covered.

    Attributes:
        level: What was promised.
        covered: The share of rows that were covered.
        rows: How many rows there were.
        width: The mean width, in the target's unit.
        p: The chance of covering as few, were the rows exchangeable with the calibration rows;
            with groups, the smallest of theirs, times their number.
        groups: The share covered by group; empty without groups.
        counts: The rows by group.
    """

    level: float
    covered: float
    rows: int
    width: float
    p: float
    groups: Mapping[str, float]
    counts: Mapping[str, int]

    def to_frame(self) -> pd.DataFrame:
        """One row per group, and one for all."""
        import pandas as pd

        shares = {**self.groups, "all": self.covered}
        counts = {**self.counts, "all": self.rows}
        frame = pd.DataFrame({"covered": shares, "rows": counts})
        return frame.rename_axis("group")

    def __str__(self) -> str:
        verdict = "as promised" if self.p > 0.01 else "less than promised"
        return (
            f"{self.covered:.1%} of {self.rows} rows covered, {verdict} ({self.level:.0%}; "
            f"p = {self.p:.2g}); intervals {self.width:.3g} wide on average."
        )


__all__ = ["Coverage", "Intervals"]
