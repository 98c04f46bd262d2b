"""What varies by itself: load, request mixes, hit rates, neighbours, and the noise of scraping."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.rootcause.topology import Floats

DAY = 288
"""Rows of five minutes."""


@dataclass(frozen=True)
class Noise:
    """How much varies.

    Attributes:
        process: Factor of everything that varies in the system itself.
        count: Relative spread of a scraped count.
        gauge: Relative spread of a scraped latency, utilisation or size.
        wave: Of the load over a day, half its height.
    """

    process: float
    count: float
    gauge: float
    wave: float = 0.3


LEVELS = {
    "low": Noise(0.5, 0.002, 0.005),
    "medium": Noise(1.0, 0.005, 0.02),
    "high": Noise(2.0, 0.02, 0.06),
}


@dataclass(frozen=True)
class Weather:
    """Standard draws for a stretch of rows; one line per service, call or host.

    Attributes:
        load: Requests that users send, in units of the mean. `[rows]`.
        mix: How heavy a service's requests are, near 1. `[services, rows]`.
        hits: What is added to the logit of a service's hit rate. `[services, rows]`.
        memory: Slow relative changes of memory in use. `[services, rows]`.
        mean: Standard normal: luck of a mean over the row's requests. `[services, rows]`.
        batch: Low-priority work beside the service, in utilisation. `[services, rows]`.
        rate: How often a call is made, near 1. `[calls, rows]`.
        thin: Standard normal: luck of how many calls are made. `[calls, rows]`.
        steal: Share of a host that others take. `[hosts, rows]`.
        scrape: Standard normal, one for each metric. `[5, services, rows]`.
        seed: Of the counts of failures.
    """

    load: Floats
    mix: Floats
    hits: Floats
    memory: Floats
    mean: Floats
    batch: Floats
    rate: Floats
    thin: Floats
    steal: Floats
    scrape: Floats
    seed: int


def draw(
    sizes: tuple[int, int, int],
    rows: int,
    *,
    seed: int,
    start: int,
    noise: Noise,
    batchy: Floats,
) -> Weather:
    """The weather of some rows.

    Args:
        sizes: Services, calls, hosts.
        rows: How many.
        seed: Of everything drawn.
        start: The first row's number, for the daily wave.
        noise: How much.
        batchy: How often a service runs a batch job beside its requests. `[services]`.
    """
    services, calls, hosts = sizes
    rng = np.random.default_rng([seed, 101])
    level = noise.process
    wave = 1 + noise.wave * np.sin(2 * np.pi * (start + np.arange(rows)) / DAY)
    bursts = _episodes(1, rows, rng, chance=0.02, most=6)[0] * rng.uniform(0.1, 0.4)
    load = wave * np.exp(0.03 * level * wander(1, rows, rng, keep=0.5)[0]) * (1 + bursts)
    batch = _episodes(services, rows, rng, chance=batchy[:, None], most=5)
    return Weather(
        load=load,
        mix=np.exp(0.04 * level * wander(services, rows, rng, keep=0.6)),
        hits=0.15 * level * wander(services, rows, rng, keep=0.9),
        memory=0.02 * level * wander(services, rows, rng, keep=0.98),
        mean=rng.standard_normal((services, rows)),
        batch=batch * rng.uniform(0.05, 0.3, (services, 1)),
        rate=np.exp(0.02 * level * wander(calls, rows, rng, keep=0.7)),
        thin=rng.standard_normal((calls, rows)),
        steal=0.02 * np.exp(0.5 * np.sqrt(level) * wander(hosts, rows, rng, keep=0.8)),
        scrape=rng.standard_normal((5, services, rows)),
        seed=seed,
    )


def wander(lines: int, rows: int, rng: np.random.Generator, *, keep: float) -> Floats:
    """Stationary autoregressive series of unit variance, with tails heavier than a normal's.

    Args:
        lines: How many.
        rows: How long.
        rng: Of the draws.
        keep: Share of a value that the next row keeps.
    """
    steps = rng.standard_t(6, (lines, rows)) * np.sqrt(4 / 6 * (1 - keep**2))
    out = np.empty((lines, rows))
    value = rng.standard_normal(lines)
    for row in range(rows):
        value = keep * value + steps[:, row]
        out[:, row] = value
    return out


def _episodes(
    lines: int, rows: int, rng: np.random.Generator, *, chance: float | Floats, most: int
) -> Floats:
    """1 in rows of an episode of one to `most` rows, which starts by chance; else 0."""
    starts = rng.random((lines, rows)) < chance
    length = rng.integers(1, most + 1, (lines, rows))
    inside = np.zeros((lines, rows))
    for line, row in zip(*np.nonzero(starts), strict=True):
        inside[line, row : row + length[line, row]] = 1.0
    return inside
