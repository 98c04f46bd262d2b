"""Worker processes: what becomes of them when something goes wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from causalsys.engine.cores import Cores
from causalsys.engine.here import Here
from causalsys.errors import EngineError


def _gone(pid: int) -> bool:
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_that_dies_is_an_error(end: signal.Signals) -> None:
    def dies(task: int) -> int:
        if task == 2:
            os.kill(os.getpid(), end)
        return task

    with pytest.raises(EngineError, match=f"died at task 2, killed by {end.name}"):
        list(Cores(2).map(dies, range(5)))


def test_a_worker_that_leaves_is_an_error() -> None:
    with pytest.raises(EngineError, match=r"ended with code 3.*cs\.Here\(\)"):
        list(Cores(1).map(lambda task: os._exit(3), [0]))


def test_an_error_says_where_it_was_raised() -> None:
    def fails(task: int) -> float:
        return 1 / task

    with pytest.raises(ZeroDivisionError) as caught:
        list(Cores(2).map(fails, [0]))
    assert "return 1 / task" in caught.value.__notes__[0]


class _StubbornError(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def test_an_error_that_cannot_cross_is_told_in_words() -> None:
    def fails(task: int) -> None:
        raise _StubbornError(task, 2)

    with pytest.raises(EngineError, match="_StubbornError: 1 and 2") as caught:
        list(Cores(2).map(fails, [1]))
    assert "raise _StubbornError(task, 2)" in caught.value.__notes__[0]


def test_a_caller_that_stops_leaves_nothing_running() -> None:
    results = Cores(2).map(lambda task: os.getpid(), range(100))
    pids = {next(results) for _ in range(10)}
    results.close()
    assert all(_gone(pid) for pid in pids)


_PROGRAM = """
import os, signal, sys, time
from causalsys.engine.cores import Cores

# A shell's background jobs ignore interrupts, and so would what they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

def work(task):
    os.write(1, f"{os.getpid()}\\n".encode())  # At once: two of them write.
    time.sleep(60)

for _ in Cores(2).map(work, range(2)):
    pass
"""


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupt_leaves_no_process_behind(end: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pids = [int(parent.stdout.readline()) for _ in range(2)]
        parent.send_signal(end)
        assert parent.wait(timeout=20) != 0
        if end is signal.SIGKILL:
            # Nobody told these two; they would notice once they ask for more.
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
        assert all(_gone(pid) for pid in pids)
        assert ("KeyboardInterrupt" in parent.communicate()[1]) == (end is signal.SIGINT)


def test_idle_workers_end_with_a_parent_that_was_killed() -> None:
    program = _PROGRAM.replace("time.sleep(60)", "time.sleep(0.5)")
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids = [int(parent.stdout.readline()) for _ in range(2)]
        parent.kill()
        parent.wait(timeout=20)
    assert all(_gone(pid) for pid in pids)


@pytest.mark.parametrize("count", [0, -1, 1.5, True])
def test_a_count_that_is_none_is_refused(count: object) -> None:
    with pytest.raises(EngineError, match="whole number of processes"):
        Cores(count)  # type: ignore[arg-type]


def test_by_default_all_cores_of_this_process() -> None:
    assert Cores().workers == len(os.sched_getaffinity(0))
    assert Cores() == Cores(None) != Here()
