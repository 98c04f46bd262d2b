"""The open-loop load generator: it sends on schedule, whether or not the server keeps up.

A request's latency counts from the moment it was *due*, not from the moment it was sent, so that a
stall is charged to every request which it delayed (no coordinated omission). The protocol is spoken
over plain asyncio sockets: a client library would cost more time per request than Redis does.
"""

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field

from case_studies.redis_persistence.schedule import VALUE_KIB, Schedule

CONNECTIONS = 16
PAYLOADS = tuple(b"v" * (kib * 1024) + b"\r\n" for kib in VALUE_KIB)


@dataclass
class Second:
    """What the clients saw of the requests that were due in one second."""

    due: int = 0
    writes: int = 0
    written_bytes: int = 0
    read_bytes: int = 0
    errors: int = 0
    latency_ms: list[float] = field(default_factory=list)
    send_lag_ms: list[float] = field(default_factory=list)  # the generator's own lateness

    @property
    def answered(self) -> bool:
        return len(self.latency_ms) == self.due


class Connection(asyncio.Protocol):
    """One pipelined connection: replies come back in the order of the requests."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[float, Second]] = deque()
        self._head = b""
        self._body = 0  # bytes of the current reply still to come
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.set_write_buffer_limits(high=1 << 30)  # an open loop never waits for the server
        self._transport = transport

    def send(self, due: float, second: Second, parts: tuple[bytes, ...]) -> None:
        assert self._transport is not None
        self._waiting.append((due, second))
        self._transport.write(b"".join(parts))

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        at = 0
        while at < len(data):
            if self._body:
                taken = min(self._body, len(data) - at)
                self._body -= taken
                at += taken
            else:
                end = data.find(b"\n", at)
                if end < 0:
                    self._head += data[at:]
                    return
                head, self._head, at = self._head + data[at:end], b"", end + 1
                if head.startswith(b"$") and not head.startswith(b"$-1"):
                    self._body = int(head[1:]) + 2
                elif not head.startswith(b"+"):
                    self._waiting[0][1].errors += 1
            if not self._body:
                due, second = self._waiting.popleft()
                second.latency_ms.append((now - due) * 1e3)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class Load:
    """Plays a schedule's requests; `seconds[i]` fills as the replies to second `i` come in."""

    def __init__(self, schedule: Schedule, keys_of_size: tuple[int, ...]) -> None:
        self._plan = [schedule.requests(second, keys_of_size) for second in range(len(schedule))]
        self.seconds = [Second() for _ in self._plan]
        self._connections: list[Connection] = []

    async def connect(self, port: int) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(CONNECTIONS):
            _, connection = await loop.create_connection(Connection, "127.0.0.1", port)
            self._connections.append(connection)

    async def play(self, start: float) -> None:
        """Send every request when it is due, counted from `start` on the monotonic clock."""
        sent = 0
        for number, (plan, second) in enumerate(zip(self._plan, self.seconds, strict=True)):
            second.due = len(plan.due_s)
            columns = (
                plan.due_s.tolist(),
                plan.is_write.tolist(),
                plan.size.tolist(),
                plan.key.tolist(),
            )
            for offset, is_write, size, key in zip(*columns, strict=True):
                due = start + number + offset
                wait = due - time.monotonic()
                if wait > 0:
                    await asyncio.sleep(wait)
                second.send_lag_ms.append((time.monotonic() - due) * 1e3)
                self._connections[sent % CONNECTIONS].send(
                    due, second, _command(is_write, size, key, second)
                )
                sent += 1

    def close(self) -> None:
        for connection in self._connections:
            connection.close()


def _command(is_write: bool, size: int, key: int, second: Second) -> tuple[bytes, ...]:
    """One GET or SET in RESP; keys are named as DEBUG POPULATE names them."""
    name = f"{VALUE_KIB[size]}:{key}"
    length = VALUE_KIB[size] * 1024
    if not is_write:
        second.read_bytes += length
        return (f"*2\r\n$3\r\nGET\r\n${len(name)}\r\n{name}\r\n".encode(),)
    second.writes += 1
    second.written_bytes += length
    return (f"*3\r\n$3\r\nSET\r\n${len(name)}\r\n{name}\r\n${length}\r\n".encode(), PAYLOADS[size])
