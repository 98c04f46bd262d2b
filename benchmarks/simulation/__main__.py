"""`python -m benchmarks.simulation [--quick] [--only NAME ...]`.

Each part is written as soon as it has run, beside what the others found before.
"""

from __future__ import annotations

import argparse

from benchmarks.report import write_part
from benchmarks.simulation import chaos, hard, larger, routing, speed, streaming

PARTS = {module.NAME: module for module in (routing, chaos, hard, streaming, speed, larger)}


def main() -> None:
    """Run the parts, and write what each found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulation", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes: does it run at all?")
    parser.add_argument("--only", nargs="+", choices=sorted(PARTS), help="only these")
    options = parser.parse_args()
    for name in options.only or PARTS:
        lines = PARTS[name].run(quick=options.quick)
        for line in lines:
            told = f"{line.measured:.4g} {line.target} {line.met} {line.note}"
            print(f"{line.what}: {line.case}: {told}")
        if not options.quick:
            write_part("simulation", name, lines, order=list(PARTS))


if __name__ == "__main__":
    main()
