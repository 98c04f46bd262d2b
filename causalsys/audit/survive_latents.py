"""Inferred latents as columns: what is told of them when a prediction is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from causalsys.data.levels import written
from causalsys.errors import NotIdentifiedError
from causalsys.fit.fitted import Fitted
from causalsys.query.ask import counterfactual
from causalsys.scm.supports import Categorical

if TYPE_CHECKING:
    import pandas as pd

_SAMPLES = 64
"""Draws of a latent given a row: a probability is told to about .06."""


def logged_before(fitted: Fitted, target: str) -> list[str]:
    """What is logged and the target does not cause, in the order of declaration: scalars."""
    nodes = fitted.declaration.nodes
    below = fitted.declaration.graph.descendants(target) | {target}
    return [
        name
        for name, node in nodes.items()
        if node.kind != "latent" and name not in below and not fitted.schema.supports[name].size
    ]


def latents_of(fitted: Fitted) -> list[str]:
    """The latents that are one number or one level a row."""
    nodes = fitted.declaration.nodes
    return [
        name
        for name, node in nodes.items()
        if node.kind == "latent" and not fitted.schema.supports[name].size
    ]


def latent_columns(
    fitted: Fitted, rows: pd.DataFrame, *, target: str, seed: int = 0
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The latents of rows, inferred from what is logged before the target is known.

    With the target they would be inferred from the error itself, and every error would have
    its latent.

    Args:
        fitted: The model.
        rows: The rows.
        target: What is left out, with all that it causes.
        seed: Of the draws.

    Returns:
        A column a latent: a category's most probable level, or the posterior mean; and why others
        are not there.
    """
    import pandas as pd

    names = latents_of(fitted)
    found = pd.DataFrame(index=rows.index)
    known = [name for name in logged_before(fitted, target) if name in rows.columns]
    if not names or not known:
        return found, ()
    answer = counterfactual(fitted, rows.loc[:, known], do={}, samples=_SAMPLES, seed=seed)
    notes = []
    for name in names:
        try:
            draws = answer.observed(name).values
        except NotIdentifiedError as error:
            notes.append(f"{name} is left out: {error.found}.")
            continue
        support = fitted.schema.supports[name]
        if isinstance(support, Categorical):
            levels = range(support.cardinality)
            share = np.stack([(draws == at).mean(axis=0) for at in levels])
            # Numbered levels are names: a slice holds one of them, and not those above another.
            found[name] = written(share.argmax(axis=0), support).astype(object)
        else:
            found[name] = draws.mean(axis=0)
    return found, tuple(notes)


__all__ = ["latent_columns", "latents_of", "logged_before"]
