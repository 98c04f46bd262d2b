"""A sample of the traces of a file that is too long: random ones, and whole."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from causalsys.data.parquet import Loaded
from causalsys.data.stream import Stream
from causalsys.errors import DataError

_PASS = 1 << 17
"""Rows of a batch that a sample is taken from."""


def load_traces(
    path: Path, *, columns: Iterable[str], most: int, seed: int = 0, what: str = "data"
) -> Loaded:
    """Read some columns of random whole traces, at most so many rows.

    The sample is taken in one pass over batches, so its memory is that of the sample.

    Args:
        path: A file, or a folder of files, with the columns `trace` and `step`.
        columns: The columns that are wanted; those that are absent are left out.
        most: The most rows.
        seed: Fixes which.
        what: What the data are, for messages.

    Raises:
        DataError: See `Stream.open`; or a trace is longer than what fits.
    """
    import pandas as pd

    stream = Stream.open(path, what=what)
    chosen = _some(stream, most, seed=seed)
    frames = []
    for piece in stream.pieces(max(_PASS, int(stream.lengths.max()))):
        for batch, frame in zip(
            piece.batches, stream.frames(piece.batches, columns=columns), strict=True
        ):
            rows = np.repeat(chosen[batch.first : batch.first + len(batch.lengths)], batch.lengths)
            frames.append(frame[rows])
    found = pd.concat(frames)
    return Loaded(found, found.index.to_numpy(), stream.rows)


def _some(stream: Stream, most: int, *, seed: int) -> NDArray[np.bool_]:
    """Which traces to take, so that they have at most so many rows: random ones.

    Raises:
        DataError: The first that was drawn has more rows than that.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randperm(stream.traces, generator=generator).numpy()
    lengths = stream.lengths[drawn]
    # A shorter one in place of the one that no longer fits would favour short traces.
    taken = drawn[np.cumsum(lengths) <= most]
    if not len(taken):
        raise DataError(
            stream.trace,
            found=f"a trace of {lengths[0]:,} steps, and room for {most:,} rows in memory",
            mend="Raise rows_in_memory: traces are taken whole.",
        )
    chosen = np.zeros(stream.traces, dtype=np.bool_)
    chosen[taken] = True
    return chosen
