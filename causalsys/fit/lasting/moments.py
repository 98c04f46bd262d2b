"""Sequential moments: log-additive mechanisms whose noise lasts, from all rows at once.

`link(value) = c + β · x + u`, and the graph says `u_t ⟂ x_t | u_<t`: a policy may look at queues,
and so at past noise, never at this step's. With `e_t = u_t - h(u_<t)`, any forecast `h`, the root
of `Σ_t w_t z_t ψ(e_t) = 0` is consistent, where the instrument `z_t = x_t - h(x_<t)` is what is
left after a regression on the history of `u`: if `h` is right, `e_t` has mean zero whatever went
before; if it is not, its error is a function of `u_<t`, to which what is left of `z_t` is
orthogonal (Robinson, 1988: either of two regressions may be wrong). Weights come from the past
alone (predetermined), so that calm traces count for more (Chamberlain, 1992).

Neither first differences (`u_{t-1}` drives `x_t`) nor effects of traces (regimes end inside one).
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from causalsys.errors import FitError
from causalsys.fit.lasting.course import Course
from causalsys.fit.lasting.equations import Equations, equations
from causalsys.fit.lasting.history import MEANS, SUMMARIES, Guess
from causalsys.fit.lasting.marginal import LogAdditive, columns_named, started, with_slopes
from causalsys.fit.lasting.steps import Steps
from causalsys.mechanisms.base import Sample
from causalsys.scm.supports import Categorical

_ROWS_AT_FIRST = 300_000
"""Rows of some traces on which slopes settle before all rows are seen."""
_PASSES_AT_FIRST, _PASSES = 30, 4
_LEAST = 1e-5
"""The least scale of an error that counts, over the noise's own: below it, sums lose digits."""
_ANNEAL = 0.3
_SINGULAR = 1e-9


def fit_moments(
    mechanism: LogAdditive,
    sample: Sample,
    *,
    course: Course,
    generator: torch.Generator,
    propensity: Tensor | None = None,
) -> LogAdditive:
    """Fit a log-additive mechanism whose noise lasts, under sequential exogeneity.

    Args:
        mechanism: Linear, or Multiplicative of rank one; fitted or not.
        sample: Its data, rows in the order of the course.
        course: How rows go on in time.
        generator: Fixes the draws of members.
        propensity: `[row, action]`, the chance that the policy gave each level of the one
            categorical parent, where it is known: the instrument is then `1{a} - π(a)`, and
            nothing need be known of the history.

    Returns:
        The mechanism: member 0 has the estimate, the others are drawn from its sandwich
        covariance, clustered by trace; the law of the noise is the marginal one.

    Raises:
        FitError: Of another family; or some slopes move with nothing that the data vary.

    Example:
        >>> from causalsys.mechanisms.linear import LinearMechanism
        >>> from causalsys.scm.specs import Linear
        >>> from causalsys.scm.supports import Boolean, Real
        >>> draw = torch.Generator().manual_seed(0)
        >>> noise = torch.randn(40, 50, generator=draw).cumsum(1).double()
        >>> mode = torch.randint(2, (40, 50), generator=draw)
        >>> rows = torch.arange(2000)
        >>> value, ones = noise + 3.0 * mode, torch.ones(1, 2000, dtype=torch.float64)
        >>> sample = Sample(value.reshape(1, -1), {"mode": mode.reshape(1, -1)}, ones)
        >>> course = Course(rows // 50, rows % 50)
        >>> start = LinearMechanism(Linear(), Real(), {"mode": Boolean()})
        >>> fitted = fit_moments(start, sample, course=course, generator=draw)
        >>> round(float(fitted.state["weight"][0, 0]), 1)
        3.0
    """
    mechanism = started(mechanism, sample, generator=generator)
    data = grids(mechanism, sample, course=course, propensity=propensity)
    spec = type(mechanism.spec).__name__
    if not data[0].width:
        nothing = sample.weight.new_zeros(1, 0)
        return with_slopes(
            mechanism,
            sample,
            course=course,
            data=data[:1],
            slopes=nothing,
            covariance=nothing.new_zeros(1, 0, 0),
            generator=generator,
        )
    found = [estimated(each, generator=generator, spec=spec) for each in data]
    return with_slopes(
        mechanism,
        sample,
        course=course,
        data=data,
        slopes=torch.stack([guess.slope for guess, _ in found]),
        covariance=torch.stack([_covariance(*each) for each in found]),
        generator=generator,
    )


def estimated(data: Steps, *, generator: torch.Generator, spec: str) -> tuple[Guess, Equations]:
    """The root of the moments, and the equations there."""
    live, traces = int((data.weight > 0).sum()), data.line.shape[1]
    few = min(math.ceil(_ROWS_AT_FIRST * traces / max(live, 1)), traces)
    some = data
    if few < traces:
        some = data.some(torch.randperm(traces, generator=generator)[:few].sort().values)
    guess = start(some)
    found = equations(some, guess)
    refuse_unvaried(found, data, spec=spec)
    guess, done = _moved(guess, found)
    for _ in range(_PASSES_AT_FIRST):
        if done:
            break
        guess, done = _moved(guess, equations(some, guess))
    for _ in range(_PASSES if few < traces else 1):
        # What the last pass adds is far below the error, so its scores serve for the covariance.
        found = equations(data, guess, clusters=True)
        guess, done = _moved(guess, found)
        if done:
            break
    return guess, found


def _covariance(guess: Guess, at_root: Equations) -> Tensor:
    """The slopes' covariance: no error is known to be smaller than what the weights tell from 0."""
    covariance = at_root.covariance()
    least = (0.5 * guess.floor) ** 2
    return covariance + least * torch.eye(len(covariance), dtype=covariance.dtype)


def start(data: Steps) -> Guess:
    """Least squares of the line on the columns, and a forecast from the last few steps."""
    size = data.width + 1
    gram, right = data.line.new_zeros((size, size)), data.line.new_zeros(size)
    square = data.line.new_zeros(())
    for steps in data.blocks():
        columns = data.columns(steps)
        full = torch.cat([torch.ones_like(columns[:1]), columns]).flatten(1).double()
        weighted, line = full * data.weight[steps].flatten(), data.line[steps].flatten()
        gram += weighted @ full.mT
        right += weighted @ line
        square += (data.weight[steps].flatten() * line**2).sum()
    best = torch.linalg.pinv(gram, rtol=1e-12) @ right
    variance = (square - best @ right) / gram[0, 0]
    # A line that fits exactly leaves rounding alone.
    spread = max(float(variance), 1e-18 * float(square / gram[0, 0]) + 1e-300) ** 0.5
    share, history = gram.new_zeros(len(MEANS)), gram.new_zeros(SUMMARIES)
    share[2] = history[2] = 1.0
    return Guess(best[1:], float(best[0]), spread, share, history, spread)


def _moved(guess: Guess, found: Equations) -> tuple[Guess, bool]:
    """The next guess, and whether it is as good as the last."""
    step, history = found.solve()
    size = float(step.abs().amax()) if len(step) else 0.0
    # From the first, no error is trusted to be smaller than what the slopes are off by: a trace
    # whose action happens to stay would seem free of noise.
    floor = max(min(guess.floor, _ANNEAL * size), _LEAST * guess.spread)
    moved = replace(
        guess,
        slope=guess.slope + step,
        share=(guess.history + history)[: len(MEANS)],
        history=guess.history + history,
        floor=floor,
    )
    # What is left after a step is a fraction of it.
    near = step.abs() < 0.1 * found.naive_error() + 0.05 * floor
    return moved, bool(near.all()) and floor == guess.floor


def refuse_unvaried(found: Equations, data: Steps, *, spec: str) -> None:
    """Refuse slopes that nothing in the data tells."""
    least, mixture = found.weakest()
    if data.width and least < _SINGULAR:
        names = columns_named(data)
        large = (mixture.abs() > 0.3 * mixture.abs().amax()).nonzero()[:, 0]
        raise FitError(
            spec,
            found=f"data that do not tell the effect of {' and '.join(names[i] for i in large)}:"
            " it is never taken, or it never changes within a trace",
            mend="Give traces in which a policy chooses it now and then, or leave it out.",
        )


def grids(
    mechanism: LogAdditive,
    sample: Sample,
    *,
    course: Course,
    propensity: Tensor | None = None,
) -> list[Steps]:
    """The data as grids: once, or once for each member where cells were imputed.

    Raises:
        FitError: Propensities of something else.
    """
    _check(propensity, mechanism, rows=sample.rows)
    given = [sample.value, *sample.parents.values()]
    return [
        Steps.of(
            mechanism.line(_of(sample.value, member)),
            {key: _of(sample.parents[key], member) for key in mechanism.parents},
            sample.weight[0],
            course=course,
            propensity=propensity,
            supports=mechanism.parents,
            scale=mechanism.scale,
            state=mechanism.state,
        )
        for member in range(max(each.shape[0] for each in given))
    ]


def _of(column: Tensor, member: int) -> Tensor:
    return column[member if column.shape[0] > 1 else 0]


def _check(propensity: Tensor | None, mechanism: LogAdditive, *, rows: int) -> None:
    if propensity is None:
        return
    choices = [
        support
        for support in mechanism.parents.values()
        if isinstance(support, Categorical) and support.size is None
    ]
    wanted = (rows, choices[0].cardinality) if len(choices) == 1 else None
    if wanted is None or tuple(propensity.shape) != wanted:
        raise FitError(
            "propensity",
            found=f"the shape {tuple(propensity.shape)} for {rows} rows and"
            f" {len(choices)} categorical parents",
            mend="Give [row, action] for the one categorical parent, or leave propensities out.",
        )
