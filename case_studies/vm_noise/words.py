"""The story in words."""

from __future__ import annotations

import numpy as np
import pandas as pd

from case_studies.vm_noise.study import Study
from case_studies.vm_noise.watch import FALSE_ALARMS, LIMIT, allowed

INFERRED = (
    "The type of a machine's host is in no column. Groups and types are inferred from what was "
    "measured: a cause that the rows are consistent with, not one that was looked up."
)


def told(study: Study) -> str:
    """What happened, for a reader who has not seen the data."""
    rows = study.rows
    until = rows["started"].iloc[study.normal - 1]
    parts = [
        f"{len(rows):,} machines from {rows['started'].iloc[0]:%Y-%m-%d} to "
        f"{rows['started'].iloc[-1]:%Y-%m-%d}. The incumbent is a power law of the other seven "
        f"benchmarks, fitted to the {study.normal:,} machines up to {until:%Y-%m-%d}.",
        _alarm(study),
        str(study.explanation) if study.explanation is not None else "",
        _slices(study),
        f"To retrain? {study.decision}" if study.decision is not None else "",
        "Mean relative error in percent:\n" + study.comparison.round(1).to_string(na_rep=""),
        _bought(study),
        INFERRED,
        *study.notes,
    ]
    return "\n\n".join(part for part in parts if part)


def _alarm(study: Study) -> str:
    share = allowed(study.rows[: study.normal])
    objective = (
        f"The objective: at most {share:.0%} of the predictions are off by more than {LIMIT:.0%}, "
        "a quarter more than in the worst month of the normal period, but never less than 10%; "
        f"with a chance of {FALSE_ALARMS:.0%} of a false alarm."
    )
    if not study.alarms:
        return f"{objective} No alarm."
    return "\n".join([objective, *map(str, study.alarms)])


def _slices(study: Study) -> str:
    if study.slices is None or not len(study.slices):
        return ""
    lines = [
        f"  {each}: error {each.slice.inside:.1%} inside, {each.slice.outside:.1%} outside; "
        f"{each.verdict}"
        for each in study.slices.slices[:5]
    ]
    return "\n".join(["Slices with a higher error, and whether their columns cause it:", *lines])


def _bought(study: Study) -> str:
    if not study.alarms:
        return "Without an alarm, nothing is retrained on bought labels."
    month = study.rows["started"].iloc[study.replay.bought].dt.strftime("%Y-%m")
    by_month = ", ".join(
        f"{at} {n}" for at, n in pd.Series(month).value_counts().sort_index().items()
    )
    after = study.errors[study.alarm :]
    figures = ", ".join(f"{name} {100 * np.nanmean(after[name]):.1f} %" for name in after)
    return (
        f"Labels bought after the alarm: {len(study.replay.bought)} ({by_month}). From the alarm "
        f"on: {figures}. No machine was predicted with a label from its future. The refitted "
        "incumbent has the first 200 machines after the alarm."
    )
