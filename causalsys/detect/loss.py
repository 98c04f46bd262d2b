"""How wrong a prediction is: the losses that every room of mispredictions shares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causalsys.errors import QueryError, brief

Values = NDArray[np.float64]
Function = Callable[[Values, Values], Values]


@dataclass(frozen=True)
class Loss:
    """A loss by row.

    Attributes:
        name: What it is called in tables and sentences.
        function: Maps truth and prediction, arrays of one shape, to the loss of each row.

    Example:
        >>> import numpy as np
        >>> loss_of("relative")(np.array([10.0, 20.0]), np.array([12.0, 20.0]))
        array([0.2, 0. ])
    """

    name: str
    function: Function

    def __call__(self, truth: Values, prediction: Values) -> Values:
        """The loss of each row, of the arrays' common shape.

        Raises:
            QueryError: It raises, or is not a finite number everywhere.
        """
        try:
            told = self.function(truth, prediction)
        except Exception as error:
            raise QueryError(
                "error",
                found=f"{self.name} raises {type(error).__name__}: {brief(error)}",
                mend="Give a function of two arrays, truth and prediction.",
            ) from error
        found = real_numbers(told)
        if found is None:
            raise QueryError(
                "error",
                found=f"{self.name} gives a {type(told).__name__} that holds no numbers",
                mend="Return one loss per row.",
            )
        if found.shape != np.broadcast_shapes(truth.shape, prediction.shape):
            raise QueryError(
                "error",
                found=f"{self.name} gives shape {found.shape} for rows of {truth.shape}",
                mend="Return one loss per row.",
            )
        bad = np.flatnonzero(~np.isfinite(found))
        if len(bad):
            raise QueryError(
                "error",
                found=f"{self.name} is {found.ravel()[bad[0]]} in row {bad[0]}",
                mend="Use a loss that is finite on these rows; a relative one needs a truth that "
                "is not 0.",
            )
        return found


def _relative(truth: Values, prediction: Values) -> Values:
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Values = np.abs(prediction - truth) / np.abs(truth)
        return found


_KNOWN: dict[str, Function] = {
    "absolute": lambda truth, prediction: np.abs(prediction - truth),
    "squared": lambda truth, prediction: (prediction - truth) ** 2,
    "relative": _relative,
}


def loss_of(error: str | Function | Loss) -> Loss:
    """The loss that is meant.

    Args:
        error: "absolute", "squared", "relative" (to the truth), or a function of truth and
            prediction, each `[row]`, that gives a loss `[row]`.

    Raises:
        QueryError: It is neither.
    """
    if isinstance(error, Loss):
        return error
    if isinstance(error, str) and error in _KNOWN:
        return Loss(error, _KNOWN[error])
    if callable(error):
        return Loss(getattr(error, "__name__", "error"), error)
    raise QueryError(
        "error",
        found=repr(error),
        mend='Write "absolute", "squared" or "relative", or give a function of truth and '
        "prediction.",
    )


def real_numbers(given: object) -> Values | None:
    """An array of real numbers; None of anything else, of text that reads like a number too.

    Example:
        >>> real_numbers([1, True]), real_numbers(["1"]), real_numbers([1j])
        (array([1., 1.]), None, None)
    """
    try:
        found = np.asarray(given)
        if found.dtype.kind == "O":
            if any(isinstance(each, str | bytes | complex) for each in found.ravel()):
                return None
        elif found.dtype.kind not in "biuf":
            return None
        return found.astype(np.float64)
    except (TypeError, ValueError):
        return None


__all__ = ["Function", "Loss", "Values", "loss_of", "real_numbers"]
