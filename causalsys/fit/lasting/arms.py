"""Arms alone: a log-additive mechanism whose policy may see the noise itself.

Where a policy looks at this step's noise, all that is left is `u ⟂ arm`: arms were drawn by
chance, so every trace has noise of the same law. Each trace gives the means of its noise and of
cosines and sines of it (the empirical characteristic function; Feuerverger and McDunnough, 1981);
between arms these differ by chance only, and slopes are chosen so that they do, in units of their
covariance over traces (optimal GMM; Hansen, 1982). What counts is the number of traces, not of
steps, so this is much the weaker constraint (CausalSim; Alomar et al., NSDI 2023).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from causalsys.errors import FitError
from causalsys.fit.lasting.course import Course
from causalsys.fit.lasting.marginal import LogAdditive, columns_named, started, with_slopes
from causalsys.fit.lasting.moments import grids, start
from causalsys.fit.lasting.steps import Steps
from causalsys.mechanisms.base import Sample

_WAVES = (0.5,)
"""Frequencies of the characteristic function, over the noise's scale. More of them cost more in
what their covariance misses than they tell, where regimes per arm are few."""
_STEPS = 25
_CHANCE = 12.0
"""How far the least varied mixture of columns must vary over arms, in units of what chance does
(the first-stage F; Stock and Yogo, 2005, ask for about 10)."""
_RIDGE = 1e-6


@dataclass(frozen=True)
class _Means:
    """Each trace's means.

    Attributes:
        value: Of the moments, `[trace, moment]`.
        slope: Of how they move with the slopes, `[trace, moment, slope]`.
    """

    value: Tensor
    slope: Tensor


@dataclass(frozen=True)
class _Fit:
    """The slopes, the moments' misfit, its gradient's matrix, and the slopes' covariance."""

    slope: Tensor
    misfit: float
    step: Tensor
    covariance: Tensor


def fit_arms(
    mechanism: LogAdditive,
    sample: Sample,
    *,
    course: Course,
    generator: torch.Generator,
) -> LogAdditive:
    """Fit a log-additive mechanism under `u ⟂ arm` alone.

    Args:
        mechanism: Linear, or Multiplicative of rank one; fitted or not.
        sample: Its data, rows in the order of the course.
        course: How rows go on in time, with the arms.
        generator: Fixes the draws of members.

    Returns:
        The mechanism: member 0 has the estimate, the others are drawn from its covariance over
        traces; the law of the noise is the marginal one.

    Raises:
        FitError: There are no arms, or they do not vary what the slopes are of.
    """
    mechanism = started(mechanism, sample, generator=generator)
    spec = type(mechanism.spec).__name__
    data = grids(mechanism, sample, course=course)
    found = [_estimated(each, course, spec=spec) for each in data]
    return with_slopes(
        mechanism,
        sample,
        course=course,
        data=data,
        slopes=torch.stack([each.slope for each in found]),
        covariance=torch.stack([each.covariance for each in found]),
        generator=generator,
    )


def _estimated(data: Steps, course: Course, *, spec: str) -> _Fit:
    if course.arm is None:
        raise FitError(
            spec,
            found="traces without arms, and a policy that may see the noise",
            mend="Name the arm of each trace, or say that the policy does not see the latent.",
        )
    codes = course.arm.unique(return_inverse=True)[1]
    begun = start(data)
    scale = begun.spread
    means = _means(data, begun.slope, waves=(), scale=scale)
    _refuse_unvaried(means, codes, data, spec=spec)
    # Means are linear in the slopes: one step ends at their root, from wherever it begins.
    linear = begun.slope + _fit(means, codes, begun.slope).step
    means = _means(data, linear, waves=(), scale=scale)
    linear = linear + _fit(means, codes, linear).step
    return _climbed(data, codes, linear, scale=scale)


def _climbed(data: Steps, codes: Tensor, slope: Tensor, *, scale: float) -> _Fit:
    """Gauss-Newton on all moments, a step being halved where it does not lessen the misfit."""
    best = _fit(_means(data, slope, waves=_WAVES, scale=scale), codes, slope)
    share = 1.0
    for _ in range(_STEPS):
        step = share * best.step
        if bool((step.abs() < 0.02 * best.covariance.diagonal().sqrt()).all()):
            break
        tried = best.slope + step
        found = _fit(_means(data, tried, waves=_WAVES, scale=scale), codes, tried)
        if found.misfit < best.misfit:
            best, share = found, min(1.0, 2 * share)
        else:
            share /= 2
    return best


def _means(data: Steps, slope: Tensor, *, waves: tuple[float, ...], scale: float) -> _Means:
    """One pass over the data: each trace's means."""
    traces, count = data.line.shape[1], 1 + 2 * len(waves)
    value = data.line.new_zeros((count, traces))
    moved = data.line.new_zeros((count, data.width, traces))
    # Cosines turn with the level of the noise, so it is taken out, the same for all.
    level = (data.weight * data.line).sum() / data.weight.sum()
    for steps in data.blocks():
        columns, weight = data.columns(steps), data.weight[steps]
        noise = (data.line[steps] - level - data.line_of(slope, steps)) / scale
        parts = [noise, *(turn(each * noise) for each in waves for turn in (torch.cos, torch.sin))]
        slopes = [torch.ones_like(noise)]
        for place, each in enumerate(waves):
            cosine, sine = parts[1 + 2 * place : 3 + 2 * place]
            slopes += [-each * sine, each * cosine]
        for place, (part, change) in enumerate(zip(parts, slopes, strict=True)):
            value[place] += (part * weight).sum(0)
            change = (change * weight).to(columns.dtype)
            moved[place] -= (columns * change).sum(1) / scale
    total = data.weight.sum(0).clamp(min=1e-300)
    return _Means((value / total).mT, (moved / total).movedim(-1, 0))


def _fit(means: _Means, codes: Tensor, slope: Tensor) -> _Fit:
    """The misfit of arms, and the step that would undo it."""
    one_hot = torch.nn.functional.one_hot(codes).to(means.value.dtype)
    counts = one_hot.sum(0)
    value = (one_hot.mT @ means.value) / counts.unsqueeze(-1)
    within = means.value - value[codes]
    freedom = max(len(codes) - len(counts), 1)
    law = within.mT @ within / freedom
    law = law + _RIDGE * law.diagonal().mean() * torch.eye(len(law), dtype=law.dtype)
    root = torch.linalg.cholesky(torch.linalg.inv(law))
    moved = torch.einsum("ta,tmc->amc", one_hot, means.slope) / counts[:, None, None]
    share = (counts / counts.sum()).unsqueeze(-1)
    # What all arms have in common says nothing: it is the law of the noise.
    value = (value - (share * value).sum(0)) * counts.sqrt().unsqueeze(-1)
    moved = moved - (share.unsqueeze(-1) * moved).sum(0)
    moved = moved * counts.sqrt()[:, None, None]
    right = (value @ root).flatten()
    left = torch.einsum("amc,mn->anc", moved, root).flatten(0, 1)
    inverse = torch.linalg.pinv(left.mT @ left, rtol=1e-13, hermitian=True)
    step = -inverse @ (left.mT @ right)
    return _Fit(slope, float(right @ right), step, inverse)


def _refuse_unvaried(means: _Means, codes: Tensor, data: Steps, *, spec: str) -> None:
    """Refuse arms that do not move some mixture of columns by more than chance does."""
    names = columns_named(data)
    arms = int(codes.max()) + 1
    if arms <= data.width:
        raise FitError(
            spec,
            found=f"{arms} arms for {data.width} effects ({', '.join(names)})",
            mend=f"Give traces of at least {data.width + 1} arms whose policies differ.",
        )
    shares = -means.slope[:, 0]
    spread = shares.std(0).clamp(min=1e-12)
    shares = shares / spread
    one_hot = torch.nn.functional.one_hot(codes).to(shares.dtype)
    counts = one_hot.sum(0)
    average = (one_hot.mT @ shares) / counts.unsqueeze(-1)
    within = shares - average[codes]
    law = within.mT @ within / max(len(codes) - arms, 1)
    law = law + 1e-6 * torch.eye(len(law), dtype=law.dtype)
    apart = (average - shares.mean(0)) * counts.sqrt().unsqueeze(-1)
    root = torch.linalg.cholesky(torch.linalg.inv(law))
    values, vectors = torch.linalg.eigh(root.mT @ (apart.mT @ apart) @ root)
    least = float(values[0]) / max(arms - data.width, 1)
    if least >= _CHANCE:
        return
    mixture = (root @ vectors[:, 0]).abs()
    own = ((apart**2).sum(0) / law.diagonal() / max(arms - 1, 1)) < _CHANCE
    chosen = own if bool(own.any()) else mixture > 0.3 * mixture.amax()
    which = " and ".join(names[place] for place in chosen.nonzero()[:, 0])
    raise FitError(
        spec,
        found=f"arms between which the share of {which} does not differ (by chance it would by"
        f" {max(least, 0):.1f}, and {_CHANCE:.0f} are needed)",
        mend="Add an arm whose policy chooses it more, or less, often.",
    )
