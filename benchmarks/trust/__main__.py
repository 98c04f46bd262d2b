"""`python -m benchmarks.trust [--quick] [--only NAME ...]`.

Each part is written as soon as it has run, beside what the others found before.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.machine import machine
from benchmarks.report import HERE, dump, page
from benchmarks.trust import (
    axioms,
    coverage,
    interventional,
    mutation,
    public,
    spreads,
    unit_level,
)
from benchmarks.trust.rows import TrustRow

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
            write(name, rows)


def write(
    name: str, rows: Sequence[TrustRow], *, results: Path = HERE / "results", text: Path = HERE
) -> None:
    """Put one part's rows into `trust.json`, and `RESULTS.md` in line with it."""
    path = results / "trust.json"
    before = json.loads(path.read_text())["parts"] if path.exists() else {}
    today = datetime.now(UTC).date().isoformat()
    found = {**before, name: {"date": today, "rows": [asdict(row) for row in rows]}}
    parts = {each: found[each] for each in PARTS if each in found}
    dump({"machine": machine(), "parts": parts}, path)
    (text / "RESULTS.md").write_text(page(results))


if __name__ == "__main__":
    main()
