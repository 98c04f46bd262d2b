"""Parquet: the columns that are needed, and where rows are too many a sample of them.

A file, or a folder of files. The sample is drawn in one pass over batches, so its memory is that
of the sample, however long the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from causalsys.errors import DataError, brief
from causalsys.mechanisms.draws import some_rows

if TYPE_CHECKING:
    import pandas as pd

_BATCH = 65_536


@dataclass(frozen=True)
class Loaded:
    """What was read.

    Attributes:
        frame: The rows; their labels are their places in the file, if some were left out.
        rows: The places of the rows, `[row]`; None where all were read.
        total: How many rows there are in the file.
    """

    frame: pd.DataFrame
    rows: NDArray[np.int64] | None
    total: int


def column_names(path: Path, *, what: str = "data") -> list[str]:
    """The names of the columns.

    Raises:
        DataError: There is no such file, or it is no parquet.
    """
    return list(_opened(path, what).schema.names)


def count_rows(path: Path, *, what: str = "data") -> int:
    """How many rows there are.

    Raises:
        DataError: There is no such file, or it is no parquet.
    """
    return sum(file.rows for file in files_of(path, what))


def read_parquet(path: Path, *, what: str) -> pd.DataFrame:
    """All rows and columns, with the rows' labels, if it keeps them.

    Raises:
        DataError: There is no such file, or it is no parquet.
    """
    import pyarrow as pa

    try:
        return _opened(path, what).to_table().to_pandas()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _unreadable(path, what, error) from None


def load(
    path: Path, *, columns: Iterable[str], most: int | None, seed: int = 0, what: str = "data"
) -> Loaded:
    """Read some columns, and at most so many rows, each with the same chance.

    Args:
        path: A file, or a folder of files.
        columns: The columns that are wanted; those that are absent are left out.
        most: The most rows; None reads all.
        seed: Fixes which.
        what: What the data are, for messages.

    Raises:
        DataError: There is no such file, or it is no parquet.
    """
    import pyarrow as pa

    found = _opened(path, what)
    wanted = set(columns)
    names = [name for name in found.schema.names if name in wanted]
    try:
        total = found.count_rows()
        if most is None or total <= most:
            return Loaded(found.to_table(columns=names).to_pandas(), None, total)
        generator = torch.Generator().manual_seed(seed)
        rows = some_rows(total, most, generator=generator).sort().values.numpy()
        frame = pa.Table.from_batches(list(_taken(found, names, rows))).to_pandas()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _unreadable(path, what, error) from None
    frame.index = rows
    return Loaded(frame, rows, total)


def _taken(found: Any, names: list[str], rows: NDArray[np.int64]) -> Iterator[Any]:
    """The rows at these places, which rise, batch by batch."""
    from pyarrow import dataset

    # Left to itself, Arrow reads far ahead: it would hold most of the file.
    frugal = dataset.ParquetFragmentScanOptions(pre_buffer=False, use_buffered_stream=True)
    start = 0
    for batch in found.to_batches(
        columns=names,
        batch_size=_BATCH,
        batch_readahead=1,
        fragment_readahead=1,
        fragment_scan_options=frugal,
        use_threads=False,
    ):
        low, high = np.searchsorted(rows, [start, start + len(batch)])
        yield batch.take(rows[low:high] - start)
        start += len(batch)


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
            with parquet.ParquetFile(self.path, pre_buffer=False, buffer_size=1 << 16) as opened:
                for batch in opened.iter_batches(
                    size, row_groups=wanted, columns=stored, use_threads=False
                ):
                    low, high = max(start - at, 0), min(stop - at, len(batch))
                    at += len(batch)
                    if low < high:
                        yield self._with_keys(batch.slice(low, high - low), columns)
                    if at >= stop:
                        return
        except (pa.ArrowException, OSError, ValueError) as error:
            raise _unreadable(self.path, self.name, error) from None

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

    found = _opened(path, what)
    files = []
    for fragment in sorted(found.get_fragments(), key=lambda each: each.path):
        place = Path(fragment.path)
        name = str(place.relative_to(path)) if path.is_dir() and place != path else place.name
        try:
            groups = tuple(int(group.num_rows) for group in fragment.row_groups)
            own = list(fragment.physical_schema.names)
            keys = dataset.get_partition_keys(fragment.partition_expression)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise _unreadable(place, what, error) from None
        files.append(File(place, name, groups, (*own, *(k for k in keys if k not in own)), keys))
    return tuple(files)


def _opened(path: Path, what: str) -> Any:
    """The file or folder, as an Arrow data set."""
    import pyarrow as pa
    from pyarrow import dataset

    if not path.exists() or (path.is_dir() and not any(path.rglob("*.parquet"))):
        raise DataError(what, found=f"no file {path.name or path}", mend="Check the path.")
    try:
        return dataset.dataset(path, format="parquet", partitioning="hive")
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _unreadable(path, what, error) from None


def _unreadable(path: Path, what: str, error: Exception) -> DataError:
    found = f"{path.name} cannot be read as parquet ({brief(error)})"
    return DataError(what, found=found, mend="Write it anew.")
