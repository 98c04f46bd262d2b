"""What every engine promises. A new engine is added to `ENGINES`, and must pass."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from causalsys.engine.base import Engine, seed_of
from causalsys.engine.cores import Cores
from causalsys.engine.here import Here
from causalsys.errors import DataError

ENGINES = [Here(), Cores(1), Cores(2), Cores(3)]
every = pytest.mark.parametrize("engine", ENGINES, ids=str)


@every
def test_results_come_in_the_order_of_the_tasks(engine: Engine) -> None:
    def slow_first(task: int) -> int:
        # The first tasks take longest, so that later ones would overtake them.
        torch.randn(200 * max(8 - task, 0), 100).sum()
        return task * task

    assert list(engine.map(slow_first, range(40))) == [task * task for task in range(40)]


@every
def test_no_tasks_no_results(engine: Engine) -> None:
    assert list(engine.map(lambda task: task, [])) == []


@every
def test_numbers_do_not_depend_on_the_engine(engine: Engine) -> None:
    def work(task: tuple[int, int]) -> np.ndarray:
        piece, seed = task
        drawn = torch.randn(50_000, generator=torch.Generator().manual_seed(seed))
        # Threads would cut this sum in two, and round it differently.
        return np.array([piece, float(drawn.sum()), float((drawn @ drawn).sqrt())])

    tasks = [(piece, seed_of(7, piece)) for piece in range(9)]
    found, wanted = list(engine.map(work, tasks)), list(Here().map(work, tasks))
    np.testing.assert_array_equal(np.stack(found), np.stack(wanted))


@every
def test_a_function_may_hold_what_cannot_be_pickled(engine: Engine) -> None:
    held = {"equation": lambda x: 3 * x}
    assert list(engine.map(lambda task: held["equation"](task), [1, 2])) == [3, 6]


@every
def test_an_error_of_ours_comes_as_itself(engine: Engine) -> None:
    def fails(task: int) -> int:
        if task == 3:
            raise DataError("latency", found="a NaN in row 3", mend="Drop the row.")
        return task

    results = engine.map(fails, range(9))
    # What was finished before is given before.
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(DataError, match=r"latency: a NaN in row 3\. Drop the row\.") as caught:
        next(results)
    assert caught.value.variable == "latency"


@every
def test_tasks_are_taken_as_they_are_needed(engine: Engine) -> None:
    taken = 0

    def endless() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    results = engine.map(lambda task: task, endless())
    assert [next(results) for _ in range(5)] == [1, 2, 3, 4, 5]
    # Five, and at most three for each of three workers.
    assert taken <= 5 + 9
    results.close()


@every
def test_torch_works_with_one_thread_and_the_caller_keeps_its_own(engine: Engine) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for threads in engine.map(lambda task: torch.get_num_threads(), [1, 2]):
            assert threads == 1
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@every
def test_an_engine_may_be_used_within_itself(engine: Engine) -> None:
    def outer(task: int) -> int:
        return sum(engine.map(lambda inner: inner * task, [1, 2]))

    assert list(engine.map(outer, [1, 2])) == [3, 6]


@every
def test_large_results_come_whole(engine: Engine) -> None:
    found = list(engine.map(lambda task: np.full(1_000_000, task), [1, 2, 3]))
    assert [int(each.sum()) for each in found] == [1_000_000, 2_000_000, 3_000_000]


def test_seeds_differ_by_piece_and_by_seed() -> None:
    seeds = {seed_of(seed, piece) for seed in range(30) for piece in range(30)}
    assert len(seeds) == 900
