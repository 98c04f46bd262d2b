"""From what users have (a frame, a mapping, a parquet file, traces) to a checked table."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causalsys.data.cells import column
from causalsys.data.derived import derive
from causalsys.data.parquet import read_parquet
from causalsys.data.schema import Schema, columns_of, no_column
from causalsys.data.table import Layout, Table, place_of
from causalsys.data.traces import Traces, as_traces
from causalsys.errors import DataError, EvidenceError, MissingColumnError, UnknownNameError, brief
from causalsys.scm.declaration import Node
from causalsys.scm.structure import Structure

if TYPE_CHECKING:
    import pandas as pd

Missing = Literal["latent", "error"]
Purpose = Literal["fit", "evidence"]


def as_frame(data: object, *, what: str = "data") -> tuple[pd.DataFrame, Layout | None]:
    """The rows of `data` as a frame, and their traces if it has any.

    Raises:
        DataError: It is nothing that can be read as a table, or has no rows, or repeats a
            column or a row's label.
    """
    import pandas as pd

    layout = None
    if isinstance(data, Traces):
        frame, layout = data.frame, data.layout
    elif isinstance(data, pd.DataFrame):
        frame = data
    elif isinstance(data, str | Path):
        frame = read_parquet(Path(data), what=what)
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
    if not frame.columns.is_unique:
        repeated = frame.columns[frame.columns.duplicated()][0]
        raise DataError(
            str(repeated), found=f"two columns of this name in {what}", mend="Rename one."
        )
    if layout is None and not frame.index.is_unique:
        label = frame.index[frame.index.duplicated()][0]
        raise DataError(
            what,
            found=f"the row label {label} more than once",
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
            A latent is given, or the data contradict an equation.
        EvidenceError: The same of evidence.
        UnknownNameError: Evidence in a mapping has a name that the model has not.
    """
    what, refusal = ("evidence", EvidenceError) if purpose == "evidence" else ("data", DataError)
    if purpose == "evidence" and isinstance(data, Mapping):
        _known_names(schema, data)
    frame, layout = as_frame(as_traces(schema.declaration, data), what=what)
    if schema.declaration.temporal and layout is None:
        raise DataError(
            what,
            found=f"a plain table, but {schema.declaration.name} has states or lags",
            mend='Give the columns "trace" and "step", or name yours: cs.Traces(frame, trace=..., '
            "step=...).",
        )
    for node in schema.declaration.as_written.nodes.values():
        if node.kind == "latent" and any(name in frame.columns for name in columns_of(node)):
            raise refusal(
                node.name,
                found=f"a column in the {what} for a latent",
                mend="Declare it as cs.Observed(...), or drop the column.",
            )
        if isinstance(node.support, Structure) and node.name in frame.columns:
            raise refusal(
                node.name,
                found=f"a column in the {what} for a structure, which no column holds",
                mend="Drop the column: what it carries follows from the others.",
            )
    told = place_of(frame.index, layout)
    values, gaps = _columns(schema, frame, told, missing=missing, purpose=purpose)
    table = Table(
        schema,
        values,
        gaps,
        _weights(weight, frame, layout),
        layout or Layout.single(len(frame)),
        frame.index,
    )
    _check_traces(table)
    return derive(table, refusal=refusal)


def _columns(
    schema: Schema,
    frame: pd.DataFrame,
    told: Callable[[int], str],
    *,
    missing: Missing,
    purpose: Purpose,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The values of each variable that has a column, and where cells are missing."""
    refusal = EvidenceError if purpose == "evidence" else DataError
    values: dict[str, Tensor] = {}
    gaps: dict[str, Tensor] = {}
    supports = schema.supports
    plain = {name for name, kind in supports.items() if kind.size is None and not kind.discrete}
    # One block for all columns of numbers: the pages of a large block are large, and so few.
    block = np.empty((len(plain.intersection(frame.columns)), len(frame)))
    rooms = iter(block)
    strangers = _strangers(schema, frame)
    for node in schema.declaration.nodes.values():
        names = columns_of(node)
        absent = [name for name in names if name not in frame.columns]
        optional = purpose == "evidence" or node.kind in ("equation", "state")
        if node.kind == "latent":
            continue
        if optional and absent == names:
            _not_misspelt(node, frame, strangers)
            continue
        if absent:
            raise no_column(node.name, absent[0], frame.columns)
        support, room = supports[node.name], next(rooms) if node.name in plain else None
        value, gone = column(frame, names, node=node, support=support, room=room, told=told)
        if gone is None:
            values[node.name] = value
            continue
        if optional and bool(gone.all()):
            continue
        if node.kind == "arm":
            raise refusal(
                node.name,
                found=f"no arm is named in {told(int(gone.nonzero()[0]))}",
                mend="Say for every row which policy was live, or drop the trace.",
            )
        if missing == "error":
            raise DataError(
                node.name,
                found=f"a missing value in {told(int(gone.nonzero()[0]))}",
                mend='Drop the row, or leave missing="latent" to have it inferred.',
            )
        values[node.name], gaps[node.name] = value, gone
    return values, gaps


def _strangers(schema: Schema, frame: pd.DataFrame) -> list[str]:
    """Columns that belong to no variable."""
    known = {name for node in schema.declaration.nodes.values() for name in columns_of(node)}
    return [str(name) for name in frame.columns if str(name) not in known]


def _not_misspelt(node: Node, frame: pd.DataFrame, strangers: list[str]) -> None:
    """Refuse to take a variable as unlogged where a column looks like it."""
    if node.support.size and node.name in frame.columns:
        raise MissingColumnError(
            node.name,
            found="one column for a vector",
            mend=f"Give a column for each component: {', '.join(columns_of(node)[:3])}, ...",
        )
    if difflib.get_close_matches(node.name, strangers, n=1, cutoff=0.85):
        raise no_column(node.name, node.name, strangers)


def _check_traces(table: Table) -> None:
    """Refuse a variable of traces that changes within one."""
    first = table.layout.position == 0
    if bool(first.all()):
        return
    start = first.nonzero()[:, 0][table.layout.trace]
    for node in table.schema.declaration.nodes.values():
        if node.per != "trace" or node.name not in table.values:
            continue
        value = table.values[node.name][0]
        gone = table.missing.get(node.name, torch.zeros(table.rows, dtype=torch.bool))
        changed = (value != value[start]) & ~gone & ~gone[start]
        if bool(changed.any()):
            place = table.told(int(changed.nonzero()[0]))
            raise DataError(
                node.name,
                found=f"another value in {place} than where its trace begins",
                mend="Give one value for a whole trace, or declare it as cs.Decision(...).",
            )


def _known_names(schema: Schema, data: Mapping[str, object]) -> None:
    """Refuse a misspelt name, which would otherwise be inferred in silence."""
    nodes = schema.declaration.nodes.values()
    known = {name for node in nodes for name in (node.name, *columns_of(node))}
    for name in data:
        if name not in known:
            where = f"the model {schema.declaration.name}"
            raise UnknownNameError.among(name, schema.declaration.nodes, where=where)


def _weights(
    weight: str | NDArray[np.float64] | None, frame: pd.DataFrame, layout: Layout | None
) -> Tensor:
    if weight is None:
        return torch.ones(1, dtype=torch.float64).expand(len(frame))
    name, order = "weight", None if layout is None else layout.order
    if isinstance(weight, str):
        if weight not in frame.columns:
            raise no_column(weight, weight, frame.columns)
        name, order, weight = weight, None, frame[weight].to_numpy()
    try:
        given = np.asarray(weight, dtype=np.float64)
    except (TypeError, ValueError):
        given = np.full(0, np.nan)
    if given.shape != (len(frame),) or not np.isfinite(given).all() or (given < 0).any():
        raise DataError(
            name,
            found=f"weights of shape {given.shape}, or some that are negative or not finite",
            mend=f"Give one finite, non-negative number for each of the {len(frame)} rows.",
        )
    if given.sum() <= 0:
        raise DataError(name, found="weights that are all zero", mend="Let some rows count.")
    given = given if order is None else given[order.numpy()]
    return torch.from_numpy(given * (len(given) / given.sum()))


def _from_mapping(data: Mapping[str, object], what: str) -> pd.DataFrame:
    import pandas as pd

    single = all(pd.api.types.is_scalar(value) for value in data.values())
    labels = [value.index for value in data.values() if isinstance(value, pd.Series)]
    if any(not label.equals(labels[0]) for label in labels):
        raise DataError(
            what,
            found="columns whose rows have different labels",
            mend="Give one frame, or columns with the same index.",
        )
    try:
        return pd.DataFrame([dict(data)] if single else dict(data))
    except (TypeError, ValueError) as error:
        raise DataError(what, found=brief(error), mend="Give columns of one length.") from None
