"""The VM study on the real files, where they are: alarms, and the replacement under a budget.

`CAUSALSYS_DATA` names the folder above `azure_vm_noise`. No machine is predicted with a label from
its future, and labels are bought only after the alarm that the study itself raised. Design and
defaults come from generated twins and from the months up to the middle of November; the later
months were looked at a few times while the predictor was built, and each such look was logged, so
that the figure here is no clean hold-out.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.lines import Line
from case_studies.vm_noise.read import read
from case_studies.vm_noise.study import Study
from case_studies.vm_noise.study import run as study_of

NAME = "vm"
_RISEN, _CONTROL = "eastus_B8ms", "westus2_B8ms"
_RISE = pd.Timestamp("2023-11-01")
"""The rise is in November; few machines were started before the 13th."""

_SEEN = "no clean hold-out: the file was looked at, see the study's README"


def run(*, quick: bool = False) -> list[Line]:
    """Both files; nothing where they are not."""
    folder = os.environ.get("CAUSALSYS_DATA")
    if not folder:
        return []
    study, control = (_study(Path(folder), name) for name in (_RISEN, _CONTROL))
    days = (
        (pd.Timestamp(str(study.alarms[0].label)) - _RISE).total_seconds() / 86400
        if study.alarms
        else float("nan")
    )
    return [
        Line(
            NAME,
            f"{_RISEN}: days from November 1 to the alarm",
            days,
            "0 to 30",
            bool(0 <= days <= 30),
            f"alarm {study.alarms[0].label}, node {study.alarms[0].node}; {_SEEN}"
            if study.alarms
            else "",
        ),
        Line(NAME, f"{_CONTROL}: alarms", len(control.alarms), "0", not control.alarms),
        *_errors(study),
        *_by_month(study),
    ]


def _study(folder: Path, name: str) -> Study:
    """The study of one file, without its explanation."""
    return study_of(read(folder / "azure_vm_noise" / f"{name}.parquet"), explain=False)


def _errors(study: Study) -> list[Line]:
    started, errors = study.rows["started"], study.errors
    late = (started >= "2024-01-01").to_numpy()
    # Before the shift: where both predicted, up to the end of the normal period.
    before = np.isfinite(errors["replacement"].to_numpy()) & (np.arange(len(errors)) < study.normal)
    mean = {name: 100 * float(errors[name][late].mean()) for name in errors}
    ratio = float(errors["replacement"][before].mean() / errors["incumbent"][before].mean())
    return [
        Line(
            NAME,
            "replacement: error from January 2024 on, %",
            mean["replacement"],
            "≤ 11",
            mean["replacement"] <= 11,
            f"{len(study.replay.bought)} labels; incumbent {mean['incumbent']:.1f}, refitted on "
            f"200 {mean['refitted']:.1f}; {_SEEN}",
        ),
        Line(
            NAME,
            "replacement over incumbent before the shift",
            ratio,
            "≤ 1.1",
            ratio <= 1.1,
            f"{before.sum()} machines; labels free once a machine has run",
        ),
    ]


def _by_month(study: Study) -> list[Line]:
    return [
        Line(
            NAME,
            f"replacement, {month}, %",
            row["replacement"],
            "",
            None,
            f"incumbent {row['incumbent']:.1f}, refitted {row['refitted']:.1f}",
        )
        for month, row in study.comparison.to_dict("index").items()
        if np.isfinite(row["replacement"])
    ]
