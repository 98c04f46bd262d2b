"""Noises of normal rows under models that were fitted without them.

The noises of rows that a model was fitted to are closer to normal than those of any later row.
Each part of the normal period, in time order, is judged by a model refitted to the others: what
its mechanisms do from one part to the next is then seen as it will be seen later.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from causalsys.detect.noises import noises
from causalsys.detect.scores import Values
from causalsys.fit.fit import refit
from causalsys.fit.fitted import Fitted
from causalsys.fit.options import FitOptions

if TYPE_CHECKING:
    import pandas as pd


def crossed(
    fitted: Fitted, normal: pd.DataFrame, *, nodes: tuple[str, ...], folds: int, seed: int
) -> dict[str, Values]:
    """The noises of the normal rows, each from a model that has not seen its part, `[row]`.

    Args:
        fitted: The model.
        normal: The rows, in time order.
        nodes: Of which variables.
        folds: How many parts; 0 asks the model itself, which has then not seen the rows.
        seed: Fixes what is random.
    """
    if not folds:
        return dict(noises(fitted, normal, nodes=nodes, seed=seed).values)
    options = FitOptions(seed=fitted.seed, ensemble=fitted.members)
    bounds = np.linspace(0, len(normal), folds + 1).astype(int)
    found: dict[str, list[Values]] = {name: [] for name in nodes}
    for begin, end in pairwise(bounds):
        rest = np.r_[0:begin, end : len(normal)]
        # Districts go on from their fit: a search anew could find another optimum in each part.
        again = refit(fitted, normal.iloc[rest], only=list(nodes), options=options)
        part = noises(again, normal.iloc[begin:end], nodes=nodes, seed=seed + int(begin))
        for name in nodes:
            found[name].append(part.values[name])
    return {name: np.concatenate(parts) for name, parts in found.items()}


__all__ = ["crossed"]
