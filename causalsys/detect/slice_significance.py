"""Is the error of a slice higher than outside it: Welch's test, and a correction for many."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causalsys.detect.slice_conditions import Mask

_DEALS = 1999
_BLOCK = 2_000_000
"""Errors are dealt anew so many times, in blocks of so many numbers."""
FINEST = 1 / (1 + _DEALS)
"""The least chance that dealing anew can tell."""


@dataclass(frozen=True)
class Contrast:
    """The errors in a slice against those outside.

    Attributes:
        inside: The mean in the slice.
        outside: The mean outside.
        error: The standard error of their difference.
        freedom: Welch's degrees of freedom.
        spread: The pooled standard deviation (Cohen's d has it as its unit).
        rows: Rows in the slice.
    """

    inside: float
    outside: float
    error: float
    freedom: float
    spread: float
    rows: int

    @property
    def difference(self) -> float:
        """How much larger the mean error is in the slice."""
        return self.inside - self.outside

    @property
    def statistic(self) -> float:
        """Welch's t."""
        if self.error > 0:
            return self.difference / self.error
        return float(np.sign(self.difference)) * np.inf if self.difference else 0.0

    def p(self) -> float:
        """One sided: the chance of such a t where the slice is no worse than the rest."""
        from scipy.special import stdtr

        return float(stdtr(max(self.freedom, 1.0), -self.statistic))

    @property
    def clear(self) -> float:
        """The normal deviate that is as unlikely as t: few rows count for less."""
        from scipy.special import ndtri

        return float(-ndtri(np.clip(self.p(), 1e-300, 1.0)))

    def interval(self, level: float) -> tuple[float, float]:
        """The central interval of the difference."""
        from scipy.stats import t

        half = float(t.ppf(0.5 + level / 2, max(self.freedom, 1.0))) * self.error
        return self.difference - half, self.difference + half


def contrast(errors: NDArray[np.float64], held: Mask, against: Mask | None = None) -> Contrast:
    """Compare the errors of two sets of rows (Welch, Biometrika 1947).

    Args:
        errors: `[row]`.
        held: The rows of the slice.
        against: The rows it is compared with; all others without it.
    """
    inside, outside = errors[held], errors[~held if against is None else against]
    n, m = len(inside), len(outside)
    if n < 2 or m < 2:
        return Contrast(_mean(inside), _mean(outside), np.inf, 1.0, 0.0, n)
    own, other = inside.var(ddof=1) / n, outside.var(ddof=1) / m
    both = own + other
    down = own**2 / (n - 1) + other**2 / (m - 1)
    pooled = (own * n * (n - 1) + other * m * (m - 1)) / (n + m - 2)
    return Contrast(
        float(inside.mean()),
        float(outside.mean()),
        float(np.sqrt(both)),
        float(both**2 / down) if down > 0 else float(n + m - 2),
        float(np.sqrt(pooled)),
        n,
    )


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else 0.0


def exchanged(errors: NDArray[np.float64], held: list[Mask], *, seed: int) -> NDArray[np.float64]:
    """How often a larger t comes where the errors are dealt to the rows anew, for each slice.

    Welch's p is too small where a slice is most of the rows and errors are skewed: the few rows
    outside seldom hold the rare large errors, and look better than they are. Dealing anew is
    exact where slice and rest have one law (Janssen, Statistics and Probability Letters 1997,
    for t as the statistic).

    Returns:
        `[slice]`: (1 + larger ones) / (1 + deals).
    """
    rng = np.random.default_rng(seed)
    inside = np.stack(held, axis=1).astype(np.float64)
    seen = _statistics(errors[None], inside)
    larger = np.zeros(len(held))
    left = _DEALS
    while left:
        count = min(left, max(1, _BLOCK // len(errors)))
        dealt = rng.permuted(np.broadcast_to(errors, (count, len(errors))), axis=1)
        larger += (_statistics(dealt, inside) >= seen).sum(axis=0)
        left -= count
    found: NDArray[np.float64] = (1 + larger) / (1 + _DEALS)
    return found


def _statistics(errors: NDArray[np.float64], inside: NDArray[np.float64]) -> NDArray[np.float64]:
    """Welch's t of each deal and slice, `[deal, slice]`."""
    n, m = inside.sum(axis=0), (1 - inside).sum(axis=0)
    shifted = errors - errors.mean()
    one, two = shifted @ inside, (shifted**2) @ inside
    other, second = -one, (shifted**2).sum(axis=1, keepdims=True) - two
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = (two - one**2 / n) / (n * (n - 1)) + (second - other**2 / m) / (m * (m - 1))
        return np.nan_to_num((one / n - other / m) / np.sqrt(np.maximum(spread, 0)))


def holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Holm's correction (Scandinavian Journal of Statistics 1979): p values for all at once.

    Example:
        >>> holm(np.array([0.01, 0.04, 0.03]))
        array([0.03, 0.06, 0.06])
    """
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    found = np.empty_like(p)
    found[order] = np.minimum(stepped, 1.0)
    return found


__all__ = ["FINEST", "Contrast", "contrast", "exchanged", "holm"]
