"""The one-step error of a mechanism, without the truth.

Nobody knows what a step would have been under another action; what is known is what the next step
*was*, under the action that was taken. So each step of an arm that the fit never saw is forecast.
The mechanism abducts the noises of the steps before it, exactly; from their history a forecaster,
learned on the other arms, says what noise to expect now; the mechanism turns that into a value
under the action that was taken.

Where the action stayed as it was, a wrong mechanism is forgiven: what it got wrong one step ago it
gets wrong again. Where the action changed, it had to carry what it learned under one action over to
the other. So three figures are told:

- the error where the action changed beside the error where it stayed, and the same of forecasts
  that know of no mechanism;
- the bias by pair of actions. An action that neither sees nor changes the noise is independent of
  it given its past, `u_t ⟂ a_t | u_<t`, so the error of the expected noise averages to nothing
  over the steps of any pair, be the expected noise low or high: whatever is left, beyond errors
  clustered by trace, is a wrong transport from the one action to the other (or an action that sees
  the noise). Errors are compared with those of all actions at such an expected noise, their tails
  cut off, so that neither a poor forecast nor a rare jump passes for one;
- the transport error: the root mean square of these biases, less what chance alone would make of
  them. It is the part of the error that a better mechanism would take away; the rest is the noise
  that no simulator can foresee.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from causalsys.data.table import Layout

Values = NDArray[np.float64]
Codes = NDArray[np.int64]

_RATES = (0.5, 0.2, 0.05, 0.01)
"""Of the moving averages that the forecaster is given, beside the last two values."""
_BINS = 20
_CUT = 3.0
"""Median absolute deviations beyond which an error is cut off."""
_FEW_STEPS, _FEW_TRACES = 30, 10
_LEVELS = 64
"""A decision of more levels is looked at without pairs."""


@dataclass(frozen=True)
class Bias:
    """What is wrong on the way from one action to another.

    Attributes:
        before: The action of the step before.
        after: The action that was then taken.
        level: Whether the expected noise is "low" or "high".
        value: The bias of the forecast value: relative for a positive variable, in standard
            deviations otherwise.
        error: Its standard error, clustered by trace.
        steps: How many steps it is told by.
        rejected: Whether it is there beyond chance, all pairs of different actions being looked
            at (Holm, 1979).
    """

    before: object
    after: object
    level: str
    value: float
    error: float
    steps: int
    rejected: bool = False

    def __str__(self) -> str:
        told = f"{self.before} → {self.after} ({self.level} noise)"
        return f"{told}: {self.value:+.1%} ± {self.error:.1%}"


@dataclass(frozen=True)
class OneStep:
    """The one-step error of one learned variable in an arm that was left out.

    Attributes:
        variable: The variable.
        changed: The median error of the steps whose action changed: relative for a positive
            variable, in standard deviations otherwise. NaN where there are none.
        stayed: The same of those whose action stayed.
        transport: The transport error, see the module; NaN where no pair has enough steps.
        transport_error: What chance alone would make of it: smaller ones cannot be seen.
        biases: By pair of actions and level of the expected noise.
        baselines: Of other forecasters, (changed, stayed).
    """

    variable: str
    changed: float
    stayed: float
    transport: float
    transport_error: float
    biases: tuple[Bias, ...]
    baselines: dict[str, tuple[float, float]]

    @property
    def worst(self) -> Bias | None:
        """The pair of different actions whose bias is the most certain."""
        moved = [bias for bias in self.biases if bias.before != bias.after]
        return max(moved, key=lambda b: abs(b.value) / b.error, default=None)

    def wrong(self, tolerance: float) -> bool:
        """Whether a bias larger than `tolerance` is there beyond chance."""
        return any(bias.rejected and abs(bias.value) > tolerance for bias in self.biases)


@dataclass(frozen=True)
class Forecaster:
    """Says what to expect of a series from its past: linear, and calibrated.

    Attributes:
        weights: Of the history's features, the last one the constant's.
        edges: Between the bins of the expected value in which it was calibrated.
        shifts: What was to be added in each bin, `[bin]`.
    """

    weights: Values
    edges: Values
    shifts: Values

    @classmethod
    def learn(cls, values: Values, layout: Layout) -> Forecaster:
        """Learn it on the steps of some traces, `[row]`."""
        features, known = history(values, layout)
        features, target = features[known], values[known]
        if len(target) < 2 * features.shape[1]:
            mean = float(values.mean()) if len(values) else 0.0
            return cls(np.append(np.zeros(features.shape[1] - 1), mean), np.zeros(0), np.zeros(1))
        gram = features.T @ features
        ridge = 1e-8 * np.trace(gram) / len(gram) * np.eye(len(gram))
        weights = np.linalg.solve(gram + ridge, features.T @ target)
        expected = features @ weights
        edges = np.quantile(expected, np.linspace(0, 1, _BINS + 1)[1:-1])
        bins = np.searchsorted(edges, expected)
        count = np.bincount(bins, minlength=_BINS).clip(min=1)
        shifts = np.bincount(bins, target - expected, minlength=_BINS) / count
        return cls(weights, edges, shifts)

    def expect(self, values: Values, layout: Layout) -> tuple[Values, NDArray[np.bool_]]:
        """The expected value of each step from the steps before it, and where there are any."""
        features, known = history(values, layout)
        expected = features @ self.weights
        return expected + self.shifts[np.searchsorted(self.edges, expected)], known


def history(values: Values, layout: Layout) -> tuple[Values, NDArray[np.bool_]]:
    """What is known of a series before each step, `[row, feature]`, and where anything is.

    The features are the last two values, moving averages at several rates, and a constant.
    """
    from scipy.signal import lfilter

    position, trace = layout.position.numpy(), layout.trace.numpy()
    grid = np.zeros((layout.steps, layout.traces))
    grid[position, trace] = values
    live = np.zeros_like(grid)
    live[position, trace] = 1
    kept = [grid, np.concatenate([grid[:1], grid[:-1]])]
    for rate in _RATES:
        smooth, weight = (lfilter([rate], [1, rate - 1], part, axis=0) for part in (grid, live))
        kept.append(smooth / np.maximum(weight, 1e-300))
    before = np.maximum(position - 1, 0)
    columns = [part[before, trace] for part in kept]
    return np.stack([*columns, np.ones(len(values))], 1), position > 0


def biases(
    error: Values,
    expected: Values,
    layout: Layout,
    *,
    codes: Codes,
    levels: tuple[object, ...],
    level: float = 0.05,
) -> tuple[Bias, ...]:
    """The mean error by pair of actions and half of the expected value, with clustered errors.

    Args:
        error: The error of each step that has a past, NaN elsewhere, `[row]`.
        expected: What was expected, `[row]`.
        layout: The rows' traces.
        codes: The action's code, `[row]`.
        levels: Its levels.
        level: The probability that any of them is rejected by chance.
    """
    rows = np.flatnonzero(~np.isnan(error))
    if not len(rows) or len(levels) > _LEVELS:
        return ()
    trace, traces = layout.trace.numpy()[rows], layout.traces
    error = robust(error[rows], expected[rows])
    high = expected[rows] > np.median(expected[rows])
    before, after = codes[rows - 1], codes[rows]
    found = _cells(error, trace, before, after, high, levels=levels, traces=traces)
    if not any(bias.before != bias.after for bias, _ in found):
        # Too few steps for any pair by itself: all ways up, and all ways down.
        up, down = (after > before).astype(np.int64), (before > after).astype(np.int64)
        found += [
            pair
            for pair in _cells(
                error, trace, down, up, high, levels=("lower", "higher"), traces=traces
            )
            if pair[0].before != pair[0].after
        ]
    return _tested([bias for bias, _ in found], np.array([met for _, met in found]), level)


def _cells(
    error: Values,
    trace: Codes,
    before: Codes,
    after: Codes,
    high: NDArray[np.bool_],
    *,
    levels: tuple[object, ...],
    traces: int,
) -> list[tuple[Bias, int]]:
    """The mean error by pair and half, and in how many traces each was met."""
    size = len(levels)
    cell = (before * size + after) * 2 + high
    cells = 2 * size * size
    steps = np.bincount(cell, minlength=cells)
    mean = np.bincount(cell, error, minlength=cells) / np.maximum(steps, 1)
    both, where = np.unique(cell * traces + trace, return_inverse=True)
    sums = np.bincount(where, error - mean[cell])
    met = np.bincount(both // traces, minlength=cells)
    square = np.bincount(both // traces, sums**2, minlength=cells)
    spread = np.sqrt(square * met / np.maximum(met - 1, 1)) / np.maximum(steps, 1)
    enough = (steps >= _FEW_STEPS) & (met >= _FEW_TRACES) & (spread > 0)
    return [
        (
            Bias(
                levels[c // 2 // size],
                levels[c // 2 % size],
                "high" if c % 2 else "low",
                float(mean[c]),
                float(spread[c]),
                int(steps[c]),
            ),
            int(met[c]),
        )
        for c in np.flatnonzero(enough)
    ]


def robust(error: Values, expected: Values) -> Values:
    """Errors with their tails cut off, less what errors are at such an expected value.

    Given the past, errors have one law under all actions, so any function of them has one mean:
    cutting off what jumps costs no validity and saves much noise. What is left of it, divided by
    the share that was not cut, is a shift again (Huber, 1964).
    """
    away = error - np.median(error)
    most = _CUT * max(float(np.median(np.abs(away))), 1e-12)
    kept = np.clip(away, -most, most)
    bins = np.searchsorted(np.quantile(expected, np.linspace(0, 1, _BINS + 1)[1:-1]), expected)
    count = np.bincount(bins, minlength=_BINS).clip(min=1)
    kept = kept - (np.bincount(bins, kept, minlength=_BINS) / count)[bins]
    return np.asarray(kept / max(float((np.abs(away) < most).mean()), 0.1))


def _tested(found: list[Bias], traces: Codes, level: float) -> tuple[Bias, ...]:
    """Reject what is beyond chance: of pairs whose action changed; the rest shows the forecast."""
    from scipy.stats import t

    moved = np.array([bias.before != bias.after for bias in found], dtype=bool)
    z = np.array([abs(bias.value) / bias.error for bias in found])
    rejected = np.zeros(len(found), dtype=bool)
    if moved.any():
        rejected[moved] = holm(2 * t.sf(z, np.maximum(traces - 1, 1))[moved], level)
    return tuple(replace(b, rejected=bool(bad)) for b, bad in zip(found, rejected, strict=True))


def holm(p_values: Values, level: float = 0.05) -> NDArray[np.bool_]:
    """Which hypotheses Holm's step-down procedure rejects, `[test]`."""
    order = np.argsort(p_values, kind="stable")
    passed = p_values[order] <= level / (len(p_values) - np.arange(len(p_values)))
    rejected = np.zeros(len(p_values), dtype=bool)
    rejected[order] = np.logical_and.accumulate(passed)
    return rejected


def transport(found: tuple[Bias, ...]) -> tuple[float, float]:
    """The root mean square of the biases between different actions, less what is chance.

    Each is weighted by how well its square is known, and the second figure is what chance alone
    would make of the first.
    """
    moved = [bias for bias in found if bias.before != bias.after]
    if not moved:
        return float("nan"), float("nan")
    value, error = (
        np.array([getattr(bias, name) for bias in moved]) for name in ("value", "error")
    )
    # The square of a normal bias less its variance has the variance 2 σ⁴.
    known = error**-4.0
    square = float(np.average(value**2 - error**2, weights=known))
    return float(np.sqrt(max(square, 0))), float((2 / known.sum()) ** 0.25)
