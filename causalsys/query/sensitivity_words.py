"""A sensitivity in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from causalsys.query.sensitivity import Sensitivity
    from causalsys.query.strength import Benchmark


_MANY = 100


def told(found: Sensitivity) -> str:
    """What holds, until which strength, and how that compares with what is logged."""
    unit = f" {found.unit}" if found.unit else ""
    limit, zero = f"{found.threshold:g}{unit}", found.unconfounded
    lines = [
        f"{found.quantity}: {zero}{unit} without a hidden confounder ({found.level:.0%} interval)"
    ]
    tied = "; ".join(map(str, found.pairs))
    if found.tipping.least() == 0:
        lines.append(f"  The interval includes {limit} already: there is no conclusion to upset.")
        return "\n".join(lines)
    side = "above" if zero.value > found.threshold else "below"
    lines.append(
        f"  The effect is {side} {limit}. Hidden confounding of {tied} that would upset it:"
    )
    lines.append(f"    interval includes {limit}: {_from(found, 'interval')}")
    lines.append(f"    estimate crosses {limit}: {_from(found, 'estimate')}")
    if not found.benchmarks:
        lines.append("  Nothing that is logged acts on them, so there is nothing to compare with.")
    lines += [f"  {_compared(found, each)}" for each in found.benchmarks]
    return "\n".join(lines)


def _from(found: Sensitivity, of: str) -> str:
    """The strengths at which something happens."""
    ends = {
        "-": getattr(found.tipping, f"{of}_below"),
        "+": getattr(found.tipping, f"{of}_above"),
    }
    reached = [f"strength {value:+.2f}" for value in ends.values() if value is not None]
    if reached:
        return " or ".join(reached)
    low, high = min(found.strengths.min(), 0), max(found.strengths.max(), 0)
    return f"at no strength from {low:.2f} to {high:.2f}"


def _compared(found: Sensitivity, each: Benchmark) -> str:
    times = found.times(each.name)
    start = f"{each.name}, had it not been logged, would have strength {each.strength:+.2f}"
    if times == float("inf"):
        return f"{start}."
    if times > _MANY:
        return f"{start}: a hidden confounder would have to be over {_MANY} times as strong."
    ends = (found.tipping.interval_below, found.tipping.interval_above)
    opposed = not any(end and end * each.strength > 0 for end in ends)
    end = ", and of the other sign." if opposed else "."
    return f"{start}: a hidden confounder would have to be {times:.1f} times as strong{end}"
