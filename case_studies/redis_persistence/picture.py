"""The picture of the incident."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from case_studies.redis_persistence.study import LEVEL, Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
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
    _latency(top, study)
    _neighbour(bottom, study)
    figure.suptitle("The incident, and the same seconds without persistence", x=0.02, ha="left")
    for ax in (top, bottom):
        ax.spines[["top", "right"]].set_visible(False)
        ax.margins(x=0)
    return figure


def _latency(ax: Axes, study: Study) -> None:
    windows, seconds = study.windows, study.incident["second"]
    start = study.incident.groupby("window")["second"].min().to_numpy()
    edges = np.append(start, seconds.max() + 1) - start[0]

    def steps(name: str, color: str, *, width: float, style: str = "-", label: str = "") -> None:
        values = windows[name].to_numpy()
        line = np.append(values, values[-1])
        ax.step(edges, line, where="post", color=color, lw=width, ls=style, label=label)

    low, high = (np.append(windows[end], windows[end].iloc[-1]) for end in ("low", "high"))
    ax.fill_between(edges, low, high, step="post", color=_ANSWER, alpha=0.25, lw=0)
    steps("measured", _FAULT, width=1.8, label="measured, with it on")
    steps("mean", _ANSWER, width=1.8, label=f"answered: had it been off ({LEVEL:.0%} interval)")
    for index, replay in enumerate(study.replays):
        label = "" if index else "measured, replayed with it off"
        steps(replay, _TRUTH, width=0.9, style=":", label=label)
    ax.set_yscale("log")
    ax.set_yticks([0.2, 0.5, 1, 2, 5], ["0.2", "0.5", "1", "2", "5"])
    ax.minorticks_off()
    ax.set_ylabel("p99 latency [ms],\nmean of ten seconds")
    ax.legend(frameon=False, loc="lower left", bbox_to_anchor=(-0.01, 1), ncols=3, fontsize=9)


def _neighbour(ax: Axes, study: Study) -> None:
    rows = study.incident
    second = rows["second"] - rows["second"].min()
    truth = _scaled(rows["neighbour_hidden"])
    ax.step(second, _scaled(rows["inferred"]), where="mid", color=_ANSWER, lw=1.2, label="inferred")
    ax.step(second, truth, where="mid", color=_TRUTH, lw=1, ls=":", label="true, never logged")
    ax.set_ylabel("neighbour\n[rank, 0 to 1]")
    ax.set_xlabel("time in the incident [s]")
    ax.legend(frameon=False, ncols=2, loc="upper right", fontsize=9)
    ax.set_ylim(-0.05, 1.45)
    ax.set_yticks([0, 0.5, 1])


def _scaled(values: object) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Ranks from 0 to 1: a latent's scale is a convention, its order is not."""
    import pandas as pd

    ranks = pd.Series(np.asarray(values, dtype=float)).rank(method="average")
    return ((ranks - 1) / max(len(ranks) - 1, 1)).to_numpy()
