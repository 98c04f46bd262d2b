"""The picture: what is picked, what that costs, and what repair and guard make of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from case_studies.bitrate_policy.study import LEARNED, PLANNER, REPAIRED, Study
from causalsys.simulate.policies.streaming import LADDER

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLORS = {
    LEARNED: "#c0392b",
    REPAIRED: "#2563a8",
    PLANNER: "#777777",
    f"guarded {LEARNED}": "#e59866",
    f"guarded {REPAIRED}": "#85b0e0",
    "best": "#222222",
}


def draw(study: Study) -> Figure:
    """Bitrates picked before and after, the true QoE by kind of path, and the rails' work."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplot_mosaic(
        [["usage", "repaired"], ["qoe", "qoe"], ["rails", "rails"]],
        figsize=(9, 9.2),
        layout="constrained",
        height_ratios=[1, 1.25, 0.9],
    )
    _usage(axes["usage"], study)
    _repaired(axes["repaired"], study)
    _qoe(axes["qoe"], study)
    _rails(axes["rails"], study)
    for ax in axes.values():
        ax.spines[["top", "right"]].set_visible(False)
    paths = "recorded paths" if study.real else "synthetic paths"
    figure.suptitle(f"A bitrate policy that never picks some bitrates ({paths})", x=0.02, ha="left")
    return figure


def _bars(ax: Axes, columns: dict[str, tuple[np.ndarray, str]]) -> None:
    wide = 0.8 / len(columns)
    for place, (name, (shares, color)) in enumerate(columns.items()):
        at = np.arange(len(LADDER)) - 0.4 + wide * (place + 0.5)
        ax.bar(at, 100 * np.asarray(shares), wide, color=color, label=name)
    ax.set_xticks(range(len(LADDER)), [f"{rate:g}" for rate in LADDER])
    ax.set_xlabel("bitrate [Mbit/s]")
    ax.set_ylabel("share of chunks [%]")
    ax.set_ylim(0, 1.45 * max(100 * float(np.max(shares)) for shares, _ in columns.values()))
    ax.legend(frameon=False, fontsize=8.5, loc="upper right")


def _usage(ax: Axes, study: Study) -> None:
    used = study.usage
    _bars(
        ax,
        {
            "learned policy": (used["learned policy"].to_numpy(), _COLORS[LEARNED]),
            "MPC would, there": (used["MPC would"].to_numpy(), _COLORS[PLANNER]),
            "best, by branches": (used["best"].to_numpy(), _COLORS["best"]),
        },
    )
    ax.set_title("Found: states of the logged sessions", loc="left", fontsize=10)


def _repaired(ax: Axes, study: Study) -> None:
    kind = "middling"
    _bars(
        ax,
        {name: (study.chosen[kind, name], _COLORS[name]) for name in (LEARNED, PLANNER, REPAIRED)},
    )
    ax.set_title(f"Repaired: {kind} paths, true system", loc="left", fontsize=10)


def _qoe(ax: Axes, study: Study) -> None:
    """Mean QoE on a scale that is linear near 0, since failures are far below."""
    names = [PLANNER, LEARNED, f"guarded {LEARNED}", REPAIRED, f"guarded {REPAIRED}"]
    wide = 0.8 / len(names)
    for place, name in enumerate(names):
        at = np.arange(len(study.true)) - 0.4 + wide * (place + 0.5)
        values = study.true[name].to_numpy()
        bars = ax.bar(at, values, wide, color=_COLORS[name], label=name)
        ax.bar_label(bars, fmt="%.2f", fontsize=6.5, padding=1)
    ax.axhline(0, color="#222222", lw=0.8)
    ax.set_yscale("symlog", linthresh=1)
    ax.set_yticks([-10, -1, 0, 1], ["-10", "-1", "0", "1"])
    ax.set_ylim(min(-10.0, 2.5 * float(study.true[names].to_numpy().min())), 2.0)
    ax.set_xticks(range(len(study.true)), list(study.true.index))
    ax.set_ylabel("mean QoE per chunk [Mbit/s]")
    ax.set_title(
        "What really comes of it, by kind of path (logarithmic below -1)", loc="left", fontsize=10
    )
    ax.legend(frameon=False, fontsize=8.5, ncols=5, loc="upper center", bbox_to_anchor=(0.5, -0.1))


def _rails(ax: Axes, study: Study) -> None:
    """The share of steps in which each rail of the learned policy's guard objected."""
    report = study.guards[LEARNED]
    trials = (report.usual, *report.failing)
    names = list(report.usual.counters.rails)
    rows = [*names, "fallback decided"]
    table = np.array(
        [
            [each.counters.rails[name] / max(each.counters.steps, 1) for name in names]
            + [each.counters.share]
            for each in trials
        ]
    ).T
    ax.imshow(100 * table, cmap="Blues", vmin=0, vmax=140, aspect="auto")
    for row in range(len(rows)):
        for column in range(len(trials)):
            told = f"{100 * table[row, column]:.0f} %"
            ax.text(column, row, told, ha="center", va="center", fontsize=8.5)
    ax.set_xticks(range(len(trials)), [each.name for each in trials])
    ax.set_yticks(range(len(rows)), rows)
    ax.tick_params(length=0)
    ax.set_title(
        "What the guard of the learned policy did, share of steps", loc="left", fontsize=10
    )


__all__ = ["draw"]
