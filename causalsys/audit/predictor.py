"""Any predictor behind one face: a callable, a scikit-learn estimator, a torch module."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from causalsys.data.schema import columns_of
from causalsys.detect.loss import real_numbers
from causalsys.errors import PredictorError, UnknownNameError, brief
from causalsys.fit.fitted import Fitted

if TYPE_CHECKING:
    import pandas as pd

_PROBED = 32
"""Rows that are predicted twice, to see whether the answers repeat."""


@dataclass(frozen=True)
class Predictor:
    """A predictor whose answers are checked.

    Attributes:
        name: What it is called in tables and sentences.
        inputs: The columns that it reads, in its order.
        call: Maps a frame of these columns to anything that should be `[row]` numbers.
        deterministic: Whether the same rows got the same answers when it was probed.
    """

    name: str
    inputs: tuple[str, ...]
    call: Callable[[pd.DataFrame], Any]
    deterministic: bool = True

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of every answer that uses it must know."""
        if self.deterministic:
            return ()
        return (
            f"{self.name} is not deterministic: the same rows got different predictions, so every "
            "figure holds for the predictions that were drawn.",
        )

    def predict(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        """The predictions, `[row]`, in the target's unit.

        Raises:
            UnknownNameError: A column that it reads is not there.
            PredictorError: It raises, or answers with something else than a finite number a row.
        """
        for name in self.inputs:
            if name not in rows.columns:
                raise UnknownNameError.among(name, map(str, rows.columns), where="the rows")
        try:
            answer = self.call(rows.loc[:, list(self.inputs)])
        except Exception as error:
            raise PredictorError(
                self.name,
                found=f"it raises {type(error).__name__}: {brief(error)}",
                mend="Call it on these columns by hand and mend it, or pass other `inputs`.",
            ) from error
        return self._checked(answer, rows)

    def probed(self, rows: pd.DataFrame) -> Predictor:
        """Itself, with `deterministic` as found by predicting some rows twice."""
        few = rows.head(_PROBED)
        return replace(
            self, deterministic=bool(np.array_equal(self.predict(few), self.predict(few)))
        )

    def _checked(self, answer: object, given: pd.DataFrame) -> NDArray[np.float64]:
        rows, found = len(given), real_numbers(answer)
        if found is None:
            raise PredictorError(
                self.name,
                found=f"it answers with {type(answer).__name__}, which are no numbers",
                mend="Return one number per row.",
            )
        if found.shape == (rows, 1):
            found = found[:, 0]
        if found.shape != (rows,):
            raise PredictorError(
                self.name,
                found=f"it answers with shape {found.shape} for {rows} rows",
                mend="Return one number per row.",
            )
        bad = np.flatnonzero(~np.isfinite(found))
        if len(bad):
            gone = [name for name in self.inputs if given[name].isna().iloc[bad].any()]
            why = f", where {', '.join(gone)} is missing" if gone else ""
            raise PredictorError(
                self.name,
                found=f"{len(bad)} of {rows} predictions are no finite numbers, the first in row "
                f"{bad[0]}{why}",
                mend="Mend it, or leave these rows out.",
            )
        return found


def predictor_of(
    given: object, fitted: Fitted, *, target: str, inputs: Sequence[str] | None = None
) -> Predictor:
    """The face of a predictor.

    Args:
        given: A function of a frame; or an object with `predict`; or a torch module, which gets a
            tensor `[row, input]` of its parameters' type, without gradients and in its evaluation
            mode.
        fitted: The model whose columns it reads.
        target: What it predicts.
        inputs: The columns it reads, in its order. By default those it was fitted with, where it
            remembers them; else every logged variable that the target does not cause.

    Raises:
        PredictorError: It is nothing that predicts, or does not say what it reads.
        UnknownNameError: It reads a column that the model does not have.
    """
    if isinstance(given, Predictor):
        return given
    own = getattr(given, "feature_names_in_", None)
    if inputs is None and own is None and _needs_names(given):
        raise PredictorError(
            _name_of(given),
            found="no names of the columns that it reads",
            mend='Say them in its order: inputs=["a", "b"].',
        )
    chosen = inputs if inputs is not None else own
    if isinstance(chosen, str) or not isinstance(chosen, Iterable | None):
        raise PredictorError(
            _name_of(given),
            found=f"inputs={chosen!r}, no list of names",
            mend=f"Give a list of names: inputs=[{str(chosen)!r}].",
        )
    names = _defaults(fitted, target) if chosen is None else tuple(map(str, chosen))
    _check(names, fitted, target=target, who=_name_of(given))
    _check_count(given, names)
    return Predictor(_name_of(given), names, _call_of(given, named=own is not None))


def _call_of(given: Any, *, named: bool) -> Callable[[pd.DataFrame], Any]:
    if isinstance(given, nn.Module):
        return lambda rows: _forward(given, rows)
    if callable(getattr(given, "predict", None)):
        return given.predict if named else lambda rows: given.predict(rows.to_numpy())
    if callable(given):
        return given
    raise PredictorError(
        _name_of(given),
        found="neither a function nor an object with `predict`",
        mend="Give a function of a frame, a fitted estimator, or a torch module.",
    )


def _forward(module: nn.Module, rows: pd.DataFrame) -> NDArray[np.float64]:
    import torch

    weight = next(module.parameters(), torch.zeros(0))
    was, _ = module.training, module.eval()
    try:
        with torch.no_grad():
            found = module(torch.tensor(rows.to_numpy(dtype=np.float64)).to(weight))
    finally:
        module.train(was)
    return found.double().cpu().numpy()


def _needs_names(given: object) -> bool:
    """Whether it gets columns by position, so that their order must be said."""
    return isinstance(given, nn.Module) or callable(getattr(given, "predict", None))


def _defaults(fitted: Fitted, target: str) -> tuple[str, ...]:
    """Every logged scalar that the target does not cause, in the order of declaration."""
    nodes = fitted.declaration.nodes
    below = fitted.declaration.graph.descendants(target) | {target}
    return tuple(
        name
        for name, node in nodes.items()
        if node.kind not in ("latent", "equation")
        and name not in below
        and not fitted.schema.supports[name].size
    )


def _check(names: tuple[str, ...], fitted: Fitted, *, target: str, who: str) -> None:
    nodes = fitted.declaration.nodes
    parts = {part: n for n in nodes if nodes[n].support.size for part in (n, *columns_of(nodes[n]))}
    for name in names:
        if name in parts:
            raise PredictorError(
                who,
                found=f"it reads {name}, of the vector {parts[name]}",
                mend="Leave it out of `inputs`, or declare its parts as variables: a predictor "
                "reads single numbers and levels.",
            )
        if name not in nodes:
            raise UnknownNameError.among(
                name, nodes, where=f"the model {fitted.declaration.name}, but {who} reads it"
            )
        if name == target or nodes[name].kind == "latent":
            what = "the target itself" if name == target else f"the latent {name}"
            raise PredictorError(
                who,
                found=f"it reads {what}",
                mend="Leave it out of `inputs`: it is not logged when a prediction is made.",
            )
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise PredictorError(
            who, found=f"the input {twice[0]} twice", mend="Name every column that it reads once."
        )
    if not names:
        raise PredictorError(who, found="no inputs", mend='Say what it reads: inputs=["a"].')


def _check_count(given: object, names: tuple[str, ...]) -> None:
    count = getattr(given, "n_features_in_", None)
    if isinstance(count, int) and count != len(names):
        raise PredictorError(
            _name_of(given),
            found=f"{len(names)} inputs, and it was fitted to {count}",
            mend="Name exactly the columns it was fitted to, in that order.",
        )


def _name_of(given: object) -> str:
    return getattr(given, "__name__", type(given).__name__)


__all__ = ["Predictor", "predictor_of"]
