"""`cs.replay`: what a predictor that buys few labels would have predicted, in the order of time.

No row is predicted with a label from its future: rows are predicted a step at a time (a day), with
what was bought before that step; only then are labels bought, for rows of that step or earlier.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from causalsys.data.schema import no_column
from causalsys.detect.loss import Loss, Values, loss_of, real_numbers
from causalsys.errors import DataError, EvidenceError, QueryError
from causalsys.query.asked import amount, count, listed
from causalsys.replace.switching import Labelled, Switching, Ways, switching
from causalsys.replace.switching_filter import Index

if TYPE_CHECKING:
    import pandas as pd

_FEWEST = 50
"""Labelled rows from which groups can be formed."""
_STANDS = 8.0
"""For how many rows a bought label stands where groups are formed; the rest are labelled."""


@dataclass(frozen=True)
class RetrainingRule:
    """When labels are bought, and on which rows.

    Of the budget, `early` is spent in the first days, since what is learned then serves longest;
    the rest evenly over the horizon, since a mechanism may switch again. Each label goes to the
    row of the last `pool` days that lowers the expected loss of rows like those of the last
    `reference` days by most. That balances it over groups: a group whose mechanism was just seen
    has little left to tell.

    Attributes:
        budget: How many labels.
        horizon: For how many days the predictor is expected to be used.
        early: The share that is spent early.
        soon: In how many days two thirds of the early share are spent.
        pool: How many days a row can still be labelled after it was seen.
        reference: Of how many days the rows stand for those to come.
        again: After how many days groups are formed anew.
    """

    budget: int
    horizon: float
    early: float = 0.1
    soon: float = 10.0
    pool: float = 3.0
    reference: float = 14.0
    again: float = 14.0

    def __post_init__(self) -> None:
        count(self.budget, "budget", least=0)
        for name in ("horizon", "soon", "pool", "reference", "again"):
            amount(getattr(self, name), name, above=True)
        if amount(self.early, "early") > 1:
            raise QueryError("early", found=repr(self.early), mend="Give a share, from 0 to 1.")

    def due(self, days: float) -> int:
        """How many labels are to be bought within so many days.

        Example:
            >>> rule = RetrainingRule(budget=100, horizon=100)
            >>> rule.due(10), rule.due(50), rule.due(100)
            (15, 54, 100)
        """
        if days >= self.horizon:
            return self.budget
        share = (1 - self.early) * days / self.horizon
        return int(self.budget * (share + self.early * (1 - np.exp(-days / self.soon))))


@dataclass(frozen=True)
class Replay:
    """What was predicted, and what was bought.

    Attributes:
        prediction: `[row]`; NaN for the rows that were labelled from the start.
        bought: The numbers of the rows whose label was bought, in the order of buying.
        at: When each was bought: days since the first row.
        loss: Of the rows predicted, `[row]`; NaN for the others.
        predictor: As it was in the end.
    """

    prediction: Values
    bought: NDArray[np.intp]
    at: Values
    loss: Values
    predictor: Switching

    def to_frame(self) -> pd.DataFrame:
        """A row per label bought: which row, and when."""
        import pandas as pd

        return pd.DataFrame({"row": self.bought, "day": self.at})


def replay(
    rows: pd.DataFrame,
    *,
    target: str,
    inputs: Sequence[str],
    time: str,
    labelled: int,
    alarm: int | None = None,
    rule: RetrainingRule,
    error: str | Loss = "relative",
    ways: Ways | None = None,
    logs: bool = True,
) -> Replay:
    """Replay rows in their order with a switching predictor that buys labels.

    Args:
        rows: In the order of time.
        target: The column that is predicted.
        inputs: The columns that are read; the hour and whether it is a weekend are read too.
        time: The column of dates.
        labelled: How many rows, from the first, are labelled at the start.
        alarm: How many rows, from the first, have free labels: each is known at the end of its
            day. From there on labels are bought. Without it, `labelled`.
        rule: When labels are bought, and on which rows.
        error: The loss that predictions are optimal for.
        ways: How the predictor is built.
        logs: Whether inputs that are all positive are taken by their logarithm.

    Raises:
        MissingColumnError: A column is not there.
        DataError: There is no frame, or no dates.
        QueryError: An argument cannot be used.
        EvidenceError: Rows out of order, too few labelled, or a value that is no finite number.

    Example:
        Five rows a day; from day 40 on every delay is three times what it was.

        >>> import pandas as pd
        >>> rng, day = np.random.default_rng(0), np.arange(400) // 5
        >>> rows = pd.DataFrame({"time": pd.Timestamp("2026-01-01") + pd.to_timedelta(day, "D")})
        >>> rows["load"] = rng.uniform(1, 2, 400)
        >>> rows["delay"] = np.where(day < 40, 3.0, 9.0) * rng.uniform(0.95, 1.05, 400)
        >>> rule = RetrainingRule(budget=20, horizon=40)
        >>> found = replay(rows, target="delay", inputs=["load"], time="time", labelled=100,
        ...                alarm=210, rule=rule)
        >>> bool(found.loss[200:205].mean() > 0.5), bool(found.loss[300:].mean() < 0.1)
        (True, True)
        >>> len(found.bought) <= 20
        True
    """
    for name, given, kind in (("rule", rule, RetrainingRule), ("ways", ways or Ways(), Ways)):
        if not isinstance(given, kind):
            raise QueryError(name, found=repr(given), mend=f"Give a {kind.__name__}(...).")
    inputs = tuple(str(name) for name in listed(inputs, "inputs"))
    labelled = count(labelled, "labelled")
    alarm = None if alarm is None else count(alarm, "alarm")
    days = _checked(rows, target=target, inputs=inputs, time=time, labelled=labelled)
    truth = rows[target].to_numpy(np.float64)
    read = _inputs(rows, inputs, time, logs=logs)
    free = labelled if alarm is None else min(max(alarm, labelled), len(rows) - 1)
    stands = np.where(np.arange(len(rows)) < free, 1.0, _STANDS)
    every = Labelled(read, truth, days, stands)
    state = _State(every, loss_of(error), rule, ways or Ways(), (labelled, free), len(inputs))
    prediction = np.full(len(rows), np.nan)
    for day in np.arange(np.floor(days[labelled]), np.floor(days[-1]) + 1):
        first = max(labelled, int(np.searchsorted(days, day)))
        last = int(np.searchsorted(days, day + 1))
        predictor = state.predictor(day)
        if last > first:
            prediction[first:last] = predictor.levels.best(
                predictor.belief.chances(state.group[first:last], days[first:last])
            )
            state.learn(last)
            if last > free:
                state.buy(day + 1)
    seen = np.isfinite(prediction)
    loss = np.full(len(rows), np.nan)
    loss[seen] = loss_of(error)(truth[seen], prediction[seen])
    return Replay(
        prediction,
        np.array(state.bought, dtype=np.intp),
        np.array(state.at),
        loss,
        state.predictor(days[-1]),
    )


class _State:
    """What a replay knows at one time: it grows, and only here."""

    def __init__(
        self,
        every: Labelled,
        loss: Loss,
        rule: RetrainingRule,
        ways: Ways,
        free: tuple[int, int],
        shown: int,
    ) -> None:
        self.every, self.loss, self.rule, self.ways = every, loss, rule, ways
        self.known, self.free = free
        self.shown = shown
        self.begin = every.time[self.free]
        self.bought: list[int] = []
        self.at: list[float] = []
        self.grown = -np.inf
        self.old: Switching | None = None
        self.now: Switching | None = None
        self.group: Index = np.empty((0, 0), dtype=np.intp)

    def predictor(self, day: float) -> Switching:
        """As known on a day."""
        if self.old is None or day - self.grown >= self.rule.again:
            self.old, self.grown, self.now = self._grow(day), day, None
        if self.now is None:
            # From the labelled rows on, all that was bought: in the order of time, not of buying.
            self.now = self._told(self.old, sorted(self.bought))
        return self.now

    def buy(self, now: float) -> None:
        """Buy what is due at a time."""
        due = min(self.rule.due(now - self.begin), self.rule.budget) - len(self.bought)
        time = self.every.time
        last = int(np.searchsorted(time, now))
        first = max(self.free, int(np.searchsorted(time, now - self.rule.pool)))
        stand = slice(int(np.searchsorted(time, now - self.rule.reference)), last)
        for _ in range(due):
            pool = np.setdiff1d(np.arange(first, last), self.bought)
            if not len(pool):
                return
            worth = self.predictor(now - 1).worth(self.group[pool], self.group[stand], now)
            # Of rows that are worth the same, the latest: what is known of it is newest.
            best = pool[len(pool) - 1 - int(np.argmax(worth[::-1]))]
            self.bought.append(int(best))
            self.at.append(now)
            self.now = None

    def learn(self, last: int) -> None:
        """What is labelled for free: all up to a row, at the most."""
        more = range(self.known, min(last, self.free))
        if len(more) and self.old is not None:
            self.old, self.now = self._told(self.old, more), None
            self.known = more[-1] + 1

    def _grow(self, day: float) -> Switching:
        """Groups formed anew, and told what was labelled for free."""
        chosen = [*range(self.known), *sorted(self.bought)]
        built = switching(self._rows(chosen), self.loss, ways=self.ways, time=day, shown=self.shown)
        # Which group a row is in depends on its inputs alone, so all rows are sorted at once.
        self.group = built.groups.of(self.every.inputs)
        return self._told(built, range(self.known))

    def _told(self, predictor: Switching, chosen: Sequence[int]) -> Switching:
        if not len(chosen):
            return predictor
        at = np.array(chosen, dtype=np.intp)
        return predictor.told(self.group[at], self.every.truth[at], self.every.time[at])

    def _rows(self, chosen: Sequence[int]) -> Labelled:
        at = np.array(chosen, dtype=np.intp)
        e = self.every
        return Labelled(e.inputs[at], e.truth[at], e.time[at], e.stands[at])


def _inputs(rows: pd.DataFrame, inputs: Sequence[str], time: str, *, logs: bool) -> Values:
    values = rows[list(inputs)].to_numpy(np.float64)
    if logs:
        positive = (values > 0).all(0)
        values = np.where(positive, np.log(np.where(positive, values, 1.0)), values)
    when = rows[time].dt
    clock = np.column_stack([when.hour + when.minute / 60, when.day_of_week >= 5])
    return np.hstack([values, clock.astype(np.float64)])


def _check_columns(rows: object, names: Sequence[object]) -> None:
    import pandas as pd

    if not isinstance(rows, pd.DataFrame):
        raise DataError("rows", found=f"a {type(rows).__name__}", mend="Give a pandas DataFrame.")
    if len(names) < 3:
        raise QueryError("inputs", found="none", mend='Name the columns: inputs=["load"].')
    for name in names:
        if not isinstance(name, str) or name not in rows.columns:
            raise no_column(str(name), str(name), rows.columns)
        if isinstance(rows[name], pd.DataFrame):
            raise DataError(name, found="two columns of this name", mend="Rename one.")


def _checked(
    rows: pd.DataFrame, *, target: str, inputs: Sequence[str], time: str, labelled: int
) -> Values:
    import pandas as pd

    _check_columns(rows, (target, time, *inputs))
    if not pd.api.types.is_datetime64_any_dtype(rows[time]):
        raise DataError(
            time,
            found=f"a column of {rows[time].dtype}, and no dates",
            mend=f'Convert it: pd.to_datetime(rows["{time}"]).',
        )
    if not rows[time].is_monotonic_increasing:
        raise EvidenceError(
            time, found="rows out of order", mend=f'Sort them: rows.sort_values("{time}").'
        )
    if not _FEWEST <= labelled < len(rows):
        raise EvidenceError(
            "labelled",
            found=f"{labelled} of {len(rows)} rows",
            mend=f"Label at least {_FEWEST}, and leave some to be predicted.",
        )
    for name in (target, *inputs):
        values = real_numbers(rows[name])
        if values is None or not np.isfinite(values).all():
            raise EvidenceError(
                name, found="a value that is no finite number", mend="Leave such rows out."
            )
    seconds = (rows[time] - rows[time].iloc[0]).dt.total_seconds()
    found: Values = seconds.to_numpy(np.float64) / 86400.0
    return found


__all__ = ["Replay", "RetrainingRule", "replay"]
