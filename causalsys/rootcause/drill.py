"""`drill_down`: which part of the traffic of a node carries the excess of an incident.

Adtributor (Bhagwan et al., NSDI 2014) ranks values of one dimension by explanatory power and
surprise; HotSpot (Sun et al., 2018), Squeeze (Li et al., ISSRE 2019) and RiskLoc (Kalander, 2022)
search conjunctions. None of them says how sure it is, tells a slower slice from a change of the
mix, or asks whether a correlated dimension is the reason; here each of these has an answer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from causalsys.errors import QueryError
from causalsys.rootcause.drill_balance import balance
from causalsys.rootcause.drill_baseline import fit_baseline
from causalsys.rootcause.drill_cells import Cells, Floats, Period, read_cells
from causalsys.rootcause.drill_contrast import Mask, Moments, aliases, held_fixed
from causalsys.rootcause.drill_model import Chosen, Setting, choose
from causalsys.rootcause.drill_result import DrillDown, Interval, Shift, Slice
from causalsys.rootcause.drill_search import Candidate
from causalsys.rootcause.drill_share import Shares, moved, shares
from causalsys.rootcause.drill_space import Limits, families, scales
from causalsys.rootcause.drill_words import Condition, Conditions

if TYPE_CHECKING:
    import pandas as pd

DRAWS = 1000
"""Bootstrap draws."""
NAMED = 3
"""So many shifts of the mix, and so many rivals of a slice, are named."""


def drill_down(
    before: pd.DataFrame,
    after: pd.DataFrame,
    *,
    dimensions: Sequence[str],
    value: str,
    weight: str | None = None,
    kind: Literal["rate", "total"] = "rate",
    lengths: tuple[float, float] = (1.0, 1.0),
    depth: int = 3,
    most: int = 5,
    min_rows: int = 20,
    min_share: float = 0.05,
    level: float = 0.05,
    probability: float = 0.9,
    seed: int = 0,
) -> DrillDown:
    """Ask which combination of dimensions' values carries the change of a measure.

    Args:
        before: Rows of the normal period: one for each request, or sums over some of them.
        after: Rows of the incident.
        dimensions: Columns of categories, such as region and version; a missing value is a level.
        value: The column of the measure, summed over the row's requests: latency of one request,
            seconds of all, errors.
        weight: The column of the number of requests of a row; one each if not given.
        kind: "rate" for the measure per request (mean latency, error rate), "total" for its sum.
        lengths: How long the two periods were, for totals: they are compared per unit of it.
        depth: The most conditions of one slice.
        most: The most slices.
        min_rows: A slice needs so many rows in the incident, and so many outside.
        min_share: A slice needs so large a share of the change (or of twice its standard error,
            where that is more).
        level: The chance that any slice is named when none stands out.
        probability: That of the intervals.
        seed: Fixes the bootstrap.

    Returns:
        Slices, mix and rest, which add up to the change. A change that all requests share stands
        out nowhere: then there are no slices.

    Raises:
        MissingColumnError: A column is not in one of the tables.
        DataError: A table has no rows with a value, or values that cannot be used.
        QueryError: A setting is not possible.

    Example:
        >>> import numpy as np, pandas as pd
        >>> rng = np.random.default_rng(0)
        >>> def requests(slow):
        ...     found = pd.DataFrame({"region": rng.choice(["eu", "us"], 4000),
        ...                           "version": rng.choice(["v1", "v2"], 4000)})
        ...     hit = (found.region == "eu") & (found.version == "v2")
        ...     return found.assign(seconds=rng.exponential(np.where(hit, slow, 1.0)))
        >>> found = drill_down(requests(1.0), requests(3.0), dimensions=["region", "version"],
        ...                    value="seconds")
        >>> [str(each) for each in found.slices]
        ['region = eu and version = v2']
    """
    _check(dimensions, depth, most, min_rows, min_share, level, probability, lengths)
    cells = read_cells(before, after, dimensions=dimensions, value=value, weight=weight)
    baseline = fit_baseline(cells)
    terms = scales(baseline)
    normal = Moments.of(cells.before, baseline.expected)
    incident = Moments.of(cells.after, baseline.expected)
    balanced = balance(cells)
    setting = Setting(cells, baseline, terms, normal, incident, balanced)
    spans = lengths if kind == "total" else None
    whole = shares(setting, [], lengths=spans, draws=DRAWS, seed=seed)
    least = min_share * max(abs(whole.change[0]), 2 * float(whole.change[1:].std()))
    span = float(cells.after.weights.sum()) if spans is None else spans[1]
    limits = Limits(depth, min_rows, least * span)
    looked = families(cells, baseline, balanced, limits=limits, terms=terms)
    chosen = choose(setting, looked, limits=limits, most=most, level=level)
    parts = shares(setting, chosen, lengths=spans, draws=DRAWS, seed=seed) if chosen else whole
    slices = [
        _slice(setting, chosen, place, parts, depth, probability)
        for place, each in enumerate(chosen)
        if each.candidate.where
    ]
    slices.sort(key=lambda each: (-abs(each.contribution), str(each)))
    mix = _interval(parts.mix, probability)
    mixed = (mix[0] > 0 or mix[1] < 0) and abs(parts.mix[0]) >= least
    return DrillDown(
        value,
        kind,
        float(parts.before[0]),
        float(parts.after[0]),
        float(parts.change[0]),
        _interval(parts.change, probability),
        tuple(slices),
        float(parts.mix[0]),
        mix,
        _shifts(setting, float(parts.mix[0]), spans) if mixed else (),
        float(parts.rest[0]),
        _interval(parts.rest, probability),
        sum(family.count for family in looked),
        level,
        probability,
        _assumptions(cells, value),
    )


def _check(
    dimensions: Sequence[str],
    depth: int,
    most: int,
    min_rows: int,
    min_share: float,
    level: float,
    probability: float,
    lengths: tuple[float, float],
) -> None:
    if isinstance(dimensions, str) or not dimensions:
        raise QueryError("dimensions", found=repr(dimensions), mend='Give ["region", ...].')
    if len(set(dimensions)) < len(dimensions):
        raise QueryError("dimensions", found="a column twice", mend="Name each once.")
    for name, whole, least in (("depth", depth, 1), ("most", most, 1), ("min_rows", min_rows, 2)):
        if whole < least:
            raise QueryError(name, found=repr(whole), mend=f"Give at least {least}.")
    for name, part in (("level", level), ("probability", probability)):
        if not 0 < part < 1:
            raise QueryError(name, found=repr(part), mend="Give a number between 0 and 1.")
    if not 0 <= min_share < 1:
        raise QueryError("min_share", found=repr(min_share), mend="Give a number from 0 to 1.")
    if not all(math.isfinite(each) and each > 0 for each in lengths):
        raise QueryError("lengths", found=repr(lengths), mend="Give two positive numbers.")


def _slice(
    setting: Setting,
    chosen: list[Chosen],
    place: int,
    parts: Shares,
    depth: int,
    probability: float,
) -> Slice:
    from scipy.special import ndtri

    cells, each = setting.cells, chosen[place].candidate
    inside = each.mask(cells)
    then, now = _seen(cells.before, inside), _seen(cells.after, inside)
    others = [other.candidate for other in chosen]
    held = held_fixed(
        cells,
        each,
        normal=setting.normal,
        incident=setting.incident.less(setting.shift(others, but=each)),
        scale=setting.terms[0],
    )
    half = float(ndtri((1 + probability) / 2)) * held.error
    same = aliases(cells, each, depth=depth)
    rivals = [other for other in chosen[place].rivals if not _among(other, [*same, *others])]
    carried = parts.slices[place]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = carried / parts.change
    expected = float(cells.after.weights[inside] @ setting.baseline.expected[inside]) / now[1]
    return Slice(
        conditions(cells, each),
        float(carried[0]),
        _interval(carried, probability),
        float(share[0]),
        _interval(share, probability),
        then[2] / then[1] if then[1] else None,
        now[2] / now[1],
        expected,
        now[2] / now[1] / expected if setting.terms[each.scale].relative and expected else None,
        int(now[0]),
        int(then[0]),
        chosen[place].p,
        tuple(conditions(cells, other) for other in same),
        tuple(conditions(cells, other) for other in rivals[:NAMED]),
        held.effect,
        None if held.effect is None else (held.effect - half, held.effect + half),
        held.comparable,
    )


def conditions(cells: Cells, candidate: Candidate) -> Conditions:
    """A slice with names in place of codes."""
    return tuple(
        Condition(cells.dimensions[d], tuple(cells.levels[d][code] for code in levels))
        for d, levels in candidate.where
    )


def _seen(period: Period, inside: Mask) -> tuple[float, float, float]:
    rows, weights, values = period.rows, period.weights, period.values
    return float(rows[inside].sum()), float(weights[inside].sum()), float(values[inside].sum())


def _among(one: Candidate, others: list[Candidate]) -> bool:
    return any(one.where == other.where for other in others)


def _interval(drawn: Floats, probability: float) -> Interval:
    """The bootstrap's percentiles; the first draw is the estimate itself."""
    tail = (1 - probability) / 2
    low, high = np.nanquantile(drawn[1:], [tail, 1 - tail])
    return float(low), float(high)


def _shifts(setting: Setting, mix: float, spans: tuple[float, float] | None) -> tuple[Shift, ...]:
    """The values behind the mix, of the dimension that alone shows most of it."""
    cells, sign = setting.cells, float(np.sign(mix))
    parts = moved(setting, spans)
    totals = [round(sign * float(part.added.sum()) / abs(mix), 9) for part in parts]
    d = int(np.argmax(totals))
    part = parts[d]
    order = [int(i) for i in np.argsort(-sign * part.added, kind="stable")[:NAMED]]
    return tuple(
        Shift(
            Condition(cells.dimensions[d], (cells.levels[d][i],)),
            float(part.before[i]),
            float(part.after[i]),
            float(part.added[i]),
        )
        for i in order
        if sign * part.added[i] > 0
    )


def _assumptions(cells: Cells, value: str) -> tuple[str, ...]:
    """What the answer rests on, and what was left out."""
    found = [
        "rows are independent of each other, but for what all of a period share",
        "without the incident, each kind of request would have its normal rate",
    ]
    dropped = cells.before.dropped, cells.after.dropped
    if any(dropped):
        found.append(f"left out, without {value} or weight: {dropped[0]} and {dropped[1]} rows")
    now, then = cells.after.weights > 0, cells.before.weights > 0
    for name, levels, codes in zip(cells.dimensions, cells.levels, cells.codes, strict=True):
        if len(np.unique(codes[now])) == 1 and len(np.unique(codes[now | then])) > 1:
            only = Condition(name, (levels[int(codes[now][0])],))
            found.append(f"every row of the incident has {only}: not to be told from everything")
        for told, one, other in (("not seen before", now, then), ("no longer seen", then, now)):
            alone = np.setdiff1d(codes[one], codes[other])
            if len(alone):
                names = [str(Condition(name, (levels[int(i)],))) for i in alone[:NAMED]]
                more = f" and {len(alone) - NAMED} more" if len(alone) > NAMED else ""
                found.append(f"{told}: {', '.join(names)}{more}")
    return tuple(found)
