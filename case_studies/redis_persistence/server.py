"""The Redis under study: a real server in a temporary directory, and its control channel."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from case_studies.redis_persistence.schedule import VALUE_KIB

BINARY = "redis-server"
PACKAGES = {BINARY: "redis-server", "taskset": "util-linux"}
# Nothing may start a snapshot or a log rewrite but the recorder. Every write is synced when
# persistence is on: the setting that loses nothing, and stalls the event loop for every sync.
SETTINGS = {
    "bind": "127.0.0.1",
    "save": "",
    "appendonly": "no",
    "appendfsync": "always",
    "auto-aof-rewrite-percentage": "0",
    "rdbcompression": "no",
    "enable-debug-command": "local",
    "daemonize": "no",
}


class MissingBinaryError(FileNotFoundError):
    """The recorder installs nothing: it says what is missing."""


class RedisServer:
    """A pinned redis-server in its own process group; leaving the context removes all of it."""

    def __init__(self, core: int, child_core: int, directory: Path) -> None:
        for binary, package in PACKAGES.items():
            if shutil.which(binary) is None:
                raise MissingBinaryError(f"{binary} is missing; Debian has it in {package}")
        self._home = Path(tempfile.mkdtemp(prefix="causalsys-redis-", dir=directory))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        settings = SETTINGS | {
            "port": str(self.port),
            "dir": str(self._home),
            # On the server's own core a log rewrite would outlast the block that it belongs to.
            "aof_rewrite_cpulist": str(child_core),
        }
        command = ["taskset", "--cpu-list", str(core), BINARY]
        for name, value in settings.items():
            command += [f"--{name}", value]
        self._process = subprocess.Popen(
            command, start_new_session=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL
        )
        self.pid = self._process.pid  # taskset replaces itself with the server

    async def connect(self) -> "Control":
        """Wait until the server answers."""
        for _ in range(100):
            try:
                return Control(*await asyncio.open_connection("127.0.0.1", self.port))
            except ConnectionRefusedError:
                await asyncio.sleep(0.05)
        raise ConnectionError(f"{BINARY} did not open its port within 5 s")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # The group holds the children that write snapshots and log rewrites, too.
        _kill_group(self.pid)
        self._process.wait()
        for _ in range(100):
            if not _kill_group(self.pid):
                break
            time.sleep(0.02)  # a child that is still in a disk write dies when that returns
        shutil.rmtree(self._home, ignore_errors=True)


class Control:
    """One connection for commands, apart from the load."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def command(self, *words: str) -> str:
        parts = [f"*{len(words)}\r\n", *(f"${len(word)}\r\n{word}\r\n" for word in words)]
        self._writer.write("".join(parts).encode())
        head = (await self._reader.readline()).decode().rstrip()
        if head.startswith("-") or not head:
            raise ConnectionError(f"redis refused {words[0]}: {head or 'connection closed'}")
        if not head.startswith("$"):
            return head[1:]
        return (await self._reader.readexactly(int(head[1:]) + 2)).decode()

    async def persistence(self, on: bool) -> None:
        """Turning it on forks at once to rewrite the log; turning it off is immediate."""
        await self.command("CONFIG", "SET", "appendonly", "yes" if on else "no")

    async def fill(self, data_mib: int) -> tuple[int, ...]:
        """Give every value size an equal share of the memory; return the number of keys of each."""
        keys = tuple(data_mib * 1024 // len(VALUE_KIB) // kib for kib in VALUE_KIB)
        for kib, count in zip(VALUE_KIB, keys, strict=True):
            await self.command("DEBUG", "POPULATE", str(count), str(kib), str(kib * 1024))
        return keys

    async def info(self) -> dict[str, str]:
        lines = (await self.command("INFO", "everything")).splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def close(self) -> None:
        self._writer.close()


def _kill_group(group: int) -> bool:
    """Kill a process group; False once nothing of it is left."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
