"""Time and its growth, on a machine that others use too: take ratios, never seconds."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median


def alternate(
    calls: Mapping[str, Callable[[], object]], *, rounds: int, number: int = 1, warm: bool = True
) -> dict[str, list[float]]:
    """The seconds that each call takes, one number per round.

    The calls take turns, so that what else the machine does falls on all alike; every other
    round goes backwards. The garbage collector waits, as it does under `timeit`.

    Args:
        calls: What is timed, by name.
        rounds: How many turns each call has.
        number: How often it is made in one turn; its time is the mean.
        warm: Make each call once before, so that none pays for the caches and the memory that
            another one left behind.
    """
    taken: dict[str, list[float]] = {name: [] for name in calls}
    names = list(calls)
    for turn in range(rounds):
        for name in reversed(names) if turn % 2 else names:
            gc.collect()
            gc.disable()
            if warm:
                calls[name]()
            begun = time.perf_counter()
            for _ in range(number):
                calls[name]()
            taken[name].append((time.perf_counter() - begun) / number)
            gc.enable()
    return taken


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median over rounds of ours in units of theirs."""
    return median(a / b for a, b in zip(ours, theirs, strict=True))


def exponent(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """The slope of log time on log size, by least squares: 1 where cost is proportional."""
    x, y = [math.log(size) for size in sizes], [math.log(second) for second in seconds]
    middle_x, middle_y = sum(x) / len(x), sum(y) / len(y)
    above = sum((a - middle_x) * (b - middle_y) for a, b in zip(x, y, strict=True))
    return above / sum((a - middle_x) ** 2 for a in x)
