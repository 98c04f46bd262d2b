"""What each cell would show had nothing changed: the normal period's rates, shrunk where thin.

A cell with many normal rows keeps its own mean. One with few borrows from the levels of its
dimensions, and one with none has nothing else: so that a change of the mix of traffic is seen as
such also among cells that are too thin to be compared one by one. The model is
`link(rate) = mean + sum of level effects + cell effect`, the effects normal around zero with
variances from the data (empirical Bayes; the moment estimator of DerSimonian and Laird, Controlled
Clinical Trials 7, 1986). The link (sums or products) is the one that fits the normal rows better,
and the variance of a request is `phi * rate ** power` with the likeliest power of 0, 1 and 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from causalsys.rootcause.drill_cells import Cells, Codes, Floats, summed

SWEEPS = 12
"""Rounds of backfitting; the level effects of correlated dimensions settle within about ten."""
STEEPEST = 6.0
"""The largest level effect in a product, as a logarithm: levels without any error have none."""


@dataclass(frozen=True)
class Baseline:
    """What is expected of each cell.

    Attributes:
        expected: The rate per request of each cell.
        variance: The variance of one request in each cell.
        relative: Whether level effects multiply.
        level_variance: How well each level's effect is known, on the link's scale; a level that
            the normal period does not have is as unknown as levels differ.
        cell_variance: Variance of the cells' own effects, on the link's scale.
        mean: The normal period's rate.
        positive: Whether all values are at least zero and some are above.
    """

    expected: Floats
    variance: Floats
    relative: bool
    level_variance: tuple[Floats, ...]
    cell_variance: float
    mean: float
    positive: bool

    @property
    def floor(self) -> float:
        """The smallest rate that a relative change is taken of."""
        return 0.1 * abs(self.mean)


@dataclass(frozen=True)
class _Main:
    """A fit of the level effects alone."""

    rate: Floats
    level_variance: tuple[Floats, ...]
    variance: Floats
    misfit: float


def fit_baseline(cells: Cells) -> Baseline:
    """Fit the normal period."""
    period = cells.before
    mean = float(period.values.sum() / period.weights.sum())
    everything = (period.value.min(), cells.after.value.min())
    positive = min(everything) >= 0 and mean > 1e-60  # below, its square is no number
    fits = {False: _settled(cells, mean, relative=False, positive=positive)}
    if positive:
        fits[True] = _settled(cells, mean, relative=True, positive=True)
    relative = positive and fits[True].misfit < fits[False].misfit
    main = fits[relative]
    rate, spread = _own(cells, main, relative=relative, floor=0.1 * abs(mean))
    total = float(period.weights @ rate)
    rate = rate * (period.values.sum() / total) if relative else rate
    rate = rate + (period.values.sum() - float(period.weights @ rate)) / period.weights.sum()
    return Baseline(rate, main.variance, relative, main.level_variance, spread, mean, positive)


def _settled(cells: Cells, mean: float, *, relative: bool, positive: bool) -> _Main:
    """Level effects, then the variance that goes with their rates, then both again."""
    start = np.full(cells.codes.shape[1], mean)
    variance = _variance(cells, start, positive=positive)
    rate, _ = _levels(cells, mean, variance, relative=relative)
    variance = _variance(cells, rate, positive=positive)
    rate, known = _levels(cells, mean, variance, relative=relative)
    period = cells.before
    seen = period.weights > 0
    gap = period.values[seen] / period.weights[seen] - rate[seen]
    return _Main(rate, known, variance, float(period.weights[seen] @ gap**2))


def _levels(
    cells: Cells, mean: float, variance: Floats, *, relative: bool
) -> tuple[Floats, tuple[Floats, ...]]:
    """Backfitting of shrunken level effects."""
    period = cells.before
    seen = period.weights > 0
    codes, weights = cells.codes[:, seen], period.weights[seen]
    own, noise = period.values[seen] / weights, variance[seen]
    sizes = [len(levels) for levels in cells.levels]
    effects: list[Floats] = [np.zeros(size) for size in sizes]
    known: list[Floats] = [np.zeros(size) for size in sizes]
    floor = 0.1 * abs(mean)
    total = np.zeros(codes.shape[1])
    for _ in range(SWEEPS):
        for d, size in enumerate(sizes):
            rate = mean * np.exp(total) if relative else mean + total
            slope = np.maximum(rate, floor) if relative else np.ones_like(rate)
            info = weights * slope**2 / noise
            held = summed(codes[d], info, size)
            gaps = summed(codes[d], info * (own - rate) / slope, size)
            raw = effects[d] + np.divide(gaps, held, out=np.zeros(size), where=held > 0)
            raw = np.where(held > 0, np.clip(raw, -STEEPEST, STEEPEST) if relative else raw, 0)
            raw = np.where(held > 0, raw - held @ raw / held.sum(), 0)
            spread = spread_of(raw, held)
            shrunk = raw * held * spread / (held * spread + 1)
            total += (shrunk - effects[d])[codes[d]]
            effects[d] = shrunk
            known[d] = spread / (held * spread + 1)
    return _rate(cells.codes, effects, mean, relative=relative), tuple(known)


def _rate(codes: Codes, effects: list[Floats], mean: float, *, relative: bool) -> Floats:
    total = np.zeros(codes.shape[1])
    for row, effect in zip(codes, effects, strict=True):
        total += effect[row]
    return mean * np.exp(total) if relative else mean + total


def spread_of(effects: Floats, info: Floats) -> float:
    """The variance of true effects, of estimates whose own variances are `1 / info`."""
    held = info.sum()
    room = held - (info @ info) / held if held > 0 else 0.0
    if room <= 1e-9 * held:
        return 0.0
    return max(0.0, float((info @ effects**2 - ((info > 0).sum() - 1)) / room))


def _variance(cells: Cells, rate: Floats, *, positive: bool) -> Floats:
    """The variance of a request: its scale, and how it grows with the rate."""
    period = cells.before
    seen = period.rows > 0
    squares = period.sums(period.value**2 / period.weight)[seen]
    own = period.values[seen] ** 2 / period.weights[seen]
    free = period.rows[seen] - 1
    inside = np.maximum(squares - own, 0)
    if not replicated(cells):
        gap = period.values[seen] - period.weights[seen] * rate[seen]
        inside, free = inside + gap**2 / period.weights[seen], free + 1
    level = np.maximum(rate, 0.1 * rate.mean()) if positive else np.ones_like(rate)
    # Without any variation (no errors at all, so far) next to none is assumed, but not none.
    both = [float((p.value**2 / p.weight).mean()) for p in (period, cells.after)]
    least = max(1e-6 * max(both), 1e-100)
    best, found = np.inf, np.ones_like(rate)
    for power in (0, 1, 2) if positive else (0,):
        shape = level**power
        scale = float((inside / shape[seen]).sum() / max(free.sum(), 1))
        scale = max(scale, least / float(shape[seen].mean()))
        cost = float(free @ np.log(scale * shape[seen]))
        if power == 0 or cost < best - 1e-9 * abs(best):
            best, found = cost, scale * shape
    return found


def replicated(cells: Cells) -> bool:
    """Whether cells have rows enough to tell their own effects from noise."""
    rows = cells.before.rows
    return float((rows[rows > 0] - 1).sum()) >= 30


def _own(cells: Cells, main: _Main, *, relative: bool, floor: float) -> tuple[Floats, float]:
    """The cells' own effects on top of those of their levels."""
    if not replicated(cells):
        return main.rate, 0.0
    period = cells.before
    seen = period.weights > 0
    slope = np.maximum(main.rate, floor) if relative else np.ones_like(main.rate)
    info = period.weights * slope**2 / main.variance
    gap = np.zeros_like(main.rate)
    gap[seen] = (period.values[seen] / period.weights[seen] - main.rate[seen]) / slope[seen]
    spread = spread_of(gap[seen], info[seen])
    return main.rate + slope * gap * info * spread / (info * spread + 1), spread
