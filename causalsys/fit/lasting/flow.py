"""A bijective mechanism fitted under the history of its own noise.

A bijective mechanism reconstructs its noise exactly: `u = g(m; a, x)`. Where that noise is a state
of the world which lasts (the size of jobs, the capacity of a path), rows taken as independent call
an effect what is chance: the steps of one arm happened to meet more of it than those of another.
The graph says more. An action that neither sees nor changes the noise is independent of it given
its past, `u_t ⟂ a_t | u_<t` (sequential exogeneity), so the likelihood of a step is taken given
the steps before,

    max  Σ_t  log p(u_t | summary(u_<t)) + log ∂u/∂m,

and steps before and after a change of the action are compared with each other. Action, parents
and arm are no part of `p`. The marginal stays close to a standard normal, so that everything else
may go on as before.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from causalsys.errors import FitError
from causalsys.fit.lasting.course import Course
from causalsys.fit.lasting.flow_climb import BATCH, climb
from causalsys.fit.lasting.flow_jitter import Jitter
from causalsys.fit.lasting.flow_law import kernels, start_law
from causalsys.fit.lasting.flow_loss import Flow, trained
from causalsys.fit.lasting.flow_units import units
from causalsys.fit.lasting.flow_windows import LENGTH, Windows
from causalsys.mechanisms.base import Mechanism, Sample
from causalsys.mechanisms.packing import unpack
from causalsys.mechanisms.quasi_newton import minimise
from causalsys.mechanisms.training import narrowed

STEPS = 600
ROWS = 200_000
"""Rows that a fit looks at; of more, whole windows of traces are drawn."""
_FEW_ROWS = 8_000
"""Rows up to which all are looked at in each step."""
_QUASI_ROWS = 40_000
"""The most rows of such a fit, which families whose parameters have no common scale need, too."""
_QUASI_STEPS, _TOLERANCE = 150, 1e-5
_WIDTHS = (0.0, -2.0)
"""Logs of the law's width to start from, in units of the noise's innovations. From a wide one all
neighbours in time pull on the parents' effects at once; from a narrow one, those that agree."""
_TRIAL = 0.15
_RATE, _MEMBERS_RATE = 2e-2, 2e-3
_MEMBERS_STEPS = 0.1


def fit_flow(
    mechanism: Mechanism,
    sample: Sample,
    *,
    course: Course,
    generator: torch.Generator,
    steps: int = STEPS,
    rows: int = ROWS,
) -> Mechanism:
    """The mechanism, fitted on from where it is under its noise's own history.

    Args:
        mechanism: A bijective mechanism with scalar noise, fitted as if rows were independent.
        sample: Its data. Rows of no weight (of member 0) are passed over. Members beyond the
            first should have weights drawn by trace.
        course: How the sample's rows go on in time.
        generator: Fixes the draws.
        steps: Steps of stochastic descent, each of some 6,000 rows.
        rows: The most rows to look at.

    Returns:
        The mechanism with other parameters, its noise's marginal close to a standard normal.

    Raises:
        FitError: No row follows another, or the mechanism is not bijective in one number.
    """
    _check(mechanism)
    windows = Windows.of(course, sample.weight[0] > 0, steps_in_view=_in_view(sample.rows))
    windows = windows.some(rows, generator=generator)
    whole, sample = sample, sample.take(windows.rows[windows.live])
    windows = windows.renumbered()
    if not bool((windows.live.sum(-1) > 1).any()):
        raise FitError(
            type(mechanism.spec).__name__,
            found="a noise that lasts, but no row that follows another",
            mend='Give traces: cs.Traces(frame, trace="trace", step="step").',
        )
    data, kind = narrowed(sample)
    first = mechanism.members(torch.zeros(1, dtype=torch.int64)).to(dtype=kind)
    widths = [start_law(members=1, generator=generator, width=width) for width in _WIDTHS]
    unit = units(first, data, names=trained(first), generator=generator)
    total = data.weight.sum(-1)
    kernel = kernels(windows.rows.shape[1], like=unit)
    flows = [
        Flow(first, {k: v.to(kind) for k, v in law.items()}, total, unit, kernel) for law in widths
    ]
    start = torch.cat([flow.start() for flow in flows])
    flow = flows[0]
    jitter = Jitter.of(data.value, mechanism.support)
    if sample.rows <= _FEW_ROWS:
        points = _quasi_newton(flow, data, windows, start, generator=generator, jitter=jitter)
    else:
        points = _stochastic(
            flow, data, windows, start, steps=steps, generator=generator, jitter=jitter
        )
    if not bool(torch.isfinite(points).all()):
        raise FitError(
            type(mechanism.spec).__name__,
            found="a likelihood under its noise's history that is not finite",
            mend="Look for values far out of scale, or use another mechanism.",
        )
    moved = (points[:, : flow.size] * flow.unit).double()
    found = unpack(moved, mechanism.state, trained(mechanism))
    flowed = mechanism.with_state({name: tensor.clone() for name, tensor in found.items()})
    return flowed.finish(whole)


def _stochastic(
    flow: Flow,
    data: Sample,
    windows: Windows,
    start: Tensor,
    *,
    steps: int,
    generator: torch.Generator,
    jitter: Jitter,
) -> Tensor:
    """Where descent ends, `[member, parameter]`."""
    own = data.first()
    tried, losses = climb(
        flow,
        own,
        windows,
        start=start,
        steps=max(int(_TRIAL * steps), 1),
        rate=_RATE,
        generator=generator,
        jitter=jitter,
    )
    best = tried[losses.argmin()].unsqueeze(0)
    best, _ = climb(
        flow, own, windows, start=best, steps=steps, rate=_RATE, generator=generator, jitter=jitter
    )
    if data.members == 1:
        return best
    # The members go on from there, all on the same windows: how far one ends from member 0, whom
    # the same windows moved, is what its weights did, and not the windows' chance.
    moved, _ = climb(
        flow,
        data,
        windows,
        start=best.expand(data.members, -1),
        steps=max(int(_MEMBERS_STEPS * steps), 1),
        rate=_MEMBERS_RATE,
        batch=BATCH // 3,
        generator=generator,
        jitter=jitter,
    )
    return best + moved - moved[:1]


def _quasi_newton(
    flow: Flow,
    data: Sample,
    windows: Windows,
    start: Tensor,
    *,
    generator: torch.Generator,
    jitter: Jitter,
) -> Tensor:
    """Where few parameters end, by L-BFGS, `[member, parameter]`."""
    windows = windows.some(_QUASI_ROWS, generator=generator)
    part = jitter(windows.sample(data), generator=generator)
    total = part.weight.sum(-1)
    flow = replace(flow, total=total)
    losses = flow.losses(part.first(), windows)
    tries = minimise(losses, start, steps=_QUASI_STEPS, tolerance=_TOLERANCE)
    best = tries[losses(tries, torch.zeros(len(tries), dtype=torch.int64)).argmin()].unsqueeze(0)
    if data.members == 1:
        return best
    losses = flow.losses(part, windows)
    return minimise(losses, best.expand(data.members, -1), steps=_QUASI_STEPS, tolerance=_TOLERANCE)


def _in_view(rows: int) -> int:
    """Steps of a window: of few rows, none should lose what went before."""
    return LENGTH if rows > _QUASI_ROWS else 4 * LENGTH


def _check(mechanism: Mechanism) -> None:
    if mechanism.bijective and mechanism.noise == "normal" and not mechanism.noise_shape:
        return
    raise FitError(
        type(mechanism.spec).__name__,
        found="a noise that lasts, in a family whose value does not tell its noise",
        mend="Use a bijective family of one number: cs.SplineFlow(), cs.Monotone(), cs.Linear().",
    )
