"""How much of a slice's error its columns cause: what the worlds say, with an interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causalsys.detect.slice_conditions import Mask

ROUNDS = 2
"""Every row is moved into the slice and out of it so many times, with other values each time."""
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Effect:
    """What is caused, and its standard error."""

    caused: float
    error: float

    def interval(self, level: float) -> tuple[float, float]:
        """The central normal interval."""
        half = _deviate(level) * self.error
        return self.caused - half, self.caused + half

    def share(
        self, difference: float, error: float, level: float
    ) -> tuple[float, tuple[float, float]]:
        """The effect as a share of a difference that has an error too (the delta method)."""
        share = self.caused / difference
        half = _deviate(level) * float(np.hypot(self.error, share * error)) / abs(difference)
        return share, (share - half, share + half)


def donors(held: Mask, usable: Mask, *, seed: int) -> list[Places]:
    """Which row each row takes the values from: inside and outside, in turn, `ROUNDS` times."""
    rng = np.random.default_rng(seed)
    inside, outside = np.flatnonzero(held & usable), np.flatnonzero(~held & usable)
    dealt = []
    for _ in range(ROUNDS):
        dealt += [_dealt(inside, len(held), rng), _dealt(outside, len(held), rng)]
    return dealt


def _dealt(places: Places, count: int, rng: np.random.Generator) -> Places:
    """Each place about equally often, in an order of chance."""
    return rng.permutation(np.resize(rng.permutation(places), count))


def effect(errors: list[NDArray[np.float64]], dealt: list[Places], *, members: int) -> Effect:
    """The mean error inside less that outside.

    The variance is that over rows, plus that over the values which were dealt (few rows of a
    slice are few values, however many rows take them), plus that over the members' parameters.

    Args:
        errors: One for each world of `dealt`, `[sample or 1, row]`; the samples take turns over
            the members.
        dealt: As `donors` gives them.
        members: How many members.
    """
    samples = max(len(each) for each in errors)
    wide = [np.broadcast_to(each, (samples, each.shape[1])) for each in errors]
    inside, outside = np.stack(wide[::2]), np.stack(wide[1::2])
    gain = (inside - outside).mean(axis=0)
    rows = gain.mean(axis=0)
    variance = rows.var(ddof=1) / len(rows)
    variance += _between(inside.mean(axis=1), dealt[::2]) + _between(
        outside.mean(axis=1), dealt[1::2]
    )
    whole = gain.mean(axis=1)
    turns = min(members, samples)
    if turns > 1:
        variance += np.var([whole[at::turns].mean() for at in range(turns)], ddof=1)
    return Effect(float(rows.mean()), float(np.sqrt(variance)))


def _between(errors: NDArray[np.float64], dealt: list[Places]) -> float:
    """The variance of the mean over the values that were dealt."""
    place, value = np.concatenate(dealt), errors.ravel()
    counts = np.bincount(place)
    used = counts > 0
    means = np.bincount(place, weights=value)[used] / counts[used]
    return float(means.var(ddof=1) / len(means)) if len(means) > 1 else 0.0


def _deviate(level: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(0.5 + level / 2))


__all__ = ["ROUNDS", "Effect", "Places", "donors", "effect"]
