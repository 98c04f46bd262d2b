"""`CausalPredictor`: a causal model in the place of a predictor, as a scikit-learn estimator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils.validation import validate_data

from causalsys.detect.conformal_given import check_enough
from causalsys.detect.loss import Loss, Values, loss_of
from causalsys.errors import QueryError
from causalsys.query.asked import count, listed, share
from causalsys.replace.adapt import remixed
from causalsys.replace.belief import believe
from causalsys.replace.calibration import moved
from causalsys.replace.columns import as_columns, truth_of
from causalsys.replace.holding import Holding, holding
from causalsys.replace.latents import latents_of
from causalsys.replace.learn import learn
from causalsys.replace.parts import parts_of
from causalsys.replace.predictor_core import PredictorCore, interval_of

if TYPE_CHECKING:
    import pandas as pd

    from causalsys.scm.specs import MechanismSpec


class CausalPredictor(PredictorCore):
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
        context: The direct causes that count as context in `parts`; by default all latents.
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
        share(self.level, "level")
        share(self.calibration, "calibration", zero=True)
        count(self.seed, "seed", least=0)
        count(self.ensemble, "ensemble")
        count(self.classes, "classes")
        if self.model is None:
            X, y = validate_data(self, X, y, y_numeric=True, ensure_min_samples=2)
        frame = as_columns(self, X)
        truth = truth_of(y, len(frame), beside=X)
        held = self._held_out(len(frame))
        learned = learn(self, frame.iloc[~held], truth[~held], named=getattr(y, "name", None))
        self.fitted_, self.target_, self.margin_ = learned.fitted, learned.target, 0.0
        self.__dict__.pop("_held", None)
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

        Raises:
            EvidenceError: They cannot be used, or are too few for the level.
        """
        fitted, target = self._model()
        frame = self._frame(X)
        check_enough(len(frame), level=share(self.level, "level"), group=None)
        self.fitted_, self.target_ = fitted, target
        self._calibrate(frame, truth_of(y, len(frame), beside=X))
        return self

    def adapt(self, X: Any) -> Self:
        """Take the hidden classes' mix from rows whose target is not known yet.

        For a shift of the mix alone, what each class does staying as it was: no labels are needed.
        See `causalsys.replace.adapt`. Intervals keep their calibration.

        Args:
            X: The inputs, as in `predict`, all of the time since the mix changed.

        Returns:
            Itself.

        Raises:
            QueryError: The model has no hidden class without causes, or the inputs do not tell it.
        """
        fitted, target = self._model()
        tables = [table for _, table in self._groups(self._frame(X))]
        self.fitted_, self.target_ = remixed(fitted, tables), target
        return self

    def holds(self, X: Any, y: Any, *, false_alarms: float = 0.01) -> Holding:
        """Whether the intervals still cover what they should: an exact test, without assumptions.

        Args:
            X: The inputs, as in `predict`.
            y: The truths that have come in since, `[row]`.
            false_alarms: The chance of an alarm while nothing has changed.
        """
        rate = share(false_alarms, "false_alarms")
        bounds = self.predict_interval(X)
        return holding(
            truth_of(y, len(bounds), beside=X),
            bounds,
            level=self.level,
            held_out=len(self._held[1]) if hasattr(self, "_held") else 0,
            false_alarms=rate,
        )

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
        wanted = [share(level, "levels") for level in listed(levels, "levels")]
        if not wanted:
            raise QueryError("levels", found="none", mend="Give some: levels=[0.1, 0.9].")
        return self._by_row(X, lambda law: law.quantiles(wanted))

    def predict_interval(self, X: Any, level: float | None = None) -> Values:
        """The ends of an interval that covers the truth of `level` of the rows, `[row, 2]`.

        Conformal where `fit` or `calibrate` held rows out (for `level` as in the constructor), else
        the posterior predictive law's own; another level is calibrated on the same held-out rows.
        """
        wanted = self.level if level is None else level
        bounds = self._by_row(X, partial(interval_of, level=share(wanted, "level")))
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
            QueryError: One is the target, or an effect of it, or no direct cause of it.
        """
        fitted, target = self._model()
        frame = self._frame(X)
        tables = list(self._groups(frame))
        found = parts_of(
            fitted, target, tables, context=self.context, index=frame.index, seed=self.seed
        )
        found["loss"] = self.predict(X) - found.sum(axis=1).to_numpy()
        return found


__all__ = ["CausalPredictor"]
