"""What is audited: a predictor beside the model of the system that it predicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from causalsys.audit.predictor import Predictor
from causalsys.data.read import as_frame, read
from causalsys.detect.loss import Loss
from causalsys.errors import EvidenceError
from causalsys.fit.fitted import Fitted

if TYPE_CHECKING:
    import pandas as pd


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
            EvidenceError: There are too few, or the target is missing in some.
            DataError: They do not fit the model.
            PredictorError: The predictor fails on them.
        """
        frame, _ = as_frame(rows, what=what)
        if len(frame) < least:
            raise EvidenceError(
                what, found=f"{len(frame)} rows", mend=f"Give at least {least} rows."
            )
        table = read(self.fitted.schema, frame, purpose="evidence")
        gone = table.missing.get(self.target)
        if self.target not in table.values or (gone is not None and bool(gone.any())):
            raise EvidenceError(
                self.target,
                found=f"no value in some of the {what}",
                mend="Give the truth of every row, or leave out the rows without one.",
            )
        truth = table.values[self.target][0].double().numpy().copy()
        prediction = self.predictor.predict(frame)
        return Period(frame, truth, prediction, self.loss(truth, prediction))


__all__ = ["Period", "Subject"]
