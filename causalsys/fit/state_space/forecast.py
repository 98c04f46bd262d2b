"""How well a state-space model foresees traces that were left out, and whether data refute it.

If the model is true, what a value adds to its forecast is independent of the past, whatever
actions were taken before and now. With too few latents, pairs of actions covary over steps in a
way that is not theirs, so that the error after action `b` foretells the error under action `a`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from causalsys.fit.overidentified import Overidentification
from causalsys.fit.state_space.climb import members_of
from causalsys.fit.state_space.kalman import covariances, innovations, log_densities
from causalsys.fit.state_space.series import Series, Shape, System

FOLD_STEPS = 25
"""Steps with which a fit to other traces leaves that to all."""
_BUMP = 1e-4
_FORGETS = 0.7
"""By how much an error of the past counts less with every step."""
_FEW = 20.0
"""Pairs of actions that follow each other in fewer rows are not tested on their own."""
_ROWS_PER_MOMENT = 20
_SINGULAR = 1e-8


def held_out(series: Series, shape: Shape, *, start: System, fold: Tensor) -> System:
    """The fits to all data but each fold's, one member per fold.

    Args:
        series: The data.
        shape: The model.
        start: Its parameters for all data, one member.
        fold: The fold of each trace, from 0, `[trace]`.
    """
    count = int(fold.max()) + 1
    weight = (fold != torch.arange(count).unsqueeze(-1)).to(torch.float64)
    return members_of(series, shape, start=start, weight=weight, steps=FOLD_STEPS)


def densities(system: System, series: Series) -> Tensor:
    """The log density of each value given those before it, `[step, member, trace]`."""
    with torch.no_grad():
        known = covariances(system, series)
        return log_densities(known, innovations(known, system.errors(series))[1])


def refuted(series: Series, shape: Shape, system: System) -> Overidentification | str:
    """A test of conditional moments: do earlier errors, by pairs of actions, foretell later ones?

    They are corrected for the parameters having been estimated, by what of them follows the scores
    (W. K. Newey, Econometrica 53, 1985; G. Tauchen, J. Econometrics 30, 1985). Errors of
    forecasts are martingale differences, so that rows are added up as they are.

    Returns:
        The test, or why there is none.
    """
    points = shape.points(system)
    width = points.shape[-1]
    bumps = torch.cat([torch.eye(width), -torch.eye(width)]).double() * _BUMP
    live = series.live > 0
    tried = densities(shape.system(points + bumps), series).movedim(1, 0)
    scores = ((tried[:width] - tried[width:]) / (2 * _BUMP))[:, live]
    with torch.no_grad():
        known = covariances(system, series)
        surprise = innovations(known, system.errors(series))[1]
        error = (surprise * known.precision.sqrt())[:, 0]
    return of_errors(error, series, scores=scores, actions=shape.actions)


def of_errors(
    error: Tensor, series: Series, *, scores: Tensor, actions: int
) -> Overidentification | str:
    """The same of errors that are at hand.

    Args:
        error: Each forecast's, in units of its standard deviation, `[step, trace]`.
        series: What the errors are of.
        scores: How each value moves each parameter, `[parameter, value]`, step by step.
        actions: How many actions there are.
    """
    live = series.live > 0
    past, pairs = _past(error, series, actions)
    if not pairs:
        return "no two actions follow each other often enough"
    taken = torch.nn.functional.one_hot(series.action[live], actions).double()
    moments = torch.stack([taken[:, a] * past[b][live] * error[live] for a, b in pairs])
    rows = moments.shape[-1]
    if rows < _ROWS_PER_MOMENT * (len(moments) + len(scores)):
        return f"{rows} rows are too few for {len(moments)} moments"
    return _of_ones(moments, scores)


def _past(error: Tensor, series: Series, actions: int) -> tuple[Tensor, list[tuple[int, int]]]:
    """The errors of the past after each action, and which pairs of actions are frequent.

    Returns:
        `[action, step, trace]`; and pairs, the later action first.
    """
    taken = torch.nn.functional.one_hot(series.action, actions).movedim(-1, 0).double()
    taken = taken * series.live
    own = taken * error
    past, known = torch.zeros_like(own), torch.zeros_like(own)
    for step in range(1, len(error)):
        past[:, step] = _FORGETS * past[:, step - 1] + own[:, step - 1]
        known[:, step] = _FORGETS * known[:, step - 1] + taken[:, step - 1]
    together = torch.einsum("atn,btn->ab", taken, known)
    return past, [(int(a), int(b)) for a, b in (together >= _FEW).nonzero()]


def _of_ones(moments: Tensor, scores: Tensor) -> Overidentification:
    """The regression of ones on moments and scores: its explained sum is chi-square."""
    from scipy.stats import chi2

    moments = moments / moments.square().mean(-1, keepdim=True).sqrt().clamp(min=1e-12)
    scores = scores / scores.square().mean(-1, keepdim=True).sqrt().clamp(min=1e-12)
    along = scores @ scores.mT
    share = moments @ scores.mT @ torch.linalg.pinv(along, rtol=_SINGULAR, hermitian=True)
    left = moments - share @ scores
    values, vectors = torch.linalg.eigh(left @ left.mT)
    kept = values > _SINGULAR * values.max()
    # At the maximum scores add up to zero, but for the weak prior.
    total = (vectors.mT @ left.sum(-1))[kept]
    freedom = int(kept.sum())
    statistic = float((total**2 / values[kept]).sum())
    return Overidentification(statistic, freedom, float(chi2.sf(statistic, freedom)))
