"""Waiting, as queues have it: what makes latency rise without bound as a service gets busy.

In a queue with random arrivals the mean wait is proportional to `busy / (1 - busy)` (M/M/1, and
M/G/1 by Pollaczek and Khinchine; Kleinrock, "Queueing Systems", volume 1, 1975). So the seconds
waited in a row are proportional to the requests times that. It is written, not learned: normal rows
show the flat part of the curve only, and a surge of load climbs the steep one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

_FULL = 0.97
"""Where the curve is cut: a mean over a row is never quite full, and its wait never infinite."""


def waiting(requests: Tensor, cpu: Tensor) -> Tensor:
    """Requests times `busy / (1 - busy)`, the processor's use as a share."""
    busy = cpu.clamp(min=0.0, max=_FULL)
    return requests.clamp(min=0.0) * busy / (1 - busy)


def waiting_percent(requests: Tensor, cpu: Tensor) -> Tensor:
    """The same, the processor's use in percent."""
    return waiting(requests, cpu / 100)


def unit_of(cpu: NDArray[np.float64]) -> float | None:
    """What a full processor is in this column: 1, 100, or None where it is no share of one."""
    seen = cpu[~np.isnan(cpu)]
    if not len(seen) or seen.min() < 0:
        return None
    top = float(seen.max())
    # A share whose largest value is a twentieth of a percent would be an idle service's.
    return 1.0 if top <= 1.05 else 100.0 if top <= 105 else None


__all__ = ["unit_of", "waiting", "waiting_percent"]
