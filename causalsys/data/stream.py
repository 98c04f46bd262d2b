"""Traces from parquet, whole ones at a time, in pieces that fit into memory.

A first pass reads two columns, the names of the traces and their steps, and checks all of them, so
that a bad file is refused before any number is computed. What it leaves is where each trace
begins: eight bytes a trace. A `Piece` says which rows to read; it is small and can be pickled, so
that whoever works on it, in whichever process, reads its rows by itself.

Files of a folder follow each other by the order of their paths. A trace may span files and row
groups. Rows are decoded as they come, never a whole row group: a file that has but one, however
large, is read in bounded memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from causalsys.data.files import File, files_of
from causalsys.data.runs import Runs
from causalsys.data.schema import no_column
from causalsys.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

_LOOK = 1 << 20
"""Rows of two columns that the first pass looks at together."""


@dataclass(frozen=True)
class Batch:
    """Whole traces.

    Attributes:
        start: The first row's place among all rows.
        stop: The place after the last row.
        first: The number of the first trace among all traces, in the order of the file.
        lengths: How many rows each trace has, `[trace]`.
    """

    start: int
    stop: int
    first: int
    lengths: NDArray[np.int64] = field(repr=False, compare=False)

    @property
    def numbers(self) -> NDArray[np.int64]:
        """The number of each trace among all traces, `[trace]`."""
        return np.arange(self.first, self.first + len(self.lengths))


@dataclass(frozen=True)
class Piece:
    """Batches that are read together, since they begin in the same row group.

    Attributes:
        number: Its place among the pieces.
        batches: What it consists of.
    """

    number: int
    batches: tuple[Batch, ...]


@dataclass(frozen=True)
class Stream:
    """A file or folder of traces, checked, and not yet read.

    Attributes:
        path: Where it is.
        files: The files, in order.
        trace: The column that names a row's trace.
        step: The column that numbers a trace's steps.
        starts: The first row of each trace, `[trace]`.
        rows: How many rows there are.
    """

    path: Path
    files: tuple[File, ...]
    trace: str
    step: str
    starts: NDArray[np.int64] = field(repr=False, compare=False)
    rows: int

    @classmethod
    def open(
        cls, path: str | Path, *, trace: str = "trace", step: str = "step", what: str = "data"
    ) -> Stream:
        """Look at a file or folder.

        Args:
            path: A parquet file, or a folder of them.
            trace: The column that names a row's trace.
            step: The column that numbers a trace's steps.
            what: What the data are, for messages.

        Raises:
            DataError: There is no such file, it is no parquet or cut short, a trace has gaps or
                repeats a step, or comes back after another began.
            MissingColumnError: There is no such column.
        """
        files = files_of(Path(path), what)
        for column in (trace, step):
            for file in files:
                if column not in file.columns:
                    raise no_column(column, column, file.columns)
        runs = Runs(trace, step)
        for file in files:
            for batch in file.read([trace, step], 0, file.rows, size=_LOOK):
                runs.add(batch.column(0), batch.column(1), file=file.name)
        if not runs.rows:
            raise DataError(what, found="no rows", mend="Give at least one trace.")
        unchecked = cls(Path(path), files, trace, step, np.zeros(0, np.int64), runs.rows)
        starts = runs.starts(told=unchecked._told)
        return cls(Path(path), files, trace, step, starts, runs.rows)

    @property
    def traces(self) -> int:
        """How many traces there are."""
        return len(self.starts)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """How many rows each trace has, `[trace]`."""
        return np.diff(self.starts, append=self.rows)

    @property
    def columns(self) -> list[str]:
        """The columns that all files have."""
        return [c for c in self.files[0].columns if all(c in file.columns for file in self.files)]

    def batches(self, most: int) -> list[Batch]:
        """All traces, in batches of at most so many rows.

        Raises:
            DataError: A trace has more rows than that.
        """
        lengths, bounds = self.lengths, np.append(self.starts, self.rows)
        longest = int(lengths.argmax())
        if lengths[longest] > most:
            raise DataError(
                self.trace,
                found=f"{lengths[longest]:,} steps, more than a batch of {most:,} rows holds: "
                f"{self._told(int(self.starts[longest]))}",
                mend="Allow larger batches: they hold whole traces.",
            )
        found: list[Batch] = []
        first = 0
        while first < len(lengths):
            last = int(np.searchsorted(bounds, bounds[first] + most, side="right")) - 1
            found.append(
                Batch(int(bounds[first]), int(bounds[last]), first, lengths[first:last].copy())
            )
            first = last
        return found

    def pieces(self, most: int) -> list[Piece]:
        """All batches, those together that begin in one row group, so that it is decoded once.

        Raises:
            DataError: A trace has more rows than a batch.
        """
        groups = np.concatenate([[0], np.cumsum([n for file in self.files for n in file.groups])])
        together: dict[int, list[Batch]] = {}
        for batch in self.batches(most):
            group = int(np.searchsorted(groups, batch.start, side="right"))
            together.setdefault(group, []).append(batch)
        return [Piece(number, tuple(each)) for number, each in enumerate(together.values())]

    def frames(
        self, batches: Sequence[Batch], *, columns: Iterable[str] | None = None
    ) -> Iterator[pd.DataFrame]:
        """The rows of batches that follow each other, a frame for each.

        Rows are labelled by their places in the file.

        Args:
            batches: Which.
            columns: Which columns besides trace and step; those that are absent are left out.

        Raises:
            DataError: The file cannot be read on, or was changed.
        """
        import pandas as pd
        import pyarrow as pa

        names = self._columns(columns)
        if not batches:
            return
        start, stop = batches[0].start, batches[-1].stop
        rows = self._rows(
            names, start, stop, size=min(_LOOK, max(b.stop - b.start for b in batches))
        )
        held: list[Any] = []
        count = 0
        for batch in batches:
            wanted = batch.stop - batch.start
            while count < wanted:
                fresh = next(rows, None)
                if fresh is None:
                    raise DataError(
                        self.path.name,
                        found="rows that are gone",
                        mend="It was changed meanwhile: begin anew.",
                    )
                held.append(pa.Table.from_batches([fresh]))
                count += len(fresh)
            # Files may differ in how wide their numbers are.
            table = pa.concat_tables(held, promote_options="permissive")
            frame = table.slice(0, wanted).to_pandas()
            frame.index = pd.RangeIndex(batch.start, batch.stop)
            rest = table.slice(wanted)
            held, count = [rest], len(rest)
            yield frame

    def _columns(self, columns: Iterable[str] | None) -> list[str]:
        if columns is None:
            return self.columns
        wanted = {self.trace, self.step, *columns}
        return [name for name in self.columns if name in wanted]

    def _rows(self, names: list[str], start: int, stop: int, *, size: int) -> Iterator[Any]:
        """Arrow batches of the rows from `start` to `stop`."""
        bounds = np.concatenate([[0], np.cumsum([file.rows for file in self.files])]).tolist()
        for file, (low, high) in zip(self.files, pairwise(bounds), strict=True):
            if low < stop and high > start:
                begin, end = max(start - low, 0), min(stop - low, file.rows)
                yield from file.read(names, begin, end, size=size)

    def _told(self, row: int) -> str:
        """A row in words."""
        (batch,) = self._rows([self.trace, self.step], row, row + 1, size=1)
        trace, step = (batch.column(i)[0].as_py() for i in (0, 1))
        bounds = np.cumsum([file.rows for file in self.files])
        file = self.files[int(np.searchsorted(bounds, row, side="right"))]
        return f"trace {trace!r} at step {step} in {file.name}"
