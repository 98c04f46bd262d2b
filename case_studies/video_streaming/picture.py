"""The picture: one session, the errors, and what simulators promise of a policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from case_studies.video_streaming.study import CAUSAL, EXPERT, SUPERVISED, Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLORS = {CAUSAL: "#2563a8", EXPERT: "#c0392b", SUPERVISED: "#d68910", "truth": "#222222"}


def draw(study: Study) -> Figure:
    """A session's buffer as simulated and as it is; errors; promises against the truth."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplot_mosaic(
        [["session", "session"], ["errors", "promises"]],
        figsize=(9, 6.6),
        layout="constrained",
        height_ratios=[1, 1.3],
        width_ratios=[1, 1.25],
    )
    _session(axes["session"], study)
    _errors(axes["errors"], study)
    _promises(axes["promises"], study)
    for ax in axes.values():
        ax.spines[["top", "right"]].set_visible(False)
    paths = "real paths" if study.real else "synthetic paths"
    figure.suptitle(
        f"{study.target}, simulated from the log of eight other policies ({paths})",
        x=0.02,
        ha="left",
    )
    return figure


def _session(ax: Axes, study: Study) -> None:
    """The session whose error is ExpertSim's median, so that neither simulator is flattered."""
    trace = median_session(study)
    for name in (EXPERT, CAUSAL, "truth"):
        rows = study.runs[name]
        rows = rows[(rows["trace"] == trace) & (rows["step"] < 60)]
        style = {"ls": ":", "lw": 1.4} if name == "truth" else {"lw": 1.8}
        ax.plot(rows["step"], rows["buffer"], color=_COLORS[name], label=name, **style)  # type: ignore[arg-type]
    ax.set_xlabel("chunk")
    ax.set_ylabel("buffer [s]")
    ax.set_ylim(0, 10.4)
    ax.margins(x=0)
    ax.legend(frameon=False, ncols=3, loc="lower right", fontsize=9)


def median_session(study: Study) -> object:
    """The trace on which ExpertSim's error is its median."""
    off = (study.runs[EXPERT]["buffer"] - study.runs["truth"]["buffer"]).abs()
    ranked = off.groupby(study.runs["truth"]["trace"]).mean().sort_values(kind="stable")
    return ranked.index[len(ranked) // 2]


def _errors(ax: Axes, study: Study) -> None:
    names = [SUPERVISED, EXPERT, CAUSAL]
    values = [study.errors.loc[name, "buffer error [%]"] for name in names]
    bars = ax.barh(names, values, color=[_COLORS[name] for name in names], height=0.6)
    ax.bar_label(bars, fmt="%.1f", padding=3)
    ax.set_xlabel("error of the buffer, 35 chunks [%]")
    ax.margins(x=0.15)


def _promises(ax: Axes, study: Study) -> None:
    """What each simulator promises of a candidate, against what comes of it."""
    true = study.candidates["truth"]
    shown = study.choices[["promised", "true"]].to_numpy()
    low, high = float(shown.min()), float(max(shown.max(), true.max()))
    for name in (SUPERVISED, EXPERT, CAUSAL):
        ax.scatter(study.candidates[name], true, s=12, color=_COLORS[name], alpha=0.5, lw=0)
        choice = study.choices.loc[name]
        ax.scatter(
            choice["promised"],
            choice["true"],
            s=80,
            color=_COLORS[name],
            marker="*",
            label=f"{name}'s choice",
            zorder=3,
        )
    pad = 0.15 * (high - low)
    ends = [low - pad, high + pad]
    ax.plot(ends, ends, color="#bbbbbb", lw=1, zorder=0)
    live = study.choices.loc["live", "true"]
    ax.axhline(live, color="#888888", lw=1, ls="--", label="live policy, truth")
    ax.set_xlim(ends)
    ax.set_ylim(ends)
    ax.set_xlabel("QoE promised [Mbit/s]")
    ax.set_ylabel("QoE in the true system [Mbit/s]")
    ax.legend(edgecolor="none", framealpha=1, fontsize=8.5, loc="best")
