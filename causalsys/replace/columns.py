"""What users hand to a predictor, as columns by the model's names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from causalsys.data.read import as_frame
from causalsys.detect.loss import Values, real_numbers
from causalsys.errors import EvidenceError

if TYPE_CHECKING:
    import pandas as pd


def as_columns(predictor: Any, given: Any) -> pd.DataFrame:
    """The inputs as a frame: an array's columns are in the order of the inputs.

    Raises:
        EvidenceError: An array has another number of columns.
        DataError: There are no rows, or a column twice.
    """
    import pandas as pd

    if isinstance(given, pd.DataFrame) and given.columns.nlevels > 1:
        raise EvidenceError(
            "X",
            found=f"columns of {given.columns.nlevels} levels",
            mend="Give one name per column: X.columns = X.columns.get_level_values(-1).",
        )
    if isinstance(given, pd.DataFrame):
        # Labels that repeat, as after a bootstrap, are no matter here: rows go by position.
        unique = given if given.index.is_unique else given.reset_index(drop=True)
        return as_frame(unique, what="X")[0].rename(columns=str)
    if isinstance(given, dict):
        return as_frame(given, what="X")[0]
    array = np.asarray(given)
    array = array.reshape(-1, 1) if array.ndim == 1 else array
    if array.ndim != 2:
        raise EvidenceError(
            "X",
            found=f"a {type(given).__name__} of shape {array.shape}",
            mend="Give a frame with the model's names, or an array [row, column].",
        )
    names = names_of(predictor, array.shape[1])
    if len(names) != array.shape[1]:
        raise EvidenceError(
            "X",
            found=f"{array.shape[1]} columns without names for {len(names)} named inputs",
            mend="Give a frame with the model's names, or say the order: inputs=[...].",
        )
    frame = pd.DataFrame(array, columns=list(names))
    as_frame(frame, what="X")
    return frame.infer_objects()


def names_of(predictor: Any, width: int) -> Sequence[str]:
    """The names of the columns of an array."""
    if predictor.inputs is not None and predictor.model is not None:
        return [str(name) for name in predictor.inputs]
    if hasattr(predictor, "fitted_") or predictor.model is None:
        names = getattr(predictor, "feature_names_in_", None)
        return [f"x{i}" for i in range(width)] if names is None else [str(n) for n in names]
    # An order that nobody said could only be guessed, and a wrong guess would not be noticed.
    return []


def truth_of(given: Any, rows: int, *, beside: Any = None) -> Values:
    """The truths, `[row]`, checked.

    Args:
        given: What was given.
        rows: How many there must be.
        beside: The inputs as they were given.

    Raises:
        EvidenceError: They are no finite numbers, one a row, or the inputs' rows in another order.
    """
    import pandas as pd

    if isinstance(given, pd.Series) and isinstance(beside, pd.DataFrame):
        same = len(given) == rows and set(given.index) == set(beside.index)
        if same and not given.index.equals(beside.index):
            raise EvidenceError(
                "y",
                found="the labels of X in another order",
                mend="Give them in one order: y.loc[X.index]; rows go by position.",
            )
    numbers = real_numbers(given)
    found = np.full(0, np.nan) if numbers is None else numbers
    found = found[:, 0] if found.ndim == 2 and found.shape[1] == 1 else found
    if found.shape != (rows,) or not np.isfinite(found).all():
        raise EvidenceError(
            "y",
            found=f"an array of shape {found.shape}, or with a NaN, for {rows} rows",
            mend="Give one finite number per row.",
        )
    return found


__all__ = ["as_columns", "names_of", "truth_of"]
