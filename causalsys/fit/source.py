"""Where the rows of a fit come from: memory, or as much of a file as may be held there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from causalsys.data.files import count_rows
from causalsys.data.parquet import column_names, load
from causalsys.data.sampled import load_traces
from causalsys.data.schema import columns_of, no_column
from causalsys.data.traces import KEYS, as_traces, goes_on
from causalsys.fit.options import FitOptions
from causalsys.scm.declaration import Declaration


@dataclass(frozen=True)
class Source:
    """Rows to fit to.

    Attributes:
        data: The rows.
        weight: Their weights.
        notes: What was left out, in words.
    """

    data: object
    weight: str | NDArray[np.float64] | None
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        declaration: Declaration,
        data: object,
        *,
        options: FitOptions,
        weight: str | NDArray[np.float64] | None = None,
    ) -> Source:
        """The rows of `data`; of a parquet file or folder, a sample where they are too many.

        Where the model goes along steps, the sample is one of whole traces.

        Raises:
            DataError: There is no such file, it is no parquet, or lacks a column; or traces are
                to be sampled, and their rows are not adjacent, or have gaps.
        """
        if not isinstance(data, str | Path):
            return cls(as_traces(declaration, data), weight)
        path = Path(data)
        names = column_names(path)
        columns = _columns(declaration, names)
        if isinstance(weight, str):
            columns.append(weight)
        most, seed = options.rows_in_memory, options.seed
        traces = goes_on(declaration) and {*KEYS} <= {*names}
        if traces:
            columns += KEYS
        if traces and count_rows(path) > most:
            found = load_traces(path, columns=columns, most=most, seed=seed)
        else:
            found = load(path, columns=columns, most=most, seed=seed)
        rows = as_traces(declaration, found.frame)
        if found.rows is None:
            return cls(rows, weight)
        if isinstance(weight, np.ndarray) and weight.shape == (found.total,):
            weight = weight[found.rows]
        whole = ", in whole traces," if traces else ""
        note = (
            f"a random sample of {len(found.rows):,} of the {found.total:,} rows{whole} of "
            f"{path.name}; raise rows_in_memory to use more"
        )
        return cls(rows, weight, (note,))


def _columns(declaration: Declaration, names: list[str]) -> list[str]:
    """What a fit looks for; the columns of equations, states and latents may be absent."""
    found: list[str] = []
    for node in declaration.nodes.values():
        mine = columns_of(node)
        absent = [name for name in mine if name not in names]
        if absent and node.learned and node.kind != "latent":
            raise no_column(node.name, absent[0], names)
        found += mine
    return found
