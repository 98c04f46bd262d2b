"""How many seeded faults the tests find: fifty in each room, one at a time, in a copy of the tree.

Faults are drawn from all that `mutants` knows of in a room. The room's own tests and doctests run
first, the quick files before the slow ones, then those of its neighbours; the first failure kills.
A fault that changes nothing that could be seen counts as a survivor, and is listed.

`python -m benchmarks.trust.mutation ROOM [--faults N] [--seed S]` prints each as it is tried.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.lines import Line
from benchmarks.trust.mutants import Fault, faults

NAME = "mutation"
ROOMS = ("scm", "identify", "query")
_ROOT = Path(__file__).resolve().parents[2]
_RESULTS = _ROOT / "benchmarks" / "results" / "mutation.json"
_FAULTS, _SEED, _LEAST = 50, 0, 0.85
_COPIED = ("causalsys", "tests", "models", "docs", "case_studies", "benchmarks")
_NEIGHBOURS = {
    "scm": ("tests/data", "tests/fit", "tests/test_properties.py", "tests/test_bad_input.py"),
    "identify": ("tests/query/test_verdicts.py",),
    "query": ("tests/test_properties.py", "tests/test_bad_input.py"),
}
_PATIENCE, _LEAST_SECONDS, _LONG = 3.0, 60.0, 1200.0
"""A fault that makes the tests three times as slow has been found."""
_SLOW = 20.0
"""A neighbour's file that takes longer is left out, as is one that fails without any fault."""


@dataclass(frozen=True)
class Tried:
    """One fault and its end.

    Attributes:
        path: The file.
        line: The line.
        kind: What was done.
        diff: What changed.
        killed: Whether a test failed.
        told: Which test failed first.
    """

    path: str
    line: int
    kind: str
    diff: str
    killed: bool
    told: str


def run(*, quick: bool) -> list[Line]:
    """Every room; quickly, three faults of the first."""
    if quick:
        return [_row("scm", measure("scm", count=3))]
    tried = {room: measure(room) for room in ROOMS}
    content = {room: [asdict(each) for each in found] for room, found in tried.items()}
    _RESULTS.write_text(json.dumps({"seed": _SEED, **content}, indent=1) + "\n")
    return [_row(room, found) for room, found in tried.items()]


def measure(
    room: str, *, count: int = _FAULTS, seed: int = _SEED, aloud: bool = False
) -> list[Tried]:
    """Seed faults in a room, one at a time.

    Args:
        room: A folder of `causalsys`.
        count: How many faults.
        seed: Which ones.
        aloud: Print each as it is tried.
    """
    with _copy() as tree, _killer() as ask:
        paths = sorted(
            str(path.relative_to(tree)) for path in (tree / "causalsys" / room).glob("*.py")
        )
        every = [fault for path in paths for fault in faults(tree, path)]
        chosen = random.Random(seed).sample(every, min(count, len(every)))
        tests, seconds = _in_order(tree, room, ask)
        if aloud:
            print(f"{room}: {len(every)} faults; all tests pass in {seconds:.0f} s", flush=True)
        found = []
        for fault in sorted(chosen, key=lambda each: (each.path, each.line)):
            tried = _one(tree, fault, tests, ask, seconds=seconds)
            found.append(tried)
            if aloud:
                print(_line(tried), flush=True)
    return found


def _one(tree: Path, fault: Fault, tests: list[str], ask: Any, *, seconds: float) -> Tried:
    file = tree / fault.path
    whole, stat = file.read_text(), file.stat()
    file.write_text(fault.source)
    # Compiled modules are told apart by the second of their source's last change.
    os.utime(file, (stat.st_atime, stat.st_mtime + 100))
    answer = ask(tree, tests, max(_PATIENCE * seconds, _LEAST_SECONDS))
    file.write_text(whole)
    os.utime(file, (stat.st_atime, stat.st_mtime))
    return Tried(
        fault.path, fault.line, fault.kind, fault.diff, not answer["passed"], answer["told"]
    )


def _in_order(tree: Path, room: str, ask: Any) -> tuple[list[str], float]:
    """The test files, the room's own first and then the quick ones first; and their seconds."""
    own = sorted((tree / "tests" / room).glob("test_*.py"))
    others = [
        file
        for name in _NEIGHBOURS[room]
        for file in (sorted((tree / name).glob("test_*.py")) or [tree / name])
    ]
    first = [str(file.relative_to(tree)) for file in [tree / "causalsys" / room, *own]]
    taken: dict[str, float] = {}
    for name in [*first, *(str(file.relative_to(tree)) for file in others)]:
        answer = ask(tree, [name], _LONG, keep=True)
        if not answer["passed"] and name in first:
            raise RuntimeError(f"{name} fails without any fault: {answer['told']}")
        if answer["passed"] and (name in first or answer["taken"] <= _SLOW):
            taken[name] = answer["taken"]
    ordered = sorted(taken, key=lambda name: (name not in first, taken[name]))
    return ordered, sum(taken.values())


@contextmanager
def _copy() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder).resolve()
        for name in _COPIED:
            shutil.copytree(
                _ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__", "results")
            )
        for file in ("pyproject.toml", "README.md", "CHANGELOG.md"):
            shutil.copy(_ROOT / file, tree)
        yield tree


@contextmanager
def _killer() -> Iterator[Any]:
    """Something to ask for test runs."""
    script = Path(__file__).with_name("killing.py")
    solo = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd="/",
        env={**os.environ, **solo},
    )
    assert process.stdin is not None
    assert process.stdout is not None

    def ask(tree: Path, tests: list[str], seconds: float, *, keep: bool = False) -> Any:
        request = {"tree": str(tree), "tests": tests, "seconds": seconds, "keep": keep}
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    try:
        yield ask
    finally:
        process.stdin.close()
        process.wait()


def _row(room: str, found: list[Tried]) -> Line:
    killed = sum(each.killed for each in found) / len(found)
    kept = [f"{each.path}:{each.line}" for each in found if not each.killed]
    note = f"{len(found)} faults, seed {_SEED}; survivors: {', '.join(kept) or 'none'}"
    return Line(NAME, room, killed, f"≥ {_LEAST}", killed >= _LEAST, note)


def _line(tried: Tried) -> str:
    if tried.killed:
        return f"killed    {tried.path}:{tried.line} {tried.kind}, by {tried.told}"
    shown = re.sub("^", "    ", tried.diff, flags=re.MULTILINE)
    return f"SURVIVED  {tried.path}:{tried.line} {tried.kind}\n{shown}"


def main() -> None:
    """Try one room, and tell each fault's end."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trust.mutation")
    parser.add_argument("room")
    parser.add_argument("--faults", type=int, default=_FAULTS)
    parser.add_argument("--seed", type=int, default=_SEED)
    options = parser.parse_args()
    found = measure(options.room, count=options.faults, seed=options.seed, aloud=True)
    print(_row(options.room, found))


if __name__ == "__main__":
    main()
