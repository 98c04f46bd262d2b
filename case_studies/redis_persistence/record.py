"""Record the incident: `python -m case_studies.redis_persistence.record`.

Training data has persistence on and off at random. The incident is then played as it happened and,
with the same requests and the same neighbour, without the fault: the measured truth of the
counterfactual.
"""

import argparse
import asyncio
import json
import os
import selectors
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import aclosing, suppress
from pathlib import Path

import pandas as pd

from case_studies.redis_persistence import schedule as plans
from case_studies.redis_persistence.provenance import provenance
from case_studies.redis_persistence.replay import LOAD_CORE, Row, replay
from case_studies.redis_persistence.schedule import Schedule
from case_studies.redis_persistence.server import MissingBinaryError

NICE = -10  # where the user may: the study's processes go before whatever else runs here
FIRST = ["replay", "second", "window", "persistence", "settling"]
FIRST += ["arrivals", "writes", "written_mib", "value_kib", "p50_ms", "p90_ms", "p99_ms", "max_ms"]
RECORDING = Path(__file__).parent / "recording"


async def record(schedule: Schedule, label: str, args: argparse.Namespace) -> pd.DataFrame:
    """All rows of one replay."""
    kept: list[Row] = []
    # Closing the generator by hand ends its server now, not whenever it is collected.
    async with aclosing(replay(schedule, args.data_mib, args.work)) as rows:
        async for row in rows:
            kept.append(row)
            if row["second"] % 60 == 0:
                done = f"second {row['second']} of {len(schedule)}"
                print(f"{label}: {done}, p99 {row['p99_ms']:.2f} ms", flush=True)
    return in_order(pd.DataFrame(kept).assign(replay=label))


def in_order(table: pd.DataFrame) -> pd.DataFrame:
    """When and what first, then what the clients saw, then the rest; what is hidden comes last."""
    hidden = [name for name in map(str, table) if name.endswith("_hidden")]
    rest = [name for name in map(str, table) if name not in (*FIRST, *hidden)]
    return table[[*FIRST, *rest, *hidden]]


async def record_all(args: argparse.Namespace) -> dict[str, pd.DataFrame]:
    """The training table, and the incident with and without its fault."""
    train = await record(plans.training(args.seed, args.seconds), "train", args)
    fault = plans.incident(args.seed, args.windows, args.lead)
    replays = {"fault": fault}
    replays |= {f"no_fault_{n}": fault.without_fault() for n in range(1, args.replays + 1)}
    incident = [await record(plan, label, args) for label, plan in replays.items()]
    return {"train": train, "incident": pd.concat(incident, ignore_index=True)}


def write(tables: dict[str, pd.DataFrame], args: argparse.Namespace) -> None:
    """Only a complete recording is written, so that tables and provenance belong together."""
    args.out.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        table.round(4).to_parquet(args.out / f"{name}.parquet", index=False)
    text = json.dumps(provenance(args), indent=2) + "\n"
    (args.out / "PROVENANCE.json").write_text(text, encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Record, write, and return the exit status."""
    args = _parser().parse_args(arguments)
    if args.smoke:
        args.seconds, args.windows, args.lead, args.replays, args.data_mib = 6, 1, 2, 1, 16
    # Termination takes the way of an interrupt, which asyncio turns into an orderly cancellation.
    # A shell starts background jobs with interrupts ignored, hence the first line.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda number, frame: signal.raise_signal(signal.SIGINT))
    with suppress(PermissionError):
        os.nice(NICE)
    os.sched_setaffinity(0, {LOAD_CORE})
    try:
        # select() sleeps to the microsecond; epoll would round every send up to a millisecond.
        with asyncio.Runner(loop_factory=_select_loop) as runner:
            write(runner.run(record_all(args)), args)
    except MissingBinaryError as missing:
        print(missing, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the server and its data are gone", file=sys.stderr)
        return 130
    return 0


def _select_loop() -> asyncio.AbstractEventLoop:
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--out", type=Path, default=RECORDING, help="folder for the tables and PROVENANCE.json")
    add("--seed", type=int, default=7)
    add("--seconds", type=int, default=640, help="length of the training recording")
    add("--windows", type=int, default=18, help="ten-second windows of the fault")
    add("--lead", type=int, default=plans.LEAD_S, help="seconds before and after the fault")
    add("--replays", type=int, default=3, help="replays of the incident without the fault")
    add("--data-mib", type=int, default=400, help="size of the data set")
    temporary = Path(tempfile.gettempdir())
    add("--work", type=Path, default=temporary, help="where the server's files go: a real disk")
    add("--smoke", action="store_true", help="a few seconds, little data: does it work here?")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
