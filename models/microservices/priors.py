"""What is known of slopes before any data: totals add up along calls.

A callee's seconds enter its caller's once, for the calls that came from this caller; less where
calls run side by side or are not waited for. So a slope lies in [0, 1], around the share of the
callee's requests that this caller makes. Where normal data do not move (errors of a service that
never failed), this is all that is known, and it is what carries an incident up the graph.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
SPREAD = 0.5
"""Deviation of a slope that lies in [0, 1]: its whole range is within about one of the mean."""
_SHARE_SPREAD = 0.3
_MOVING, _TOGETHER = 0.1, 0.7
"""Least relative deviation, and most correlation, of loads that tell shares apart."""


def shares(callee: Values | None, callers: Sequence[Values | None]) -> list[float]:
    """Which share of a callee's requests each caller makes, `[caller]`.

    Shares `s ≥ 0` fit `callee / mean = Σ s_p · caller_p / mean` by least squares, with a normal
    prior around shares by load, as if a request of any caller made as many calls. Callers whose
    loads rise and fall together, or hardly at all, tell no more than that. Where requests are not
    known, shares are equal.

    Example:
        >>> shares(None, [None, None])
        [0.5, 0.5]
    """
    count = len(callers)
    equal = [1.0 / max(count, 1)] * count
    if count < 2 or callee is None or any(caller is None for caller in callers):
        return equal
    columns = np.column_stack([caller for caller in callers if caller is not None])
    whole = ~np.isnan(columns).any(1) & ~np.isnan(callee)
    columns, target = columns[whole], callee[whole]
    if len(target) <= count or target.mean() <= 0 or (columns.mean(0) <= 0).any():
        return equal
    by_load = [float(part) for part in columns.mean(0) / columns.mean(0).sum()]
    columns, target = columns / columns.mean(0), target / target.mean()
    if columns.std(0).min() < _MOVING:
        return by_load
    together = np.corrcoef(columns.T) - np.eye(count)
    if np.abs(together).max() > _TOGETHER:
        return by_load
    return _fitted(columns, target, by_load)


def _fitted(columns: Values, target: Values, usual: Sequence[float]) -> list[float]:
    from scipy.optimize import nnls

    count = len(usual)
    residual = target - columns @ np.asarray(usual)
    weight = max(float(residual.std()), 1e-6) / _SHARE_SPREAD
    design = np.vstack([columns, weight * np.eye(count)])
    found, _ = nnls(design, np.concatenate([target, weight * np.asarray(usual)]))
    return [float(min(share, 1.0)) for share in found]


def down(share: float, *, caller: Values, callee: Values) -> tuple[float, float] | None:
    """Calls that a callee gets per request of a caller: by the ratio of their means."""
    above, below = _mean(caller), _mean(callee)
    if above <= 0 or below <= 0:
        return None
    ratio = below / above
    return share * ratio, max(SPREAD * ratio, 1e-6)


def rate(
    total: Values, requests: Values, *, passed_on: Mapping[int, tuple[float, Values]]
) -> tuple[float, float] | None:
    """Seconds or errors per request of a service's own, without what its callees pass on.

    The deviation of a rate of which nothing was seen in N requests is three in N.
    """
    load = _mean(requests)
    if load <= 0:
        return None
    whole = max(_mean(total), 0.0)
    below = sum(slope * _mean(value) for slope, value in passed_on.values())
    own = max(whole - below, 0.0) / load
    never = 3.0 / (load * len(requests))
    return own, max(SPREAD * whole / load, never)


def _mean(values: Values) -> float:
    some = values[~np.isnan(values)]
    return float(some.mean()) if len(some) else 0.0
