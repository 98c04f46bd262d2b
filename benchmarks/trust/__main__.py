"""`python -m benchmarks.trust [--quick] [--only NAME ...]`.

Each part is written as soon as it has run, beside what the others found before.
"""

from __future__ import annotations

import argparse

from benchmarks.report import write_part
from benchmarks.trust import (
    axioms,
    coverage,
    interventional,
    mutation,
    public,
    spreads,
    unit_level,
)

PARTS = {
    module.NAME: module
    for module in (interventional, unit_level, coverage, spreads, axioms, public, mutation)
}


def main() -> None:
    """Run the parts, and write what each found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trust", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes: does it run at all?")
    parser.add_argument("--only", nargs="+", choices=sorted(PARTS), help="only these")
    options = parser.parse_args()
    for name in options.only or PARTS:
        rows = PARTS[name].run(quick=options.quick)
        for row in rows:
            print(f"{row.what}: {row.case}: {row.measured:.4g} {row.target} {row.met} {row.note}")
        if not options.quick:
            write_part("trust", name, rows, order=list(PARTS))


if __name__ == "__main__":
    main()
