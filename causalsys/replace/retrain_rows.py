"""`cs.choose_rows`: on which rows a mechanism is refitted, or which are labelled for that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from causalsys.detect.loss import Values, real_numbers
from causalsys.errors import EvidenceError, QueryError

if TYPE_CHECKING:
    import pandas as pd

_RIDGE = 1e-6


@dataclass(frozen=True)
class ChosenRows:
    """The rows chosen.

    Attributes:
        rows: Their numbers, in the order of choice.
        influence: Of every row on the mean loss of the rows that misbehave, `[row]`: negative where
            fitting to it more lowers that loss, positive where it raises it.
        leverage: Of every row, `[row]`.
        group: Of every row, `[row]`.
    """

    rows: NDArray[np.intp]
    influence: Values
    leverage: Values
    group: NDArray[np.intp]

    def to_frame(self) -> pd.DataFrame:
        """A row per row chosen: its number, influence, leverage and group."""
        import pandas as pd

        at = self.rows
        return pd.DataFrame(
            {
                "row": at,
                "influence": self.influence[at],
                "leverage": self.leverage[at],
                "group": self.group[at],
            }
        )


def choose_rows(
    inputs: Values,
    residual: Values,
    *,
    count: int,
    misbehaves: NDArray[np.bool_] | None = None,
    group: NDArray[np.intp] | None = None,
) -> ChosenRows:
    """Rows that misbehave and rows of much influence on them, of both signs, balanced over groups.

    The influence of a row on the loss of others is that of Koh and Liang (ICML 2017, equation 2):
    minus the gradient of that loss times the inverse Hessian times the row's own gradient. For
    least squares all three have closed forms (Cook, Technometrics 19, 1977). Rows of one sign
    alone would tilt the fit to what misbehaves, or away from it.

    Args:
        inputs: What the target's mechanism reads, `[row, input]`, on the scale on which it is
            linear; a constant is added.
        residual: Truth less prediction, on that scale, `[row]`.
        count: How many rows.
        misbehaves: Which rows; by default those with a residual beyond the 90th percentile.
        group: Of each row, from 0, `[row]`; by default one group.

    Raises:
        EvidenceError: Shapes do not fit, or a value is no finite number.
        QueryError: `count` is below 1 or above the number of rows.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> load, residual = rng.normal(size=(500, 1)), rng.normal(size=500)
        >>> residual[:20] += 8.0
        >>> chosen = choose_rows(load, residual, count=40, misbehaves=np.arange(500) < 20)
        >>> len(chosen.rows), int((chosen.rows < 20).sum())
        (40, 20)
    """
    design, left = _checked(inputs, residual)
    rows = len(left)
    whole = isinstance(count, int | np.integer) and not isinstance(count, bool)
    if not whole or not 1 <= count <= rows:
        raise QueryError("count", found=repr(count), mend=f"Give a number from 1 to {rows}.")
    size = np.abs(left)
    bad = size >= np.quantile(size, 0.9) if misbehaves is None else np.asarray(misbehaves, bool)
    kind = np.zeros(rows, np.intp) if group is None else np.asarray(group, np.intp)
    if bad.shape != (rows,) or kind.shape != (rows,) or not bad.any():
        raise EvidenceError(
            "rows",
            found=f"{bad.sum()} rows that misbehave, of {bad.shape}; groups {kind.shape}",
            mend=f"Give one value to each of the {rows} rows; at least one must misbehave.",
        )
    hessian = design.T @ design / rows
    hessian += _RIDGE * np.trace(hessian) / len(hessian) * np.eye(len(hessian))
    own = -left[:, None] * design
    influence = -(np.linalg.solve(hessian, own[bad].mean(0)) @ own.T)
    leverage = np.einsum("ri,ri->r", design, np.linalg.solve(hessian, design.T).T) / rows
    return ChosenRows(_balanced(influence, size, bad, kind, count), influence, leverage, kind)


def _checked(inputs: Values, residual: Values) -> tuple[Values, Values]:
    read, left = real_numbers(inputs), real_numbers(residual)
    if read is None or left is None:
        raise EvidenceError(
            "residual" if left is None else "inputs",
            found="values that are no numbers",
            mend="Give numbers.",
        )
    if read.ndim != 2 or left.shape != (len(read),) or not len(left):
        raise EvidenceError(
            "residual",
            found=f"shape {left.shape} for inputs {read.shape}",
            mend="Give inputs [row, input] and one residual to a row.",
        )
    if not (np.isfinite(read).all() and np.isfinite(left).all()):
        raise EvidenceError(
            "inputs", found="values that are no finite numbers", mend="Leave such rows out."
        )
    spread = read.std(0)
    scaled = (read - read.mean(0)) / np.where(spread > 0, spread, 1.0)
    return np.column_stack([np.ones(len(scaled)), scaled]), left


def _balanced(
    influence: Values, size: Values, bad: NDArray[np.bool_], group: NDArray[np.intp], count: int
) -> NDArray[np.intp]:
    """Turn about over groups, and in each over the worst, and the most influential by sign."""
    queues = []
    for each in np.unique(group):
        mine = np.flatnonzero(group == each)
        queues += [
            _first(mine[bad[mine]], -size),
            _first(mine[influence[mine] < 0], influence),
            _first(mine[influence[mine] > 0], -influence),
            _first(mine[influence[mine] == 0], influence),
        ]
    # A row's turn is its place in a queue; at equal places, queues go in order.
    place = np.concatenate([np.arange(len(queue)) for queue in queues])
    number = np.concatenate([np.full(len(q), at) for at, q in enumerate(queues)])
    row = np.concatenate(queues)[np.lexsort((number, place))]
    _, first = np.unique(row, return_index=True)
    found: NDArray[np.intp] = row[np.sort(first)][:count]
    return found


def _first(rows: NDArray[np.intp], by: Values) -> NDArray[np.intp]:
    return rows[np.argsort(by[rows], kind="stable")]


__all__ = ["ChosenRows", "choose_rows"]
