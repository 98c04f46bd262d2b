"""`Cores`: work runs on this machine's cores, each in a process of its own.

The processes are forked. A model holds equations, policies and lambdas that cannot be pickled; a
fork has them already, and only tasks and results go through its pipe. What makes forks dangerous
beside torch is a pool of threads that the child believes in and does not have: each worker works
with one thread, so no pool is asked. All workers are forked before the first task, so before a
progress bar has a thread. CUDA does not survive a fork: work on the GPU belongs to `Here`.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from typing import Any, Generic

from causalsys.engine.base import Engine, Result, Task
from causalsys.engine.here import Here
from causalsys.engine.worker import serve
from causalsys.errors import EngineError

_AHEAD = 2
"""Tasks per worker that may be finished before their turn: what is held in memory."""


@dataclass(frozen=True)
class Cores(Engine):
    """This machine's cores.

    Args:
        count: How many processes; by default one for each core that this process may use.

    Raises:
        EngineError: `count` is no whole number from 1, or the system cannot fork.

    Example:
        >>> list(Cores(2).map(lambda task: task + 1, [1, 2, 3]))
        [2, 3, 4]
    """

    count: int | None = None

    def __post_init__(self) -> None:
        whole = isinstance(self.count, int) and not isinstance(self.count, bool)
        if self.count is not None and (not whole or self.count < 1):
            raise EngineError(
                "count", found=repr(self.count), mend="Give a whole number of processes from 1."
            )
        if "fork" not in multiprocessing.get_all_start_methods():
            raise EngineError("Cores", found="a system that cannot fork", mend="Use cs.Here().")

    @property
    def workers(self) -> int:
        """How many processes there will be."""
        return self.count or len(os.sched_getaffinity(0))

    def map(
        self, function: Callable[[Task], Result], tasks: Iterable[Task]
    ) -> Generator[Result, None, None]:
        if multiprocessing.current_process().daemon:
            # A worker may not have workers: what it is asked to spread, it does itself.
            yield from Here().map(function, tasks)
            return
        pool: _Pool[Task, Result] = _Pool(iter(tasks))
        try:
            pool.start(function, self.workers)
            yield from pool.results()
        finally:
            pool.stop()


@dataclass
class _Worker:
    process: ForkProcess
    pipe: Connection
    at: int | None = None


@dataclass
class _Pool(Generic[Task, Result]):
    """Workers, and the tasks that they are at."""

    tasks: Iterator[Task]
    workers: list[_Worker] = field(default_factory=list)
    done: dict[int, tuple[bool, Any, str]] = field(default_factory=dict)
    given: int = 0
    told: int = 0
    last: bool = False

    def start(self, function: Callable[[Task], Result], count: int) -> None:
        context = multiprocessing.get_context("fork")
        for number in range(count):
            ours, theirs = context.Pipe()
            inherited = [ours, *(worker.pipe for worker in self.workers)]
            process = context.Process(
                target=serve,
                args=(function, theirs, inherited),
                name=f"causalsys-{number}",
                daemon=True,
            )
            with warnings.catch_warnings():
                # Python 3.12 warns of every fork beside threads; the module says why ours may.
                warnings.simplefilter("ignore", DeprecationWarning)
                process.start()
            theirs.close()
            self.workers.append(_Worker(process, ours))

    def results(self) -> Iterator[Result]:
        """All results, in order."""
        while True:
            self._feed()
            if self.told == self.given:
                return
            if self.told not in self.done:
                self._collect()
                continue
            fine, result, where = self.done.pop(self.told)
            self.told += 1
            if not fine:
                result.add_note(f"In a worker process:\n{where}")
                raise result
            yield result

    def stop(self) -> None:
        """Leave no process behind."""
        for worker in self.workers:
            worker.pipe.close()
            worker.process.terminate()
        for worker in self.workers:
            worker.process.join(timeout=5)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.process.close()
        self.workers.clear()

    def _feed(self) -> None:
        """A task to each worker that has none, unless too much waits for its turn."""
        for worker in self.workers:
            ahead = self.given - self.told
            if worker.at is not None or self.last or ahead >= _AHEAD * len(self.workers):
                continue
            try:
                task = next(self.tasks)
            except StopIteration:
                self.last = True
                return
            try:
                worker.pipe.send(task)
            except (BrokenPipeError, ConnectionResetError):
                worker.at = self.given
                raise _lost(worker) from None
            worker.at = self.given
            self.given += 1

    def _collect(self) -> None:
        """Wait until a worker answers."""
        busy = {worker.pipe: worker for worker in self.workers if worker.at is not None}
        for pipe in wait(list(busy)):
            worker = busy[pipe]  # type: ignore[index]
            try:
                answer = worker.pipe.recv_bytes()
            except (EOFError, OSError):
                raise _lost(worker) from None
            assert worker.at is not None
            self.done[worker.at] = pickle.loads(answer)  # noqa: S301 - from our own fork
            worker.at = None


def _lost(worker: _Worker) -> EngineError:
    """The error of a worker that died."""
    worker.process.join(timeout=5)
    code = worker.process.exitcode
    if code is not None and code < 0:
        how = f"killed by {signal.Signals(-code).name}"
    else:
        how = f"which ended with code {code}"
    memory = code == -signal.SIGKILL
    return EngineError(
        "worker",
        found=f"a worker process that died at task {worker.at}, {how}",
        mend="The kernel does so where memory runs out: use fewer workers, or smaller batches."
        if memory
        else "Run it with engine=cs.Here(), to see where.",
    )
