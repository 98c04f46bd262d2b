"""The story in four pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from case_studies.vm_noise.study import Study
from models.vm_noise import TARGET

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = {"incumbent": "#b2182b", "refitted": "#e08214", "replacement": "#2166ac"}


def draw(study: Study) -> Figure:
    """Errors by month, throughput over time, memory against throughput, and labels bought."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(11, 8), layout="constrained")
        axes = figure.subplots(2, 2)
        _months(axes[0, 0], study)
        _over_time(axes[0, 1], study)
        _memory(axes[1, 0], study)
        _bought(axes[1, 1], study)
    return figure


def _months(ax: Axes, study: Study) -> None:
    table = study.comparison
    for name, colour in _COLOURS.items():
        ax.plot(range(len(table)), table[name], marker="o", color=colour, label=name)
    ax.set_xticks(range(len(table)), list(table.index), rotation=60)
    ax.set_ylabel("mean relative error (%)")
    ax.set_ylim(bottom=0)
    if study.alarms:
        at = list(table.index).index(f"{pd.Timestamp(str(study.alarms[0].label)):%Y-%m}")
        ax.axvline(at, color="grey", linestyle=":", label="month of the alarm")
    ax.legend(frameon=True, framealpha=0.9, edgecolor="none")
    ax.set_title("Error by month")


def _over_time(ax: Axes, study: Study) -> None:
    rows = study.rows
    ax.plot(rows["started"], rows[TARGET] / 1000, ".", markersize=2, color="#4d4d4d", alpha=0.5)
    for alarm in study.alarms:
        ax.axvline(_date(alarm.label), color="#b2182b", label="alarm")
        ax.axvline(
            _date(alarm.since_label),
            color="#b2182b",
            linestyle=":",
            label="estimated begin",
        )
    if study.alarms:
        ax.legend(frameon=True, framealpha=0.9, edgecolor="none")
    ax.tick_params(axis="x", rotation=60)
    ax.set_ylabel("Postgres throughput (1000 transactions/s)")
    ax.set_title("What each machine reached")


def _date(label: object) -> float:
    """A time as the axis counts it: in days."""
    from matplotlib.dates import date2num

    found: float = date2num(pd.Timestamp(str(label)).to_datetime64())  # type: ignore[no-untyped-call]
    return found


def _memory(ax: Axes, study: Study) -> None:
    rows, since = study.rows, study.alarm
    for part, colour, name in (
        (rows[: study.normal], "#92c5de", "normal period"),
        (rows[since:], "#b2182b", "after the alarm" if study.alarms else "after it"),
    ):
        ax.plot(
            part["memory_latency_ns"],
            part[TARGET] / 1000,
            ".",
            markersize=2,
            color=colour,
            alpha=0.5,
            label=name,
        )
    ax.set_xlim(*np.quantile(rows["memory_latency_ns"], [0.001, 0.999]))
    ax.set_xlabel("memory latency (ns)")
    ax.set_ylabel("Postgres throughput (1000 transactions/s)")
    ax.legend(frameon=True, framealpha=0.9, edgecolor="none", markerscale=4)
    ax.set_title("The same memory latency, another throughput")


def _bought(ax: Axes, study: Study) -> None:
    rows, bought = study.rows, study.replay.bought
    wrong = 100 * study.replay.loss
    ax.plot(rows["started"], wrong, ".", markersize=2, color="#bababa", label="not labelled")
    if len(bought):
        ax.plot(
            rows["started"].iloc[bought],
            wrong[bought],
            "o",
            markersize=3,
            color="#2166ac",
            label=f"label bought ({len(bought)})",
        )
    ax.tick_params(axis="x", rotation=60)
    ax.set_ylim(0, 120)
    ax.set_ylabel("relative error of the replacement (%)")
    ax.legend(frameon=True, framealpha=0.9, edgecolor="none", loc="upper left")
    ax.set_title("Where labels were bought")
