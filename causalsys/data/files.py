"""The files of a parquet data set, read by ranges of rows, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from causalsys.data.parquet import opened, unreadable


@dataclass(frozen=True)
class File:
    """One parquet file of a data set.

    Attributes:
        path: Where it is.
        name: What to call it in messages.
        groups: How many rows each row group has.
        columns: The names of the columns.
        keys: Columns that the names of its folders give, with their values.
    """

    path: Path
    name: str
    groups: tuple[int, ...]
    columns: tuple[str, ...]
    keys: Mapping[str, Any]

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return sum(self.groups)

    def read(self, columns: Sequence[str], start: int, stop: int, *, size: int) -> Iterator[Any]:
        """Arrow batches of at most `size` of the rows from `start` to `stop`, columns in order.

        Raises:
            DataError: It cannot be read on.
        """
        import pyarrow as pa
        from pyarrow import parquet

        ends = np.cumsum(self.groups)
        wanted = [g for g, end in enumerate(ends) if end > start and end - self.groups[g] < stop]
        if not wanted:
            return
        at = int(ends[wanted[0]]) - self.groups[wanted[0]]
        stored = [name for name in columns if name not in self.keys]
        try:
            # Without `pre_buffer`, and through a buffer, pages are read as they are needed.
            with parquet.ParquetFile(self.path, pre_buffer=False, buffer_size=1 << 16) as file:
                for batch in file.iter_batches(
                    size, row_groups=wanted, columns=stored, use_threads=False
                ):
                    low, high = max(start - at, 0), min(stop - at, len(batch))
                    at += len(batch)
                    if low < high:
                        yield self._with_keys(batch.slice(low, high - low), columns)
                    if at >= stop:
                        return
        except (pa.ArrowException, OSError, ValueError) as error:
            raise unreadable(self.path, self.name, error) from None

    def _with_keys(self, batch: Any, columns: Sequence[str]) -> Any:
        import pyarrow as pa

        arrays = [
            pa.repeat(pa.scalar(self.keys[name]), len(batch))
            if name in self.keys
            else batch.column(name)
            for name in columns
        ]
        return pa.RecordBatch.from_arrays(arrays, names=list(columns))


def files_of(path: Path, what: str) -> tuple[File, ...]:
    """The files of a data set, by the order of their paths.

    Raises:
        DataError: There is none, or one is no parquet or cut short.
    """
    import pyarrow as pa
    from pyarrow import dataset

    found = opened(path, what)
    files = []
    for fragment in sorted(found.get_fragments(), key=lambda each: each.path):
        place = Path(fragment.path)
        name = str(place.relative_to(path)) if path.is_dir() and place != path else place.name
        try:
            groups = tuple(int(group.num_rows) for group in fragment.row_groups)
            own = list(fragment.physical_schema.names)
            keys = dataset.get_partition_keys(fragment.partition_expression)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise unreadable(place, what, error) from None
        files.append(File(place, name, groups, (*own, *(k for k in keys if k not in own)), keys))
    return tuple(files)


def count_rows(path: Path, *, what: str = "data") -> int:
    """How many rows there are.

    Raises:
        DataError: There is no such file, or it is no parquet.
    """
    return sum(file.rows for file in files_of(path, what))
