"""Scores of a cause and shifts of a noise: what a hidden confounder of the two would move.

The score of a number is its own noise, pulled through its mechanism: a standard normal, given
the parents. The score of a level is its standardised indicator. Neither depends on anything but
the cause, its parents and draws of their own, so that each is independent of the effect's noise.
"""

from __future__ import annotations

import torch
from torch import Tensor

from causalsys.mechanisms.base import Mechanism, Parents
from causalsys.scm.supports import Boolean, Categorical

_LEAST_CHANCE = 0.01
"""A level's chance counts as at least this, so that no row's score exceeds ten."""


def fall(
    mechanism: Mechanism,
    value: Tensor,
    parents: Parents,
    *,
    now: Tensor,
    changed: Parents,
    seed: int,
) -> Tensor:
    """How far the score of a cause falls when it is set.

    Args:
        mechanism: The cause's mechanism, of a scalar.
        value: What it was, `[1 or sample, row]`.
        parents: Its parents then, by key.
        now: What it is set to, `[..., 1 or sample, row]`.
        changed: Its parents now, by key.
        seed: Fixes where inside its step a count's score lies.

    Returns:
        Score then less score now, `[..., sample, row]`.
    """
    if isinstance(mechanism.support, Categorical):
        true = isinstance(mechanism.support, Boolean)
        level = torch.ones_like(now) if true else now
        then = _indicator(mechanism, value, parents, level=level)
        return then - _indicator(mechanism, now, changed, level=level)
    if mechanism.bijective:
        return mechanism.pull(value, parents) - mechanism.pull(now, changed)
    # The same draws on both sides: a score that is unchanged falls by nothing.
    sizes = [value.shape, now.shape, *(p.shape for p in (*parents.values(), *changed.values()))]
    shape = torch.broadcast_shapes(*sizes)
    then, after = (
        mechanism.pull(each.expand(shape), given, generator=torch.Generator().manual_seed(seed))
        for each, given in ((value, parents), (now, changed))
    )
    return then - after


def _indicator(mechanism: Mechanism, value: Tensor, parents: Parents, *, level: Tensor) -> Tensor:
    """Whether the value is the level, less its chance, in standard deviations."""
    chance = mechanism.log_prob(level, parents).exp().clamp(_LEAST_CHANCE, 1 - _LEAST_CHANCE)
    return ((value == level).to(chance.dtype) - chance) / (chance * (1 - chance)).sqrt()


def shifted(mechanism: Mechanism, noise: Tensor, by: Tensor) -> Tensor:
    """A noise moved in normal coordinates.

    Args:
        mechanism: Whose noise it is: of a scalar number, or of a variable with two levels.
        noise: `[..., sample, row]`, for two levels with their Gumbel noises last.
        by: `[..., sample, row]`.
    """
    if mechanism.noise == "normal":
        return noise + by
    # Only the difference of the two Gumbels decides, and it is logistic.
    gap = noise[..., 1] - noise[..., 0]
    half = (_logistic(_normal(gap) + by) - gap) / 2
    return torch.stack([noise[..., 0] - half, noise[..., 1] + half], dim=-1)


def _normal(logistic: Tensor) -> Tensor:
    """The standard normal at a logistic's quantile, accurate in both tails."""
    tail = torch.special.ndtri(torch.sigmoid(-logistic.abs()))
    return torch.where(logistic < 0, tail, -tail)


def _logistic(normal: Tensor) -> Tensor:
    """The inverse of `_normal`."""
    return torch.special.log_ndtr(normal) - torch.special.log_ndtr(-normal)
