"""The picture of a sensitivity: the effect against the strength of a hidden confounder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from causalsys.query.sensitivity import Sensitivity

_SHOWN = 6
"""Benchmarks that a picture names, the strongest."""
_NEAR = 0.2
"""Names closer than this on the axis would overlap."""


def draw(found: Sensitivity, *, ax: Axes | None) -> Axes:
    """The effect with its interval, where it tips, and logged variables for comparison."""
    import matplotlib.pyplot as plt

    if ax is None:
        _, ax = plt.subplots(figsize=(8, 4.8), layout="constrained")
    ax.fill_between(found.strengths, found.low, found.high, color="C0", alpha=0.25, linewidth=0)
    ax.plot(
        found.strengths, found.estimate, color="C0", label=f"effect, {found.level:.0%} interval"
    )
    ax.axhline(found.threshold, color="0.4", linewidth=1, linestyle="--")
    ax.plot([0], [found.unconfounded.value], "o", color="C0", label="no hidden confounder")
    ends = (found.tipping.interval_below, found.tipping.interval_above)
    for label, strength in enumerate(end for end in ends if end):
        ax.axvline(strength, color="C3", linewidth=1)
        ax.plot(
            [strength],
            [found.threshold],
            "D",
            color="C3",
            label="_" if label else "conclusion changes",
        )
        ax.annotate(
            f"{strength:+.2f}".replace("-", "−"),
            (strength, 1),
            xycoords=("data", "axes fraction"),
            xytext=(4, -12),
            textcoords="offset points",
            color="C3",
        )
    _mark_benchmarks(found, ax)
    unit = f" [{found.unit}]" if found.unit else ""
    ax.set_xlabel(f"strength of a hidden confounder of {'; '.join(map(str, found.pairs))}")
    ax.set_ylabel(f"effect on {found.outcome}{unit}")
    ax.set_title(found.quantity, fontsize="medium", wrap=True)
    ax.margins(x=0.02)
    ax.legend(frameon=False)
    return ax


def _mark_benchmarks(found: Sensitivity, ax: Axes) -> None:
    """Logged variables on the axis, at the strength that each would have unlogged."""
    shown = found.benchmarks[:_SHOWN]
    if not shown:
        return
    at = np.array([each.strength for each in shown])
    base = ax.get_xaxis_transform()
    for side, fill, label in (
        (at, "C2", "a logged variable, had it not been logged"),
        (-at, "white", "the same, of the other sign"),
    ):
        ax.scatter(
            side, 0 * at, marker="^", c=fill, edgecolors="C2", transform=base, clip_on=False,
            zorder=3, label=label,
        )  # fmt: skip
    height, before = 0, -np.inf
    for index in np.argsort(at, kind="stable"):
        # Names of neighbours stand above each other.
        height = (height + 1) % 4 if at[index] - before < _NEAR else 0
        before = at[index]
        ax.annotate(
            shown[index].name,
            (at[index], 0),
            xycoords=base,
            xytext=(0, 6 + 11 * height),
            textcoords="offset points",
            ha="center",
            color="C2",
            fontsize="small",
        )
