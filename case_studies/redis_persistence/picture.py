"""The picture of the incident."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from case_studies.redis_persistence.study import LEVEL, Study

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FAULT, _ANSWER, _TRUTH = "#c0392b", "#2563a8", "#222222"


def draw(study: Study) -> Figure:
    """p99 with the fault, without it as answered and as measured, and the neighbour below."""
    import matplotlib.pyplot as plt

    figure, (top, bottom) = plt.subplots(
        2,
        1,
        figsize=(9, 5.6),
        sharex=True,
        layout="constrained",
        gridspec_kw={"height_ratios": [3, 1]},
    )
    windows, rows = study.windows, study.incident
    start = rows.groupby("window")["second"].min().to_numpy()
    edges = np.append(start, rows["second"].max() + 1) - start[0]

    def steps(values: object) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        array = np.asarray(values, dtype=float)
        return np.append(array, array[-1])

    top.step(
        edges,
        steps(windows["measured"]),
        where="post",
        color=_FAULT,
        lw=1.8,
        label="measured, with it on",
    )
    top.fill_between(
        edges,
        steps(windows["low"]),
        steps(windows["high"]),
        step="post",
        color=_ANSWER,
        alpha=0.25,
        lw=0,
    )
    top.step(
        edges,
        steps(windows["mean"]),
        where="post",
        color=_ANSWER,
        lw=1.8,
        label=f"answered: had it been off ({LEVEL:.0%} interval)",
    )
    for index, replay in enumerate(study.replays):
        top.step(
            edges,
            steps(windows[replay]),
            where="post",
            color=_TRUTH,
            lw=0.9,
            ls=":",
            label="measured, replayed with it off" if index == 0 else None,
        )
    top.set_yscale("log")
    top.set_yticks([0.2, 0.5, 1, 2, 5], ["0.2", "0.5", "1", "2", "5"])
    top.minorticks_off()
    top.set_ylabel("p99 latency [ms],\nmean of ten seconds")
    top.legend(frameon=False, loc="lower left", bbox_to_anchor=(-0.01, 1), ncols=3, fontsize=9)
    figure.suptitle("The incident, and the same seconds without persistence", x=0.02, ha="left")
    second = rows["second"] - start[0]
    bottom.step(
        second, _scaled(rows["inferred"]), where="mid", color=_ANSWER, lw=1.2, label="inferred"
    )
    bottom.step(
        second,
        _scaled(rows["neighbour_hidden"]),
        where="mid",
        color=_TRUTH,
        lw=1,
        ls=":",
        label="true, never logged",
    )
    bottom.set_ylabel("neighbour\n[rank, 0 to 1]")
    bottom.set_xlabel("time in the incident [s]")
    bottom.legend(frameon=False, ncols=2, loc="upper right", fontsize=9)
    bottom.set_ylim(-0.05, 1.45)
    bottom.set_yticks([0, 0.5, 1])
    for ax in (top, bottom):
        ax.spines[["top", "right"]].set_visible(False)
        ax.margins(x=0)
    return figure


def _scaled(values: object) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Ranks from 0 to 1: a latent's scale is a convention, its order is not."""
    import pandas as pd

    ranks = pd.Series(np.asarray(values, dtype=float)).rank(method="average")
    return ((ranks - 1) / max(len(ranks) - 1, 1)).to_numpy()
