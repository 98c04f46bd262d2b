"""A folder of simulated rows, as parquet: whole, or not there.

    rows/policy=jsq/part-000000000000.parquet

It is filled under another name beside its place, and renamed at the end. Parts are named by the
place of their first row in the recorded data, so that they sort as those do.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from causalsys.errors import QueryError, brief

if TYPE_CHECKING:
    import pandas as pd


@contextmanager
def folder_for(rows: str | Path | None, policies: tuple[str, ...]) -> Iterator[Path | None]:
    """A folder to fill, which becomes `rows` if all goes well, and else vanishes.

    Raises:
        QueryError: There is something already, or no place for it.
    """
    if rows is None:
        yield None
        return
    place = Path(rows)
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise QueryError(
            "rows",
            found=f"{place.name}, which is there already",
            mend="Delete it, or choose another.",
        )
    try:
        filled = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{place.name}."))
    except OSError as error:
        raise QueryError(
            "rows", found=f"no place for a folder ({brief(error)})", mend="Choose another."
        ) from None
    try:
        for policy in policies:
            _within(filled, policy).mkdir()
        yield filled
        # A folder made for one's own use only is opened to whom any other would be.
        filled.chmod(place.parent.stat().st_mode & 0o777)
        filled.replace(place)
    finally:
        shutil.rmtree(filled, ignore_errors=True)


def write(frame: pd.DataFrame, folder: Path, *, policy: str, start: int) -> None:
    """One part of a policy's rows.

    Raises:
        QueryError: It cannot be written; the disk may be full.
    """
    path = _within(folder, policy) / f"part-{start:012d}.parquet"
    try:
        frame.to_parquet(path, index=False)
    except OSError as error:
        raise QueryError(
            "rows",
            found=f"rows that cannot be written ({brief(error)})",
            mend="Make room for them.",
        ) from None


def _within(folder: Path, policy: str) -> Path:
    """A policy's own folder: its name as Hive writes it, so that readers know the column."""
    return folder / f"policy={quote(policy, safe=' ')}"
