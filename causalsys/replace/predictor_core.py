"""The plumbing of a causal predictor: its model, its columns, its held-out rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import validate_data

from causalsys.data.table import Table
from causalsys.detect.loss import Values
from causalsys.engine.base import one_thread
from causalsys.errors import EvidenceError
from causalsys.fit.fitted import Fitted
from causalsys.query.asked import share
from causalsys.replace.belief import believe
from causalsys.replace.calibration import margin
from causalsys.replace.columns import as_columns
from causalsys.replace.predictive import Predictive
from causalsys.replace.rows import groups, inputs_of, target_of

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.utils import Tags

_HELD_OUT_FROM = 100
"""Rows from which `fit` holds some out: with fewer, a share of them says little of a tail."""


class PredictorCore(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """What a causal predictor does behind its verbs."""

    model: Any
    target: str | None
    level: float
    inputs: Sequence[str] | None
    calibration: float
    seed: int
    fitted_: Fitted
    target_: str
    margin_: float

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "fitted_") or isinstance(self.model, Fitted)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        declared = self.model is not None
        tags.input_tags.allow_nan = declared
        tags.input_tags.categorical = declared
        tags.input_tags.string = declared
        return tags

    @property
    def feature_names_in_(self) -> Any:
        """The columns that are read, in order."""
        if "_names_in" in self.__dict__:
            return self.__dict__["_names_in"]
        if not isinstance(self.model, Fitted):
            raise AttributeError("feature_names_in_")
        target = target_of(self.model, self.target)
        return np.array(inputs_of(self.model, target, self.inputs), dtype=object)

    @feature_names_in_.setter
    def feature_names_in_(self, names: Any) -> None:
        self.__dict__["_names_in"] = names

    @feature_names_in_.deleter
    def feature_names_in_(self) -> None:
        self.__dict__.pop("_names_in", None)

    def _model(self) -> tuple[Fitted, str]:
        """The model that predicts, and its target."""
        if hasattr(self, "fitted_"):
            return self.fitted_, self.target_
        if isinstance(self.model, Fitted):
            return self.model, target_of(self.model, self.target)
        raise NotFittedError(
            f"This {type(self).__name__} instance is not fitted yet. Call 'fit' first, or give a "
            "fitted model."
        )

    def _frame(self, X: Any) -> pd.DataFrame:
        if self.model is None:
            X = validate_data(self, X, reset=False)
        return as_columns(self, X)

    def _groups(self, frame: pd.DataFrame) -> Iterator[tuple[NDArray[np.int64], Table]]:
        fitted, target = self._model()
        inputs = inputs_of(fitted, target, self.inputs)
        if not set(inputs) & set(frame.columns):
            raise EvidenceError(
                "X",
                found=f"none of the inputs among its {len(frame.columns)} columns",
                mend=f"Give some of them: {', '.join(inputs[:12])}.",
            )
        return groups(fitted, frame, inputs=inputs, labels=list(frame.index))

    @one_thread()
    def _by_row(self, X: Any, figure: Callable[[Predictive], Values]) -> Values:
        """A figure of each row's predictive law."""
        frame = self._frame(X)
        return self._figured(frame, figure)

    def _figured(
        self,
        frame: pd.DataFrame,
        figure: Callable[[Predictive], Values],
        model: Fitted | None = None,
    ) -> Values:
        fitted, target = self._model()
        fitted = fitted if model is None else model
        found: Values | None = None
        for at, table in self._groups(frame):
            some = figure(Predictive.of(believe(fitted, table, about=[target]), target))
            if found is None:
                found = np.empty((len(frame), *some.shape[1:]))
            found[at] = some
        assert found is not None
        return found

    def _held_out(self, rows: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Which rows are held out, `[row]`."""
        held = np.zeros(rows, dtype=bool)
        if rows >= _HELD_OUT_FROM and self.calibration > 0:
            count = max(1, round(self.calibration * rows))
            held[np.random.default_rng(self.seed).permutation(rows)[:count]] = True
        return held

    def _calibrate(self, frame: pd.DataFrame, truth: Values) -> None:
        # The model as it is now: one that adapts later is not judged by rows of before.
        self._held = (frame, truth, self._model()[0])
        self.margin_ = self._margin_at(self.level)

    def _margin(self, level: float) -> float:
        if not hasattr(self, "_held"):
            return 0.0
        return float(self.margin_) if level == self.level else self._margin_at(level)

    @one_thread()
    def _margin_at(self, level: float) -> float:
        frame, truth, model = self._held
        bounds = self._figured(frame, partial(interval_of, level=share(level, "level")), model)
        return margin(truth, bounds, level=level)


def interval_of(law: Predictive, *, level: float) -> Values:
    """The ends of the central interval of a law, `[row, 2]`."""
    return law.quantiles([(1 - level) / 2, (1 + level) / 2])


__all__ = ["PredictorCore", "interval_of"]
