"""One replay of a schedule against a fresh server, one row a second."""

import asyncio
import gc
import os
import time
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from case_studies.redis_persistence import probes
from case_studies.redis_persistence.load import Load, Second
from case_studies.redis_persistence.neighbour import Neighbour
from case_studies.redis_persistence.priority import first_in_line
from case_studies.redis_persistence.schedule import Schedule
from case_studies.redis_persistence.server import Control, RedisServer

SERVER_CORE = 0
LOAD_CORE = 1
PATIENCE_S = 20.0
DRAIN_S = 2  # a second's latencies are read this much later, when its last replies are in
RIPPLE_S = 2  # after a log rewrite Redis deletes the old log, and the disk is slow for that long
Row = dict[str, float]


@dataclass(frozen=True)
class Reading:
    """All counters and gauges at one moment."""

    counters: probes.Counters
    gauges: probes.Counters


@dataclass(frozen=True)
class Stage:
    """The server, and what may act on it or look at it."""

    server: RedisServer
    control: Control
    neighbour: Neighbour
    directory: Path

    async def enact(self, schedule: Schedule, second: int) -> bool:
        """Set this second's neighbour and persistence; True if persistence changed."""
        self.neighbour.level(schedule.neighbour[second])
        before = schedule.persistence[second - 1] if second else 0
        changed = bool(schedule.persistence[second] != before)
        if changed:
            await self.control.persistence(on=bool(schedule.persistence[second]))
        return changed

    async def read(self) -> Reading:
        """The counters of /proc first: they do not wait for a server that is stalled."""
        counters = probes.server(self.server.pid) | probes.machine() | probes.disk(self.directory)
        # Whatever was busy on this machine and is no part of the study spoils the second.
        ours = sum(counters[name] for name in ("cpu_user_ms", "cpu_sys_ms", "child_cpu_ms"))
        ours += probes.process_ms(self.neighbour.pid) + probes.process_ms(os.getpid())
        counters["other_cpu_hidden"] = counters.pop("busy_ms") - ours
        info = await self.control.info()
        return Reading(counters | probes.redis_counters(info), probes.redis_gauges(info))


async def replay(schedule: Schedule, data_mib: int, directory: Path) -> AsyncGenerator[Row, None]:
    """Yield the rows of one replay; server, data and neighbour live no longer than it does."""
    with (
        RedisServer(SERVER_CORE, LOAD_CORE, directory) as server,
        Neighbour(SERVER_CORE) as neighbour,
    ):
        control = await server.connect()
        load = Load(schedule, await control.fill(data_mib))
        await load.connect(server.port)
        gc.freeze()  # the plan is large and lives to the end: no collection need walk it
        start = time.monotonic() + 1.0
        playing = asyncio.create_task(load.play(start))
        try:
            with first_in_line(server.pid, neighbour.pid, os.getpid()):
                stage = Stage(server, control, neighbour, directory)
                waiting: deque[Row] = deque()
                async with aclosing(_watch(stage, schedule, start)) as rows:
                    async for row in rows:
                        waiting.append(row)
                        if len(waiting) > DRAIN_S:
                            yield await _completed(waiting.popleft(), load)
                await playing
                while waiting:
                    yield await _completed(waiting.popleft(), load)
        finally:
            playing.cancel()
            load.close()
            control.close()
            gc.unfreeze()


async def _watch(stage: Stage, schedule: Schedule, start: float) -> AsyncGenerator[Row, None]:
    """The server's side of every second, as soon as the second is over."""
    await _until(start)
    before = await stage.read()
    ripple_until = -1
    for second in range(len(schedule)):
        changed = await stage.enact(schedule, second)
        await _until(start + second + 1)
        after = await stage.read()
        if _rewrote(before, after):
            ripple_until = second + RIPPLE_S
        settling = changed or second <= ripple_until
        yield _row(schedule, second, before, after) | {"settling": int(settling)}
        before = after


async def _until(moment: float) -> None:
    await asyncio.sleep(max(0.0, moment - time.monotonic()))


def _row(schedule: Schedule, second: int, before: Reading, after: Reading) -> Row:
    row: Row = {name: value - before.counters[name] for name, value in after.counters.items()}
    for command in ("get", "set"):
        calls, spent = row.pop(f"{command}_calls"), row.pop(f"{command}_time_us")
        row[f"{command}_us"] = spent / calls if calls else 0.0
    return (
        row
        | after.gauges
        | {
            "second": second,
            "window": int(schedule.window[second]),
            "persistence": int(schedule.persistence[second]),
            "neighbour_hidden": float(schedule.neighbour[second]),
        }
    )


def _rewrote(before: Reading, after: Reading) -> bool:
    """Was the log rewritten in this second? A short rewrite shows only in its fork."""
    gauges = before.gauges["aof_rewrite_in_progress"] + after.gauges["aof_rewrite_in_progress"]
    return gauges > 0 or after.counters["forks"] > before.counters["forks"]


async def _completed(row: Row, load: Load) -> Row:
    """Add the clients' side, once every request of the second has been answered."""
    second = load.seconds[int(row["second"])]
    deadline = time.monotonic() + PATIENCE_S
    while not second.answered:
        if time.monotonic() > deadline:
            missing = second.due - len(second.latency_ms)
            raise TimeoutError(f"{missing} requests unanswered after {PATIENCE_S} s")
        await asyncio.sleep(0.01)
    return row | _clients(second)


def _clients(second: Second) -> Row:
    p50, p90, p99 = np.percentile(second.latency_ms, (50, 90, 99))
    return {
        "arrivals": second.due,
        "writes": second.writes,
        "written_mib": second.written_bytes / probes.MIB,
        "value_kib": (second.written_bytes + second.read_bytes) / 1024 / max(1, second.due),
        "p50_ms": float(p50),
        "p90_ms": float(p90),
        "p99_ms": float(p99),
        "max_ms": max(second.latency_ms),
        "errors": second.errors,
        "send_lag_p99_ms_hidden": float(np.percentile(second.send_lag_ms, 99)),
    }
