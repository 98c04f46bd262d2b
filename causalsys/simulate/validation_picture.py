"""The picture of a validation: what was simulated against what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from causalsys.simulate.validation import Compared, Validation

_COLOURS = {"trust": "C0", "unsure": "0.55", "distrust": "C3"}
_TOLD = {"trust": "trust", "unsure": "cannot tell", "distrust": "do not trust"}
_MARKS = ("x", "+", "1", "2", "3", "4")
_REACH = 1.5
"""Relative differences beyond this are drawn at the edge."""


def draw(found: Validation, *, ax: Axes | None) -> Axes:
    """Each metric relative to what was measured: its interval, and where the baselines are."""
    import matplotlib.pyplot as plt

    rows = [(arm, metric) for arm in found.arms for metric in arm.metrics]
    if ax is None:
        height = 1.6 + 0.3 * len(rows)
        _, ax = plt.subplots(figsize=(8.5, height), layout="constrained")
    seen: set[str] = set()
    for place, (_, metric) in enumerate(rows):
        _measured(metric, place, ax, seen)
        _simulated(metric, place, ax, seen)
        for number, (name, value) in enumerate(metric.baselines.items()):
            at = np.clip(_relative(value, metric), -_REACH, _REACH)
            ax.plot(
                at, place, _MARKS[number % len(_MARKS)], color="0.25", markersize=6,
                label=_once(name, seen),
            )  # fmt: skip
    start = 0
    for number, arm in enumerate(found.arms):
        end = start + len(arm.metrics)
        if number % 2:
            ax.axhspan(start - 0.5, end - 0.5, color="0.95", zorder=0, linewidth=0)
        start = end
    ax.axvline(0, color="0.4", linewidth=1)
    ax.set_yticks(range(len(rows)), [f"{arm.arm}: {metric.metric}" for arm, metric in rows])
    wrong = [not arm.transported for arm, _ in rows]
    for label, bad in zip(ax.get_yticklabels(), wrong, strict=True):
        label.set_color("C3" if bad else "black")
    if any(wrong):
        ax.plot([], [], "s", color="C3", label="red name: wrong one step ahead")
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xlim(-1.04 * min(_REACH, 1.05), 1.04 * _REACH)
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:+.0%}".replace("-", "−"))
    ax.set_xlabel("simulated, relative to what was measured (beyond +150 %: at the edge)")
    ax.set_title(f"{found.model}: each arm simulated from the others", fontsize="medium")
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize="small")
    return ax


def _measured(metric: Compared, place: int, ax: Axes, seen: set[str]) -> None:
    low, high = (_relative(e, metric) for e in (metric.measured.low, metric.measured.high))
    ax.barh(
        place, high - low, left=low, height=0.7, color="0.8", label=_once("measured", seen)
    )  # fmt: skip


def _simulated(metric: Compared, place: int, ax: Axes, seen: set[str]) -> None:
    value, low, high = (
        float(np.clip(_relative(each, metric), -_REACH, _REACH))
        for each in (metric.predicted.value, metric.predicted.low, metric.predicted.high)
    )
    colour = _COLOURS[metric.trust]
    if metric.floor == metric.floor:
        floor = metric.floor / (abs(metric.measured.value) or 1)
        ax.plot(
            np.clip([value - floor, value + floor], -_REACH, _REACH), [place, place],
            color=colour, alpha=0.3, linewidth=7, solid_capstyle="butt",
            label=_once("chaos floor", seen),
        )  # fmt: skip
    ax.plot([low, high], [place, place], color=colour, linewidth=1.5)
    label = _once(f"simulated: {_TOLD[metric.trust]}", seen)
    ax.plot(value, place, "o", color=colour, markersize=5, label=label)


def _relative(value: float, metric: Compared) -> float:
    return (value - metric.measured.value) / (abs(metric.measured.value) or 1)


def _once(label: str, seen: set[str]) -> str:
    if label in seen:
        return "_"
    seen.add(label)
    return label


__all__ = ["draw"]
