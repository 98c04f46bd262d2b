"""A drill-down in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from causalsys.rootcause.drill_cells import MISSING

if TYPE_CHECKING:
    from causalsys.rootcause.drill_result import DrillDown, Slice


@dataclass(frozen=True)
class Condition:
    """A dimension has one of some values; None stands for a missing one.

    Example:
        >>> print(Condition("region", ("eu", "us")))
        region in {eu, us}
    """

    dimension: str
    values: tuple[object, ...]

    def __str__(self) -> str:
        names = [MISSING if value is None else str(value) for value in self.values]
        if len(names) == 1:
            return f"{self.dimension} = {names[0]}"
        return f"{self.dimension} in {{{', '.join(names)}}}"


Conditions = tuple[Condition, ...]


def worded(conditions: Conditions) -> str:
    """Conditions in one line."""
    return " and ".join(map(str, conditions)) or "everything"


def described(found: DrillDown) -> str:
    """The whole answer."""
    of = "per request" if found.kind == "rate" else "in total"
    low, high = found.change_interval
    lines = [
        f"{found.measure} {of}: {found.before:.4g} before, {found.after:.4g} after: "
        f"{found.change:+.3g} [{low:+.3g}, {high:+.3g}]"
    ]
    for number, each in enumerate(found.slices, 1):
        lines += _slice(number, each)
    if not found.slices:
        even = ": the excess is spread evenly" if found.moved else ", and the change may be chance"
        mixed = found.moved and abs(found.mix) > abs(found.rest)
        lines.append(f"  No slice stands out{': the excess is mix' if mixed else even}.")
    lines.append(f"  mix: {_part(found.mix, found.mix_interval, found)}")
    for shift in found.shifts:
        if found.kind == "rate":
            told = f"{_percent(shift.before)} -> {_percent(shift.after)} of the requests"
        else:
            told = f"{shift.before:.4g} -> {shift.after:.4g} requests"
        lines.append(f"     {shift.condition}: {told}, {shift.contribution:+.3g}")
    lines.append(f"  the rest, evenly: {_part(found.rest, found.rest_interval, found)}")
    lines.append(f"  {found.looked_at:,} slices looked at; assumed:")
    return "\n".join([*lines, *(f"     {each}" for each in found.assumptions)])


def _slice(number: int, each: Slice) -> list[str]:
    low, high = each.share_interval
    usual = "new" if each.before is None else f"{each.before:.4g}"
    times = "" if each.factor is None else f", {each.factor:.3g} times what is expected"
    lines = [
        f"  {number}. {each}: {_percent(each.share)} [{_percent(low)}, {_percent(high)}] "
        f"of the change; {usual} -> {each.after:.4g}{times}; {each.rows:,} rows; p = {each.p:.2g}"
    ]
    if each.aliases:
        lines.append(f"     the same rows: {'; '.join(map(worded, each.aliases))}")
    if each.rivals:
        lines.append(f"     nearly as likely: {'; '.join(map(worded, each.rivals))}")
    if each.adjusted is None or each.adjusted_interval is None:
        lines.append("     no other requests have the same values of the other dimensions")
    else:
        low, high = each.adjusted_interval
        lines.append(
            f"     other dimensions held fixed: {each.adjusted:+.3g} [{low:+.3g}, {high:+.3g}] "
            f"(comparable: {_percent(each.comparable)} of its requests)"
        )
    return lines


def _part(amount: float, interval: tuple[float, float], found: DrillDown) -> str:
    if max(map(abs, (amount, *interval))) < 1e-9 * (abs(found.before) + abs(found.after)):
        return "none"
    share = f" = {_percent(amount / found.change)}" if found.moved else ""
    return f"{amount:+.3g} [{interval[0]:+.3g}, {interval[1]:+.3g}]{share}"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
