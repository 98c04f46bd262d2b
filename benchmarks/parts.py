"""The command line of a group of benchmarks: some of its parts, or all of them.

Each part is written as soon as it has run, beside what the others found before.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from types import ModuleType

from benchmarks.report import write_part


def run_parts(group: str, modules: Iterable[ModuleType]) -> None:
    """Run the parts of a group that the command line names, and write what each found.

    Args:
        group: "trust" or "simulation".
        modules: Its parts: each has a `NAME`, and `run(quick=...)` that gives its lines.
    """
    parts = {module.NAME: module for module in modules}
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{group}", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes: does it run at all?")
    parser.add_argument("--only", nargs="+", choices=sorted(parts), help="only these")
    options = parser.parse_args()
    for name in options.only or parts:
        lines = parts[name].run(quick=options.quick)
        for line in lines:
            told = f"{line.measured:.4g} {line.target} {line.met} {line.note}"
            print(f"{line.what}: {line.case}: {told}")
        if not options.quick:
            write_part(group, name, lines, order=list(parts))
