"""A finding in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from causalsys.rootcause.periods import Periods
from causalsys.rootcause.window import Window

if TYPE_CHECKING:
    from causalsys.rootcause.finding import Cause, Finding

_SHOWN = 3
_PROBABLE = 0.01


def told(finding: Finding) -> str:
    """The answer, the causes, the assumptions."""
    lines = [headline(finding)]
    lines.extend(
        f"  {percent(cause.probability):>5}  {cause}{_share(finding, cause)}"
        for cause in finding.ranking[:_SHOWN]
        if cause.probability >= _PROBABLE
    )
    lines.append(f"  {percent(finding.none_probability):>5}  none of these")
    lines.extend(f"- {sentence}" for sentence in finding.assumptions)
    return "\n".join(lines)


def headline(finding: Finding) -> str:
    """The answer in one sentence."""
    target = finding.target or "the system"
    if finding.kind == "no incident":
        return f"No incident seen: {target} moved no more than it ordinarily does."
    if finding.kind == "none of these":
        return f"None of these: {target} moved, and no mechanism that is known changed with it."
    if finding.kind == "several":
        names = " and ".join(finding.together)
        return f"{names} together ({percent(finding.together_probability)})."
    first = finding.ranking[0]
    kind = ", which is shared by many" if finding.kind == "outside" else ""
    return f"{first}{kind} ({percent(first.probability)}){_share(finding, first)}."


def _share(finding: Finding, cause: Cause) -> str:
    if finding.target is None or cause.share != cause.share:
        return ""
    low, high = cause.interval
    return (
        f": restoring it removes {100 * cause.share:.0f} % [{100 * low:.0f}, {100 * high:.0f}] "
        f"of the excess of {finding.target}"
    )


def percent(probability: float) -> str:
    """A probability in percent, never certainty: it is a share of draws."""
    if probability >= 0.995:
        return "> 99 %"
    return "< 1 %" if probability < 0.005 else f"{100 * probability:.0f} %"


def assumptions(
    window: Window, periods: Periods, *, suspects: tuple[tuple[str, str], ...], moved: bool
) -> tuple[str, ...]:
    """What a finding rests on, in sentences."""
    found = ["Mechanisms change on their own: one change explains the rest, or few do."]
    if window.target is None:
        found.append("There is no target: what changed most is blamed, and no share is known.")
    elif not moved:
        found.append("The target did not move, so nothing is compared inside the window.")
    elif window.contrast:
        found.append(
            "The window has rows before the fault: levels are compared inside it, and what has "
            "drifted since the normal period does not count."
        )
    else:
        found.append(
            "The window has no rows before the fault: a fault that lasts and a drift since the "
            "normal period cannot be told apart. Drift is taken to be as in normal windows."
        )
    if periods.drawn:
        found.append(
            "No normal period was given: rows drawn from the fitted model stand for it, which "
            "know neither drift nor the true tails."
        )
    else:
        found.append(_scaled(window, periods))
    found.append(
        "Slopes may be as normal rows show them, off by up to three standard units, or any that a "
        "declared prior allows; mechanisms that did not change must explain the incident too."
    )
    gone = [
        name
        for name, known in zip(window.names, window.seen.any(1).tolist(), strict=True)
        if not known
    ]
    if gone:
        found.append(f"Without a value in the incident: {_listed(gone)}.")
    nodes = window.declaration.nodes
    never = [n for n in nodes if nodes[n].kind != "latent" and n not in set(window.names)]
    if never:
        found.append(f"Without a value in the normal period, and left out: {_listed(never)}.")
    partly = [
        name
        for name, known in zip(window.names, window.seen.tolist(), strict=True)
        if any(known) and not all(known)
    ]
    if partly:
        found.append(f"Missing in part of the incident: {_listed(partly)}.")
    if suspects:
        edges = _listed([f"{cause} → {effect}" for cause, effect in suspects])
        found.append(
            f"The data contradict the graph: they suggest {edges}, which it does not have."
        )
    return tuple(found)


def _scaled(window: Window, periods: Periods) -> str:
    """Which normal windows scale and drift were estimated from."""
    rows, fewest = window.rows, int(window.ordinary.windows.min())
    if periods.normal.rows < rows:
        return (
            f"The normal period is shorter than the window of {rows} rows: how far levels drift "
            "from one window to the next was not seen."
        )
    if not fewest:
        return (
            "Some variables have too few normal values to tell of their drift: it is taken to be "
            "as that of the others."
        )
    plural = "s" if fewest > 1 else ""
    return f"Scale, drift and tails are those of {fewest} normal window{plural} of {rows} rows."


def _listed(names: list[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


__all__ = ["assumptions", "headline", "percent", "told"]
