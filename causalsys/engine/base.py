"""`Engine`: where work runs. One verb, and what every engine promises of it.

Work is a function and tasks. A task is a small description of a piece of work (which rows of which
file, and where the piece stands among all); what comes back is small too, and can be merged. So
the same work runs in this process, on this machine's cores, or on a cluster.

The promises, which a conformance suite holds every engine to:

- results come in the order of their tasks;
- the numbers do not depend on the engine, nor on how many workers it has: a task carries its own
  seed (`seed_of`), and torch works with one thread within it;
- tasks are taken as they are needed, so that there may be more of them than memory holds;
- an error is raised as it was raised, once all results before it have been given;
- when the caller stops, for whatever reason, nothing is left running.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import torch

Task = TypeVar("Task")
Result = TypeVar("Result")


class Engine(ABC):
    """Where work runs."""

    @abstractmethod
    def map(
        self, function: Callable[[Task], Result], tasks: Iterable[Task]
    ) -> Generator[Result, None, None]:
        """What `function` gives for each task, in the order of the tasks.

        Args:
            function: May close over what cannot be pickled, such as a model with lambdas.
            tasks: Can be pickled, as can what `function` returns.

        Returns:
            A generator; once it is closed nothing is left running. Close it where you stop early.

        Raises:
            EngineError: A worker was lost.
        """


def seed_of(seed: int, piece: int) -> int:
    """A seed for one piece of the work, the same wherever it runs.

    Args:
        seed: Of all the work.
        piece: The number of the piece.

    Example:
        >>> seed_of(0, 1) == seed_of(0, 1) != seed_of(0, 2)
        True
    """
    return int(np.random.SeedSequence((seed, piece)).generate_state(1, np.uint32)[0])


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch with one thread, as a context or a decorator.

    Sums that are cut in two by threads round differently. And tensors here are small: on cores that
    have other work, threads that wait for each other take ten times as long as one.
    """
    before = torch.get_num_threads()
    if before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
