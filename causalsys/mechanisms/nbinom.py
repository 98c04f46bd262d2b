"""The negative binomial's distribution function and its inverse, exact far into both tails.

An incident is a value that the normal days make all but impossible: no request where there were
thousands. Its noise must still give the value back, so the tails are kept as logarithms, by
scipy's incomplete beta function and beyond its range by that function's continued fraction
(Lentz's method; Press et al., Numerical Recipes, 6.4). NumPy, double precision, no gradients.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaincc, betaln, expit, log_expit, log_ndtr, ndtri_exp

Array = NDArray[np.float64]
LARGEST = 2.0**53
"""Counts beyond this are not whole numbers in double precision."""
_TINY = 1e-250
_HALF = np.log(0.5)


def log_tails(count: Array, log_mean: Array, size: Array) -> tuple[Array, Array]:
    """`log P(X <= count)` and `log P(X > count)`; a count may be -1. All of one shape.

    Args:
        count: Whole numbers.
        log_mean: The log of the mean.
        size: The inverse of the dispersion: the variance is `mean + mean² / size`.
    """
    odds = log_mean - np.log(size)
    above = np.maximum(count + 1, 1e-3)
    lower = _log_betainc(size, above, -odds)
    upper = _log_betainc(above, size, odds)
    return np.where(count < 0, -np.inf, lower), np.where(count < 0, 0.0, upper)


def noise_between(below: tuple[Array, Array], upto: tuple[Array, Array], share: Array) -> Array:
    """The standard normal noise that lies a `share` into the step between two counts.

    The share is one of probability: with uniform shares, the noise is uniform on the step once
    mapped through the normal distribution function.
    """
    lower = upto[0] + np.log(share + (1 - share) * np.exp(below[0] - upto[0]))
    upper = below[1] + np.log(share + (1 - share) * np.exp(upto[1] - below[1]))
    return np.where(upto[0] < _HALF, ndtri_exp(lower), -ndtri_exp(upper))


def quantile(noise: Array, log_mean: Array, size: Array) -> Array:
    """The smallest count whose distribution function is at least that of the noise."""
    from scipy.stats import nbinom  # scipy.stats is slow to import

    shares = expit(np.log(size) - log_mean)
    with np.errstate(all="ignore"):
        low = nbinom.ppf(np.exp(log_ndtr(noise)), size, shares)
        high = nbinom.isf(np.exp(log_ndtr(-noise)), size, shares)
    guess = np.where(noise < 0, low, high)
    typical = np.exp(np.clip(log_mean, -30, 36))
    guess = np.clip(np.where(np.isfinite(guess), guess, typical), 0, LARGEST).round()

    def reaches(count: Array, at: NDArray[np.intp]) -> NDArray[np.bool_]:
        lower, upper = log_tails(count, log_mean[at], size[at])
        left = lower >= log_ndtr(noise[at])
        return np.where(noise[at] < 0, left, upper <= log_ndtr(-noise[at]))

    every = np.arange(noise.size)
    wrong = np.flatnonzero(~(reaches(guess, every) & ~reaches(guess - 1, every)))
    if wrong.size:
        guess[wrong] = _bisect(lambda count: reaches(count, wrong), wrong.size)
    return guess


def _bisect(reaches: Callable[[Array], NDArray[np.bool_]], rows: int) -> Array:
    """The smallest count at which `reaches` is true, for each of the rows."""
    low, high = np.full(rows, -1.0), np.full(rows, LARGEST)
    while (high - low > 1).any():
        # The geometric middle finds the order of magnitude, the plain one the count.
        wide = high > 4 * (low + 2)
        middle = np.where(wide, np.sqrt((low + 2) * np.maximum(high, 0)), (low + high) / 2)
        middle = np.clip(np.floor(middle), low, high)
        enough = reaches(middle)
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.maximum(high, 0)


def _log_betainc(a: Array, b: Array, log_odds: Array) -> Array:
    """The log of the regularised incomplete beta function at `x = sigmoid(log_odds)`."""
    with np.errstate(all="ignore"):
        plain = betainc(a, b, expit(log_odds))
        # An x that rounds to one has lost what its complement still knows.
        close = np.flatnonzero(log_odds > 15)
        plain[close] = betaincc(b[close], a[close], expit(-log_odds[close]))
        found = np.log(plain)
        far = np.flatnonzero(~(plain > _TINY))
        if far.size:
            a, b, log_odds = a[far], b[far], log_odds[far]
            front = a * log_expit(log_odds) + b * log_expit(-log_odds) - np.log(a) - betaln(a, b)
            found[far] = front + np.log(_fraction(a, b, expit(log_odds)))
    return found


def _fraction(a: Array, b: Array, x: Array) -> Array:
    """The continued fraction of the incomplete beta function, for x left of its bulk."""
    small = 1e-300
    c = np.ones_like(x)
    d = 1 / np.maximum(1 - (a + b) * x / (a + 1), small)
    value = d
    for m in range(1, 300):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        change = np.ones_like(x)
        for term in (even, odd):
            d = 1 + term * d
            c = 1 + term / c
            d = 1 / np.where(np.abs(d) < small, small, d)
            c = np.where(np.abs(c) < small, small, c)
            change = d * c
            value = value * change
        if (np.abs(change - 1) < 1e-13).all():
            break
    return np.maximum(value, small)
