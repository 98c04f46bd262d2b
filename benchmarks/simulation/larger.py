"""More traces than memory holds: how fast, and in how much memory.

    python -m benchmarks.simulation.larger 20_000_000
    python -m benchmarks.simulation.larger 100_000_000 --engine cores --policies jsq random

Traces of the load balancer are written to a temporary folder, a file at a time, and simulated in a
process of its own, whose peak memory is told (with workers: that of the largest worker, too). 10^8
steps take 3 GB of disk meanwhile.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.lines import Line
from case_studies.load_balancing.system import generate

NAME = "larger"
_STEPS = 1000
_TRACES = 320
_PROGRAM = """
import json, os, sys, time
from pathlib import Path

def peak():
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024

import pyarrow.parquet as pq
import causalsys as cs
from causalsys.data.stream import Stream
from causalsys.simulate.policies.routing import PowerOfK, RandomRouting, ShortestQueue
from models.load_balancing import LoadBalancer

folder, names, engine, batch = json.loads(sys.argv[1])
known = {"jsq": ShortestQueue(), "random": RandomRouting(8), "two": PowerOfK(2)}
begun = time.perf_counter()
fitted = LoadBalancer.fit(pq.read_table(Path(folder) / "sample.parquet").to_pandas(), ensemble=2)
fit, small = time.perf_counter() - begun, peak()
begun = time.perf_counter()
Stream.open(Path(folder) / "log")
opened = time.perf_counter() - begun
begun, used = time.perf_counter(), time.process_time()
found = cs.simulate_batches(
    fitted,
    Path(folder) / "log",
    policies={name: known[name] for name in names},
    objectives=["p99 latency"],
    engine=cs.Cores() if engine == "cores" else cs.Here(),
    batch=batch,
)
seconds = time.perf_counter() - begun
children = os.times()
cpu = time.process_time() - used + children.children_user + children.children_system
import resource
worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(json.dumps({
    "rows": found.rows, "policies": len(names), "fit_s": fit, "first_pass_s": opened,
    "seconds": seconds, "mb_before": small, "mb_peak": peak(),
    "mb_peak_of_worker": worker if engine == "cores" else 0.0, "cpu_s": cpu,
    "steps_per_s": found.rows * len(names) / seconds,
    "rows_per_s": found.rows / seconds,
    "mean latency": {name: found.mean("latency", name) for name in names},
    "p99 latency": {name: found.score("p99 latency", name) for name in names},
    "interval": {name: found.interval("latency", name) for name in names},
}))
"""


def write(folder: Path, rows: int) -> None:
    """The traces, some hundred to a file; and some of them to fit to.

    Each file holds the same jobs under other names: what is measured is how many there are.
    """
    (folder / "log").mkdir()
    log, _ = generate(_TRACES, _STEPS, seed=0)
    log.to_parquet(folder / "sample.parquet", index=False)
    for part in range(-(-rows // len(log))):
        some = log.assign(trace=log["trace"] + part * _TRACES)[: rows - part * len(log)]
        some.to_parquet(folder / "log" / f"part-{part:05d}.parquet", index=False)


def measured(rows: int, policies: list[str], *, engine: str, batch: int | None) -> dict[str, Any]:
    """Write that many steps, simulate them, and tell how it went."""
    with tempfile.TemporaryDirectory() as name:
        write(Path(name), rows)
        asked = json.dumps([name, policies, engine, batch])
        root = Path(__file__).parents[2]
        command = [sys.executable, "-c", _PROGRAM, asked]
        found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=root)
        told: dict[str, Any] = json.loads(found.stdout)
        return told


def run(*, quick: bool = False) -> list[Line]:
    """10^8 steps under one policy: it completes, and in how much memory."""
    rows = 640_000 if quick else 100_000_000
    found = measured(rows, ["jsq"], engine="here", batch=None)
    peak = found["mb_peak"] / 1024
    note = (
        f"{found['seconds']:,.0f} s, {found['rows_per_s']:,.0f} steps a second; "
        f"{found['mb_before'] / 1024:.2f} GiB before, with the fitted model"
    )
    case = f"{found['rows']:,} steps from parquet, peak memory in GiB"
    return [Line(NAME, case, peak, "< 2", peak < 2, note)]


def main() -> None:
    """One size, as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=lambda text: int(text.replace("_", "")))
    parser.add_argument("--policies", nargs="+", default=["jsq", "random"])
    parser.add_argument("--engine", choices=["here", "cores"], default="here")
    parser.add_argument("--batch", type=int)
    given = parser.parse_args()
    found = measured(given.rows, given.policies, engine=given.engine, batch=given.batch)
    for what, value in found.items():
        print(f"{what:18} {value:,.1f}" if isinstance(value, float) else f"{what:18} {value}")


if __name__ == "__main__":
    main()
