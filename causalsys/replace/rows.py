"""Rows to predict, in groups that know the same columns."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from causalsys.data.read import read
from causalsys.data.schema import columns_of, no_column
from causalsys.data.table import Table
from causalsys.errors import QueryError, UnknownNameError
from causalsys.fit.fitted import Fitted
from causalsys.query.asked import listed
from causalsys.scm.supports import Categorical

if TYPE_CHECKING:
    import pandas as pd

_CHUNK = 2000
"""Rows that are worked on at once: what their mixtures take in memory."""


def target_of(fitted: Fitted, target: str | None) -> str:
    """The target, checked: by default the only logged number that has no effects.

    Raises:
        QueryError: It is no logged number, it is not said, or the model has lags or states.
        UnknownNameError: The model does not have it.
    """
    declaration = fitted.declaration
    if declaration.temporal:
        raise QueryError(
            "model",
            found=f"{declaration.name}, which has lags or states",
            mend="Declare a model of independent rows; earlier values may be columns of their own.",
        )
    if target is None:
        graph = declaration.graph
        ends = [name for name in graph.observed if not graph.children(name)]
        if len(ends) != 1:
            raise QueryError(
                "target",
                found=f"none given, and {len(ends)} variables have no effects",
                mend='Say which one is predicted: target="latency".',
            )
        target = ends[0]
    node = fitted.node(target)
    support = fitted.schema.supports[node.name]
    if (
        node.kind == "latent"
        or support.size
        or isinstance(support, Categorical)
        or not node.learned
    ):
        raise QueryError(
            node.name,
            found=f"{node.kind} of {support} as the target",
            mend="Name one logged number of the model that is learned.",
        )
    return node.name


def inputs_of(fitted: Fitted, target: str, inputs: Sequence[str] | None) -> tuple[str, ...]:
    """The columns that a prediction may read, checked.

    By default these are all that are logged and that the target does not cause.

    Raises:
        UnknownNameError: The model has no such column.
        QueryError: One is the target, or caused by it.
    """
    below = fitted.declaration.graph.descendants(target) | {target}
    columns = {
        column: node.name
        for node in fitted.declaration.nodes.values()
        if node.kind not in ("latent", "state")
        for column in columns_of(node)
    }
    allowed = tuple(column for column, name in columns.items() if name not in below)
    if inputs is None:
        nodes = fitted.declaration.nodes
        return tuple(name for name in allowed if nodes[columns[name]].kind != "equation")
    inputs = tuple(str(name) for name in listed(inputs, "inputs"))
    if not inputs:
        raise QueryError("inputs", found="none", mend='Give some: inputs=["load"].')
    for name in inputs:
        if name not in columns:
            raise UnknownNameError.among(
                name, columns, where=f"the columns of {fitted.declaration.name}"
            )
        if name not in allowed:
            raise QueryError(
                name,
                found="the target, or an effect of it, as an input",
                mend="Leave it out: it is not known yet when the target is predicted.",
            )
    return tuple(inputs)


def groups(
    fitted: Fitted, frame: pd.DataFrame, *, inputs: Sequence[str], labels: Sequence[str]
) -> Iterator[tuple[NDArray[np.int64], Table]]:
    """Rows that know the same columns, as tables without gaps, with their positions.

    Args:
        fitted: The model.
        frame: The rows.
        inputs: The columns that may be read; others, and absent ones, are left out.
        labels: The rows' names in messages.

    Raises:
        MissingColumnError: An input is absent, and a column looks like it.
        EvidenceError: A value cannot be used; see `read`.
    """
    import pandas as pd

    _not_misspelt(fitted, frame, inputs)
    there = [name for name in inputs if name in frame.columns]
    known = frame.loc[:, there].notna().to_numpy()
    patterns, which = np.unique(known, axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        rows = np.flatnonzero(which.ravel() == number)
        names = [name for name, has in zip(there, pattern, strict=True) if has]
        for start in range(0, len(rows), _CHUNK):
            at = rows[start : start + _CHUNK]
            some = frame.iloc[at].loc[:, names]
            some = some.set_axis(pd.Index([labels[i] for i in at]), axis=0)
            yield at, read(fitted.schema, some, purpose="evidence")


def _not_misspelt(fitted: Fitted, frame: pd.DataFrame, inputs: Sequence[str]) -> None:
    """Refuse to infer an input in silence where a column looks like it."""
    known = {c for node in fitted.declaration.nodes.values() for c in columns_of(node)}
    strangers = [str(name) for name in frame.columns if str(name) not in known]
    for name in inputs:
        if name not in frame.columns and difflib.get_close_matches(name, strangers, 1, 0.85):
            raise no_column(name, name, strangers)


__all__ = ["groups", "inputs_of", "target_of"]
