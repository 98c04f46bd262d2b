"""Peak memory of fitting from a parquet file, each time in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.report import SEED, Row
from benchmarks.system import System

NAME = "memory"
_BLOCK = 250_000
_PROGRAM = """
import resource, sys
from pathlib import Path

def peak():
    # A child's ru_maxrss starts at its parent's: where the kernel tells our own peak, ask it.
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

import causalsys as cs
from benchmarks.system import System

before = peak()
path, limit, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
system = System.random(5, 7, seed=seed)
system.model(cs.Linear()).fit(path, seed=seed, rows_in_memory=limit)
print(before, peak())
"""


def run(*, quick: bool) -> list[Row]:
    """Five linear variables; the limit lies between the first size and the second."""
    sizes = [2000, 20_000, 60_000] if quick else [100_000, 1_000_000, 10_000_000]
    limit = sizes[1] // 2
    system = System.random(5, 7, seed=SEED)
    found: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        for rows in sizes:
            path = Path(folder) / f"{rows}.parquet"
            _write(system, path, rows)
            found.append(_peak(path, limit))
            path.unlink()
    base = found[1][1]
    return [
        Row(
            NAME,
            f"{rows:,} rows, {limit:,} in memory, against {sizes[1]:,} rows "
            f"({before:,.0f} MB once imported)",
            peak,
            base,
            "MB",
            peak / base,
            1.15 if rows >= limit else None,
        )
        for rows, (before, peak) in zip(sizes, found, strict=True)
    ]


def _write(system: System, path: Path, rows: int) -> None:
    """A file of the system's rows, written block by block."""
    writer = None
    for start in range(0, rows, _BLOCK):
        block = system.data(min(_BLOCK, rows - start), seed=SEED + start)
        # Columns that the model does not need must cost nothing.
        for extra in range(5):
            block[f"unused_{extra}"] = np.float64(extra)
        written = pa.Table.from_pandas(block, preserve_index=False)
        writer = writer or pq.ParquetWriter(path, written.schema)
        writer.write_table(written)
    assert writer is not None
    writer.close()


def _peak(path: Path, limit: int) -> tuple[float, float]:
    """Megabytes once the library is imported, and at the peak."""
    command = [sys.executable, "-c", _PROGRAM, str(path), str(limit), str(SEED)]
    root = Path(__file__).parents[1]
    told = subprocess.run(command, check=True, capture_output=True, text=True, cwd=root)
    before, peak = told.stdout.split()
    return int(before) / 1024, int(peak) / 1024
