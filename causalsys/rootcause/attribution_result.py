"""What an attribution gives back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from causalsys.identify.verdict import Verdict
from causalsys.query.draws import Estimate, interval_of

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ShapleyValues:
    """ShapleyValues that add up to a total, with two separate causes of doubt.

    Attributes:
        names: The variables.
        values: `[case, variable]`, each case's contributions.
        totals: `[case]`, what they add up to.
        error: `[case, variable]`, the Monte Carlo standard error: more draws make it smaller.
        turns: How many independent repetitions the errors are of.
        by_member: `[draw, case, variable]`, the contributions under each draw of the parameters
            (and of what rows do not tell): more data make their spread smaller.
        members: How many parameter sets the draws take turns with.
        level: The intervals' level.
    """

    names: tuple[str, ...]
    values: Array
    totals: Array
    error: Array
    turns: int
    by_member: Array
    members: int
    level: float

    def fit_interval(self) -> Array:
        """The interval by what the fit leaves open alone, `[case, variable, 2]`."""
        ends = interval_of(self.by_member, self.level, self.members)
        return ends + (self.values - self.by_member.mean(axis=0))[..., None]

    def interval(self) -> Array:
        """The interval by the fit and by chance together, `[case, variable, 2]`."""
        from scipy.stats import t

        reach = t.ppf(0.5 + self.level / 2, max(self.turns - 1, 1)) * self.error
        ends = self.fit_interval()
        low = self.values - np.hypot(self.values - ends[..., 0], reach)
        high = self.values + np.hypot(ends[..., 1] - self.values, reach)
        return np.stack([low, high], axis=-1)


@dataclass(frozen=True, eq=False)
class AnomalyAttribution:
    """What the noise of each variable contributes to how anomalous rows are.

    Attributes:
        target: The variable that was anomalous.
        measure: What is attributed: "surprise" (nats), "rank" or "value" (the target's unit).
        contributions: Per row and variable.
        index: The rows' labels.
        verdict: Whether graph, shapes and data carry the answer, and on what it rests.
        notes: What else a reader should know.
    """

    target: str
    measure: str
    contributions: ShapleyValues
    index: pd.Index[Any]
    verdict: Verdict
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The target and what causes it, as far as it is learned, in a causal order."""
        return self.contributions.names

    @property
    def scores(self) -> Array:
        """The whole score of each row, `[row]`."""
        return self.contributions.totals

    @property
    def values(self) -> Array:
        """The contributions, `[row, variable]`; each row's sum to its score."""
        return self.contributions.values

    def of(self, row: Any, name: str) -> Estimate:
        """One row's contribution of one variable, with its interval."""
        at, which = self.index.get_loc(row), self.names.index(name)
        low, high = self.contributions.interval()[at, which]
        value = float(self.values[at, which])
        return Estimate(value, float(low), float(high), self.contributions.level)

    def to_frame(self) -> pd.DataFrame:
        """A row per row and variable: contribution, interval, its two parts, and share."""
        import pandas as pd

        found = self.contributions
        index = pd.MultiIndex.from_product([self.index, self.names], names=["row", "variable"])
        return _frame(found, index)

    def __str__(self) -> str:
        mean = self.values.mean(axis=0)
        order = sorted(range(len(mean)), key=lambda at: (-mean[at], -at))
        lines = [
            f"{self.measure} of {self.target}: {self.scores.mean():.3g} on average over "
            f"{len(self.scores)} rows"
        ]
        lines += [f"  {self.names[at]}: {mean[at]:.3g}" for at in order]
        return "\n".join([*lines, *self.notes, str(self.verdict)])


@dataclass(frozen=True, eq=False)
class ChangeAttribution:
    """What each variable's mechanism contributes to how its target's distribution changed.

    Attributes:
        target: The variable whose distribution changed.
        measure: What of it.
        contributions: Per variable; there is one case.
        changed: By variable, whether its mechanism was taken to have changed.
        p_values: By variable, of the test of that; empty where none was made.
        verdict: Whether graph, shapes and data carry the answer, and on what it rests.
        notes: What else a reader should know.
    """

    target: str
    measure: str
    contributions: ShapleyValues
    changed: dict[str, bool]
    p_values: dict[str, float]
    verdict: Verdict
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The target and what causes it, as far as it is learned, in a causal order."""
        return self.contributions.names

    @property
    def total(self) -> float:
        """The whole change."""
        return float(self.contributions.totals[0])

    @property
    def values(self) -> dict[str, float]:
        """The contributions; they sum to the whole change."""
        return dict(zip(self.names, self.contributions.values[0].tolist(), strict=True))

    def of(self, name: str) -> Estimate:
        """One variable's contribution, with its interval."""
        which = self.names.index(name)
        low, high = self.contributions.interval()[0, which]
        return Estimate(self.values[name], float(low), float(high), self.contributions.level)

    def to_frame(self) -> pd.DataFrame:
        """A row per variable: contribution, interval, its two parts, share, and the test."""
        import pandas as pd

        frame = _frame(self.contributions, pd.Index(self.names, name="variable"))
        frame["changed"] = [self.changed[name] for name in self.names]
        frame["p_value"] = [self.p_values.get(name, float("nan")) for name in self.names]
        return frame

    def __str__(self) -> str:
        found = self.values
        order = sorted(self.names, key=lambda name: -abs(found[name]))
        lines = [f"change of the {self.measure} of {self.target}: {self.total:.4g}"]
        lines += [f"  {name}: {self.of(name)}" for name in order]
        return "\n".join([*lines, *self.notes, str(self.verdict)])


def _frame(found: ShapleyValues, index: pd.Index[Any]) -> pd.DataFrame:
    import pandas as pd

    ends, fit = found.interval().reshape(-1, 2), found.fit_interval().reshape(-1, 2)
    total = np.repeat(found.totals, len(found.names))
    value = found.values.reshape(-1)
    share = np.divide(value, total, out=np.full_like(value, np.nan), where=total != 0)
    return pd.DataFrame(
        {
            "contribution": value,
            "low": ends[:, 0],
            "high": ends[:, 1],
            "error": found.error.reshape(-1),
            "fit_low": fit[:, 0],
            "fit_high": fit[:, 1],
            "share": share,
        },
        index=index,
    )


__all__ = ["AnomalyAttribution", "ChangeAttribution", "ShapleyValues"]
