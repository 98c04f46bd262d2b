"""`python -m benchmarks [--quick] [--only NAME ...]`."""

from __future__ import annotations

import argparse

from benchmarks import counterfactuals, fits, growth, imports, memory
from benchmarks.report import HERE, table, write

BENCHMARKS = {module.NAME: module for module in (imports, counterfactuals, fits, growth, memory)}


def main() -> None:
    """Run the benchmarks; write their results, unless only some were run, or run quickly."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes: does it run at all?")
    parser.add_argument("--only", nargs="+", choices=sorted(BENCHMARKS), help="only these")
    options = parser.parse_args()
    rows = []
    for name in options.only or BENCHMARKS:
        rows += BENCHMARKS[name].run(quick=options.quick)
    print(table(rows))
    if not options.quick and not options.only:
        write(rows)
        print(f"Written to {HERE.name}/RESULTS.md and {HERE.name}/results/core.json.")


if __name__ == "__main__":
    main()
