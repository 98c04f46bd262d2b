"""The picture: latencies, one trace, and the servers' speeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from case_studies.load_balancing.study import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOOKS = {
    "replay": {"color": "#999999", "lw": 1.2, "label": "record (replay)"},
    "ExpertSim": {"color": "#c0392b", "lw": 1.2, "label": "ExpertSim"},
    "causalsys": {"color": "#2563a8", "lw": 2.0, "label": "simulated (causalsys)"},
    "truth": {"color": "#222222", "lw": 1.2, "ls": ":", "label": "truth"},
}


def draw(study: Study) -> Figure:
    """Who was slow, a trace's latencies, and what was found about the servers."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplot_mosaic(
        [["all", "rates"], ["one", "one"]],
        figsize=(9, 6.4),
        layout="constrained",
        width_ratios=[1.7, 1],
    )
    _all(axes["all"], study)
    _rates(axes["rates"], study)
    _one(axes["one"], study)
    figure.suptitle(
        f"{study.target}, simulated from the log of fifteen other policies", x=0.02, ha="left"
    )
    for ax in axes.values():
        ax.spines[["top", "right"]].set_visible(False)
    return figure


def _all(ax: Axes, study: Study) -> None:
    level = np.linspace(0, 1, 400)
    for name, looks in LOOKS.items():
        ax.plot(np.quantile(study.runs[name]["latency"], level), level, **looks)  # type: ignore[arg-type]
    ax.set_xscale("log")
    ax.set_xlim(1, float(study.runs["replay"]["latency"].quantile(0.99)))
    ax.set_ylim(0, 1)
    ax.set_xlabel("latency of a job [ms]")
    ax.set_ylabel("share of jobs below")
    ax.legend(frameon=False, loc="lower right", fontsize=9)


def _rates(ax: Axes, study: Study) -> None:
    rates = study.rates
    ends = [rates.min().min() * 0.8, rates.max().max() * 1.25]
    ax.plot(ends, ends, color="#bbbbbb", lw=1, zorder=0)
    ax.scatter(rates["true"], rates["fitted"], s=22, color=LOOKS["causalsys"]["color"])
    for scale in (ax.set_xscale, ax.set_yscale):
        scale("log")
    ticks = [t for t in (0.2, 0.5, 1, 2, 5) if ends[0] <= t <= ends[1]]
    ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
    ax.set_yticks(ticks, [f"{t:g}" for t in ticks])
    ax.minorticks_off()
    ax.set_xlabel("true slowdown of a server [×]")
    ax.set_ylabel("fitted [×]")
    ax.set_title(f"slowdowns off by {study.rate_error:.2g} %", fontsize=9)


def _one(ax: Axes, study: Study) -> None:
    """The trace whose recorded mean latency is the median."""
    means = study.log.groupby("trace")["latency"].mean()
    trace = means.index[np.argsort(means.to_numpy())[len(means) // 2]]
    for name, looks in LOOKS.items():
        rows = study.runs[name]
        rows = rows[rows["trace"] == trace].head(120)
        ax.plot(rows["step"], rows["latency"], **looks)  # type: ignore[arg-type]
    arm = study.log.loc[study.log["trace"] == trace, "arm"].iloc[0]
    ax.set_title(f"trace {trace}, recorded under {arm}", fontsize=9, loc="left")
    ax.set_yscale("log")
    ax.set_xlabel("job")
    ax.set_ylabel("latency [ms]")
    ax.margins(x=0)
