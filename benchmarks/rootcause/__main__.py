"""`python -m benchmarks.rootcause [--quick] [--only NAME ...]`."""

from benchmarks.parts import run_parts
from benchmarks.rootcause import (
    before_after,
    blind,
    edges,
    graph,
    petshop,
    simulated,
    speed,
)

if __name__ == "__main__":
    run_parts("rootcause", (petshop, simulated, blind, graph, before_after, edges, speed))
