"""The picture of an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from causalsys.query.answer import Answer

_BARS = 40


def draw(answer: Answer, name: str, *, ax: Axes | None, level: float) -> Axes:
    """Each world's mean and interval over the rows, with what was observed."""
    import matplotlib.pyplot as plt

    if ax is None:
        _, ax = plt.subplots(figsize=(8, 4), layout="constrained")
    rows = np.arange(len(answer.index))
    single = len(rows) <= _BARS
    for world, title in enumerate(answer.worlds):
        ends = answer.interval(name, level, world=world)
        mean = answer.mean(name, world=world)
        color = f"C{world}"
        if single:
            around = np.clip(np.stack([mean - ends[:, 0], ends[:, 1] - mean]), 0, None)
            shift = 0.12 * (world - (len(answer.worlds) - 1) / 2)
            ax.errorbar(
                rows + shift, mean, yerr=around, fmt="o", capsize=3, color=color, label=title
            )
        else:
            ax.plot(rows, mean, color=color, label=title)
            ax.fill_between(rows, ends[:, 0], ends[:, 1], color=color, alpha=0.25, linewidth=0)
    if name in answer.factual and name not in answer.inferred:
        seen = answer.observed(name).mean()
        ax.plot(rows, seen, "kx" if single else "k-", linewidth=1, label="observed")
    unit = answer.supports[name].unit
    ax.set_ylabel(f"{name} [{unit}]" if unit else name)
    ax.set_xlabel("row")
    ax.set_title(f"{name}, with {level:.0%} intervals")
    ax.legend(frameon=False)
    return ax
