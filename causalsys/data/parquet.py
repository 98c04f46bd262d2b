"""Parquet: the columns that are needed, and where rows are too many a sample of them.

A file, or a folder of files. The sample is drawn in one pass over batches, so its memory is that
of the sample, however long the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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
    return list(opened(path, what).schema.names)


def read_parquet(path: Path, *, what: str) -> pd.DataFrame:
    """All rows and columns, with the rows' labels, if it keeps them.

    Raises:
        DataError: There is no such file, or it is no parquet.
    """
    import pyarrow as pa

    try:
        return opened(path, what).to_table().to_pandas()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise unreadable(path, what, error) from None


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

    found = opened(path, what)
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
        raise unreadable(path, what, error) from None
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


def opened(path: Path, what: str) -> Any:
    """The file or folder, as an Arrow data set."""
    import pyarrow as pa
    from pyarrow import dataset

    if not path.exists() or (path.is_dir() and not any(path.rglob("*.parquet"))):
        raise DataError(what, found=f"no file {path.name or path}", mend="Check the path.")
    try:
        return dataset.dataset(path, format="parquet", partitioning="hive")
    except (pa.ArrowException, OSError, ValueError) as error:
        raise unreadable(path, what, error) from None


def unreadable(path: Path, what: str, error: Exception) -> DataError:
    """The error of a file that cannot be read."""
    found = f"{path.name} cannot be read as parquet ({brief(error)})"
    return DataError(what, found=found, mend="Write it anew.")
