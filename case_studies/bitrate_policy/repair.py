"""The repair: the same network trained again, where and with what the branches say it lacks.

The fault has two causes, and the branches (`branches.py`) tell both. Bitrates whose probability
fell to nothing were never tried again: so the layer that scores bitrates starts anew, with all of
them alike, and the bonus on entropy is paid for longer. And in the sessions of training they were
hardly ever wanted: so half of the sessions are those of training, and half, drawn from the whole
log, are those in which never picking these bitrates costs most. What the network has learned to
see, its inner layers, is kept.
"""

from __future__ import annotations

import copy
from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from case_studies.bitrate_policy.branches import Branches
from case_studies.bitrate_policy.network import Network
from case_studies.bitrate_policy.training import Schedule, train
from case_studies.video_streaming.system import Truth, trial
from causalsys.data.traces import Traces
from causalsys.fit.fitted import Fitted
from causalsys.simulate.simulate import Simulator


def repaired(
    fitted: Fitted,
    network: Network,
    *,
    training: Truth,
    logged: Truth,
    found: Branches,
    never: list[int],
    seed: int,
    schedule: Schedule | None = None,
) -> Network:
    """Train again.

    Args:
        fitted: The model.
        network: The policy's; it stays as it is.
        training: The sessions of its training.
        logged: The sessions of the log.
        found: Branches of the logged sessions.
        never: The bitrates that it never picks.
        seed: Fixes what is tried.
        schedule: How; by default as the first time, with a bonus that lasts longer.
    """
    how = schedule or Schedule(fading=0.8)
    sessions = costly(found, never, sessions=logged.traces, most=training.traces // 2)
    both = joined(training.of(torch.arange(training.traces // 2)), logged.of(sessions))
    start = copy.deepcopy(network)
    with torch.no_grad():
        for part in (start.scores.weight, start.scores.bias):
            part.zero_()
    simulator = Simulator.of(fitted, Traces(trial(both)))
    return train(simulator, seed=seed, schedule=how, start=start)


def costly(found: Branches, never: list[int], *, sessions: int, most: int) -> Tensor:
    """The sessions in which never picking some bitrates costs most."""
    session = found.rows["session"].to_numpy()
    lost = np.bincount(session, found.lost_by(never), minlength=sessions)
    return torch.from_numpy(np.sort(np.argsort(-lost, kind="stable")[:most]))


def joined(first: Truth, second: Truth) -> Truth:
    """Two sets of sessions as one."""
    parts: dict[str, Any] = {}
    for field in fields(Truth):
        one, other = getattr(first, field.name), getattr(second, field.name)
        if isinstance(one, Tensor):
            axis = 0 if field.name in ("rtt", "arm") else 1
            parts[field.name] = torch.cat([one, other], axis)
    return replace(first, **parts)


__all__ = ["costly", "joined", "repaired"]
