"""What an operator's monitoring reads once a second: /proc of the server, and Redis's INFO.

A probe returns counters that only grow; a row of the recording is the difference of two readings.
"""

import os
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")
MIB = 1024 * 1024
Counters = dict[str, float]


def server(pid: int) -> Counters:
    """CPU of the server and its children, its waits for the core, its context switches."""
    user, system, waited_user, waited_system = _cpu_ms(pid)
    # A snapshot's child counts while it lives, and through its parent once it has been waited for.
    children = (PROC / str(pid) / "task" / str(pid) / "children").read_text().split()
    child = waited_user + waited_system
    for child_pid in children:
        with suppress(FileNotFoundError, ProcessLookupError):  # it may have ended meanwhile
            child += sum(_cpu_ms(int(child_pid))[:2])
    _, wait_ns, _ = (PROC / str(pid) / "schedstat").read_text().split()
    status = _fields(PROC / str(pid) / "status")
    voluntary = float(status["voluntary_ctxt_switches"])
    involuntary = float(status["nonvoluntary_ctxt_switches"])
    return {
        "cpu_user_ms": user,
        "cpu_sys_ms": system,
        "child_cpu_ms": child,
        "runqueue_wait_ms": int(wait_ns) / 1e6,
        "ctx_switches": voluntary + involuntary,
        "ctx_switches_involuntary": involuntary,
    }


def machine() -> Counters:
    """The machine as a whole: time stolen by the hypervisor, and all busy time."""
    user, nice, system, _, _, irq, softirq, steal = map(
        int, (PROC / "stat").read_text().split("\n", 1)[0].split()[1:9]
    )
    return {
        "steal_ms": steal * TICK_MS,
        "busy_ms": (user + nice + system + irq + softirq + steal) * TICK_MS,
    }


def disk(directory: Path) -> Counters:
    """What the disk under `directory` did; empty where there is none (tmpfs, overlay)."""
    device = directory.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in (PROC / "diskstats").read_text().splitlines():
        words = line.split()
        if f"{words[0]}:{words[1]}" == wanted:
            flushes, flush_ms = (int(words[18]), int(words[19])) if len(words) >= 20 else (0, 0)
            return {
                "disk_written_mib": int(words[9]) * 512 / MIB,
                "disk_busy_ms": int(words[12]),
                "disk_flushes": flushes,
                "disk_flush_ms": flush_ms,
            }
    return {}


def process_ms(pid: int) -> float:
    """CPU that one process has used."""
    return sum(_cpu_ms(pid)[:2])


def redis_counters(info: dict[str, str]) -> Counters:
    return {
        "commands": float(info["total_commands_processed"]),
        "net_in_mib": float(info["total_net_input_bytes"]) / MIB,
        "net_out_mib": float(info["total_net_output_bytes"]) / MIB,
        "get_calls": _call(info, "get", "calls"),
        "get_time_us": _call(info, "get", "usec"),
        "set_calls": _call(info, "set", "calls"),
        "set_time_us": _call(info, "set", "usec"),
        "aof_delayed_fsync": float(info.get("aof_delayed_fsync", 0)),
        "forks": float(info["total_forks"]),
    }


def redis_gauges(info: dict[str, str]) -> Counters:
    return {
        "used_memory_mib": float(info["used_memory"]) / MIB,
        "rss_mib": float(info["used_memory_rss"]) / MIB,
        "instantaneous_ops_per_s": float(info["instantaneous_ops_per_sec"]),
        "bgsave_in_progress": float(info["rdb_bgsave_in_progress"]),
        "aof_rewrite_in_progress": float(aof_rewriting(info)),
        "aof_pending_bio_fsync": float(info.get("aof_pending_bio_fsync", 0)),
        "latest_fork_us": float(info["latest_fork_usec"]),
    }


def aof_rewriting(info: dict[str, str]) -> bool:
    return "1" in (info["aof_rewrite_in_progress"], info["aof_rewrite_scheduled"])


def _call(info: dict[str, str], command: str, name: str) -> float:
    """One number of `cmdstat_get:calls=..,usec=..`; Redis leaves a command out until it is used."""
    pairs = dict(part.split("=") for part in info.get(f"cmdstat_{command}", f"{name}=0").split(","))
    return float(pairs[name])


def _cpu_ms(pid: int) -> tuple[float, float, float, float]:
    """User and system time: own, and of children that have been waited for."""
    words = (PROC / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()
    user, system, child_user, child_system = (int(word) * TICK_MS for word in words[11:15])
    return user, system, child_user, child_system


def _fields(path: Path) -> dict[str, str]:
    return {
        name: value.strip()
        for name, _, value in (line.partition(":") for line in path.read_text().splitlines())
    }
