"""`CausalPredictor`: a causal model in the place of a predictor, as a scikit-learn estimator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import validate_data

from causalsys.detect.loss import Loss, Values, loss_of
from causalsys.engine.base import one_thread
from causalsys.errors import EvidenceError, QueryError
from causalsys.fit.fitted import Fitted
from causalsys.replace.belief import believe
from causalsys.replace.calibration import margin, moved
from causalsys.replace.columns import as_columns, truth_of
from causalsys.replace.latents import latents_of
from causalsys.replace.learn import learn
from causalsys.replace.parts import parts_of
from causalsys.replace.predictive import Predictive
from causalsys.replace.rows import groups, inputs_of, target_of

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.utils import Tags

    from causalsys.scm.specs import MechanismSpec

_HELD_OUT_FROM = 100
"""Rows from which `fit` holds some out: with fewer, a share of them says little of a tail."""


class CausalPredictor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Predicts a target from its causes in a model: observed ones as given, hidden ones inferred.

    A row's prediction is the point of least expected loss under the posterior predictive law,
    which mixes the hidden classes that the row may be of, the noise, and the parameters'
    uncertainty. Under a shift of the inputs or of the hidden classes' mix the mechanism still
    holds; a regression on the same columns has averaged the classes in their old proportions.

    It is a scikit-learn estimator, so what scikit-learn itself checks (shapes, a NaN without a
    model that can infer it, `NotFittedError`) raises scikit-learn's errors; what concerns the
    model raises this package's.

    Args:
        model: A fitted model, which predicts at once and of which `fit` refits the target's
            mechanism (and what shares a latent with it); or a model's class, all of which `fit`
            fits; or None: `fit` then declares that every column causes the target, linearly.
        target: What is predicted: one logged number. By default the name of `y`, or the only
            variable without effects.
        error: The loss that the prediction is optimal for: "absolute" (the median), "squared" (the
            mean), "relative" (the median under weights of 1 / |y|), or a function of truth and
            prediction, each `[row]`, that gives a loss `[row]`.
        level: The share of rows that an interval is to cover.
        inputs: The columns that are read; by default all that are logged and not caused by the
            target. Of these, rows may lack any: what is missing is inferred.
        context: The variables that count as context in `parts`; by default all latents.
        calibration: The share of the rows that `fit` holds out to calibrate intervals on, from
            100 rows on. With 0, intervals are the posterior predictive law's own.
        classes: With model=None: the levels of one hidden class that acts on all columns and on
            the target; 1 for none. It is found only where the columns are independent within it.
        mechanism: With model=None: the target's mechanism; `cs.Linear(noise="empirical")`.
        ensemble: Parameter draws, where `fit` fits all of a model.
        seed: Fixes the fit, and which rows are held out.

    Attributes:
        fitted_: The fitted model.
        target_: The target's name.
        margin_: By how many widths an interval is moved out on either side.
        feature_names_in_: The columns that are read.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> X = rng.normal(size=(200, 2))
        >>> y = X[:, 0] + rng.normal(size=200)
        >>> predictor = CausalPredictor(error="squared").fit(X, y)
        >>> bool(predictor.score(X, y) > 0.4), predictor.predict_interval(X).shape
        (True, (200, 2))
    """

    def __init__(
        self,
        model: Any = None,
        *,
        target: str | None = None,
        error: str | Callable[[Values, Values], Values] | Loss = "absolute",
        level: float = 0.9,
        inputs: Sequence[str] | None = None,
        context: Sequence[str] | None = None,
        calibration: float = 0.2,
        classes: int = 1,
        mechanism: MechanismSpec | None = None,
        ensemble: int = 8,
        seed: int = 0,
    ) -> None:
        self.model = model
        self.target = target
        self.error = error
        self.level = level
        self.inputs = inputs
        self.context = context
        self.calibration = calibration
        self.classes = classes
        self.mechanism = mechanism
        self.ensemble = ensemble
        self.seed = seed

    def fit(self, X: Any, y: Any) -> Self:
        """Fit to rows.

        Args:
            X: The inputs, `[row, column]`: a frame by the model's names, or an array in the order
                of `inputs`. Without a model, numbers only.
            y: The target, `[row]`, in its unit.

        Raises:
            DataError: They do not fit the model.
            FitError: The mechanisms cannot be fitted to them.
            QueryError: An argument of this estimator cannot be used.
        """
        loss_of(self.error)
        _share(self.level, "level")
        _share(self.calibration, "calibration", least=0.0)
        if self.model is None:
            X, y = validate_data(self, X, y, y_numeric=True, ensure_min_samples=2)
        frame = as_columns(self, X)
        truth = truth_of(y, len(frame))
        held = self._held_out(len(frame))
        learned = learn(self, frame.iloc[~held], truth[~held], named=getattr(y, "name", None))
        self.fitted_, self.target_, self.margin_ = learned.fitted, learned.target, 0.0
        if self.model is not None:
            self.feature_names_in_ = np.array(
                [n for n in frame.columns if n in learned.inputs], dtype=object
            )
            self.n_features_in_ = len(self.feature_names_in_)
        if held.any():
            self._calibrate(frame.iloc[held], truth[held])
        return self

    def calibrate(self, X: Any, y: Any) -> Self:
        """Calibrate the intervals on rows that the model was not fitted to.

        Args:
            X: The inputs, as in `predict`.
            y: The target, `[row]`.

        Returns:
            Itself.
        """
        fitted, target = self._model()
        frame = self._frame(X)
        self.fitted_, self.target_ = fitted, target
        self._calibrate(frame, truth_of(y, len(frame)))
        return self

    def predict(self, X: Any) -> Values:
        """The prediction of least expected loss, `[row]`, in the target's unit.

        Args:
            X: The inputs: a frame by the model's names, of which columns or cells may be missing
                where there is a model; or an array, in the order of
                `inputs` or of what it was fitted to.

        Raises:
            NotFittedError: There is no fitted model.
            EvidenceError: The rows cannot be used, or nothing of them is in the model.
        """
        loss = loss_of(self.error)
        return self._by_row(X, lambda law: law.best(loss))

    def predict_quantiles(self, X: Any, levels: Sequence[float] = (0.05, 0.5, 0.95)) -> Values:
        """Quantiles of the posterior predictive law, `[row, level]`, without calibration."""
        wanted = [_share(level, "levels") for level in levels]
        return self._by_row(X, lambda law: law.quantiles(wanted))

    def predict_interval(self, X: Any, level: float | None = None) -> Values:
        """The ends of an interval that covers the truth of `level` of the rows, `[row, 2]`.

        Conformal where `fit` or `calibrate` held rows out (for `level` as in the constructor), else
        the posterior predictive law's own; another level is calibrated on the same held-out rows.
        """
        wanted = self.level if level is None else level
        bounds = self._by_row(X, partial(_interval, level=_share(wanted, "level")))
        return moved(bounds, self._margin(wanted))

    def latents(self, X: Any) -> pd.DataFrame:
        """What is believed of the latents, given the inputs.

        Returns:
            A row per row: for a category `name=level` with its probability; for a number its mean
            and, as `name_sd`, its standard deviation. What acts on nothing known keeps its prior.
        """
        import pandas as pd

        fitted, _ = self._model()
        names = list(fitted.declaration.graph.latents)
        frame = self._frame(X)
        found: dict[str, Values] = {}
        for at, table in self._groups(frame):
            if not names:
                break
            for label, values in latents_of(believe(fitted, table, about=names), names).items():
                found.setdefault(label, np.full(len(frame), np.nan))[at] = values
        return pd.DataFrame(found, index=frame.index)

    def parts(self, X: Any) -> pd.DataFrame:
        """The prediction as baseline + context + workload + combination; see `replace.parts`.

        Returns:
            A row per row, in the target's unit: these four, which add up to the predicted mean,
            and "loss": what the chosen loss adds to the mean (0 for "squared"). The five add up
            to `predict(X)`.

        Raises:
            UnknownNameError: A context variable is not in the model.
            QueryError: One is the target, or an effect of it.
        """
        fitted, target = self._model()
        frame = self._frame(X)
        tables = list(self._groups(frame))
        found = parts_of(
            fitted, target, tables, context=self.context, index=frame.index, seed=self.seed
        )
        found["loss"] = self.predict(X) - found.sum(axis=1).to_numpy()
        return found

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

    def _groups(self, frame: pd.DataFrame) -> Any:
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

    def _figured(self, frame: pd.DataFrame, figure: Callable[[Predictive], Values]) -> Values:
        fitted, target = self._model()
        found: Values | None = None
        for at, table in self._groups(frame):
            law = Predictive.of(believe(fitted, table, about=[target]), target)
            some = figure(law)
            if found is None:
                found = np.empty((len(frame), *some.shape[1:]))
            found[at] = some
        return np.empty(0) if found is None else found

    def _held_out(self, rows: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Which rows are held out, `[row]`."""
        held = np.zeros(rows, dtype=bool)
        if rows >= _HELD_OUT_FROM and self.calibration > 0:
            count = max(1, round(self.calibration * rows))
            held[np.random.default_rng(self.seed).permutation(rows)[:count]] = True
        return held

    def _calibrate(self, frame: pd.DataFrame, truth: Values) -> None:
        self._held_frame, self._held_truth = frame, truth
        self.margin_ = self._margin_at(self.level)

    def _margin(self, level: float) -> float:
        if getattr(self, "_held_frame", None) is None:
            return 0.0
        return float(self.margin_) if level == self.level else self._margin_at(level)

    @one_thread()
    def _margin_at(self, level: float) -> float:
        bounds = self._figured(self._held_frame, partial(_interval, level=_share(level, "level")))
        return margin(self._held_truth, bounds, level=level)


def _interval(law: Predictive, *, level: float) -> Values:
    return law.quantiles([(1 - level) / 2, (1 + level) / 2])


def _share(value: float, name: str, *, least: float | None = None) -> float:
    """A share, checked."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not ((least is not None and value == least) or 0 < value < 1):
        raise QueryError(name, found=repr(value), mend="Give a number between 0 and 1.")
    return float(value)


__all__ = ["CausalPredictor"]
