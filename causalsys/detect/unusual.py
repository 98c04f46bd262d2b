"""Which rows are unusual, and in what way: the inputs as seen, or the state behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from causalsys.detect.loss import Values
from causalsys.detect.ranks import adjusted, excess

if TYPE_CHECKING:
    import pandas as pd

Flags = NDArray[np.bool_]
_EDGE = 1e-12


@dataclass(frozen=True)
class Unusual:
    """Two alarms for each row.

    Attributes:
        input: The p-value of the density of the observed inputs, `[row]`.
        latent: The p-value of the inferred state of the latents, `[row]`; 1 where the inputs tell
            of no latent.
        beyond: By input, whether a row lies outside all that the normal rows showed, `[row]`.
        states: By latent, its most probable level, or its posterior mean, `[row]`.
        level: The share of normal rows that each alarm may name.
        calibration: How many normal rows the p-values are ranks among.
        index: The rows' labels.
        notes: What a reader must know, in sentences.
    """

    input: Values
    latent: Values
    beyond: Mapping[str, Flags]
    states: Mapping[str, NDArray[np.object_] | Values]
    level: float
    calibration: int
    index: pd.Index
    notes: tuple[str, ...] = ()

    @property
    def latent_alarm(self) -> Flags:
        """Whether the state is unusual, `[row]`."""
        found: Flags = self.latent <= self.level + _EDGE
        return found

    @property
    def input_alarm(self) -> Flags:
        """Whether the inputs are unusual for a reason other than the state, `[row]`.

        Where a state is unusual, the inputs together often have a low density for that reason.
        They are called unusual besides only if one of them is by itself.
        """
        alone = np.zeros(len(self.input), dtype=bool)
        for flags in self.beyond.values():
            alone |= flags
        found: Flags = (self.input <= self.level + _EDGE) & (alone | ~self.latent_alarm)
        return found

    def excess(self) -> dict[str, float]:
        """For each alarm the chance that as many rows have such p-values, were all normal."""
        both = {"input": self.input, "latent": self.latent}
        return {
            name: excess(p, calibration=self.calibration, level=self.level)
            for name, p in both.items()
        }

    def to_frame(self) -> pd.DataFrame:
        """One row per row: p-values, also adjusted for the number of rows, alarms and states."""
        import pandas as pd

        words = np.array(["", "input", "latent state", "input and latent state"], dtype=object)
        outside = np.full(len(self.index), "", dtype=object)
        for name, flags in self.beyond.items():
            outside[flags] += np.where(outside[flags] == "", name, f", {name}")
        columns: dict[str, object] = {
            "input": self.input,
            "latent": self.latent,
            "input_adjusted": adjusted(self.input),
            "latent_adjusted": adjusted(self.latent),
            "alarm": words[self.input_alarm + 2 * self.latent_alarm],
            "beyond": outside,
        }
        return pd.DataFrame({**columns, **self.states}, index=self.index)

    def __str__(self) -> str:
        rows = len(self.index)
        lines = [
            f"{int(self.input_alarm.sum())} of {rows} rows have unusual inputs, "
            f"{int(self.latent_alarm.sum())} an unusual latent state (level {self.level:.0%})."
        ]
        least = [adjusted(p) for p in (self.input, self.latent)]
        kept = [int((p <= self.level + _EDGE).sum()) for p in least]
        lines.append(
            f"By chance {self.level * rows:.3g} of each are expected; with their number counted "
            f"(Benjamini and Hochberg), {kept[0]} and {kept[1]} stand out."
        )
        return "\n".join([*lines, *self.notes])


__all__ = ["Unusual"]
