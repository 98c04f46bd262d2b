"""What `fit` of a causal predictor learns: the target's mechanism, or all of a model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from causalsys.data.schema import columns_of
from causalsys.detect.loss import Values
from causalsys.errors import QueryError
from causalsys.fit.fit import fit, refit
from causalsys.fit.fitted import Fitted
from causalsys.fit.options import FitOptions
from causalsys.replace.declared import default_model, free
from causalsys.replace.rows import inputs_of, target_of
from causalsys.scm.declaration import Declaration
from causalsys.scm.frozen import FrozenDict

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Learned:
    """A fitted model with its target and the columns that it may read."""

    fitted: Fitted
    target: str
    inputs: tuple[str, ...]


def learn(predictor: Any, frame: pd.DataFrame, truth: Values, *, named: object) -> Learned:
    """Fit what a predictor's arguments ask for.

    Args:
        predictor: The estimator, for its arguments.
        frame: The inputs.
        truth: The target, `[row]`.
        named: The name of `y`, where it has one.
    """
    if isinstance(predictor.model, Fitted):
        return _refitted(predictor, frame, truth)
    options = FitOptions(predictor.seed, predictor.ensemble)
    if predictor.model is None:
        fitted, target = _default(predictor, frame, truth, named=named, options=options)
    else:
        declaration = _declaration(predictor.model)
        target = _named_target(predictor, declaration, named)
        data = frame.assign(**{target: truth})
        # A class with verbs of its own gives a fitted model that has them too.
        verb = getattr(predictor.model, "fit", None)
        fitted = (
            fit(declaration, data, options=options)
            if verb is None
            else verb(data, seed=predictor.seed, ensemble=predictor.ensemble)
        )
        target_of(fitted, target)
    return Learned(fitted, target, inputs_of(fitted, target, predictor.inputs))


def _refitted(predictor: Any, frame: pd.DataFrame, truth: Values) -> Learned:
    """The target's mechanism anew, every other one as it was."""
    model: Fitted = predictor.model
    target = target_of(model, predictor.target)
    data = frame.assign(**{target: truth})
    # What is not known when the target is predicted has no part in its mechanism either.
    absent = [
        column
        for node in model.schema.needed
        for column in columns_of(node)
        if column not in data.columns
    ]
    data = data.assign(**dict.fromkeys(absent, np.nan))
    verb = getattr(model, "refit", None)
    again = (
        refit(model, data, only=[target], options=FitOptions(predictor.seed, model.members))
        if verb is None
        else verb(data, only=[target], seed=predictor.seed)
    )
    return Learned(again, target, inputs_of(again, target, predictor.inputs))


def _default(
    predictor: Any, frame: pd.DataFrame, truth: Values, *, named: object, options: FitOptions
) -> tuple[Fitted, str]:
    wanted = predictor.target or (named if isinstance(named, str) else "target")
    target = free(wanted, list(map(str, frame.columns)))
    classes = predictor.classes
    if isinstance(classes, bool) or not isinstance(classes, int) or classes < 1:
        raise QueryError("classes", found=repr(classes), mend="Give a whole number from 1 on.")
    declaration = default_model(list(map(str, frame.columns)), target, classes=classes)
    if predictor.mechanism is not None:
        node = replace(declaration.nodes[target], mechanism=predictor.mechanism)
        nodes = FrozenDict({**declaration.nodes, target: node})
        declaration = replace(declaration, nodes=nodes)
    return fit(declaration, frame.assign(**{target: truth}), options=options), target


def _declaration(model: Any) -> Declaration:
    declaration = getattr(model, "declaration", None)
    if not isinstance(declaration, Declaration):
        raise QueryError(
            "model",
            found=f"a {type(model).__name__}",
            mend="Give a fitted model, a model's class, or None for a default one.",
        )
    return declaration


def _named_target(predictor: Any, declaration: Declaration, named: object) -> str:
    if predictor.target is not None:
        return declaration.node(predictor.target).name
    if isinstance(named, str) and named in declaration.nodes:
        return named
    ends = [n for n in declaration.graph.observed if not declaration.graph.children(n)]
    if len(ends) == 1:
        return ends[0]
    raise QueryError(
        "target",
        found=f"none given, and {len(ends)} variables of {declaration.name} have no effects",
        mend='Say which one is predicted: target="latency".',
    )


__all__ = ["Learned", "learn"]
