"""Weights that make the normal period's traffic as mixed as the incident's.

Raking (Deming and Stephan, Annals of Mathematical Statistics 11, 1940): a weight for each value of
each dimension, such that every value is as frequent as in the incident; drawn towards one for
values with few rows.
"""

from __future__ import annotations

import numpy as np

from causalsys.rootcause.drill_cells import Cells, Floats, summed
from causalsys.rootcause.drill_space import PRIOR_ROWS

ROUNDS = 8
"""Rounds of raking; dimensions that hang together settle within a few."""
HEAVIEST = 50.0
"""A normal row stands for at most so many: rare values would make the intervals erratic."""


def balance(cells: Cells) -> Floats:
    """How much more frequent each cell's values are in the incident, `[cell]`."""
    then, now = cells.before.weights, cells.after.weights
    total = float(then.sum())
    few = PRIOR_ROWS * total / float(cells.before.rows.sum())
    weight = np.ones(len(then))
    sizes = [len(levels) for levels in cells.levels]
    found = [np.ones(size) for size in sizes]
    for _ in range(ROUNDS):
        for d, size in enumerate(sizes):
            wanted = summed(cells.codes[d], now, size) * total / float(now.sum())
            held = summed(cells.codes[d], then * weight, size) / found[d]
            turned = np.clip((wanted + few) / (held + few), 1 / HEAVIEST, HEAVIEST)
            weight = weight * (turned / found[d])[cells.codes[d]]
            found[d] = turned
    return np.minimum(weight, HEAVIEST)
