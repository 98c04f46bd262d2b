"""Slices with their causal step: which are causes of the error, and which come along with one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from causalsys.audit.subject import Subject
from causalsys.audit.survive_latents import latent_columns
from causalsys.detect.slice_conditions import Mask
from causalsys.detect.slice_result import Slice, Slices, described

if TYPE_CHECKING:
    import pandas as pd

Verdict = Literal["kept", "correlate", "unknown"]


@dataclass(frozen=True)
class AuditedSlice:
    """A slice, and what is left of its error when its columns are set and the rest is held.

    Attributes:
        slice: The slice as it was found.
        verdict: "kept": its columns are a cause of the error. "correlate": it comes along with a
            cause. "unknown": graph and data do not tell.
        caused: The mean error with its columns set to values in the slice, less that with values
            outside, all that they do not cause being held; NaN where unknown.
        interval: Of `caused`.
        remains: `caused` as a share of the slice's difference; NaN where unknown.
        remains_interval: Of that.
        idle: Its columns that add nothing: left as they are, the others cause as much.
        by: How it was told: by the "graph", the target's "mechanism", a "regression" of the error;
            empty where unknown.
        reason: Why, in a sentence.
    """

    slice: Slice
    verdict: Verdict
    caused: float
    interval: tuple[float, float]
    remains: float
    remains_interval: tuple[float, float]
    idle: tuple[str, ...]
    by: str
    reason: str

    def __str__(self) -> str:
        return str(self.slice)


@dataclass(frozen=True)
class AuditedSlices:
    """The slices of an audit, with the causal step.

    Attributes:
        found: The search's own answer: figures, notes, assumptions.
        slices: The same slices, judged, in the same order.
        subject: What was audited, with the model that judged.
        latents: The inferred latents that were columns.
        notes: What a reader must know.
        assumptions: What the verdicts rest on.
    """

    found: Slices
    slices: tuple[AuditedSlice, ...]
    subject: Subject
    latents: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.slices)

    @property
    def kept(self) -> tuple[AuditedSlice, ...]:
        """The slices whose columns are a cause of the error."""
        return tuple(each for each in self.slices if each.verdict == "kept")

    @property
    def correlate(self) -> tuple[AuditedSlice, ...]:
        """The slices that only come along with a cause."""
        return tuple(each for each in self.slices if each.verdict == "correlate")

    @property
    def unknown(self) -> tuple[AuditedSlice, ...]:
        """The slices of which graph and data do not tell."""
        return tuple(each for each in self.slices if each.verdict == "unknown")

    def mask(self, rows: pd.DataFrame) -> Mask:
        """Which rows lie in any of the slices, `[row]`; their latents are inferred.

        A correlate warns of a bad row as well as a cause does, as long as what it comes along
        with stays as it is.
        """
        held = np.zeros(len(rows), dtype=bool)
        wide = self.with_latents(rows) if self.latents else rows
        for each in self.slices:
            held |= each.slice.holds(wide)
        return held

    def with_latents(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Rows with a column for each inferred latent, as the slices have them."""
        extra, _ = latent_columns(self.subject.fitted, rows, target=self.subject.target)
        return rows.assign(**{name: extra[name] for name in self.latents})

    def to_frame(self) -> pd.DataFrame:
        """A row per slice: the search's figures, and the verdict."""
        found = self.found.to_frame()
        found["verdict"] = [each.verdict for each in self.slices]
        found["caused"] = [each.caused for each in self.slices]
        found["caused_low"] = [each.interval[0] for each in self.slices]
        found["caused_high"] = [each.interval[1] for each in self.slices]
        found["remains"] = [each.remains for each in self.slices]
        found["idle"] = [", ".join(each.idle) for each in self.slices]
        found["by"] = [each.by for each in self.slices]
        found["reason"] = [each.reason for each in self.slices]
        return found

    def __str__(self) -> str:
        lines = [f"Mean error {self.found.mean:.4g} over {self.found.rows[1]:,} rows."]
        titles = {
            "kept": "Causes of the error (they stay when the other causes are held):",
            "correlate": "Correlates (they come along with a cause):",
            "unknown": "Unknown:",
        }
        for verdict, title in titles.items():
            chosen = [each for each in self.slices if each.verdict == verdict]
            lines += [title] if chosen else []
            for each in chosen:
                lines += [f"  {described(each.slice)}", f"     {each.reason}"]
        if not self.slices:
            lines.append("  No slice is worse than the rest.")
        last = (*self.notes, *self.found.notes, *self.found.assumptions[:1], *self.assumptions)
        return "\n".join([*lines, *(f"  {each}" for each in last)])


__all__ = ["AuditedSlice", "AuditedSlices", "Verdict"]
