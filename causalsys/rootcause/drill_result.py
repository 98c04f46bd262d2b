"""What a drill-down answers: slices, the mix of traffic, and the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from causalsys.rootcause.drill_words import Condition, Conditions, described, worded

if TYPE_CHECKING:
    import pandas as pd

Interval = tuple[float, float]


@dataclass(frozen=True)
class Slice:
    """A part of the traffic that stands out.

    Attributes:
        conditions: Which requests: all of these hold.
        contribution: What it adds to the change, in the measure's unit.
        interval: Of the contribution.
        share: The contribution as a share of the change.
        share_interval: Of the share.
        before: The rate in the normal period; None where it had no requests.
        after: The rate in the incident.
        expected: What the normal period makes expected of the incident's requests.
        factor: How many times the expected rate it has, if that describes it better than an
            amount that is the same for all; otherwise None.
        rows: Rows in the incident.
        rows_before: Rows in the normal period.
        p: Of the claim that it changed as the rest did, corrected for the slices looked at.
        aliases: Slices with the same rows in the incident: no data can tell them apart.
        rivals: Slices with other rows that explain nearly as well (likelihood ratio below 20).
        adjusted: By how much more a request changed than requests outside the slice with the same
            values of the other dimensions; None where there are none.
        adjusted_interval: Of that.
        comparable: The share of the slice's requests that have such counterparts.
    """

    conditions: Conditions
    contribution: float
    interval: Interval
    share: float
    share_interval: Interval
    before: float | None
    after: float
    expected: float
    factor: float | None
    rows: int
    rows_before: int
    p: float
    aliases: tuple[Conditions, ...]
    rivals: tuple[Conditions, ...]
    adjusted: float | None
    adjusted_interval: Interval | None
    comparable: float

    @property
    def new(self) -> bool:
        """Whether the normal period had no such request."""
        return self.rows_before == 0

    def __str__(self) -> str:
        return worded(self.conditions)


@dataclass(frozen=True)
class Shift:
    """A value that became more or less frequent.

    Attributes:
        condition: The value.
        before: Its share of the requests in the normal period (of a total: its requests per
            unit of length).
        after: The same in the incident.
        contribution: What that adds to the change, its dimension taken alone.
    """

    condition: Condition
    before: float
    after: float
    contribution: float


@dataclass(frozen=True)
class DrillDown:
    """Where a change comes from. The slices, the mix and the rest add up to the change.

    Attributes:
        measure: The measure's column.
        kind: "rate" (per request) or "total".
        before: The measure in the normal period.
        after: The measure in the incident.
        change: `after - before`.
        change_interval: Of the change.
        slices: What stands out, the largest contribution first.
        mix: What the change of traffic between kinds of requests adds, none of them being slower;
            of a total, what more or fewer requests add.
        mix_interval: Of that.
        shifts: The values whose frequency changed most for it, of the dimension that shows it.
        rest: What all requests outside the slices add: the evenly spread part.
        rest_interval: Of that.
        looked_at: How many slices were looked at.
        level: The chance that any slice is named when none stands out.
        probability: That of the intervals.
        assumptions: What all of this rests on.
    """

    measure: str
    kind: str
    before: float
    after: float
    change: float
    change_interval: Interval
    slices: tuple[Slice, ...]
    mix: float
    mix_interval: Interval
    shifts: tuple[Shift, ...]
    rest: float
    rest_interval: Interval
    looked_at: int
    level: float
    probability: float
    assumptions: tuple[str, ...]

    @property
    def mix_share(self) -> float:
        """The mix as a share of the change."""
        return self.mix / self.change if self.change else float("nan")

    @property
    def rest_share(self) -> float:
        """The rest as a share of the change."""
        return self.rest / self.change if self.change else float("nan")

    @property
    def moved(self) -> bool:
        """Whether the measure changed by more than chance."""
        return self.change_interval[0] > 0 or self.change_interval[1] < 0

    def to_frame(self) -> pd.DataFrame:
        """One row for each slice, then the mix and the rest; contributions sum to the change."""
        import pandas as pd

        names = ["part", "contribution", "low", "high", "share", "before", "after", "rows", "p"]
        parts: list[list[object]] = [
            [str(s), s.contribution, *s.interval, s.share, s.before, s.after, s.rows, s.p]
            for s in self.slices
        ]
        tail: list[object] = [None, None, None, None]
        parts.append(["mix", self.mix, *self.mix_interval, self.mix_share, *tail])
        parts.append(["rest", self.rest, *self.rest_interval, self.rest_share, *tail])
        found = pd.DataFrame(parts, columns=names)
        numbers = names[1:]
        found[numbers] = found[numbers].astype(float)
        return found

    def __str__(self) -> str:
        return described(self)
