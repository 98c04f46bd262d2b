"""From what users have (a frame, a mapping, a parquet file, traces) to a checked table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from causalsys.data.derived import derive
from causalsys.data.schema import Schema, columns_of
from causalsys.data.table import Layout, Table
from causalsys.data.traces import Traces
from causalsys.errors import DataError, EvidenceError, MissingColumnError, OutsideSupportError
from causalsys.scm.declaration import Node
from causalsys.scm.supports import Boolean, Categorical, Support

Data = pd.DataFrame | Traces | Mapping[str, object] | str | Path
Missing = Literal["latent", "error"]
Purpose = Literal["fit", "evidence"]


def as_frame(data: object, *, what: str = "data") -> tuple[pd.DataFrame, Layout | None]:
    """The rows of `data` as a frame, and their traces if it has any.

    Raises:
        DataError: It is nothing that can be read as a table, or has no rows, or repeats a
            column or a row's label.
    """
    layout = None
    if isinstance(data, Traces):
        frame, layout = data.frame, data.layout
    elif isinstance(data, pd.DataFrame):
        frame = data
    elif isinstance(data, str | Path):
        frame = _read_parquet(Path(data), what)
    elif isinstance(data, Mapping):
        frame = _from_mapping(data, what)
    else:
        raise DataError(
            what,
            found=f"a {type(data).__name__}",
            mend="Give a pandas DataFrame, a mapping of columns, cs.Traces or a parquet path.",
        )
    if len(frame) == 0:
        raise DataError(what, found="no rows", mend="Give at least one row.")
    repeated = frame.columns[frame.columns.duplicated()]
    if len(repeated):
        raise DataError(
            str(repeated[0]), found=f"two columns of this name in {what}", mend="Rename one."
        )
    if layout is None and not frame.index.is_unique:
        label = frame.index[frame.index.duplicated()][0]
        raise DataError(
            what,
            found=f"the row label {label!r} more than once",
            mend="Call reset_index(drop=True), or give cs.Traces for repeated steps.",
        )
    return frame, layout


def read(
    schema: Schema,
    data: object,
    *,
    weight: str | NDArray[np.float64] | None = None,
    missing: Missing = "latent",
    purpose: Purpose = "fit",
) -> Table:
    """Check `data` against the schema, and derive what the declared equations and states say.

    Args:
        schema: What the columns are.
        data: A frame, a mapping of columns (or of one row), traces, or a parquet path.
        weight: A column, or one non-negative number per row.
        missing: "latent" marks missing cells, to be inferred; "error" refuses them.
        purpose: As "fit", every logged variable needs its column; as "evidence", one that is
            absent is missing in every row.

    Raises:
        DataError: See the subclasses for a missing column and for a value outside its support.
        EvidenceError: A latent is given, or the evidence contradicts an equation.
    """
    what = "evidence" if purpose == "evidence" else "data"
    frame, layout = as_frame(data, what=what)
    if schema.declaration.temporal and layout is None:
        raise DataError(
            what,
            found=f"a plain table, but {schema.declaration.name} has states or lags",
            mend='Say which rows follow each other: cs.Traces(frame, trace="trace", step="step").',
        )
    for node in schema.declaration.nodes.values():
        if node.kind == "latent" and any(column in frame.columns for column in columns_of(node)):
            raise EvidenceError(
                node.name,
                found=f"a column in the {what} for a latent",
                mend="Declare it as cs.Observed(...), or drop the column.",
            )
    values: dict[str, Tensor] = {}
    gaps: dict[str, Tensor] = {}
    for node in schema.declaration.nodes.values():
        if node.kind == "latent":
            continue
        names = columns_of(node)
        absent = [name for name in names if name not in frame.columns]
        optional = node.kind in ("equation", "state") and len(absent) == len(names)
        if absent and (optional or (purpose == "evidence" and len(absent) == len(names))):
            continue
        if absent:
            raise _no_column(node, absent[0], frame)
        value, gone = _column(frame[names], node, schema.supports[node.name])
        values[node.name] = value
        if bool(gone.any()):
            if missing == "error":
                row = frame.index[int(gone.nonzero()[0])]
                raise DataError(
                    node.name,
                    found=f"a missing value in row {row!r}",
                    mend='Drop the row, or leave missing="latent" to have it inferred.',
                )
            gaps[node.name] = gone
    table = Table(
        schema,
        values,
        gaps,
        _weights(weight, frame),
        layout or Layout.single(len(frame)),
        frame.index,
    )
    return derive(table)


def _column(cells: pd.DataFrame, node: Node, support: Support) -> tuple[Tensor, Tensor]:
    """One variable's values `[1, row]` and where they are missing, `[row]`."""
    gone = cells.isna().to_numpy()
    if isinstance(support, Categorical):
        raw = _codes(cells, gone, node, support)
    else:
        raw = _numbers(cells, node)
    infinite = np.isinf(raw) & ~gone
    if infinite.any():
        raise DataError(
            node.name,
            found=f"an infinite value in row {_row(cells, infinite)}",
            mend="Drop the row, or replace the value by a missing one.",
        )
    filled = np.where(gone, _placeholder(raw, gone), raw)
    outside = support.outside(filled) & ~gone
    if outside.any():
        shown = cells.to_numpy()[outside][0]
        raise OutsideSupportError(
            node.name,
            found=f"{shown!r} in row {_row(cells, outside)}, outside {support}",
            mend="Mend the value, or declare another support.",
        )
    tensor = torch.from_numpy(np.ascontiguousarray(filled))
    if isinstance(support, Categorical):
        tensor = tensor.long()
    if support.size is None:
        return tensor[:, 0].contiguous().unsqueeze(0), torch.from_numpy(gone[:, 0].copy())
    return tensor.unsqueeze(0), torch.from_numpy(gone.any(axis=1))


def _numbers(cells: pd.DataFrame, node: Node) -> NDArray[np.float64]:
    try:
        return cells.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        for column in cells:
            for row, value in cells[column].items():
                if not isinstance(value, int | float | np.number) and not pd.isna(value):
                    raise DataError(
                        node.name,
                        found=f"{value!r} in row {row!r}, which is not a number",
                        mend=f"Convert the column to numbers; {node.name} is {node.support}.",
                    ) from None
        raise DataError(
            node.name, found="a column that is not numeric", mend="Convert it to numbers."
        ) from None


def _codes(
    cells: pd.DataFrame, gone: NDArray[np.bool_], node: Node, support: Categorical
) -> NDArray[np.float64]:
    levels = support.levels or ()
    index: dict[object, int] = {level: code for code, level in enumerate(levels)}
    if isinstance(support, Boolean):
        index |= {"False": 0, "True": 1, "false": 0, "true": 1}
    index |= {str(level): code for code, level in enumerate(levels)}
    found = np.full(cells.shape, np.nan)
    for position, column in enumerate(cells):
        codes, unique = pd.factorize(cells[column])
        table = np.array([index.get(_plain(value), -1) for value in unique], dtype=np.float64)
        known = codes >= 0
        found[known, position] = table[codes[known]]
    unknown = (found == -1) & ~gone
    if unknown.any():
        value = cells.to_numpy()[unknown][0]
        raise OutsideSupportError(
            node.name,
            found=f"the level {value!r} in row {_row(cells, unknown)}",
            mend=f"Known levels: {', '.join(map(str, levels[:12]))}.",
        )
    return found


def _plain(value: object) -> object:
    """A level as Python's own type, whole floats as integers."""
    plain = value.item() if isinstance(value, np.generic) else value
    return int(plain) if isinstance(plain, float) and plain.is_integer() else plain


def _placeholder(raw: NDArray[np.float64], gone: NDArray[np.bool_]) -> float:
    """A value inside the support to stand where one is missing: one that occurs."""
    known = raw[~gone]
    return float(known.flat[0]) if known.size else 0.0


def _row(cells: pd.DataFrame, where: NDArray[np.bool_]) -> str:
    return repr(cells.index[int(np.argmax(where.any(axis=1)))])


def _no_column(node: Node, column: str, frame: pd.DataFrame) -> MissingColumnError:
    import difflib

    names = [str(name) for name in frame.columns]
    close = difflib.get_close_matches(column, names, n=1)
    hint = (
        f"Did you mean {close[0]!r}? Rename it." if close else f"Columns: {', '.join(names[:12])}."
    )
    return MissingColumnError(node.name, found=f"no column {column!r} in the data", mend=hint)


def _weights(weight: str | NDArray[np.float64] | None, frame: pd.DataFrame) -> Tensor:
    if weight is None:
        return torch.ones(len(frame), dtype=torch.float64)
    if isinstance(weight, str):
        if weight not in frame.columns:
            raise MissingColumnError(
                weight, found="no such column of weights", mend="Name a column of the data."
            )
        weight = frame[weight].to_numpy()
    try:
        given = np.asarray(weight, dtype=np.float64)
    except (TypeError, ValueError):
        given = np.full(0, np.nan)
    if given.shape != (len(frame),) or not np.isfinite(given).all() or (given < 0).any():
        raise DataError(
            "weight",
            found=f"weights of shape {given.shape}, or some that are negative or not finite",
            mend=f"Give one finite, non-negative number for each of the {len(frame)} rows.",
        )
    if given.sum() <= 0:
        raise DataError("weight", found="weights that are all zero", mend="Let some rows count.")
    return torch.from_numpy(given * (len(given) / given.sum()))


def _from_mapping(data: Mapping[str, object], what: str) -> pd.DataFrame:
    single = all(np.ndim(np.asarray(value, dtype=object)) == 0 for value in data.values())
    try:
        return pd.DataFrame([dict(data)] if single else dict(data))
    except (TypeError, ValueError) as error:
        raise DataError(what, found=str(error), mend="Give columns of one length.") from None


def _read_parquet(path: Path, what: str) -> pd.DataFrame:
    import pyarrow as pa

    if not path.exists():
        raise DataError(what, found=f"no file {path.name}", mend="Check the path.")
    try:
        return pd.read_parquet(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(
            what, found=f"{path.name} cannot be read as parquet ({error})", mend="Write it anew."
        ) from None
