"""`python -m benchmarks.trust [--quick] [--only NAME ...]`."""

from benchmarks.parts import run_parts
from benchmarks.trust import (
    axioms,
    coverage,
    interventional,
    mutation,
    public,
    spreads,
    unit_level,
)

if __name__ == "__main__":
    run_parts("trust", (interventional, unit_level, coverage, spreads, axioms, public, mutation))
