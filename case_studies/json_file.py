"""A JSON file as a study writes it: all of it or nothing, and no number that JSON has not."""

from __future__ import annotations

import json
import math
import os
import tempfile
from pathlib import Path


def check_writable(path: Path) -> None:
    """Fail before the work, not after it.

    Raises:
        OSError: Nothing can be written there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        raise IsADirectoryError(f"--out {path} is a folder: name a file")


def write(path: Path, content: object) -> None:
    """Write it beside its place and move it there: a reader never sees half a file."""
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).chmod(0o666 & ~_umask())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def number(value: float) -> float | None:
    """A number, or None for what is not finite."""
    return float(value) if math.isfinite(value) else None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
