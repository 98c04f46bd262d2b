"""The guard of the study: what the path is like, what would stall, and MPC to fall back to.

A third rail, a known bad slice, can be had of what `find_slices` found; validation speaks against
it here. The slice is one of small throughputs, and a small chunk has one on any path: it alarms in
24 % of steps in distribution, where the inferred capacity, the cause, alarms in 5 %.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

import causalsys as cs
from case_studies.video_streaming.system import Truth, trial
from causalsys.detect.slice_result import Slice
from causalsys.fit.fitted import Fitted
from causalsys.replace.guarded import Guarded
from causalsys.replace.guarded_hold import Hold
from causalsys.replace.rails import KnownBad, Limits, Rail, Unusual
from causalsys.simulate.policies.predictive import MPC

HOLD = Hold(trip=1, of=1, least=10, clean=10)
"""Long, since MPC is nearly as good where all is well."""
SCALE = 0.3
"""Mbit/s: the QoE of the lowest bitrate without a stall, the least that counts as a reward."""
SLICED = {
    "buffer": "buffer",
    "last_throughput": cs.past("throughput", steps=1),
    "last_bitrate": cs.past("bitrate", steps=1),
    "rtt": "rtt",
}
"""By column of the branches' table, what a policy reads to know it."""


def guard(
    policy: Callable[..., Any],
    fitted: Fitted,
    *,
    training: Truth,
    logged: Truth,
    bad: Sequence[Slice] = (),
) -> Guarded:
    """A policy under guard.

    Args:
        policy: The policy.
        fitted: The model of the path.
        training: The sessions of its training: what is usual.
        logged: Sessions of all kinds, of which the limits are had.
        bad: Slices that are known to be bad.
    """
    rails: list[Rail] = [
        Unusual.from_model(
            fitted, "capacity", cs.Traces(trial(training)), level=0.05, steps=3, tail="low"
        ),
        Limits.from_model(
            fitted,
            "bitrate",
            cs.Traces(trial(logged)),
            outcome="download_time",
            at_most=_buffer,
            given=[cs.past("throughput", steps=3), "rtt"],
            level=0.8,
            name="likely to stall",
        ),
    ]
    rails += [KnownBad(each, columns=_read(each)) for each in bad]
    return Guarded(policy, MPC(), rails=rails, hold=HOLD, support=cs.Categorical(range(6)))


def _buffer(buffer: Tensor) -> Tensor:
    """A download that takes longer than the buffer lasts is a stall."""
    return buffer


def _read(found: Slice) -> dict[str, Any]:
    return {column: SLICED[column] for column in found.columns}


__all__ = ["HOLD", "SCALE", "SLICED", "guard"]
