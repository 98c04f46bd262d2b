"""`Here`: work runs in this process, one task after the other."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass

from causalsys.engine.base import Engine, Result, Task, one_thread
from causalsys.errors import QueryError


@dataclass(frozen=True)
class Here(Engine):
    """This process.

    Example:
        >>> list(Here().map(lambda task: task + 1, [1, 2]))
        [2, 3]
    """

    def map(
        self, function: Callable[[Task], Result], tasks: Iterable[Task]
    ) -> Generator[Result, None, None]:
        for task in tasks:
            with one_thread():
                result = function(task)
            yield result


def as_engine(given: object) -> Engine:
    """What a user gave as `engine`; this process, where that was nothing.

    Raises:
        QueryError: It is no engine.
    """
    engine = Here() if given is None else given
    if not isinstance(engine, Engine):
        raise QueryError("engine", found=repr(given), mend="Use cs.Here() or cs.Cores(n).")
    return engine
