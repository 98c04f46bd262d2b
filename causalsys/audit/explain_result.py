"""What `audit.explain` found: parts of a rise in error, and of what kind it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from causalsys.errors import UnknownNameError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

Kind = Literal[
    "mix shift",
    "mechanism change",
    "latent group",
    "label noise",
    "missing feature",
    "unexplained",
    "none",
]


@dataclass(frozen=True)
class Part:
    """A part of the rise.

    Attributes:
        kind: What kind of cause it has; "unexplained" where nothing changed that would explain it.
        name: The variables it comes from, and its kind.
        value: In the unit of the loss; the parts sum to the rise.
        low: The lower end of its interval.
        high: The upper end.
        share: Of the rise; NaN where there is none.
        told: What happened, in a sentence.
    """

    kind: Kind
    name: str
    value: float
    low: float
    high: float
    share: float
    told: str


@dataclass(frozen=True, eq=False)
class Group:
    """Rows after the change whose target follows another law: nobody logged who belongs to them.

    Attributes:
        probabilities: That each row belongs to the group, by its label `[row]`.
        share: The share of the rows.
        offset: By how much the target is off in the group, on average, in its unit (as a factor
            less one where the target is positive).
        related: The columns by which membership can be told in advance, the best first.
        of: The levels of a declared hidden class that the group is; empty where it is none.
    """

    probabilities: pd.Series[float]
    share: float
    offset: float
    related: tuple[str, ...]
    of: str = ""

    def __str__(self) -> str:
        by = f"; likelier by {', '.join(self.related)}" if self.related else ""
        of = f" ({self.of})" if self.of else ""
        return f"a hidden group of {self.share:.0%} of the rows{of}, off by {self.offset:.3g}{by}"


@dataclass(frozen=True, eq=False)
class Explanation:
    """Why a predictor got worse.

    Attributes:
        predictor: Its name.
        target: What it predicts.
        error: The name of the loss.
        kind: The kind that makes most of the rise, by the sum of its parts whose interval lies
            above zero, and whose variables are found to have changed (at 1 %); "none" where there
            is none, or where the rise has a chance above 10 %.
        rise: The rise of the mean loss, with its interval, as a part.
        parts: What it comes from; they sum to it.
        group: The hidden group; None where the law changed for all rows, or for none.
        chance: The probability of such a rise if nothing had changed.
        level: The level of the intervals.
        assumptions: On what the answer rests, in sentences.
        notes: What else a reader should know.
    """

    predictor: str
    target: str
    error: str
    kind: Kind
    rise: Part
    parts: tuple[Part, ...]
    group: Group | None
    chance: float
    level: float
    assumptions: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def share(self, kind: str) -> float:
        """The share of the rise that parts of one kind have together.

        Raises:
            UnknownNameError: There is no such kind.
        """
        if kind not in get_args(Kind):
            raise UnknownNameError.among(kind, get_args(Kind), where="the kinds")
        return float(sum(part.share for part in self.parts if part.kind == kind))

    def to_frame(self) -> pd.DataFrame:
        """A row per part and one for the rise: kind, value, low, high, share, told."""
        import pandas as pd

        every = [*self.parts, self.rise]
        columns = ("kind", "value", "low", "high", "share", "told")
        return pd.DataFrame(
            {column: [getattr(part, column) for part in every] for column in columns},
            index=pd.Index([part.name for part in every], name="part"),
        )

    def __str__(self) -> str:
        width = max(len(part.name) for part in (*self.parts, self.rise))
        lines = [self._headline(), ""]
        for part in (*self.parts, self.rise):
            share = "" if np.isnan(part.share) else f"{part.share + 0.0:7.0%}"
            ends = f"[{part.low:.4g}, {part.high:.4g}]"
            lines.append(f"  {part.name:<{width}}  {part.value:9.4g} {ends:<22}{share}")
        lines += ["", *(part.told for part in self.parts if part.told)]
        lines += [f"Found: {self.group}."] if self.group is not None else []
        return "\n".join([*lines, *self.notes, *self.assumptions])

    def _headline(self) -> str:
        what = f"The {self.error} error of {self.predictor} for {self.target}"
        if self.kind == "none":
            return f"{what} did not rise beyond chance, or nothing changed that explains it."
        return (
            f"{what} rose by {self.rise.value:.4g} "
            f"[{self.rise.low:.4g}, {self.rise.high:.4g}]: {self.kind}."
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """A waterfall of the parts, up to the rise."""
        if ax is None:
            from matplotlib import pyplot as plt

            _, ax = plt.subplots()
        values = np.array([part.value for part in self.parts])
        starts = np.concatenate([[0.0], np.cumsum(values)[:-1]])
        names = [part.name for part in (*self.parts, self.rise)]
        places = np.arange(len(names))[::-1]
        ax.barh(places[:-1], values, left=starts, color="tab:blue")
        ax.barh(places[-1:], [self.rise.value], color="tab:gray")
        ax.set_yticks(places, names)
        ax.set_xlabel(f"rise of the {self.error} error")
        return ax


__all__ = ["Explanation", "Group", "Kind", "Part"]
