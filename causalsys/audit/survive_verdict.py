"""The verdict on a slice, from its worlds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from causalsys.audit.survive_effect import Places, effect
from causalsys.audit.survive_result import AuditedSlice, Verdict
from causalsys.detect.slice_result import Slice

_LEVEL = 0.9
_REMAINS, _MOST = 0.25, 0.5
"""What is caused is at least the first share of the slice's difference, or the slice is a
correlate; the second, if it has a column without which it would be as large. An interval that
has both none and the second in it tells nothing."""
_IDLE = 0.1
"""A column that adds less than this share of the difference adds nothing."""
_DEVIATE = 1.645
"""Standard errors to the ends of the slices' 90 % intervals."""


def apart(errors: NDArray[np.float64], held: NDArray[np.bool_]) -> float:
    """How much larger the mean error is in a slice."""
    return float(errors[held].mean() - errors[~held].mean())


def verdict_of(
    each: Slice,
    errors: list[NDArray[np.float64]],
    dealt: list[Places],
    *,
    members: int,
    by: str,
) -> AuditedSlice:
    """The verdict from the errors inside and outside in turn, then without each column."""
    count = len(dealt)
    found = effect(errors[:count], dealt, members=members)
    low, high = found.interval(_LEVEL)
    spread = (each.interval[1] - each.interval[0]) / 2 / _DEVIATE
    share, ends = found.share(each.difference, spread, _LEVEL)
    idle = _idle(each, errors, dealt, members=members)
    needed = _MOST if idle else _REMAINS
    verdict: Verdict = "unknown"
    if low > 0 and share >= needed:
        verdict = "kept"
    elif ends[1] < _MOST or (idle and share < needed):
        verdict = "correlate"
    told = (
        f"{share:.0%} [{ends[0]:.0%}, {ends[1]:.0%}] of the difference stays when the other "
        f"causes are held (by the {by})"
    )
    told += f"; it is as large without {' and '.join(idle)}" if idle else ""
    told += ": too wide to tell." if verdict == "unknown" else "."
    return AuditedSlice(each, verdict, found.caused, (low, high), share, ends, idle, by, told)


def _idle(
    each: Slice, errors: list[NDArray[np.float64]], dealt: list[Places], *, members: int
) -> tuple[str, ...]:
    """The columns without which, left as they are, the others cause as much."""
    count, half = len(dealt), len(dealt) // 2
    inside = errors[:count:2]
    idle = []
    for at, name in enumerate(each.columns if len(each.columns) > 1 else ()):
        without = errors[count + at * half : count + (at + 1) * half]
        paired = [world for pair in zip(inside, without, strict=True) for world in pair]
        places = [place for place in dealt[::2] for _ in range(2)]
        lost = effect(paired, places, members=members)
        if lost.interval(_LEVEL)[0] <= 0 or lost.caused < _IDLE * each.difference:
            idle.append(name)
    return tuple(idle)


def repeats(one: AuditedSlice, others: Sequence[AuditedSlice]) -> bool:
    """Whether a slice has idle columns, and the rest of it is told by another that has none."""
    active = set(one.slice.columns).difference(one.idle)
    return (
        one.verdict == "kept"
        and bool(one.idle)
        and any(
            other.verdict == "kept" and not other.idle and active <= set(other.slice.columns)
            for other in others
        )
    )


def unknown(each: Slice, reason: str) -> AuditedSlice:
    """No verdict, and why."""
    nothing = (np.nan, np.nan)
    return AuditedSlice(each, "unknown", np.nan, nothing, np.nan, nothing, (), "", reason)


__all__ = ["apart", "repeats", "unknown", "verdict_of"]
