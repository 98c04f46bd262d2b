"""`cs.audit`: a predictor in the causal model of what it predicts, checked and tried."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from causalsys.audit.predictor import predictor_of
from causalsys.audit.subject import Subject
from causalsys.audit.verbs import Audit
from causalsys.data.levels import written
from causalsys.detect.loss import Loss, Values, loss_of
from causalsys.errors import CausalSysError
from causalsys.fit.fitted import Fitted
from causalsys.query.ask import sample
from causalsys.rootcause.attribution_asked import target_of
from causalsys.scm.supports import Categorical

if TYPE_CHECKING:
    import pandas as pd

_PROBE = 32
"""Rows drawn from the model on which a predictor is tried before anything is asked of it."""


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

    Example:
        >>> import causalsys as cs
        >>> from causalsys.audit.audit import audit
        >>> class Server(cs.SCM):
        ...     load = cs.Observed(cs.Real(), mechanism=cs.Linear())
        ...     delay = cs.Observed(cs.Real(), parents=[load], mechanism=cs.Linear())
        >>> fitted = Server.fit({"load": [1.0, 2, 3, 4], "delay": [2.1, 3.9, 6.2, 7.8]})
        >>> audited = audit(fitted, lambda rows: 2 * rows["load"], target="delay")
        >>> audited.subject.predictor.inputs
        ('load',)
    """
    name = target_of(fitted, target)
    found = predictor_of(predictor, fitted, target=name, inputs=inputs)
    rows = _drawn(fitted, found.inputs)
    found = found.probed(rows) if rows is not None else found
    return Audit(Subject(fitted, found, name, loss_of(error)), found.notes)


def _drawn(fitted: Fitted, inputs: Sequence[str]) -> pd.DataFrame | None:
    """Rows that the model draws, to try a predictor on; None where it cannot draw them."""
    import pandas as pd

    try:
        answer = sample(fitted, _PROBE, do=None, given=None, steps=1, samples=1, seed=0)
    except CausalSysError:
        # Such as a choice whose rule nobody knows. What fails then does so at the user's own rows.
        return None
    columns = {}
    for name in inputs:
        support, value = fitted.schema.supports[name], answer.values[name][0]
        drawn = value[0].double().numpy() if value.dim() > 1 else value.double().numpy()
        columns[name] = written(drawn, support) if isinstance(support, Categorical) else drawn
    return pd.DataFrame(columns)


__all__ = ["Audit", "audit"]
