"""What happens in which second: load, persistence and neighbour, all drawn from one seed.

Everything here is exogenous: it is drawn before the recording starts and reacts to nothing that
the server does. That is what makes the load an open loop, persistence a randomised treatment, and
two replays of one incident comparable request by request.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# A key holds values of one size for ever, so what was written before does not change what is read.
VALUE_KIB = (1, 2, 4, 8, 16, 32, 64)
RATE_RPS = (700.0, 4000.0)
SIZE_KIB = (1.0, 40.0)
WRITE_SHARE = 0.5
BLOCK_S = 10  # persistence is drawn anew for every block
LEAD_S = 30  # seconds before and after the fault
SETTLE_S = 5  # the fault's first seconds: Redis rewrites its log, so the windows start after them
WINDOW_S = 10


@dataclass(frozen=True)
class Requests:
    """The requests of one second, in the order in which they are due."""

    due_s: Floats
    is_write: NDArray[np.bool_]
    size: Ints  # index into VALUE_KIB
    key: Ints  # which key of that size


@dataclass(frozen=True)
class Schedule:
    """One row per second; `window` is the ten-second window of the fault, -1 outside."""

    seed: int
    rate_rps: Floats
    value_kib: Floats
    persistence: Ints
    neighbour: Floats
    window: Ints

    def __len__(self) -> int:
        return len(self.rate_rps)

    def without_fault(self) -> "Schedule":
        """The same seconds, request by request, with persistence off throughout."""
        return replace(self, persistence=np.zeros_like(self.persistence))

    def requests(self, second: int, keys_of_size: tuple[int, ...]) -> Requests:
        """Poisson arrivals; each value has one of the two sizes next to the second's mean size."""
        rng = np.random.default_rng([self.seed, second])
        count = rng.poisson(self.rate_rps[second])
        sizes = np.asarray(VALUE_KIB, dtype=float)
        mean = self.value_kib[second]
        low = min(int(np.searchsorted(sizes, mean, side="right")) - 1, len(sizes) - 2)
        share_high = (mean - sizes[low]) / (sizes[low + 1] - sizes[low])
        size = low + (rng.random(count) < share_high)
        return Requests(
            due_s=np.sort(rng.random(count)),
            is_write=rng.random(count) < WRITE_SHARE,
            size=size,
            key=rng.integers(0, np.asarray(keys_of_size)[size]),
        )


def training(seed: int, seconds: int) -> Schedule:
    """Blocks of persistence on or off, at random, so that nothing else can explain its effect."""
    rng = np.random.default_rng([seed, 1])
    blocks = rng.integers(0, 2, size=-(-seconds // BLOCK_S))
    return Schedule(
        seed=seed * 10 + 1,
        rate_rps=_rate(rng, seconds),
        value_kib=_size(rng, seconds),
        persistence=np.repeat(blocks, BLOCK_S)[:seconds],
        neighbour=_neighbour(rng, seconds),
        window=np.full(seconds, -1),
    )


def incident(seed: int, windows: int, lead: int = LEAD_S) -> Schedule:
    """Persistence goes on for `windows` windows, with `lead` seconds of it off on either side."""
    rng = np.random.default_rng([seed, 2])
    fault = SETTLE_S + windows * WINDOW_S
    seconds = lead + fault + lead
    persistence = np.zeros(seconds, dtype=np.int64)
    persistence[lead : lead + fault] = 1
    window = np.full(seconds, -1)
    window[lead + SETTLE_S : lead + fault] = np.repeat(np.arange(windows), WINDOW_S)
    return Schedule(
        seed=seed * 10 + 2,
        rate_rps=_rate(rng, seconds),
        value_kib=_size(rng, seconds),
        persistence=persistence,
        neighbour=_neighbour(rng, seconds),
        window=window,
    )


def _rate(rng: np.random.Generator, seconds: int) -> Floats:
    """Requests per second: two slow waves, bursts of a few seconds, jitter in every second."""
    time = np.arange(seconds)
    low, high = np.log(RATE_RPS)
    slow = 0.6 * np.sin(2 * np.pi * (time / 170 + rng.random()))
    wave = slow + 0.4 * np.sin(2 * np.pi * (time / 47 + rng.random()))
    burst = _regimes(rng, seconds, (4, 12), lambda: 0.7 if rng.random() < 0.2 else 0.0)
    level = (low + high) / 2 + (high - low) / 3 * (wave + burst) + rng.normal(0, 0.15, seconds)
    return np.asarray(np.exp(np.clip(level, low, high)))


def _size(rng: np.random.Generator, seconds: int) -> Floats:
    """Mean value size in KiB: regimes of some seconds, log-uniform, with jitter inside them."""
    low, high = np.log(SIZE_KIB)
    level = _regimes(rng, seconds, (4, 12), lambda: float(rng.uniform(low, high)))
    level = np.clip(level + rng.normal(0, 0.15, seconds), low, high)
    return np.asarray(np.exp(level))


def _neighbour(rng: np.random.Generator, seconds: int) -> Floats:
    """The share of the core that the neighbour asks for: away, or there with some intensity."""

    def draw() -> float:
        return 0.0 if rng.random() < 0.4 else float(rng.uniform(0.15, 0.8))

    level = _regimes(rng, seconds, (8, 24), draw)
    return np.where(level > 0, np.clip(level + rng.normal(0, 0.04, seconds), 0.05, 0.85), 0.0)


def _regimes(
    rng: np.random.Generator, seconds: int, length: tuple[int, int], draw: Callable[[], float]
) -> Floats:
    """A step function: every regime lasts between the two lengths and has one drawn level."""
    steps: list[float] = []
    while len(steps) < seconds:
        steps += [draw()] * int(rng.integers(length[0], length[1] + 1))
    return np.asarray(steps[:seconds])
