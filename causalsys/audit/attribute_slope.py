"""How fast a row's outcome moves with each variable, its causes and noises kept: no population.

`d f / d do(x_i)` at the row: the variable is set a little higher and lower, its effects follow by
their mechanisms and the row's own noises (abducted), and the outcome is computed again. It is
compared with nothing but the row itself, and so sums to nothing in particular.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

from causalsys.audit.attribute_outcome import Outcome
from causalsys.audit.explain_row_twin import Moves, Twin
from causalsys.data.table import Table
from causalsys.scm.supports import Categorical, Count

Array = NDArray[np.float64]
_STEP = 1e-4
"""Of the value, and at least of 1: errors of the quotient are of its square."""


def slopes(outcome: Outcome, table: Table, names: tuple[str, ...], *, seed: int) -> Array:
    """The slope in each variable, `[row, variable]`, in the outcome's unit over the variable's.

    NaN of categories and vectors, which have none.

    Args:
        outcome: The prediction or the error.
        table: The rows.
        names: The variables.
        seed: Fixes what rows leave open.
    """
    twin = Twin.of(outcome.subject, table, seed=seed)
    found = np.full((table.rows, len(names)), math.nan)
    supports = outcome.subject.fitted.schema.supports
    for at, name in enumerate(names):
        if isinstance(supports[name], Categorical) or supports[name].size:
            continue
        value = twin.values[name][0].double()
        step = torch.ones_like(value)
        if not isinstance(supports[name], Count):
            step = _STEP * value.abs().clamp(min=1)
        ends = torch.stack([value - step, value + step])
        truth, prediction = twin.outcomes(twin.worlds(Moves(levels={name: ends})), worlds=2)
        if outcome.of == "error":
            prediction = outcome.subject.loss(truth.reshape(-1), prediction.reshape(-1)).reshape(
                prediction.shape
            )
        low, high = prediction.mean(axis=1)
        found[:, at] = (high - low) / (2 * step.numpy())
    return found


__all__ = ["slopes"]
