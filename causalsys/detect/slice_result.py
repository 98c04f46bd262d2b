"""What a search for slices answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from causalsys.detect.slice_conditions import Conditions, Mask, all_hold, worded

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Slice:
    """Rows in which the error is higher: a conjunction, and how much higher.

    All figures are of the half of the rows on which it was not found.

    Attributes:
        conditions: Which rows: all of these hold.
        inside: The mean error in it.
        outside: The mean error of the other rows.
        difference: `inside - outside`.
        interval: Of the difference; wider the more slices were tested for each that is named.
        effect: Cohen's d: the difference in pooled standard deviations.
        p: Of the claim that it is no worse than the rest, corrected for all slices tested.
        share: Its share of the rows.
        share_of_error: Its share of the sum of the errors; NaN where that is 0.
        rows: How many of its rows it was tested on.
        methods: Which searches found it.
        aliases: Conjunctions over other columns with nearly the same rows.
    """

    conditions: Conditions
    inside: float
    outside: float
    difference: float
    interval: tuple[float, float]
    effect: float
    p: float
    share: float
    share_of_error: float
    rows: int
    methods: tuple[str, ...]
    aliases: tuple[Conditions, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it is about."""
        return tuple(dict.fromkeys(each.column for each in self.conditions))

    def holds(self, rows: pd.DataFrame) -> Mask:
        """Which rows lie in it, `[row]`; these need not be the rows it was found in.

        Raises:
            UnknownNameError: The rows lack one of its columns.
            EvidenceError: One of its columns holds no numbers, where it has an interval.
        """
        return all_hold(self.conditions, rows)

    def __str__(self) -> str:
        return worded(self.conditions)


@dataclass(frozen=True)
class Slices:
    """The slices found, the clearest first.

    Attributes:
        slices: The slices.
        mean: The mean error of all rows tested.
        looked_at: How many conjunctions the searches gave, before like ones were merged.
        tested: How many were tested.
        rows: How many rows were searched, and how many tested.
        level: The chance that any slice is named where none is worse than the rest.
        probability: The share of the intervals of named slices that hold, on average.
        notes: What was left out, in sentences.
        assumptions: What all of this rests on.
    """

    slices: tuple[Slice, ...]
    mean: float
    looked_at: int
    tested: int
    rows: tuple[int, int]
    level: float
    probability: float
    notes: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.slices)

    def mask(self, rows: pd.DataFrame) -> Mask:
        """Which rows lie in any of the slices, `[row]`."""
        held = np.zeros(len(rows), dtype=bool)
        for each in self.slices:
            held |= each.holds(rows)
        return held

    def to_frame(self) -> pd.DataFrame:
        """A row per slice."""
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    "slice": str(each),
                    "inside": each.inside,
                    "outside": each.outside,
                    "difference": each.difference,
                    "low": each.interval[0],
                    "high": each.interval[1],
                    "effect": each.effect,
                    "p": each.p,
                    "share": each.share,
                    "share_of_error": each.share_of_error,
                    "rows": each.rows,
                    "methods": ", ".join(each.methods),
                    "aliases": "; ".join(map(worded, each.aliases)),
                }
                for each in self.slices
            ],
            columns=[
                "slice",
                "inside",
                "outside",
                "difference",
                "low",
                "high",
                "effect",
                "p",
                "share",
                "share_of_error",
                "rows",
                "methods",
                "aliases",
            ],
        )

    def __str__(self) -> str:
        lines = [f"Mean error {self.mean:.4g} over {self.rows[1]:,} rows."]
        for number, each in enumerate(self.slices, 1):
            lines.append(f"  {number}. {described(each)}")
            if each.aliases:
                lines.append(f"     nearly the same rows: {'; '.join(map(worded, each.aliases))}")
        if not self.slices:
            lines.append("  No slice is worse than the rest.")
        lines.append(
            f"  {self.looked_at:,} conjunctions found in {self.rows[0]:,} rows, {self.tested} "
            f"tested on {self.rows[1]:,} others, level {self.level:g} for all at once."
        )
        return "\n".join([*lines, *(f"     {each}" for each in (*self.notes, *self.assumptions))])


def described(each: Slice) -> str:
    """A slice and its figures in one line."""
    low, high = each.interval
    of_error = (
        "" if np.isnan(each.share_of_error) else f" with {each.share_of_error:.0%} of the error"
    )
    return (
        f"{each}: {each.inside:.4g} against {each.outside:.4g}, {each.difference:+.3g} "
        f"[{low:+.3g}, {high:+.3g}], d = {each.effect:.2f}; {each.share:.0%} of the rows{of_error};"
        f" p = {each.p:.2g}; by {', '.join(each.methods)}"
    )


__all__ = ["Slice", "Slices", "described"]
