"""Where a recording comes from: what is needed to judge its numbers, and to record it anew."""

import argparse
import datetime
import os
import platform
import shlex
import subprocess
from pathlib import Path

from case_studies.redis_persistence import replay, schedule, server

MODULE = "case_studies.redis_persistence.record"


def provenance(args: argparse.Namespace) -> dict[str, object]:
    """The machine, the command and every constant; no path or name of the machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": shlex.join(["python", "-m", MODULE, *_options(args)]),
        "seed": args.seed,
        "redis": _output(server.BINARY, "--version"),
        "redis_settings": server.SETTINGS,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "file_system": _output("stat", "--file-system", "--format=%T", str(args.work)),
        "nice": os.nice(0),
        "schedule": _constants(schedule),
        "replay": _constants(replay),
    }


def _constants(module: object) -> dict[str, object]:
    return {name: value for name, value in vars(module).items() if name.isupper()}


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _options(args: argparse.Namespace) -> list[str]:
    """The options that shaped the numbers; paths of this machine stay out of the record."""
    names = ("seed", "seconds", "windows", "lead", "replays", "data_mib")
    return [f"--{name.replace('_', '-')}={getattr(args, name)}" for name in names]
