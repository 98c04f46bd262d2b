"""Runs tests over a tree in a process of their own, forked after what is slow to import.

Reads one request a line, `{"tree", "tests", "seconds", "keep"}`, and answers with one line,
`{"passed", "told", "taken"}`. It must itself import nothing of what is tested.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path

_SLOW = (
    "numpy",
    "scipy.stats",
    "scipy.optimize",
    "torch",
    "torch._dynamo",
    "pandas",
    "networkx",
    "pyro",
    "pyarrow.parquet",
    "matplotlib.pyplot",
    "sklearn.ensemble",
    "safetensors.torch",
    "y0",
    "pytest",
)
_HANGING = 90
"""Seconds after which a single test has gone astray."""


def main() -> None:
    """Answer requests until there are none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in _SLOW:
            try:
                importlib.import_module(name)
            except ImportError:
                continue
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(_run(**request)), flush=True)


def _run(tree: str, tests: list[str], seconds: float, keep: bool) -> dict[str, object]:
    log, begun = Path(tree) / "killing.log", time.monotonic()
    child = os.fork()
    if not child:
        _tests(tree, tests, log, keep)
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        taken = time.monotonic() - begun
        if ended:
            return {
                "passed": os.waitstatus_to_exitcode(status) == 0,
                "told": _told(log),
                "taken": taken,
            }
        if taken > seconds:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return {"passed": False, "told": "too slow", "taken": taken}
        time.sleep(0.05)


def _tests(tree: str, tests: list[str], log: Path, keep: bool) -> None:
    """What the child does; it never returns."""
    code = 1
    try:
        os.setsid()
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1)
        os.dup2(out, 2)
        os.chdir(tree)
        sys.path.insert(0, tree)
        sys.dont_write_bytecode = not keep
        import pytest

        options = ["-x", "-q", "--no-header", "--tb=line", "-p", "no:cacheprovider"]
        hanging = [f"faulthandler_timeout={_HANGING}", "faulthandler_exit_on_timeout=true"]
        options += [part for option in hanging for part in ("-o", option)]
        code = int(pytest.main([*options, *tests], plugins=[_Unshrunk()]))
        room = importlib.import_module("causalsys")
        assert (room.__file__ or "").startswith(tree), "the tests ran over another tree"
    except BaseException:  # noqa: BLE001  a child must not go on as its parent
        traceback.print_exc()
    sys.stdout.flush()
    os._exit(code)


class _Unshrunk:
    """A plugin: one failing example kills, and need not be made small."""

    def pytest_collection(self) -> None:
        from hypothesis import Phase, settings

        phases = (Phase.explicit, Phase.generate)
        settings.register_profile("unshrunk", parent=settings.default, phases=phases)
        settings.load_profile("unshrunk")


def _told(log: Path) -> str:
    """The first test that failed, or the last line."""
    text = log.read_text(errors="replace")
    if "Timeout (" in text:
        return "a test that hangs"
    failed = re.search(r"^(?:FAILED|ERROR) (\S+)", text, re.MULTILINE)
    return failed[1] if failed else (text.strip().splitlines() or [""])[-1]


if __name__ == "__main__":
    main()
