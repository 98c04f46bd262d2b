"""What is audited: a predictor beside the model of the system that it predicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from causalsys.audit.predictor import Predictor
from causalsys.data.read import as_frame, read
from causalsys.data.table import Table
from causalsys.detect.loss import Loss
from causalsys.errors import EvidenceError
from causalsys.fit.fitted import Fitted

if TYPE_CHECKING:
    import pandas as pd

_LARGEST = 1e30
"""Beyond what is measured; the single precision of trees ends at 3e38."""


@dataclass(frozen=True)
class Period:
    """Rows with their predictions.

    Attributes:
        rows: The columns, as the user gave them.
        truth: The target, `[row]`.
        prediction: `[row]`.
        error: The loss of each row, `[row]`.
    """

    rows: pd.DataFrame
    truth: NDArray[np.float64]
    prediction: NDArray[np.float64]
    error: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.truth)


@dataclass(frozen=True)
class Subject:
    """A predictor, its target and its loss as parts of a fitted model.

    Attributes:
        fitted: The model of the system.
        predictor: The predictor, behind one face.
        target: What it predicts: one logged number.
        loss: How wrong a prediction is.
    """

    fitted: Fitted
    predictor: Predictor
    target: str
    loss: Loss

    def period(self, rows: object, *, what: str = "rows", least: int = 1) -> Period:
        """Rows, checked, with what was predicted and how wrong it was.

        Args:
            rows: A frame or a mapping of columns.
            what: What they are called in messages.
            least: How many are needed.

        Raises:
            EvidenceError: There are too few, the target is missing in some, or a value is too
                large to be reckoned with.
            DataError: They do not fit the model.
            PredictorError: The predictor fails on them.
        """
        frame, _ = as_frame(rows, what=what)
        if frame.columns.nlevels > 1:
            raise EvidenceError(
                what,
                found=f"columns of {frame.columns.nlevels} levels",
                mend="Give one name per column: rows.columns = rows.columns.get_level_values(-1).",
            )
        if len(frame) < least:
            raise EvidenceError(
                what,
                found=f"{len(frame)} row{'s' * (len(frame) != 1)}",
                mend=f"Give at least {least} rows.",
            )
        table = read(self.fitted.schema, frame, purpose="evidence")
        gone = table.missing.get(self.target)
        if self.target not in table.values or (gone is not None and bool(gone.any())):
            raise EvidenceError(
                self.target,
                found=f"no value in some of the {what}",
                mend="Give the truth of every row, or leave out the rows without one.",
            )
        for name, value in table.values.items():
            if value.is_floating_point() and float(value.abs().nan_to_num(0.0).max()) > _LARGEST:
                raise EvidenceError(
                    name,
                    found=f"a value beyond {_LARGEST:g} in the {what}",
                    mend="Use a larger unit, or leave out what is no measurement: squares of such "
                    "numbers are no numbers any more.",
                )
        frame = _with_computed(frame, table, self.predictor.inputs)
        truth = table.values[self.target][0].double().numpy().copy()
        prediction = self.predictor.predict(frame)
        return Period(frame, truth, prediction, self.loss(truth, prediction))


def _with_computed(frame: pd.DataFrame, table: Table, inputs: Sequence[str]) -> pd.DataFrame:
    """The rows with what equations say of inputs that have no column."""
    nodes = table.schema.declaration.nodes
    lacking = [
        name
        for name in inputs
        if name not in frame.columns and name in table.values and nodes[name].kind == "equation"
    ]
    if not lacking:
        return frame
    return frame.assign(**{name: table.values[name][0].double().numpy() for name in lacking})


__all__ = ["Period", "Subject"]
