"""The cases of a scenario: its issues, and windows of normal rows on which nobody should speak.

Windows of the issues' length are cut from the normal period, one after the other. Each is judged
against the rest of the period. Fitting once a window would take hours, so the period falls into
FOLDS blocks: the windows of a block are judged against the rows of the other blocks, less one
window on either side of it.

A scenario without a normal period borrows that of a scenario beside it which has (nearly) the same
nodes: the same system, under other traffic. Where there is none, an issue takes the rows of the
*other* issues: those from before their own alarms where these suffice, or else all of them. In
neither case are normal windows judged: they would not be this scenario's.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from case_studies.petshop.case import Case
from case_studies.petshop.read import Issue, Scenario
from causalsys.errors import DataError

FOLDS = 5
LEAST = 30
"""Normal rows. With fewer from before the alarms, all rows of the other issues are taken."""


def cases(scenario: Scenario, *, most_windows: int | None = None) -> tuple[list[Case], str]:
    """The issues, then the normal windows; and a sentence on what the normal rows are.

    Args:
        scenario: As it was read.
        most_windows: Judge at most this many normal windows a target, evenly spread; None for all.

    Raises:
        DataError: There are no normal rows, and no other issues to take them from.
    """
    if scenario.normal is None:
        return _without_normal(scenario)
    normal = scenario.normal
    found = [
        _case(scenario, issue, normal.drop(normal.index.intersection(issue.metrics.index)), "all")
        for issue in scenario.issues
    ]
    if scenario.lender:
        return found, (
            f"This scenario has no normal period: that of {scenario.lender}, {len(normal)} rows of "
            "the same system under other traffic, stands in. No normal windows are judged, so "
            "specificity is not measured. Name another normal period with --normal."
        )
    windows = _windows(scenario, most_windows)
    return found + windows, (
        f"{len(normal)} normal rows; {len(windows)} normal windows, each judged against the other "
        f"{FOLDS - 1} of {FOLDS} blocks of the normal period, less its neighbours."
    )


def _windows(scenario: Scenario, most: int | None) -> list[Case]:
    normal = scenario.normal
    assert normal is not None
    length = int(np.median([len(issue.metrics) for issue in scenario.issues]))
    count = len(normal) // length
    blocks = np.array_split(np.arange(count), FOLDS)
    chosen = set(np.linspace(0, count - 1, min(most or count, count)).round().astype(int))
    cases = []
    for target in scenario.targets:
        if tuple(vars(target).values()) not in normal.columns:
            continue
        for number, block in enumerate(blocks):
            if not len(block):
                continue
            first, last = (block[0] - 1) * length, (block[-1] + 2) * length
            rest = normal[np.r_[: len(normal)] < first]
            rest = pd.concat([rest, normal.iloc[last:]])
            cases += [
                Case(
                    f"normal/{window}/{target.node}/{target.metric}/{target.statistic}",
                    "normal",
                    target,
                    normal.iloc[window * length : (window + 1) * length],
                    rest,
                    f"without block {number}",
                    scenario.calls,
                )
                for window in block
                if window in chosen
            ]
    return cases


def _without_normal(scenario: Scenario) -> tuple[list[Case], str]:
    found = []
    for issue in scenario.issues:
        others = [other for other in scenario.issues if other is not issue]
        if not others:
            raise DataError(
                scenario.name,
                found="neither a noissue/metrics.csv nor more than one issue",
                mend="Name a metrics.csv of normal operation with --normal.",
            )
        before = pd.concat([_before_alarm(other) for other in others])
        rows = before if len(before) >= LEAST else pd.concat([other.metrics for other in others])
        rows = rows[~rows.index.isin(issue.metrics.index)].sort_index()
        found.append(_case(scenario, issue, rows, issue.id))
    fewest = min(len(case.normal) for case in found)
    return found, (
        "This scenario has no normal period, nor has one beside it with the same nodes. The rows "
        f"of the other issues stand in ({fewest} or more an issue): few, and not all clean. "
        "No normal windows are judged, so specificity is not measured. Name a normal period with "
        "--normal."
    )


def _before_alarm(issue: Issue) -> pd.DataFrame:
    if issue.alarmed is None:
        return issue.metrics
    return issue.metrics[issue.metrics.index <= issue.alarmed]


def _case(scenario: Scenario, issue: Issue, normal: pd.DataFrame, fold: str) -> Case:
    return Case(
        issue.id,
        issue.split,
        issue.target,
        issue.metrics,
        normal,
        fold,
        scenario.calls,
        issue.truth,
    )
