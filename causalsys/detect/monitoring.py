"""What watching a system found: alarms that name the node, and the evidence behind them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from causalsys.detect.scores import SCORES, Values
from causalsys.errors import UnknownNameError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Alarm:
    """A change of one node.

    Attributes:
        node: The variable whose mechanism changed, or the name of an error.
        row: The number of the row that raised the alarm, from 0.
        label: That row's label.
        kind: "location", "scale", "tails", or "objective".
        direction: Which way, in words: "lower", "wider", "more very low values".
        statistic: The evidence against "no more than what is normal": an e-value.
        threshold: What it had to reach.
        since: The number of the row since when the change is estimated to last.
        since_label: That row's label.
    """

    node: str
    row: int
    label: object
    kind: str
    direction: str
    statistic: float
    threshold: float
    since: int
    since_label: object

    def __str__(self) -> str:
        return (
            f"{_told(self.label)}: {self.node} changed, {self.direction} ({self.kind}), probably "
            f"since {_told(self.since_label)}; evidence {self.statistic:,.3g} of the "
            f"{self.threshold:,.3g} needed."
        )


@dataclass(frozen=True)
class Monitoring:
    """What was watched, and what was found.

    Attributes:
        alarms: In the order in which they were raised.
        nodes: What was watched.
        false_alarms: The chance of any false alarm, of all nodes together.
        per: In how many rows.
        evidence: By node, the logarithm of the evidence after each row, `[row]`.
        threshold: The logarithm of the evidence that raises an alarm.
        tolerances: By node, then by window in rows, how far the mean of each score may go: of
            each score, as `tolerance_frame` names them.
        index: The rows' labels.
        notes: What a reader must know, in sentences.
    """

    alarms: tuple[Alarm, ...]
    nodes: tuple[str, ...]
    false_alarms: float
    per: int
    evidence: Mapping[str, Values]
    threshold: float
    tolerances: Mapping[str, Mapping[int, tuple[float, ...]]]
    index: pd.Index
    notes: tuple[str, ...] = ()

    def first(self, node: str | None = None) -> Alarm | None:
        """The first alarm, of one node or of any; None without one.

        Raises:
            UnknownNameError: The node was not watched.
        """
        if node is not None and node not in self.nodes:
            raise UnknownNameError.among(node, self.nodes, where="what was watched")
        mine = (alarm for alarm in self.alarms if node is None or alarm.node == node)
        return next(mine, None)

    def to_frame(self) -> pd.DataFrame:
        """One row per alarm."""
        import pandas as pd

        names = [item.name for item in fields(Alarm)]
        return pd.DataFrame(
            [[getattr(alarm, name) for name in names] for alarm in self.alarms], columns=names
        )

    def tolerance_frame(self) -> pd.DataFrame:
        """How far each score may go: a row per node and window, a column per score."""
        import pandas as pd

        names = [*(score.higher for score in SCORES), "higher mean"]
        rows = [
            {"node": node, "rows": window, **dict(zip(names, each, strict=False))}
            for node, windows in self.tolerances.items()
            for window, each in windows.items()
        ]
        return pd.DataFrame(rows, columns=["node", "rows", *names])

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """The evidence of each node over the rows, and where it raised an alarm."""
        import matplotlib.pyplot as plt

        if ax is None:
            _, ax = plt.subplots(figsize=(8, 4), layout="constrained")
        for at, (node, evidence) in enumerate(self.evidence.items()):
            # Far below the threshold there is nothing to see.
            shown = np.clip(evidence / math.log(10), -3.0, 4 * self.threshold / math.log(10))
            ax.plot(self.index, shown, color=f"C{at % 10}", label=node)
        ax.axhline(self.threshold / math.log(10), color="black", linestyle="--", linewidth=1)
        for alarm in self.alarms:
            ax.axvline(alarm.label, color="C3", linewidth=0.5)  # type: ignore[arg-type]
        ax.set_ylabel("evidence of a change, powers of ten")
        ax.legend(frameon=False)
        return ax

    def __str__(self) -> str:
        rows = len(self.index)
        head = (
            f"{len(self.nodes)} node{'s' * (len(self.nodes) != 1)} watched over {rows:,} rows. "
            f"Chance of a false alarm, all nodes together: at most {self.false_alarms:.2g} in "
            f"{self.per:,} rows, while nothing moves more than in the normal period."
        )
        found = [str(alarm) for alarm in self.alarms] or ["No alarm."]
        return "\n".join([head, *found, *self.notes])


def _told(label: object) -> str:
    """A label for people: a date without a time of day where that is midnight."""
    if hasattr(label, "strftime"):
        return str(label).removesuffix(" 00:00:00").split(".")[0]
    return f"row {label}" if isinstance(label, int | np.integer) else str(label)


__all__ = ["Alarm", "Monitoring"]
