"""Calibrated prediction intervals around any point prediction, and alarms where they cannot hold.

Of `n` rows that the predictor was not fitted to, the residuals are sorted; the interval of a new
row reaches as far as the `ceil((n + 1) level)`-th smallest. It covers the truth with a chance of at
least `level` if the new row is exchangeable with those rows, whatever the predictor and whatever
the data's law (Vovk, Gammerman and Shafer 2005; Lei et al., JASA 2018, theorem 2.2). Two
refinements keep the promise and fit the intervals to the rows: residuals in units of a `spread`
that is known for each row, such as that of the model's own prediction ("normalised"), and residuals
of each `group` apart, which then holds in each ("Mondrian"). crepes computes them (Boström, COPA
2022).

The promise is void where rows are not exchangeable. Where the truth arrives, `check` tests that;
before it, `outside` tells whether the inputs still lie where those of calibration lay. Neither sees
a mechanism that changed while inputs stay and truths are late: see `monitor`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from causalsys.detect.conformal_given import (
    Groups,
    check_enough,
    check_frame,
    check_rows,
    groups_of,
    numbers,
    parts_of,
    rank_of,
    spread_of,
)
from causalsys.detect.exchangeable import Exchangeability, exchangeable
from causalsys.detect.intervals import Coverage, Intervals
from causalsys.detect.loss import Values
from causalsys.detect.outside import Outside, outside
from causalsys.errors import EvidenceError, QueryError
from causalsys.query.asked import count, listed, share

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Calibrated:
    """What calibration rows say of a predictor's errors.

    Attributes:
        residuals: Truth less prediction, in units of the spread, `[row]`.
        level: The share of new rows that intervals cover.
        normalised: Whether residuals are in units of a spread that each row has.
        groups: The calibration rows' groups; None where all count together.
        inputs: Their inputs; None where none were given.

    Example:
        >>> import numpy as np
        >>> truth, prediction = np.arange(99.0), np.arange(99.0) + np.resize([-1, 1, 3], 99)
        >>> print(Calibrated.of(truth, prediction, level=0.9).intervals([5.0]))
        1 interval at 90%, 6 wide on average.
    """

    residuals: Values
    level: float
    normalised: bool
    groups: Groups | None
    inputs: pd.DataFrame | None

    @classmethod
    def of(
        cls,
        truth: ArrayLike,
        prediction: ArrayLike,
        *,
        level: float = 0.9,
        spread: ArrayLike | None = None,
        group: Sequence[object] | ArrayLike | None = None,
        inputs: pd.DataFrame | None = None,
    ) -> Calibrated:
        """Calibrate on rows that the predictor was not fitted to.

        Args:
            truth: What was seen, `[row]`, in the target's unit.
            prediction: What was predicted, `[row]`.
            level: The share of new rows to cover, between 0 and 1.
            spread: How far off each prediction may be, `[row]`, positive: any estimate of it.
            group: The group of each row; the level then holds in each group.
            inputs: What the predictor saw, `[row]`, to tell later which rows lie outside.

        Raises:
            EvidenceError: The arrays do not fit each other, are not finite, or are too few for the
                level (in a group); a spread is not positive.
            QueryError: The level is not between 0 and 1.
        """
        share(level, "level")
        seen, told = numbers("truth", truth), numbers("prediction", prediction)
        check_rows("prediction", told, seen)
        residuals = (seen - told) / spread_of(spread, seen)
        groups = None if group is None else groups_of(group, seen)
        for name, mine in parts_of(groups, len(seen)):
            check_enough(int(mine.sum()), level=level, group=name)
        if inputs is not None:
            check_frame("inputs", inputs)
            check_rows("inputs", np.zeros(len(inputs)), seen)
        return cls(residuals, level, spread is not None, groups, inputs)

    def intervals(
        self,
        prediction: ArrayLike,
        *,
        spread: ArrayLike | None = None,
        group: Sequence[object] | ArrayLike | None = None,
    ) -> Intervals:
        """The interval of each new prediction.

        Args:
            prediction: `[row]`, in the target's unit.
            spread: As in calibration; needed if it was given there.
            group: As in calibration; needed if it was given there.

        Raises:
            EvidenceError: Spread or groups are missing, or not expected, or a group is new.
        """
        from crepes import ConformalRegressor

        point = numbers("prediction", prediction)
        sigma, groups = self._given(spread, group, point)
        ends = np.empty((len(point), 2))
        for name, mine in parts_of(groups, len(point)):
            own = self._of_group(name)
            fitted = ConformalRegressor().fit(own, sigmas=np.ones_like(own))
            # crepes rounds `(1 - level)(n + 1)` down, where binary fractions can lose a rank.
            kept = len(own) + 1 - rank_of(len(own), self.level)
            confidence = 1 - (kept + 0.5) / (len(own) + 1)
            ends[mine] = fitted.predict_int(point[mine], sigmas=sigma[mine], confidence=confidence)
        return Intervals(point, ends[:, 0], ends[:, 1], self.level)

    def quantiles(
        self,
        prediction: ArrayLike,
        at: Sequence[float],
        *,
        spread: ArrayLike | None = None,
        group: Sequence[object] | ArrayLike | None = None,
    ) -> Values:
        """Quantiles of each row's conformal predictive distribution, `[row, quantile]`.

        The truth lies below each with about its chance, one-sided too, where an interval promises
        only both sides together (Vovk, Shen, Manokhin and Xie, Machine Learning 2019).

        Args:
            prediction: `[row]`, in the target's unit.
            at: Chances between 0 and 1.
            spread: As for `intervals`.
            group: As for `intervals`.

        Raises:
            EvidenceError: As for `intervals`.
            QueryError: A chance is not between 0 and 1.
        """
        from crepes import ConformalPredictiveSystem

        at = [share(chance, "at") for chance in listed(at, "at")]
        if not at:
            raise QueryError("at", found="[]", mend="Give chances such as [0.05, 0.95].")
        point = numbers("prediction", prediction)
        sigma, groups = self._given(spread, group, point)
        found = np.empty((len(point), len(at)))
        for name, mine in parts_of(groups, len(point)):
            own = self._of_group(name)
            if min(min(at), 1 - max(at)) * (len(own) + 1) < 1:
                check_enough(len(own), level=1 - min(min(at), 1 - max(at)), group=name)
            system = ConformalPredictiveSystem().fit(own, sigmas=np.ones_like(own), seed=0)
            found[mine] = system.predict_percentiles(
                point[mine], sigmas=sigma[mine], higher_percentiles=[100 * each for each in at]
            )
        return found

    def coverage(
        self,
        truth: ArrayLike,
        prediction: ArrayLike,
        *,
        spread: ArrayLike | None = None,
        group: Sequence[object] | ArrayLike | None = None,
    ) -> Coverage:
        """How many truths the intervals covered, and whether that is less than promised.

        Given the calibration rows, the number covered among `m` rows is beta-binomial (Vovk, ACML
        2012, section 2), by which the p-value is computed.

        Args:
            truth: What was seen, `[row]`.
            prediction: What was predicted, `[row]`.
            spread: As for `intervals`.
            group: As for `intervals`.

        Raises:
            EvidenceError: As for `intervals`.
        """
        from scipy.stats import betabinom

        seen = numbers("truth", truth)
        told = self.intervals(prediction, spread=spread, group=group)
        check_rows("truth", seen, told.low)
        inside = (told.low <= seen) & (seen <= told.high)
        shares: dict[str, float] = {}
        counts: dict[str, int] = {}
        chances: list[float] = []
        for name, mine in parts_of(None if group is None else groups_of(group, seen), len(seen)):
            own = len(self._of_group(name))
            rank, rows = rank_of(own, self.level), int(mine.sum())
            hits = int(inside[mine].sum())
            chances.append(float(betabinom.cdf(hits, rows, rank, own + 1 - rank)))
            if name is not None:
                shares[str(name)], counts[str(name)] = hits / rows, rows
        return Coverage(
            self.level,
            float(inside.mean()),
            len(seen),
            float(told.width.mean()),
            min(min(chances) * len(chances), 1.0),
            shares,
            counts,
        )

    def check(
        self,
        truth: ArrayLike,
        prediction: ArrayLike,
        *,
        spread: ArrayLike | None = None,
        false_alarms: float = 0.01,
        seed: int = 0,
    ) -> Exchangeability:
        """Test, row after row, that the new residuals are exchangeable with those of calibration.

        Args:
            truth: What was seen, `[row]`, in the order in which it arrived.
            prediction: What was predicted, `[row]`.
            spread: As for `intervals`.
            false_alarms: The chance of an alarm, however long one watches, while nothing changes.
            seed: Breaks ties.

        Raises:
            EvidenceError: As for `intervals`.
            QueryError: The chance is not between 0 and 1.
        """
        share(false_alarms, "false_alarms")
        seed = count(seed, "seed", least=0)
        seen, told = numbers("truth", truth), numbers("prediction", prediction)
        check_rows("prediction", told, seen)
        self._expected("spread", given=spread is not None, wanted=self.normalised)
        return exchangeable(
            (seen - told) / spread_of(spread, seen),
            calibration=self.residuals,
            false_alarms=false_alarms,
            seed=seed,
        )

    def outside(self, rows: pd.DataFrame, *, level: float = 0.05, seed: int = 0) -> Outside:
        """Which new inputs lie where no calibration inputs lay: there, nothing is promised.

        Args:
            rows: The new inputs.
            level: The share of rows like those of calibration that are called outside.
            seed: Splits the calibration rows.

        Raises:
            EvidenceError: Calibration had no inputs, or too few.
            MissingColumnError: The new inputs lack a column.
        """
        if self.inputs is None:
            raise EvidenceError(
                "inputs", found="none in calibration", mend="Give `inputs=` to `Calibrated.of`."
            )
        return outside(rows, calibration=self.inputs, level=level, seed=seed)

    def __str__(self) -> str:
        kind = "in units of a spread" if self.normalised else "of one width"
        told = "" if self.groups is None else f", in each of {len(set(self.groups))} groups"
        rows = len(self.residuals)
        return f"Intervals at {self.level:.0%}, {kind}{told}, calibrated on {rows} rows."

    def _of_group(self, name: object) -> Values:
        if self.groups is None:
            return self.residuals
        own = self.residuals[self.groups == name]
        if not len(own):
            raise EvidenceError(
                "group",
                found=f"{name!r}, which no calibration row belongs to",
                mend="Calibrate on rows of that group too.",
            )
        return own

    def _given(
        self,
        spread: ArrayLike | None,
        group: Sequence[object] | ArrayLike | None,
        like: Values,
    ) -> tuple[Values, Groups | None]:
        self._expected("spread", given=spread is not None, wanted=self.normalised)
        self._expected("group", given=group is not None, wanted=self.groups is not None)
        return spread_of(spread, like), None if group is None else groups_of(group, like)

    @staticmethod
    def _expected(name: str, *, given: bool, wanted: bool) -> None:
        if given != wanted:
            raise EvidenceError(
                name,
                found="given, though calibration had none" if given else "not given",
                mend="Give it in calibration and for new rows, or in neither.",
            )


__all__ = ["Calibrated"]
