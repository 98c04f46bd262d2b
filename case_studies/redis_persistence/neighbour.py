"""The neighbour: another tenant of Redis's core, who comes and goes. It is the latent of the study.

Run as a script it burns the core in short periods, at the level that it last read from its standard
input. It ends when that input closes, so that it cannot outlive whoever started it.
"""

import os
import select
import subprocess
import sys
import time
from types import TracebackType
from typing import Self

# A burst is as long as a request may have to wait for the core, so the neighbour's level shows in
# degrees: its p99 is that of the clients. Bursts much longer than a sync would drown persistence.
PERIOD_S = 0.003


class Neighbour:
    """Starts the burner on one core; `level` sets the share of the core that it asks for."""

    def __init__(self, core: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(core)], stdin=subprocess.PIPE, start_new_session=True
        )
        self.pid = self._process.pid

    def level(self, share: float) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{share:.4f}\n".encode())
        self._process.stdin.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()


def burn(source: int) -> None:
    """Be busy for `share` of every period, and look for a new share between periods."""
    share = 0.0
    while True:
        # With nothing to do, wait for the next level instead of waking hundreds of times a second.
        ready, _, _ = select.select([source], [], [], 0.0 if share else None)
        if ready:
            text = os.read(source, 4096)
            if not text:
                return
            share = float(text.split()[-1])
        start = time.monotonic()
        while time.monotonic() < start + share * PERIOD_S:
            pass
        time.sleep(max(0.0, start + PERIOD_S - time.monotonic()))


if __name__ == "__main__":
    os.sched_setaffinity(0, {int(sys.argv[1])})
    burn(sys.stdin.fileno())
