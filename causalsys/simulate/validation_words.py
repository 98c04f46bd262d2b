"""A validation in plain words, and as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from causalsys.simulate.forecast import OneStep

if TYPE_CHECKING:
    import pandas as pd

    from causalsys.simulate.validation import ArmValidation, Compared, Law, Trust, Validation

_WORDS: dict[Trust, str] = {"trust": "trust", "unsure": "cannot tell", "distrust": "do not trust"}
_COVERED = 0.95


def told(found: Validation) -> str:
    """What may be trusted, arm by arm."""
    good = [each.arm for each in found.arms if each.trust == "trust"]
    lines = [
        f"{found.model}: {len(good)} of {len(found.arms)} left-out arms were simulated as they "
        "were measured."
    ]
    for each in found.arms:
        lines += _arm(found, each)
    if found.training_only:
        lines.append(f"Not validated (no policy, or excluded): {', '.join(found.training_only)}.")
    return "\n".join(lines)


def _arm(found: Validation, arm: ArmValidation) -> list[str]:
    lines = [f"{arm.arm}: {_WORDS[arm.trust]} ({arm.traces} traces of its own)"]
    lines += [f"  {_one_step(each, found.tolerance)}" for each in arm.one_step]
    lines += [f"  {_metric(each)}" for each in arm.metrics]
    lines += [f"  {_law(each)}" for each in arm.laws]
    lines += [f"  extrapolates: {reach}" for reach in arm.coverage if reach.share < _COVERED]
    if arm.impossible > 0:
        lines.append(
            f"  its policy could not have chosen {arm.impossible:.1%} of its recorded steps: is it "
            "what ran?"
        )
    lines += [f"  off-policy {each}" for each in arm.off_policy if each.estimate is not None]
    refused: dict[str, list[str]] = {}
    for other in arm.off_policy:
        if other.refused and other.estimator not in refused.setdefault(other.refused, []):
            refused[other.refused].append(other.estimator)
    lines += [f"  off-policy, {' and '.join(by)}: {why}" for why, by in refused.items()]
    return lines


def _one_step(each: OneStep, tolerance: float) -> str:
    start = (
        f"{each.variable}, one step ahead: off by {each.changed:.1%} where the action changed, "
        f"{each.stayed:.1%} where it stayed"
    )
    if each.wrong(tolerance):
        wrong = f"transport error {each.transport:.1%}"
        return f"{start}; {wrong}: its mechanism is wrong, worst {each.worst}"
    if each.transport != each.transport:
        return f"{start}; no pair of actions has steps enough to tell the transport error"
    size = max(each.transport, each.transport_error)
    return f"{start}; no transport error can be told (≲ {size:.1%})"


def _metric(each: Compared) -> str:
    beside = "".join(f", {name} {value:.4g}" for name, value in each.baselines.items())
    figures = f"{each.metric}: {each.predicted} simulated, {each.measured} measured"
    floor = "" if each.floor != each.floor else f"; chaos floor ±{each.floor:.2g}"
    return f"{figures}: {_WORDS[each.trust]}{_reach(each)}{floor}{beside}"


def _reach(each: Compared) -> str:
    if each.trust == "distrust":
        return f", off by {each.difference / (abs(each.measured.value) or 1):+.1%}"
    if each.within != each.within:
        return ""
    if each.trust == "trust":
        return f" to within {each.within:.1%}"
    return f", it may be off by {each.within:.0%}"


def _law(each: Law) -> str:
    beside = "".join(f", {name} {value:.3f}" for name, value in each.baselines.items())
    floor = "" if each.floor != each.floor else f", chaos floor {each.floor:.3f}"
    return (
        f"law of {each.outcome}: distance {each.distance.value:.3f} (chance alone "
        f"{each.distance.chance:.3f}{floor}): {_WORDS[each.trust]}{beside}"
    )


def frame(found: Validation) -> pd.DataFrame:
    """A row per arm and figure."""
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for arm in found.arms:
        for step in arm.one_step:
            row: dict[str, Any] = {
                "arm": arm.arm,
                "kind": "one step",
                "name": step.variable,
                "predicted": step.changed,
                "measured": step.stayed,
                "floor": step.transport_error,
                "difference": step.transport,
                "trust": "distrust" if step.wrong(found.tolerance) else "trust",
            }
            rows.append(row | {name: values[0] for name, values in step.baselines.items()})
        for each in arm.metrics:
            row = {
                "arm": arm.arm,
                "kind": "metric",
                "name": each.metric,
                "predicted": each.predicted.value,
                "predicted_low": each.predicted.low,
                "predicted_high": each.predicted.high,
                "measured": each.measured.value,
                "measured_low": each.measured.low,
                "measured_high": each.measured.high,
                "difference": each.difference,
                "floor": each.floor,
                "p_value": each.p_value,
                "trust": each.trust,
            }
            rows.append(row | dict(each.baselines))
        for law in arm.laws:
            row = {
                "arm": arm.arm,
                "kind": "distance",
                "name": law.outcome,
                "difference": law.distance.value,
                "chance": law.distance.chance,
                "floor": law.floor,
                "pathwise": law.pathwise,
                "p_value": law.distance.p_value,
                "trust": law.trust,
            }
            rows.append(row | dict(law.baselines))
    return pd.DataFrame(rows)
