"""Is the error of a slice higher than outside it: Welch's test, and a correction for many."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causalsys.detect.slice_conditions import Mask


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


__all__ = ["Contrast", "contrast", "holm"]
