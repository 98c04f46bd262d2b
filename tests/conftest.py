"""What every test may ask for: recorded data, a Redis server, examples that do not vary by run."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import settings

settings.register_profile("causalsys", derandomize=True, deadline=None)
settings.load_profile("causalsys")


def _absent(reason: str) -> NoReturn:
    """Skip on a desk, fail in CI: there, what is absent would hide what it tests."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason} In CI this is a failure.", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of recorded data sets that are too large to ship."""
    named = os.environ.get("CAUSALSYS_DATA")
    if not named:
        _absent("CAUSALSYS_DATA is not set: point it at the folder of recorded data sets.")
    if not (folder := Path(named)).is_dir():
        _absent(f"CAUSALSYS_DATA names no folder: {named!r}.")
    return folder.resolve()


@pytest.fixture(scope="session")
def redis_server() -> Path:
    """The Redis server's binary."""
    found = shutil.which("redis-server")
    if found is None:
        _absent("redis-server is not on the PATH: install Redis to run this test.")
    return Path(found)
