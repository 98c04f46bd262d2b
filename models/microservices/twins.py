"""A client's view of a service, recognised beside the service itself.

Tracing that loses a call's other end shows it as a leaf of its own: the service as its client saw
it, the network included. Such a view is slow whenever the service is, often with a larger
deviation, and would be blamed in its place. It is an effect of the service.

A view is a leaf that shares a caller with the service; sees no more requests than the service
answers, and no shorter latency; and follows the service's latency per request, or its share of
failures, where the service's load alone would not make it. A name in common lowers what data
have to show. Requests that are proportional are no evidence: one load drives them all.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.microservices.calls import Calls

Values = NDArray[np.float64]
_ALIKE, _NAMED = 0.8, 0.5
"""Least rank correlation by data alone, and with a name in common."""
_ROWS = 30
_WORD = re.compile(r"[a-z]{4,}")


@dataclass(frozen=True)
class Seen:
    """What is known of one service in normal rows, per request: `[row]`, NaN where unknown."""

    requests: Values
    latency: Values | None
    failing: Values | None


def find_twins(calls: Calls, seen: Mapping[str, Seen]) -> dict[str, str]:
    """From each view to the service that it is a view of."""
    found: dict[str, str] = {}
    leaves = [s for s in calls.services if not calls.callees[s] and s in seen]
    marks = _marks(calls.services)
    for view in leaves:
        scored = []
        for service in _beside(view, calls):
            if service not in seen or not calls.callees[service]:
                continue
            if _reaches(view, service, calls, found):
                continue
            named = any(mark in service.casefold() for mark in marks[view])
            like = _likeness(seen[view], seen[service])
            if like >= (_NAMED if named else _ALIKE):
                scored.append((like, service))
        if scored:
            found[view] = max(scored)[1]
    # The same address in another spelling, beside the same service, is another view of it.
    for view in leaves:
        same = {found[v] for v in found if v.casefold() == view.casefold()}
        if view not in found and len(same) == 1 and same <= set(_beside(view, calls)):
            (service,) = same
            if not _reaches(view, service, calls, found):
                found[view] = service
    return dict(sorted(found.items()))


def _reaches(view: str, service: str, calls: Calls, found: Mapping[str, str]) -> bool:
    """Whether the leaf acts on the service: then it is a callee of it, and no view.

    Effects go up the calls, and from a service to the views of it that were found so far.
    """
    views: dict[str, list[str]] = {}
    for other, of in found.items():
        views.setdefault(of, []).append(other)
    reached, ahead = {view}, [view]
    while ahead:
        at = ahead.pop()
        for effect in (*calls.callers[at], *views.get(at, ())):
            if effect not in reached:
                reached.add(effect)
                ahead.append(effect)
    return service in reached


def _beside(view: str, calls: Calls) -> tuple[str, ...]:
    """All that the view's callers call, besides it."""
    callees = {callee for caller in calls.callers[view] for callee in calls.callees[caller]}
    return tuple(sorted(callees - {view}))


def _likeness(view: Seen, service: Seen) -> float:
    """How closely the view follows the service per request; 0 where it cannot be its view."""
    if not _within(view.requests, service.requests):
        return 0.0
    if view.latency is not None and service.latency is not None:
        both = ~np.isnan(view.latency) & ~np.isnan(service.latency)
        if both.sum() >= _ROWS and np.median(view.latency[both] / service.latency[both]) < 0.9:
            return 0.0
    pairs = ((view.latency, service.latency), (view.failing, service.failing))
    loads = (view.requests, service.requests)
    return max(_correlation(left, right, loads) for left, right in pairs)


def _within(view: Values, service: Values) -> bool:
    both = ~np.isnan(view) & ~np.isnan(service)
    return bool(both.sum() >= _ROWS and view[both].sum() <= 1.05 * service[both].sum())


def _correlation(left: Values | None, right: Values | None, loads: Sequence[Values]) -> float:
    """Rank correlation beyond what the loads make; 0 where hardly anything moves."""
    if left is None or right is None:
        return 0.0
    both = ~np.isnan(left) & ~np.isnan(right)
    moving = [int((side[both] != np.median(side[both])).sum()) for side in (left, right)]
    if both.sum() < _ROWS or min(moving) < _ROWS / 3:
        return 0.0
    from scipy.stats import rankdata

    ranks = [rankdata(side[both]) / both.sum() for side in (left, right, *loads)]
    # Under load all are slow, along a curve: a parabola in the ranks takes it away.
    curve = [part for load in ranks[2:] for part in (load, load**2)]
    design = np.column_stack([np.ones(int(both.sum())), *curve])
    pair = np.column_stack(ranks[:2])
    rest = pair - design @ np.linalg.lstsq(design, pair, rcond=None)[0]
    spread = rest.std(0)
    if spread.min() < 1e-9:
        return 0.0
    return float((rest[:, 0] * rest[:, 1]).mean() / spread.prod())


def _marks(services: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The words of each name that fewer than three names have: `searc`, not `amazonaws`."""
    words = {service: set(_WORD.findall(service.casefold())) for service in services}
    common: Counter[str] = Counter(word for several in _each(words) for word in several)
    return {s: tuple(sorted(w for w in several if common[w] < 3)) for s, several in words.items()}


def _each(words: Mapping[str, set[str]]) -> Iterable[set[str]]:
    """Each different name once: two spellings of one address are one name."""
    return {service.casefold(): several for service, several in words.items()}.values()
