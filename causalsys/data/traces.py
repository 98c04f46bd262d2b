"""Trajectories: rows that follow each other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from causalsys.data.schema import no_column
from causalsys.data.table import Layout
from causalsys.errors import DataError
from causalsys.scm.declaration import Declaration

if TYPE_CHECKING:
    import pandas as pd

KEYS = ("trace", "step")
"""The columns that make traces of a frame, unless others are named."""


@dataclass(frozen=True, eq=False)
class Traces:
    """Rows of many traces, in any order; answers list them by trace and step.

    Args:
        data: One row per step.
        trace: The column that names a row's trace.
        step: The column that numbers a trace's steps, without gaps; traces may differ in
            length and start at any number.

    Raises:
        MissingColumnError: There is no such column.
        DataError: The steps of a trace have gaps or repeat, or cannot be read.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"trace": ["b", "a", "a"], "step": [0, 1, 0], "x": [1., 2., 3.]})
        >>> Traces(frame).frame["x"].tolist()
        [3.0, 2.0, 1.0]
    """

    data: pd.DataFrame
    trace: str = "trace"
    step: str = "step"

    def __post_init__(self) -> None:
        import pandas as pd

        if not isinstance(self.data, pd.DataFrame):
            raise DataError(
                "traces", found=f"a {type(self.data).__name__}", mend="Give a pandas DataFrame."
            )
        for column in (self.trace, self.step):
            self._check_column(column)
        if self.trace == self.step:
            raise DataError(self.step, found="one column as trace and step", mend="Name two.")
        if not pd.api.types.is_integer_dtype(self.data[self.step]):
            raise DataError(
                self.step,
                found=f"steps that are not whole numbers ({self.data[self.step].dtype})",
                mend="Number the steps by integers.",
            )
        position = self._position
        bad = np.flatnonzero(self.frame[self.step].to_numpy() != position)
        if len(bad):
            row = self.frame.iloc[int(bad[0])]
            name = row[self.trace]
            raise DataError(
                self.step,
                found=f"a gap or a repeated step at step {row[self.step]} of trace "
                f"{(name.item() if isinstance(name, np.generic) else name)!r}",
                mend="Give every step once; split a trace where steps are lost.",
            )

    def _check_column(self, column: str) -> None:
        if column not in self.data.columns:
            raise no_column(str(column), str(column), self.data.columns)
        if list(self.data.columns).count(column) > 1:
            raise DataError(column, found="two columns of this name", mend="Rename one.")
        if self.data[column].isna().any():
            raise DataError(column, found="a missing value", mend="Give every row one.")
        if self.data[column].dtype != object:
            return
        kinds = sorted({type(value).__name__ for value in self.data[column]})
        if kinds != ["str"] and kinds != ["int"]:
            raise DataError(
                column,
                found=f"values of the types {', '.join(kinds)}",
                mend="Name all by text, or all by whole numbers.",
            )

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The rows by trace and step."""
        return self.data.iloc[self._order]

    @cached_property
    def layout(self) -> Layout:
        """Which rows belong to which trace."""
        codes, names = self._codes
        first = self.frame[self.step].to_numpy()[self._starts][codes]
        position = self.frame[self.step].to_numpy() - first
        return Layout(
            torch.from_numpy(codes),
            torch.from_numpy(position.astype(np.int64)),
            tuple(names),
            torch.from_numpy(self._order.astype(np.int64)),
            torch.from_numpy(self.frame[self.step].to_numpy(np.int64)[self._starts]),
        )

    @cached_property
    def _order(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Where each row of `frame` stands in `data`."""
        keys = self.data[[self.trace, self.step]].reset_index(drop=True)
        return keys.sort_values([self.trace, self.step], kind="stable").index.to_numpy()

    @cached_property
    def _codes(self) -> tuple[NDArray[np.int64], Any]:
        """The number of each row's trace, in the sorted frame, and the traces' names."""
        import pandas as pd

        codes, names = pd.factorize(self.frame[self.trace])
        return codes.astype(np.int64), names

    @cached_property
    def _starts(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """The first row of each trace, in the sorted frame."""
        return np.flatnonzero(np.diff(self._codes[0], prepend=-1))

    @property
    def _position(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """The step that each row ought to have, were there no gaps."""
        codes = self._codes[0]
        rows = np.arange(len(codes))
        steps = self.frame[self.step].to_numpy()
        return steps[self._starts][codes] + rows - self._starts[codes]


def as_traces(declaration: Declaration, data: object) -> object:
    """A frame with the columns `trace` and `step` as traces, where the model goes along steps."""
    import pandas as pd

    if goes_on(declaration) and isinstance(data, pd.DataFrame) and {*KEYS} <= {*data.columns}:
        return Traces(data)
    return data


def goes_on(declaration: Declaration) -> bool:
    """Whether a step of the model has to do with the one before it."""
    return declaration.temporal or any(node.lasting for node in declaration.nodes.values())
