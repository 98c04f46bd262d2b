"""The study: alarm, explanation, slices, and a replacement that buys few labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import pandas as pd

import causalsys as cs
from case_studies.vm_noise.incumbent import Floats, LogLinear, relative
from case_studies.vm_noise.watch import alarms
from causalsys.audit.explain_result import Explanation
from causalsys.audit.survive_result import AuditedSlices
from causalsys.audit.verbs import Audit
from causalsys.detect.monitoring import Alarm
from causalsys.errors import CausalSysError
from causalsys.replace.replay import Replay, RetrainingRule, replay
from causalsys.replace.retrain import Retraining, when_to_retrain
from models.vm_noise import INPUTS, TARGET, VmNoise

Answer = TypeVar("Answer")

BUDGET = 200
HORIZON = 190.0
"""Days for which the replacement is expected to be used: half a year."""
_MONTHS, _SHARE = 5, 0.45
"""The normal period: the first five months, or this share of the rows where there are fewer than
seven months."""
_FITTED, _JUDGED = 2_500, 1_500
"""Rows that suffice to fit the model, and to explain a rise; they are evenly spread."""
_REFITTED, _FEWEST = 200, 20


@dataclass(frozen=True)
class Study:
    """What was found.

    Attributes:
        rows: All rows.
        normal: How many of them, from the first, are the normal period.
        incumbent: The predictor, fitted to the normal period.
        alarms: When it went wrong; in the order of time.
        alarm: The first row after the alarm; the end of the normal period without one.
        explanation: Why; None without an alarm.
        slices: Where, judged by the causal step; None without an alarm.
        groups: By hidden group, the probability that a machine belongs to it: `VM_id` and
            `probability`.
        replay: The replacement.
        decision: Whether to retrain; None without an alarm.
        errors: By machine, relative: `incumbent`, `refitted` and `replacement`; NaN where one did
            not predict.
        notes: What could not be told, in sentences.
    """

    rows: pd.DataFrame
    normal: int
    incumbent: LogLinear
    alarms: tuple[Alarm, ...]
    alarm: int
    explanation: Explanation | None
    slices: AuditedSlices | None
    groups: dict[str, pd.DataFrame]
    replay: Replay
    decision: Retraining | None
    errors: pd.DataFrame
    notes: list[str] = field(default_factory=list)

    @property
    def comparison(self) -> pd.DataFrame:
        """The mean relative error in percent, by month and predictor, and the number of rows."""
        month = self.rows["started"].dt.strftime("%Y-%m")
        table = 100 * self.errors.groupby(month).mean()
        table.insert(0, "machines", self.errors.groupby(month).size())
        table.index.name = "month"
        return table


def run(rows: pd.DataFrame, *, budget: int = BUDGET, seed: int = 0, explain: bool = True) -> Study:
    """The study of rows of the published format.

    Args:
        rows: From `read`, in the order of time.
        budget: How many labels the replacement may buy after the alarm.
        seed: Fixes the fits and the draws.
        explain: Whether the rise is explained, which takes most of the time.
    """
    normal = normal_rows(rows)
    usual, later = rows[:normal], rows[normal:]
    incumbent = LogLinear.fit(usual)
    errors = relative(rows[TARGET].to_numpy(), incumbent.predict(rows))
    found = alarms(usual, later, errors[normal:])
    alarm = normal + (found[0].row + 1 if found else 0)
    notes: list[str] = []
    explanation, slices = None, None
    groups: dict[str, pd.DataFrame] = {}
    if found and explain:
        explanation, slices, groups = _why(
            rows, normal, normal + found[0].since, incumbent, notes, seed=seed
        )
    replaced = _replaced(rows, normal, alarm, bool(found), budget=budget)
    return Study(
        rows,
        normal,
        incumbent,
        found,
        alarm,
        explanation,
        slices,
        groups,
        replaced,
        _decided(rows, alarm, explanation or found, errors, budget=budget) if found else None,
        pd.DataFrame(
            {
                "incumbent": errors,
                "refitted": _refitted(rows, alarm, errors, bool(found)),
                "replacement": replaced.loss,
            }
        ),
        notes,
    )


def normal_rows(rows: pd.DataFrame) -> int:
    """How many rows, from the first, are the normal period."""
    month = rows["started"].dt.to_period("M")
    names = month.unique()
    if len(names) < _MONTHS + 2:
        return int(_SHARE * len(rows))
    return int((month < names[_MONTHS]).sum())


def _replaced(rows: pd.DataFrame, normal: int, alarm: int, rang: bool, *, budget: int) -> Replay:
    """The replacement from the middle of the normal period on.

    Until the alarm the label of every machine is known once it has run. Without an alarm there is
    no reason to buy any, and the labels of the rows stay free.
    """
    return replay(
        rows,
        target=TARGET,
        inputs=INPUTS,
        time="started",
        labelled=normal // 2,
        alarm=alarm if rang else len(rows) - 1,
        rule=RetrainingRule(budget, HORIZON),
    )


def _decided(
    rows: pd.DataFrame,
    alarm: int,
    found: Explanation | tuple[Alarm, ...],
    errors: Floats,
    *,
    budget: int,
) -> Retraining | None:
    """Whether to retrain, told from the first machines after the alarm.

    A label costs as much as one prediction that is off by the whole of the truth.
    """
    first = rows[alarm : alarm + _REFITTED]
    counts = [len(first) // 4, len(first) // 2]
    if counts[0] < _FEWEST:
        return None
    held = first[counts[1] :]
    losses = [
        float(relative(held[TARGET].to_numpy(), LogLinear.fit(first[:n]).predict(held)).mean())
        for n in counts
    ]
    days = (rows["started"].iloc[alarm - 1] - rows["started"].iloc[0]).days
    return when_to_retrain(
        found,
        target=TARGET,
        now=float(errors[alarm : alarm + len(first)].mean()),
        then=(counts, losses),
        horizon=HORIZON * alarm / max(days, 1),
        cost=float(budget),
        labels=budget,
    )


def _refitted(rows: pd.DataFrame, alarm: int, errors: Floats, rang: bool) -> Floats:
    """The incumbent's errors, refitted to the first machines after the alarm."""
    found = errors.copy()
    until = alarm + _REFITTED
    if rang and until < len(rows):
        again = LogLinear.fit(rows[alarm:until])
        found[alarm:until] = np.nan
        found[until:] = relative(rows[TARGET].to_numpy()[until:], again.predict(rows[until:]))
    return found


def _why(
    rows: pd.DataFrame,
    normal: int,
    since: int,
    incumbent: LogLinear,
    notes: list[str],
    *,
    seed: int,
) -> tuple[Explanation | None, AuditedSlices | None, dict[str, pd.DataFrame]]:
    audit, before, after = _audited(rows, normal, since, incumbent, seed=seed)
    explanation = _tried("explanation", lambda: audit.explain(before, after, seed=seed), notes)
    slices = _tried("slices", lambda: audit.slices(after, seed=seed), notes)
    groups = {}
    if explanation is not None and explanation.group is not None:
        chance = explanation.group.probabilities
        ids = rows.loc[chance.index, "VM_id"].to_numpy()
        groups["slow"] = pd.DataFrame({"VM_id": ids, "probability": chance.to_numpy()})
    return explanation, slices, groups


def explained(
    rows: pd.DataFrame, normal: int, since: int, incumbent: LogLinear, *, seed: int
) -> Explanation:
    """Why the incumbent's error rose between the normal period and the rows from `since` on."""
    audit, before, after = _audited(rows, normal, since, incumbent, seed=seed)
    return audit.explain(before, after, seed=seed)


def _audited(
    rows: pd.DataFrame, normal: int, since: int, incumbent: LogLinear, *, seed: int
) -> tuple[Audit, pd.DataFrame, pd.DataFrame]:
    """The incumbent beside a model of half of the normal rows; rows of the rest, and later ones."""
    columns = [*INPUTS, TARGET]
    usual = rows.loc[: normal - 1, columns]
    fitted_to = _spread(usual.iloc[::2], _FITTED)
    fitted = VmNoise.fit(fitted_to.reset_index(drop=True), seed=seed, ensemble=1)
    return (
        cs.audit(fitted, incumbent, target=TARGET, inputs=list(INPUTS), error="relative"),
        _spread(usual.iloc[1::2], _JUDGED),
        _spread(rows.loc[since:, columns], _JUDGED),
    )


def _tried(what: str, asked: Callable[[], Answer], notes: list[str]) -> Answer | None:
    """An answer, or a note why there is none."""
    try:
        return asked()
    except CausalSysError as error:
        notes.append(f"No {what}: {' '.join(str(error).split())}")
        return None


def _spread(rows: pd.DataFrame, most: int) -> pd.DataFrame:
    """At most so many of the rows, evenly spread over the time."""
    if len(rows) <= most:
        return rows
    return rows.iloc[np.linspace(0, len(rows) - 1, most).astype(int)]
