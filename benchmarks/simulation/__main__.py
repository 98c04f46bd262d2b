"""`python -m benchmarks.simulation [--quick] [--only NAME ...]`."""

from benchmarks.parts import run_parts
from benchmarks.simulation import chaos, hard, larger, routing, speed, streaming

if __name__ == "__main__":
    run_parts("simulation", (routing, chaos, hard, streaming, speed, larger))
