"""What `cs.compare` finds: figures of both predictors, place by place, and where one loses."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from causalsys.errors import UnknownNameError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

Span = tuple[float, float]
_LOSSES = ("error", "95th percentile", "quantile miss")
_TOLERATED = 0.02
"""How far a coverage may miss its aim: over thousands of rows, luck alone is less than matters."""


@dataclass(frozen=True)
class Figure:
    """One measure of both predictors in one place.

    Attributes:
        where: "as logged", "drawn by the model", or the shift's name.
        what: "error" (the mean loss), "95th percentile" (of the loss), "coverage" (the share of
            truths inside the intervals), "mean width" (of the intervals, in the target's unit) or
            "quantile miss" (how far the share of truths below a quantile is from its level, the
            mean over nine levels).
        incumbent: Its figure; NaN where it gives no intervals.
        candidate: Its figure, likewise.
        difference: The 90 % interval of candidate minus incumbent.
        own: The 90 % interval of the candidate's figure.
        aim: What a coverage should be.
    """

    where: str
    what: str
    incumbent: float
    candidate: float
    difference: Span
    own: Span
    aim: float | None = None

    @property
    def ratio(self) -> float:
        """The candidate's figure over the incumbent's."""
        return self.candidate / self.incumbent if self.incumbent else math.nan

    @property
    def worse(self) -> bool:
        """Whether the candidate loses by more than luck explains.

        An error: where the whole interval of the difference is above 0. A coverage: where the
        whole interval of the candidate's own is more than 0.02 below the aim, and, where the
        incumbent has intervals too, that of the difference below 0. A width alone is no loss.
        """
        if self.what == "coverage":
            assert self.aim is not None
            behind = math.isnan(self.incumbent) or self.difference[1] < 0
            return self.own[1] < self.aim - _TOLERATED and behind
        return self.what in _LOSSES and self.difference[0] > 0

    @property
    def better(self) -> bool:
        """Whether the candidate's error is less, by more than luck explains."""
        return self.what in _LOSSES and self.difference[1] < 0


@dataclass(frozen=True)
class Cost:
    """What a predictor costs.

    Attributes:
        inputs: The columns it reads.
        parameters: The numbers it has learned; None where it does not say.
        seconds: Seconds per 1000 predictions, here.
    """

    inputs: int
    parameters: int | None
    seconds: float


@dataclass(frozen=True)
class Comparison:
    """Two predictors, as logged and under shifts.

    Attributes:
        names: The incumbent's name, and the candidate's.
        figures: Every measure in every place.
        costs: What each costs.
        error: The loss.
        level: What intervals should cover.
        target: What is predicted.
        notes: What a reader must know, in sentences.
    """

    names: tuple[str, str]
    figures: tuple[Figure, ...]
    costs: tuple[Cost, ...]
    error: str
    level: float
    target: str
    notes: tuple[str, ...] = ()

    @property
    def places(self) -> tuple[str, ...]:
        """Where they were compared, in order."""
        return tuple(dict.fromkeys(figure.where for figure in self.figures))

    @property
    def worse(self) -> tuple[Figure, ...]:
        """The figures in which the candidate loses, beyond their intervals."""
        return tuple(figure for figure in self.figures if figure.worse)

    @property
    def slower(self) -> float:
        """How many times the incumbent's time the candidate takes."""
        return self.costs[1].seconds / self.costs[0].seconds

    def figure(self, where: str, what: str) -> Figure:
        """One figure.

        Raises:
            UnknownNameError: It was not compared in that place, or not by that measure.
        """
        for each in self.figures:
            if (each.where, each.what) == (where, what):
                return each
        known = [f"{each.where}: {each.what}" for each in self.figures]
        raise UnknownNameError.among(f"{where}: {what}", known, where="the comparison")

    def to_frame(self) -> pd.DataFrame:
        """A row per place and measure, with the interval of the difference and the verdict."""
        import pandas as pd

        return pd.DataFrame(
            {
                "where": [f.where for f in self.figures],
                "what": [f.what for f in self.figures],
                "incumbent": [f.incumbent for f in self.figures],
                "candidate": [f.candidate for f in self.figures],
                "low": [f.difference[0] for f in self.figures],
                "high": [f.difference[1] for f in self.figures],
                "verdict": [_verdict(f) for f in self.figures],
            }
        )

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """The mean error of both in every place; returns the matplotlib axes."""
        import matplotlib.pyplot as plt

        if ax is None:
            _, ax = plt.subplots(figsize=(6, 0.6 * len(self.places) + 1))
        found = [self.figure(place, "error") for place in self.places]
        heights = range(len(found))
        ax.plot([f.incumbent for f in found], heights, "o", color="0.5", label=self.names[0])
        ax.plot([f.candidate for f in found], heights, "D", color="C0", label=self.names[1])
        for height, f in zip(heights, found, strict=True):
            ends = [f.incumbent + f.difference[0], f.incumbent + f.difference[1]]
            ax.plot(ends, [height, height], color="C3" if f.worse else "C0", linewidth=2)
        ax.set_yticks(list(heights), [f.where for f in found])
        ax.invert_yaxis()
        ax.set_xlim(left=0)
        ax.set_xlabel(f"mean {self.error} error of {self.target}")
        ax.legend(frameon=False)
        return ax

    def __str__(self) -> str:
        wide = max(len(f"{f.where}: {f.what}") for f in self.figures)
        lines = [f"{self.target}, {self.error} error: {self.names[0]} → {self.names[1]}"]
        lines += [
            f"  {f'{f.where}: {f.what}':{wide}}  {_number(f.incumbent)} → {_number(f.candidate)}"
            f"  {_verdict(f)}".rstrip()
            for f in self.figures
        ]
        first, second = self.costs
        lines.append(
            f"  cost: {self.slower:.1f} times the time, {first.inputs} → {second.inputs} inputs, "
            f"{_count(first.parameters)} → {_count(second.parameters)} parameters"
        )
        lost = "; ".join(f"{f.where}: {f.what}" for f in self.worse)
        lines.append(f"The candidate loses in {lost}." if lost else "The candidate loses nowhere.")
        return "\n".join([*lines, *self.notes])


def _verdict(figure: Figure) -> str:
    return "worse" if figure.worse else "better" if figure.better else ""


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.4g}"


def _count(value: int | None) -> str:
    return "?" if value is None else str(value)


__all__ = ["Comparison", "Cost", "Figure"]
