"""A variable's cells in a frame, as a tensor of values in its support."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causalsys.data.levels import coder
from causalsys.data.table import place_of
from causalsys.errors import DataError, OutsideSupportError
from causalsys.scm.declaration import Node
from causalsys.scm.supports import Categorical, Support

if TYPE_CHECKING:
    import pandas as pd


def column(
    frame: pd.DataFrame,
    names: list[str],
    *,
    node: Node,
    support: Support,
    room: NDArray[np.float64] | None = None,
    told: Callable[[int], str] | None = None,
) -> tuple[Tensor, Tensor | None]:
    """One variable's values `[1, row]`, and where they are missing, `[row]`, if anywhere.

    Args:
        frame: The data.
        names: Its column, or the columns of its components.
        node: The variable.
        support: Its support, with its levels known.
        room: Where to put the values of a continuous scalar, `[row]`.
        told: Says which row is meant, for messages.

    Raises:
        DataError: A cell is no number, or infinite.
        OutsideSupportError: A value is not in the support.
    """
    clean = None if room is None else _clean(frame[names[0]], support, room)
    if clean is not None:
        return clean.unsqueeze(0), None
    told = place_of(frame.index, None) if told is None else told
    cells = frame[names]
    gone = cells.isna().to_numpy()
    if isinstance(support, Categorical):
        raw = _codes(cells, gone, node, support, told)
    else:
        raw = np.stack([_numbers(cells[name], node, told) for name in cells], axis=1)
    infinite = np.isinf(raw) & ~gone
    if infinite.any():
        raise DataError(
            node.name,
            found=f"an infinite value in {told(_row(infinite))}",
            mend="Drop the row, or replace the value by a missing one.",
        )
    partly = np.reshape(gone.any(axis=1) & ~gone.all(axis=1), (-1, 1))
    if partly.any():
        raise DataError(
            node.name,
            found=f"a vector with only some components missing, in {told(_row(partly))}",
            mend="Give all components of a row's vector, or none.",
        )
    filled = np.where(gone, _placeholder(raw, gone), raw)
    outside = support.outside(filled) & ~gone
    if outside.any():
        raise OutsideSupportError(
            node.name,
            found=f"{filled[outside][0]:g} in {told(_row(outside))}, outside {support}",
            mend="Mend the value, or declare another support.",
        )
    tensor = torch.from_numpy(np.ascontiguousarray(filled))
    if isinstance(support, Categorical):
        tensor = tensor.long()
    if support.size is None:
        tensor = tensor[:, 0].contiguous()
    missing = torch.from_numpy(gone.any(axis=1)) if gone.any() else None
    return tensor.unsqueeze(0), missing


def _clean(cells: pd.Series, support: Support, room: NDArray[np.float64]) -> Tensor | None:
    """A column of numbers of which none is missing or outside; None where it must be looked into.

    Most are, and their ends tell: NaN would be among them.
    """
    if cells.dtype != np.float64:
        return None
    np.copyto(room, cells.to_numpy())
    ends = np.array([room.min(), room.max()])
    if not np.isfinite(ends).all() or support.outside(ends).any():
        return None
    return torch.from_numpy(room)


def _numbers(cells: pd.Series, node: Node, told: Callable[[int], str]) -> NDArray[np.float64]:
    """Numbers, NaN where they are missing. Text and dates are not read as numbers."""
    import pandas as pd

    kind = cells.dtype
    numeric = pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_complex_dtype(kind)
    if not numeric:
        gone = cells.isna()
        for row, value in zip(np.flatnonzero(~gone), cells[~gone], strict=True):
            if not isinstance(value, numbers.Real | Decimal | np.bool_):
                raise DataError(
                    node.name,
                    found=f"{_shown(value)} in {told(int(row))}, which is not a number",
                    mend=f"Convert the column to numbers; {node.name} is {node.support}.",
                )
        if bool(gone.all()):
            return np.full(len(cells), np.nan)
    return cells.to_numpy(dtype=np.float64, na_value=np.nan)


def _codes(
    cells: pd.DataFrame,
    gone: NDArray[np.bool_],
    node: Node,
    support: Categorical,
    told: Callable[[int], str],
) -> NDArray[np.float64]:
    import pandas as pd

    code = coder(support)
    found = np.full(cells.shape, np.nan)
    for position, name in enumerate(cells):
        known = ~gone[:, position]
        try:
            places, unique = pd.factorize(cells[name])
        except TypeError:  # an unhashable cell
            found[known, position] = [code(value) for value in cells[name][known]]
            continue
        table = np.array([code(value) for value in unique], dtype=np.float64)
        found[known, position] = table[places[known]]
    unknown = (found == -1) & ~gone
    if unknown.any():
        value = _shown(cells.to_numpy(dtype=object)[unknown][0])
        raise OutsideSupportError(
            node.name,
            found=f"the level {value} in {told(_row(unknown))}",
            mend=f"Known levels: {', '.join(map(str, (support.levels or ())[:12]))}.",
        )
    return found


def _placeholder(raw: NDArray[np.float64], gone: NDArray[np.bool_]) -> float:
    """A value inside the support to stand where one is missing: one that occurs."""
    known = raw[~gone]
    return float(known.flat[0]) if known.size else 0.0


def _row(where: NDArray[np.bool_]) -> int:
    return int(np.argmax(where.any(axis=1)))


def _shown(value: object) -> str:
    text = repr(value.item() if isinstance(value, np.generic) else value)
    return text if len(text) < 60 else f"{text[:57]}..."
