"""What `import causalsys` takes, against the libraries that it stands on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from statistics import median

from benchmarks.clock import alternate, ratio
from benchmarks.report import Row

NAME = "import"


def run(*, quick: bool) -> list[Row]:
    """Each import in a process of its own."""
    taken = alternate(
        {"ours": lambda: _import("causalsys"), "theirs": lambda: _import("torch, pyro")},
        rounds=2 if quick else 11,
        warm=False,
    )
    figure = ratio(taken["ours"], taken["theirs"])
    case = "`import causalsys` against `import torch, pyro`"
    return [Row(NAME, case, median(taken["ours"]), median(taken["theirs"]), "s", figure, 1.2)]


def _import(names: str) -> None:
    root = Path(__file__).parents[1]
    subprocess.run([sys.executable, "-c", f"import {names}"], check=True, cwd=root)
