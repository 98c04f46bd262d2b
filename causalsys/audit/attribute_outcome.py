"""What is attributed: a prediction, or its error, as a function of columns of codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from causalsys.audit.subject import Subject
from causalsys.data.levels import written
from causalsys.scm.supports import Categorical

Of = Literal["prediction", "error"]


@dataclass(frozen=True)
class Outcome:
    """A prediction or its error.

    Attributes:
        subject: The predictor beside its model.
        of: Which of the two.
    """

    subject: Subject
    of: Of = "prediction"

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns it is a function of: what the predictor reads, and the truth of an error."""
        inputs = self.subject.predictor.inputs
        more = self.of == "error" and self.subject.target not in inputs
        return (*inputs, self.subject.target) if more else inputs

    def __call__(self, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        """Its value, `[row]`.

        Args:
            columns: What it reads, each `[row]`; categories as codes.

        Raises:
            PredictorError: The predictor fails.
        """
        prediction = self.subject.predictor.predict(self._frame(columns))
        if self.of == "prediction":
            return prediction
        truth = np.ascontiguousarray(columns[self.subject.target], dtype=np.float64)
        return self.subject.loss(truth, prediction)

    def _frame(self, columns: Mapping[str, NDArray[Any]]) -> Any:
        import pandas as pd

        inputs = self.subject.predictor.inputs
        supports = self.subject.fitted.schema.supports
        if any(isinstance(supports[name], Categorical) for name in inputs):
            return pd.DataFrame(
                {name: _as_given(columns[name], supports[name]) for name in inputs}, copy=False
            )
        length = len(next(iter(columns.values())))
        block = np.empty((len(inputs), length))
        for at, name in enumerate(inputs):
            block[at] = columns[name]
        return pd.DataFrame(block.T, columns=list(inputs), copy=False)


def _as_given(column: NDArray[Any], support: object) -> NDArray[Any]:
    return written(column, support) if isinstance(support, Categorical) else column


__all__ = ["Of", "Outcome"]
