"""From slopes to a mechanism: the constant, the members, and the marginal law of the noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from causalsys.errors import FitError
from causalsys.fit.lasting.course import Course
from causalsys.fit.lasting.steps import Steps
from causalsys.mechanisms.base import Mechanism, Sample
from causalsys.mechanisms.draws import bootstrap, some_rows
from causalsys.mechanisms.features import widths
from causalsys.mechanisms.least_squares import centred_draws
from causalsys.mechanisms.linear import LinearMechanism
from causalsys.mechanisms.multiplicative import MultiplicativeMechanism
from causalsys.mechanisms.residual import start_residual
from causalsys.scm.supports import Categorical

LogAdditive = LinearMechanism | MultiplicativeMechanism
_ENOUGH = 100_000
"""Rows that show the shape of a noise."""


def as_additive(mechanism: Mechanism) -> LogAdditive | None:
    """The mechanism, if it adds its causes and its noise up on a scale; else None."""
    if isinstance(mechanism, MultiplicativeMechanism):
        return mechanism if mechanism.spec.rank == 1 else None
    return mechanism if isinstance(mechanism, LinearMechanism) else None


def started(mechanism: LogAdditive, sample: Sample, *, generator: torch.Generator) -> LogAdditive:
    """The mechanism with the constants of its columns.

    Raises:
        FitError: It is not additive on its link's scale, or a parent is latent.
    """
    spec = type(mechanism.spec).__name__
    if not isinstance(mechanism, LinearMechanism | MultiplicativeMechanism) or (
        getattr(mechanism.spec, "rank", 1) != 1
    ):
        raise FitError(
            spec,
            found="a mechanism that does not add its noise on the scale of a link",
            mend="Use Linear or Multiplicative(rank=1), or fit it as a flow.",
        )
    hidden = sorted(set(mechanism.parents) - set(sample.parents))
    if hidden:
        raise FitError(
            spec,
            found=f"the latent parent {hidden[0]} beside a noise that lasts",
            mend="Let the latent be the noise itself, or give its values.",
        )
    if "center" in mechanism.state:
        return mechanism
    return mechanism.start(sample.first(), generator=generator)


def with_slopes(
    mechanism: LogAdditive,
    sample: Sample,
    *,
    course: Course,
    data: Sequence[Steps],
    slopes: Tensor,
    covariance: Tensor,
    generator: torch.Generator,
) -> LogAdditive:
    """The mechanism with these slopes, its constant and the marginal law of its noise.

    Args:
        mechanism: With the constants of its columns.
        sample: Its data.
        course: How rows go on; traces are the clusters of what is drawn.
        data: The same as grids, one or one per member.
        slopes: `[1 or member, column]`.
        covariance: Theirs, `[1 or member, column, column]`.
        generator: Fixes the draws.
    """
    width = slopes.shape[-1]
    draws = centred_draws(sample.members, width + 2, generator=generator)
    roots = torch.linalg.eigh(covariance)
    half = roots.eigenvectors * roots.eigenvalues.clamp(min=0).sqrt().unsqueeze(-2)
    slope = slopes + (half @ draws[:, :width]).squeeze(-1)
    noise, lines, columns = zip(
        *(_apart(each, mine) for each, mine in zip(data, slopes, strict=True)), strict=True
    )
    first, weight = noise[0], data[0].weight
    constant = torch.stack(lines) - (torch.stack(columns) * slope).sum(-1)
    off = torch.where(weight > 0, first - (lines[0] - columns[0] @ slopes[0]), 0)
    variance = (weight * off**2).sum() / weight.sum()
    scale = torch.maximum(variance.sqrt(), 1e-9 * (1 + off.abs().amax()))
    error = (
        _error(weight * off, data[0].parts),
        _error(weight * (off**2 - variance), data[0].parts) / (2 * variance + 1e-300),
    )
    by = weight.sum()
    state = {
        **{key: value for key, value in mechanism.state.items() if not key.startswith("knots.")},
        "constant": (constant + error[0] / by * draws[:, width, 0]).unsqueeze(-1),
        "log_scale": scale.log() + error[1] / by * draws[:, width + 1],
    }
    if width:
        state["weight"] = slope if isinstance(mechanism, LinearMechanism) else slope.unsqueeze(-1)
    ready = mechanism.with_state(state)
    if getattr(mechanism.spec, "noise", "normal") != "empirical":
        return ready
    return ready.with_state({**state, **_shape(ready, sample, course=course, generator=generator)})


def _apart(data: Steps, slope: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The noise with its constant, `[step, trace]`, and the means of the line and the columns."""
    noise, columns = torch.empty_like(data.line), torch.zeros_like(slope)
    for steps in data.blocks():
        noise[steps] = data.line[steps] - data.line_of(slope, steps)
        columns += data.columns(steps).flatten(1).double() @ data.weight[steps].flatten()
    total = data.weight.sum()
    return noise, (data.weight * data.line).sum() / total, columns / total


def _error(scores: Tensor, parts: Tensor) -> Tensor:
    """The standard deviation of a sum whose clusters are independent; `[step, trace]`."""
    sums = scores.new_zeros((int(parts[-1]) + 1, scores.shape[1])).index_add_(0, parts, scores)
    count = sums.numel()
    return (sums.square().sum() * count / max(count - 1, 1)).sqrt()


def _shape(
    ready: LogAdditive, sample: Sample, *, course: Course, generator: torch.Generator
) -> dict[str, Tensor]:
    """The residuals' own law, each member's to a Bayesian bootstrap of the traces."""
    rows = some_rows(sample.rows, _ENOUGH, generator=generator).sort().values
    some = replace(sample, weight=sample.weight[:1]).take(rows)
    traces = bootstrap(torch.ones(1).expand(sample.members, course.traces), generator=generator)
    residual = ready.line(some.value) - ready.location(some.parents)
    weight = some.weight * traces[:, course.trace[rows]]
    return start_residual(residual.expand_as(weight), weight, empirical=True)


def columns_named(data: Steps) -> list[str]:
    """What each column is, as a user would say it: `server=3`, `size`."""
    names: list[str] = []
    for key, support in data.supports.items():
        if isinstance(support, Categorical) and support.size is None:
            names += [f"{key}={level}" for level in (support.levels or ())[1:]]
        else:
            width = widths({key: support}, scale=data.scale)[key]
            names += [key] if width == 1 else [f"{key}[{place}]" for place in range(width)]
    return names
