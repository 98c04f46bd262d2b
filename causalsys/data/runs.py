"""Traces in a long column: where each begins, and that none has gaps or comes back.

The rows of a trace must be adjacent and in order, so that a trace can be read without reading all
others. Columns come in pieces, which may cut a trace in two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causalsys.errors import DataError

Numbers = NDArray[np.int64]


@dataclass
class Runs:
    """What is known of the traces so far.

    Attributes:
        trace: The name of the column that names a row's trace.
        step: The name of the column that numbers a trace's steps.
        rows: How many rows were seen.
    """

    trace: str
    step: str
    rows: int = 0
    _starts: list[Numbers] = field(default_factory=list)
    _keys: list[NDArray[np.uint64]] = field(default_factory=list)
    _last: tuple[object, int] | None = None

    def add(self, names: Any, steps: Any, *, file: str) -> None:
        """Look at the next rows.

        Args:
            names: The traces' names, an Arrow array.
            steps: The steps, an Arrow array.
            file: Where they come from, for messages.

        Raises:
            DataError: A name or a step is missing, a step is no whole number, or a trace has a
                gap, or repeats a step.
        """
        import pyarrow as pa
        from pyarrow import compute

        for column, array in ((self.trace, names), (self.step, steps)):
            if array.null_count:
                raise DataError(column, found=f"a missing value in {file}", mend="Give all.")
        if not pa.types.is_integer(steps.type):
            raise DataError(
                self.step,
                found=f"steps that are not whole numbers in {file}",
                mend="Number the steps.",
            )
        if pa.types.is_dictionary(names.type):
            names = names.cast(names.type.value_type)
        if len(names) == 0:
            return
        runs = compute.run_end_encode(names, run_end_type=pa.int64())
        ends, values = runs.run_ends.to_numpy(), runs.values
        starts = np.concatenate([[0], ends[:-1]])
        numbers = steps.to_numpy(zero_copy_only=False).astype(np.int64)
        goes_on = self._last is not None and values[0].as_py() == self._last[0]
        self._check(numbers, starts, values, goes_on=goes_on, file=file)
        fresh = starts[1:] if goes_on else starts
        self._starts.append(fresh + self.rows)
        self._keys.append(_keys(values[1:] if goes_on else values))
        self._last = values[len(values) - 1].as_py(), int(numbers[-1])
        self.rows += len(numbers)

    def starts(self, *, told: Callable[[int], str]) -> Numbers:
        """The first row of each trace, `[trace]`, once all rows were seen.

        Args:
            told: A row in words, for messages: its trace, step and file.

        Raises:
            DataError: A trace came back after another had begun.
        """
        starts = np.concatenate([*self._starts, np.zeros(0, np.int64)])
        keys = np.concatenate([*self._keys, np.zeros(0, np.uint64)])
        order = np.argsort(keys, kind="stable")
        again = np.flatnonzero(keys[order][1:] == keys[order][:-1])
        if len(again):
            row = int(starts[order[again + 1]].min())
            raise DataError(
                self.trace,
                found=f"a trace that comes back after another began: {told(row)}",
                mend=f"Sort the rows by {self.trace} and {self.step}, so that those of a trace "
                "are adjacent.",
            )
        return starts

    def _check(
        self, numbers: Numbers, starts: Numbers, values: Any, *, goes_on: bool, file: str
    ) -> None:
        """Refuse gaps and repeated steps."""
        wrong = np.diff(numbers, prepend=numbers[0] - 1) != 1
        wrong[starts] = False
        if goes_on:
            assert self._last is not None
            wrong[0] = numbers[0] != self._last[1] + 1
        if wrong.any():
            row = int(wrong.argmax())
            name = values[int(np.searchsorted(starts, row, side="right")) - 1].as_py()
            raise DataError(
                self.step,
                found=f"a gap or a repeated step at step {numbers[row]} of trace {name!r} in "
                f"{file}",
                mend="Give every step once, in order; split a trace where steps are lost.",
            )


def _keys(values: Any) -> NDArray[np.uint64]:
    """A number for each name, equal for equal names.

    Eight bytes of SipHash: two of ten million names would meet once in 10^5 files.
    """
    import pandas as pd

    return pd.util.hash_array(np.asarray(values.to_pandas()), categorize=False)
