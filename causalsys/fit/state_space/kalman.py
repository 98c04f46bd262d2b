"""The Kalman filter and the smoother behind it, over all members and traces at once.

A value is one number, so that nothing is inverted: the filter's gain is a division, and the
smoother goes backward by a vector and a matrix (J. Durbin and S. J. Koopman, Time Series Analysis
by State Space Methods, 2nd ed., 2012, sections 4.3 to 4.5). The score of the likelihood comes from
the smoothed disturbances (S. J. Koopman and N. Shephard, Biometrika 79, 1992), so that no step is
kept for differentiation. Axes of components lead and traces come last: every operation is long.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from causalsys.fit.state_space.series import Series, System

_LOG_2PI = math.log(2 * math.pi)


@dataclass(frozen=True)
class Filtered:
    """What is known of the state before each value.

    Attributes:
        cover: Its covariance, `[step, component, component, member, trace]`.
        gain: `cover` times the loading, `[step, component, member, trace]`.
        precision: 1 / the variance of the next value, 0 where there is none,
            `[step, member, trace]`.
        loading: `[step, component, member, trace]`.
        keeps: `[component, member, 1]`.
    """

    cover: Tensor
    gain: Tensor
    precision: Tensor
    loading: Tensor
    keeps: Tensor

    def members(self, index: Tensor) -> Filtered:
        """The same for these members, in this order."""
        return Filtered(
            self.cover.index_select(3, index),
            self.gain.index_select(2, index),
            self.precision.index_select(1, index),
            self.loading.index_select(2, index),
            self.keeps.index_select(1, index),
        )


def covariances(system: System, series: Series) -> Filtered:
    """How well each next value is foreseen: it depends on the actions alone."""
    loading = system.loadings(series)
    steps, size, members, traces = loading.shape
    keeps = system.keeps.mT.unsqueeze(-1)
    both = keeps.unsqueeze(0) * keeps.unsqueeze(1)
    eye = torch.eye(size, dtype=loading.dtype)[..., None, None]
    fresh = eye * (1 - keeps**2)
    cover = loading.new_empty((steps, size, size, members, traces))
    gain, precision = torch.empty_like(loading), loading.new_empty((steps, members, traces))
    now = eye.expand(size, size, members, traces)
    noise = system.noise.unsqueeze(-1)
    for step in range(steps):
        cover[step] = now
        mine = (now * loading[step]).sum(1)
        sure = series.live[step] / ((mine * loading[step]).sum(0) + noise)
        gain[step], precision[step] = mine, sure
        now = both * (now - mine * mine.unsqueeze(1) * sure) + fresh
    return Filtered(cover, gain, precision, loading, keeps)


def innovations(known: Filtered, errors: Tensor) -> tuple[Tensor, Tensor]:
    """The means of the states before each value, and by how much each value surprises.

    Args:
        known: The covariances.
        errors: The values less what is known of them, `[step, member, trace]`.

    Returns:
        `[step, component, member, trace]`, and `[step, member, trace]`.
    """
    mean = torch.empty_like(known.loading)
    surprise = torch.empty_like(errors)
    now = torch.zeros_like(mean[0])
    for step in range(len(errors)):
        mean[step] = now
        surprise[step] = errors[step] - (known.loading[step] * now).sum(0)
        pull = surprise[step] * known.precision[step]
        now = known.keeps * (now + known.gain[step] * pull)
    return mean, surprise


def log_densities(known: Filtered, surprise: Tensor) -> Tensor:
    """The log density of each value given those before it, `[step, member, trace]`."""
    live = known.precision > 0
    sure = torch.where(live, known.precision, 1.0)
    each = 0.5 * (sure.log() - _LOG_2PI - surprise**2 * sure)
    return torch.where(live, each, 0.0)


def pulls(known: Filtered, surprise: Tensor) -> Tensor:
    """How later values, and this one, move each state, `[step, component, member, trace]`.

    A smoothed state is its mean before the value, plus its covariance times this.
    """
    found = torch.empty_like(known.loading)
    now = torch.zeros_like(found[0])
    for step in reversed(range(len(surprise))):
        later = known.keeps * now
        sure = known.precision[step]
        own = sure * (surprise[step] - (known.gain[step] * later).sum(0))
        now = later + known.loading[step] * own
        found[step] = now
    return found


def smoothed(known: Filtered, mean: Tensor, surprise: Tensor) -> Tensor:
    """The mean of each state given the whole trace, `[step, component, member, trace]`."""
    return mean + (known.cover * pulls(known, surprise).unsqueeze(1)).sum(2)


def score(system: System, series: Series, weight: Tensor) -> tuple[Tensor, System]:
    """The log likelihood and its derivatives.

    Args:
        system: The parameters.
        series: The data.
        weight: How much each trace counts, `[member, trace]`.

    Returns:
        `[member]`; and the derivatives by each parameter, shaped as the system's own.
    """
    known = covariances(system, series)
    mean, surprise = innovations(known, system.errors(series))
    total = (log_densities(known, surprise).sum(0) * weight).sum(-1)
    keeps, both = known.keeps, known.keeps.unsqueeze(0) * known.keeps.unsqueeze(1)
    # By how much what comes after a step moves its next state, and how surely: r and N.
    after, sure_after = torch.empty_like(mean), torch.empty_like(known.cover)
    own, sized, toward = (torch.empty_like(each) for each in (surprise, surprise, mean))
    vector, matrix = torch.zeros_like(mean[0]), torch.zeros_like(known.cover[0])
    for step in reversed(range(len(surprise))):
        sure, gain, loading = known.precision[step], known.gain[step], known.loading[step]
        after[step], sure_after[step] = vector, matrix
        later, spread = keeps * vector, both * matrix
        mine = (spread * gain).sum(1)
        own[step] = sure * (surprise[step] - (gain * later).sum(0))
        sized[step] = sure + sure**2 * (mine * gain).sum(0)
        toward[step] = mine
        cross = loading * (mine * sure).unsqueeze(1)
        outer = loading * (loading * sized[step]).unsqueeze(1)
        matrix = spread - cross - cross.transpose(0, 1) + outer
        vector = later + loading * own[step]
    cover, gain, sure = known.cover, known.gain, known.precision.unsqueeze(1)
    state = mean + (cover * (keeps * after + known.loading * own.unsqueeze(1)).unsqueeze(1)).sum(2)
    # (N L P)_jj, with L P = keeps (P - M M' / F), both of them symmetric but for `keeps`.
    left = cover - gain.unsqueeze(2) * (gain * sure).unsqueeze(1)
    rest = (sure_after * left * keeps).sum(2)
    diagonal = sure_after.diagonal(dim1=1, dim2=2).movedim(-1, 1)
    lasting = after * state - rest - keeps * (after**2 - diagonal)
    back = (cover * (known.loading * sized.unsqueeze(1) - toward * sure).unsqueeze(1)).sum(2)
    of_loading = (own.unsqueeze(1) * state - back) * weight
    weighed = own * weight
    place = series.action.flatten()
    constant, action = torch.zeros_like(system.constant), torch.zeros_like(system.loading)
    constant.index_add_(1, place, weighed.transpose(0, 1).flatten(1))
    action.index_add_(2, place, of_loading.permute(2, 1, 0, 3).flatten(2))
    return total, System(
        constant,
        action,
        torch.einsum("tmn,tpn->mp", weighed, series.columns),
        (lasting * weight).sum((0, 3)).mT,
        0.5 * ((own**2 - sized) * weight).sum((0, 2)),
    )
