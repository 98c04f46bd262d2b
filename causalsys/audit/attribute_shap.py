"""SHAP beside it: the shap library's permutation explainer on the same predictor."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causalsys.audit.attribute_outcome import Outcome
from causalsys.errors import QueryError

Array = NDArray[np.float64]
_EVALUATIONS = 500
"""shap's own default, from which it takes as many permutations as it pays for."""


def shap_values(
    outcome: Outcome,
    columns: Mapping[str, NDArray[Any]],
    background: Mapping[str, NDArray[Any]],
    *,
    permutations: int | None,
    seed: int,
) -> tuple[Array, float]:
    """SHAP values by permutations (Lundberg and Lee, NeurIPS 2017; Strumbelj and Kononenko, 2014).

    Columns that are left out are taken from the background rows, whatever the others are: the
    marginal game. numpy's global generator, which the explainer draws from, is left as it was.

    Args:
        outcome: The prediction or the error.
        columns: What it reads, of the rows that are explained; categories as codes.
        background: The same of the reference population.
        permutations: How many orders, counting each and its reverse; None for shap's default.
        seed: Fixes the orders.

    Returns:
        The values `[row, column]`, and the mean outcome of the background.

    Raises:
        QueryError: shap is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Its pictures warn when they are imported.
            import shap
    except ImportError:
        raise QueryError(
            "method",
            found='"shap", and the library shap is not installed',
            mend='Install it: pip install "causalsys[compare]", or use method="do".',
        ) from None
    names = outcome.reads
    rows, behind = _matrix(columns, names), _matrix(background, names)
    fewest = 2 * len(names) + 1
    asked = _EVALUATIONS if permutations is None else fewest * -(-permutations // 2)

    def call(matrix: Array) -> Array:
        return outcome({name: matrix[:, at] for at, name in enumerate(names)})

    state = np.random.get_state()  # noqa: NPY002
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        masker = shap.maskers.Independent(behind, max_samples=len(behind))
        explainer = shap.explainers.Permutation(call, masker, seed=seed % (1 << 32))
        try:
            found = explainer(rows, max_evals=max(asked, fewest), silent=True)
        finally:
            np.random.set_state(state)  # noqa: NPY002
    values = np.asarray(found.values, dtype=np.float64)
    return values, float(np.mean(np.asarray(found.base_values, dtype=np.float64)))


def _matrix(columns: Mapping[str, NDArray[Any]], names: tuple[str, ...]) -> Array:
    return np.column_stack([np.asarray(columns[name], dtype=np.float64) for name in names])


__all__ = ["shap_values"]
