"""Reads a file of the published format, or says what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from causalsys.errors import DataError, EvidenceError, MissingColumnError
from models.vm_noise import INPUTS, TARGET

COLUMNS = ("VM_id", "started", *INPUTS, TARGET)
FEWEST = 600
"""Rows below which a normal period, an alarm and a repair cannot all be told."""


def read(path: Path) -> pd.DataFrame:
    """The rows of a file, parquet or CSV.

    Raises:
        OSError: The file cannot be read.
        DataError: It is not of the format; the message says where.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        frame = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    except (ValueError, pd.errors.ParserError) as error:
        raise DataError(
            path.name, found=f"no table: {error}", mend="Give a parquet or CSV file."
        ) from None
    return checked(frame)


def checked(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows in order, with times in UTC and without a zone.

    Raises:
        DataError: A column is missing or is no number, a value is missing or not positive, times
            are out of order, a machine occurs twice, or there are too few rows.
    """
    for name in COLUMNS:
        if name not in frame.columns:
            raise MissingColumnError(
                name,
                found=f"columns {', '.join(map(str, frame.columns))}",
                mend="Give a file of the published format.",
            )
    if len(frame) < FEWEST:
        raise EvidenceError("rows", found=f"{len(frame)}", mend=f"Give at least {FEWEST}.")
    rows = frame.loc[:, list(COLUMNS)].reset_index(drop=True)
    rows["started"] = _times(rows["started"])
    if rows["VM_id"].duplicated().any():
        first = int(np.flatnonzero(rows["VM_id"].duplicated())[0])
        raise DataError(
            "VM_id",
            found=f"{rows['VM_id'][first]} a second time, in row {first}",
            mend="One row to a machine.",
        )
    for name in (*INPUTS, TARGET):
        rows[name] = _numbers(rows[name])
    return rows


def _times(column: pd.Series) -> pd.Series:
    try:
        times = pd.to_datetime(column, utc=True).dt.tz_localize(None)
    except (ValueError, TypeError) as error:
        raise DataError(
            "started", found=f"no times: {error}", mend="Write times as ISO 8601."
        ) from None
    if times.isna().any():
        raise DataError("started", found="a missing time", mend="Leave such rows out.")
    if not times.is_monotonic_increasing:
        raise DataError("started", found="times out of order", mend="Sort the rows by it.")
    return times


def _numbers(column: pd.Series) -> pd.Series:
    name = str(column.name)
    values = pd.to_numeric(column, errors="coerce").astype(float)
    bad = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
    if len(bad):
        raise DataError(
            name,
            found=f"{column.iloc[bad[0]]!r} in row {bad[0]}, of {len(bad)} such rows",
            mend="Every benchmark is a positive number; leave other rows out.",
        )
    return values
