"""Noise with a memory: a flow fitted under the noise's own history.

A bijective mechanism reconstructs its noise exactly. Where that noise is a state of the world
which lasts (the load of a host, the condition of a path), the rows of one arm may by chance have
had more of it than those of another, and a fit that takes rows as independent calls the
difference an effect. The graph says more: a parent that does not look at the noise is independent
of it given its past, `u_t ⟂ a_t | u_<t` (sequential exogeneity). So the likelihood of a step is
taken given the step before,

    u_t ~ (1 - e) N(u_{t-1}, s²) + e N(0, 1),

it lasts, or it jumps; and a row is compared with its neighbour in time rather than with all rows.
The marginal stays standard normal, so that everything else may go on as before.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from causalsys.errors import FitError
from causalsys.mechanisms.base import Mechanism, Sample
from causalsys.mechanisms.packing import pack, unpack
from causalsys.mechanisms.quasi_newton import minimise

_STEPS = 300
_LOG_2PI = math.log(2 * math.pi)
_STARTS = ((0.0, -3.0), (-1.0, -2.0), (-2.5, -2.0))
"""Pairs of the log of s and the log odds of e to start from; the best end is kept. From a wide s
all neighbours pull on the parents' effects at once; from a narrow one, those that agree already."""
_PRIOR = 0.5
"""Inverse variance of a weight's prior, per input; as wide as in a fit without memory."""


def with_memory(mechanism: Mechanism, sample: Sample, *, previous: Tensor) -> Mechanism:
    """The mechanism, fitted on from where it is under the history of its noise.

    Args:
        mechanism: A bijective mechanism with scalar noise, fitted.
        sample: Its data, rows in the order of time.
        previous: For each row the row before it that counts, `[row]`; -1 where a trace begins.

    Raises:
        FitError: No row has one before it.
    """
    follows = previous >= 0
    if not bool(follows.any()):
        raise FitError(
            type(mechanism.spec).__name__,
            found="memory=True, but no row that follows another",
            mend='Give traces: cs.Traces(frame, trace="trace", step="step").',
        )
    before = previous.clamp(min=0)
    names = [
        name
        for name, tensor in mechanism.state.items()
        if not name.startswith(mechanism.constants) and tensor.numel()
    ]
    total = sample.weight.sum(-1)

    def losses(points: Tensor, members: Tensor) -> Tensor:
        part = sample.pick(members)
        tried = mechanism.members(members)
        tried = tried.with_state(unpack(points[:, :-2], tried.state, names))
        noise = tried.pull(part.value, part.parents)
        stretch = tried.log_prob(part.value, part.parents) - _normal(noise)
        scale, odds = points[:, -2:-1], points[:, -1:]
        lasts = torch.nn.functional.logsigmoid(-odds) + _normal(
            (noise - noise[:, before]) / scale.exp()
        )
        jumps = torch.nn.functional.logsigmoid(odds) + _normal(noise)
        history = torch.logaddexp(lasts - scale, jumps)
        each = stretch + torch.where(follows, history, _normal(noise))
        weights = [tried.state[name] for name in names if tried.state[name].dim() == 3]
        square = sum(w.shape[1] * w.square().sum((1, 2)) for w in weights)
        prior = 0.25 * _PRIOR * square / total[members]
        return prior - (part.weight * each).sum(-1) / total[members]

    own = pack(mechanism.state, names)
    first = torch.zeros(len(_STARTS), dtype=torch.int64)
    starts = torch.cat([own[first], torch.tensor(_STARTS, dtype=own.dtype)], -1)
    tries = minimise(
        lambda points, whose: losses(points, 0 * whose), starts, steps=_STEPS, tolerance=1e-6
    )
    best = tries[losses(tries, first).argmin()]
    # The other members climb from there: from where each is, some would stay in the valley
    # that rows as independent lead to.
    points = minimise(losses, best.expand(sample.members, -1), steps=_STEPS, tolerance=1e-6)
    return mechanism.with_state(unpack(points[:, :-2], mechanism.state, names))


def rows_before(trace: Tensor, counts: Tensor) -> Tensor:
    """For each row the last row before it in its trace that counts; -1 where there is none.

    Args:
        trace: The number of each row's trace, rows of a trace being adjacent, `[row]`.
        counts: Which rows count, `[row]`.
    """
    rows = torch.arange(len(trace))
    latest = torch.where(counts, rows, torch.full_like(rows, -1)).cummax(0).values
    before = torch.cat([latest.new_full((1,), -1), latest[:-1]])
    same = trace[before.clamp(min=0)] == trace
    return torch.where((before >= 0) & same, before, torch.full_like(before, -1))


def _normal(noise: Tensor) -> Tensor:
    return -0.5 * (noise**2 + _LOG_2PI)
