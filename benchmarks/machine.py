"""What the figures were taken on: no more than it takes to read them."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = ("causalsys", "torch", "pyro-ppl", "dowhy", "chirho", "numpy", "pandas", "pyarrow")


def machine() -> dict[str, str]:
    """The processor, its cores, and the versions that were measured."""
    found = {"processor": _processor(), "cores": str(os.cpu_count())}
    found["Python"] = platform.python_version()
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    return found


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    told = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    numbers = [f"{key} {told[key]}" for key in ("cpu family", "model") if key in told]
    name = told.get("model name", platform.machine())
    return f"{name} ({', '.join(numbers)})" if numbers else name
