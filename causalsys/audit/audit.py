"""`cs.audit`: a predictor in the causal model of what it predicts, and what can be asked of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from causalsys.audit.predictor import predictor_of
from causalsys.audit.subject import Subject
from causalsys.detect.loss import Loss, Values, loss_of
from causalsys.errors import QueryError
from causalsys.fit.fitted import Fitted
from causalsys.query.ask import sample
from causalsys.scm.supports import Categorical

if TYPE_CHECKING:
    import pandas as pd

_PROBE = 32
"""Rows drawn from the model on which a predictor is tried before anything is asked of it."""


@dataclass(frozen=True)
class Audit:
    """A predictor and its error as nodes of a fitted model.

    Attributes:
        subject: The predictor, its target and its loss beside the model.
        notes: What a reader of any answer must know, in sentences.
    """

    subject: Subject
    notes: tuple[str, ...] = ()


def audit(
    fitted: Fitted,
    predictor: object,
    *,
    target: str,
    inputs: Sequence[str] | None = None,
    error: str | Callable[[Values, Values], Values] | Loss = "absolute",
) -> Audit:
    """Take a predictor into the model of what it predicts.

    Args:
        fitted: The model of the system, fitted to rows from when the predictor was right.
        predictor: A function of a frame, an object with `predict` (a scikit-learn estimator), or
            a torch module.
        target: What it predicts: one logged number of the model.
        inputs: The columns it reads, in its order; needed where it does not remember their names.
            A function gets every logged variable that the target does not cause, by default.
        error: How wrong a prediction is: "absolute", "squared", "relative", or a function of
            truth and prediction, each `[row]`, that gives a loss `[row]`.

    Raises:
        PredictorError: It fails on rows of the model, or its answers are no numbers.
        QueryError: The target is no logged number, or the model has states or lags.
        UnknownNameError: The target or an input is not in the model.
    """
    name = _target_of(fitted, target)
    found = predictor_of(predictor, fitted, target=name, inputs=inputs)
    rows = _drawn(fitted, found.inputs)
    found = found.probed(rows) if rows is not None else found
    notes = (
        ()
        if found.deterministic
        else (
            f"{found.name} is not deterministic: the same rows got different predictions, so every "
            "figure holds for the predictions that were drawn.",
        )
    )
    return Audit(Subject(fitted, found, name, loss_of(error)), notes)


def _target_of(fitted: Fitted, target: str) -> str:
    if not isinstance(fitted, Fitted):
        raise QueryError(
            "fitted",
            found=f"{getattr(fitted, '__name__', type(fitted).__name__)}, which is not fitted",
            mend="Fit it first: fitted = Model.fit(rows).",
        )
    node = fitted.node(target)
    support = fitted.schema.supports[node.name]
    if node.kind == "latent" or support.size or isinstance(support, Categorical):
        kind = "a latent" if node.kind == "latent" else "a vector" if support.size else "a category"
        raise QueryError(
            node.name, found=f"{kind} as the target", mend="Name one logged number of the model."
        )
    if fitted.declaration.temporal:
        raise QueryError(
            node.name,
            found=f"a target of {fitted.declaration.name}, which has lags or states",
            mend="Declare a model of independent rows; earlier values may be columns of their own.",
        )
    return node.name


def _drawn(fitted: Fitted, inputs: Sequence[str]) -> pd.DataFrame | None:
    """Rows that the model draws, to try a predictor on; none where it cannot draw them."""
    import pandas as pd

    answer = sample(fitted, _PROBE, do=None, given=None, steps=1, samples=1, seed=0)
    columns = {}
    for name in inputs:
        support, value = fitted.schema.supports[name], answer.values[name][0]
        drawn = value[0].double().numpy() if value.dim() > 1 else value.double().numpy()
        if isinstance(support, Categorical):
            levels = np.asarray(support.levels, dtype=object)
            columns[name] = levels[drawn.astype(int)]
        else:
            columns[name] = drawn
    return pd.DataFrame(columns)


__all__ = ["Audit", "audit"]
