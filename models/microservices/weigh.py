"""From raw metrics to the model's columns: totals of a step instead of averages per request.

A mean forgets how many requests it is the mean of. Seconds (mean latency × requests) and failed
requests do not: they add up along the calls. A mean of no requests is not missing but no seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from causalsys.errors import MissingColumnError
from models.microservices.kept import Key, Raw, best
from models.microservices.vocabulary import ERRORS, LATENCY, REQUESTS

if TYPE_CHECKING:
    import pandas as pd

Values = NDArray[np.float64]
LEAST_SEEN = 0.2
"""A column of which less is seen is left out: what is seen of it is hardly a fair sample."""


@dataclass(frozen=True)
class Column:
    """One variable of the model, and the raw metrics that it is computed from.

    Attributes:
        name: `service/kind`.
        service: The service.
        kind: What of it.
        key: The raw metric.
        requests: The raw metric of its requests, where it is weighted by them.
        form: In what form the metric gives the kind.
        scale: What 1 is in a fraction (100 in percent), or the unit of a time in seconds.
            None where the normal rows do not tell it, being all zero.
    """

    name: str
    service: str
    kind: str
    key: Key
    requests: Key | None
    form: str
    scale: float | None = 1.0

    @property
    def weighted(self) -> bool:
        """Whether it is a total of the step, as seconds and counts are."""
        return self.requests is not None or self.form in ("requests", "errors", "seconds")


def chosen(
    raw: Raw,
    *,
    metrics: Iterable[str] | None,
    statistic: Callable[[str], str],
    others: bool = False,
) -> tuple[tuple[Column, ...], tuple[str, ...]]:
    """The variables that a frame of normal rows gives, and notes on what it does not give.

    Args:
        raw: The rows.
        metrics: The kinds that are wanted; None for all.
        statistic: Which latency is wanted of a service.
        others: Whether its other latencies are wanted as well, as resources of their own.
    """
    found: dict[tuple[str, str], list[Key]] = {}
    for each in raw.columns:
        found.setdefault((each[0], each[1]), []).append(each)
    wanted = None if metrics is None else frozenset(metrics) | {REQUESTS}
    kept = {pair: keys for pair, keys in found.items() if wanted is None or pair[1] in wanted}
    scales, rates = _scales(raw), _rates(raw)
    every = [
        column
        for (service, _), keys in kept.items()
        for column in _columns(
            keys, raw, scales=scales, rates=rates, statistic=statistic(service), others=others
        )
    ]
    counts = {
        column.service: column.key
        for column in every
        if column.kind == REQUESTS and seen(raw.columns[column.key]) >= LEAST_SEEN
    }
    every = [
        replace(column, requests=counts.get(column.service))
        if column.kind in (LATENCY, ERRORS)
        else column
        for column in every
    ]
    columns = [c for c in every if seen(_value(c, raw, scale=c.scale or 1.0)) >= LEAST_SEEN]
    averages = ("latency", "error_rate", "error_percent", "availability")
    bare = dict.fromkeys(c.service for c in columns if c.form in averages and not c.weighted)
    rare = sorted({c.name for c in every} - {c.name for c in columns})
    notes = []
    if bare:
        notes.append(
            f"No requests are known for {listed(bare)}: their latency and errors "
            "are taken per request, and do not add up along calls."
        )
    untold = [c.service for c in columns if c.scale is None and c.form == "error_rate"]
    if untold:
        notes.append(
            "Rates of errors that are all zero in normal rows are read as percent where they pass "
            f"1, and else as fractions: {listed(untold)}."
        )
    if rare:
        notes.append(f"Hardly ever seen in normal rows, so left out: {listed(rare)}.")
    return tuple(_one_unit(columns, raw)), tuple(notes)


def tabled(
    raw: Raw, columns: Sequence[Column], *, absent: str = "error"
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The model's columns, `[row]` each, and notes on what the frame lacks or has besides.

    Raises:
        MissingColumnError: A metric of the model is not there, and `absent` is "error".
    """
    import pandas as pd

    scales, lacking = _scales(raw), []
    values: dict[str, Values] = {}
    for column in columns:
        needed = [key for key in (column.key, column.requests) if key is not None]
        lost = [key for key in needed if key not in raw.columns]
        if lost and absent == "error":
            told = " ".join(part for part in (lost[0][2], lost[0][3]) if part)
            raise MissingColumnError(
                column.name,
                found=f"no metric `{told}` of the service {lost[0][0]} in these rows",
                mend='Add it, or write table(raw, absent="missing") to take it as not seen.',
            )
        if lost:
            lacking.append(column.name)
            values[column.name] = np.full(len(raw.index), np.nan)
            continue
        scale = column.scale or scales.get(column.form) or 1.0
        values[column.name] = _value(column, raw, scale=scale)
    known = {column.service for column in columns}
    extra = [service for service in raw.services if service not in known]
    notes = []
    if lacking:
        notes.append(f"Not in these rows, and taken as not seen: {listed(lacking)}.")
    if extra:
        notes.append(f"Not in the model, and ignored: the metrics of {listed(extra)}.")
    if raw.unread:
        notes.append(f"Names that say no metric, ignored: {listed(raw.unread)}.")
    if raw.doubled:
        told = listed(dict.fromkeys(f"{key[0]}/{key[1]}" for key in raw.doubled))
        notes.append(f"Several columns each, put together (counts added, else averaged): {told}.")
    return pd.DataFrame(values, index=raw.index), tuple(notes)


def seen(values: Values) -> float:
    """The share of values that are not missing."""
    return float(1 - np.isnan(values).mean()) if len(values) else 0.0


def listed(names: Iterable[Any], *, most: int = 6) -> str:
    """Names in a sentence, the first few if there are many."""
    every = list(map(str, names))
    return ", ".join(every[:most]) + (f" and {len(every) - most} more" * (len(every) > most))


def _value(column: Column, raw: Raw, *, scale: float) -> Values:
    value, form = raw.columns[column.key], column.form
    if form == "availability":
        value = (scale - value) / scale
    elif form in ("error_rate", "error_percent"):
        value = value / scale
    elif form in ("latency", "seconds"):
        value = value * scale
    if column.requests is None:
        return value
    requests = raw.columns[column.requests]
    total = value if form in ("errors", "seconds") else value * requests
    return np.where(requests == 0, np.where(form == "errors", np.nan_to_num(total), 0.0), total)


def _columns(
    keys: Sequence[Key],
    raw: Raw,
    *,
    scales: Mapping[str, float | None],
    rates: bool,
    statistic: str,
    others: bool,
) -> Iterator[Column]:
    """The variable that the metrics of one service and kind give, and what else they tell."""
    key = best(keys, statistic=statistic)
    if key is None:
        return
    service, kind, _, _ = key
    form, scale = key[2], scales.get(key[2], 1.0)
    if kind == LATENCY:
        scale = raw.units.get(key, 1.0)
    elif form == "errors" and rates:
        form = "error_rate"
    yield Column(f"{service}/{kind}", service, kind, key, None, form, scale)
    for each in keys if others and kind == LATENCY else ():
        if each != key and each[2] == LATENCY:
            # A further statistic, as a variable of its own.
            own = f"{kind}_{each[3] or 'mean'}"
            yield Column(f"{service}/{own}", service, own, each, None, "resource")


def _rates(raw: Raw) -> bool:
    """Whether what is called errors are rates in truth: fractions, over all services."""
    every = [values for key, values in raw.columns.items() if key[2] == "errors"]
    some = np.concatenate([np.zeros(1), *(values[~np.isnan(values)] for values in every)])
    return bool(some.max() <= 1 and (some != np.round(some)).any())


def _scales(raw: Raw) -> Mapping[str, float | None]:
    """What 1 is in availabilities and rates of errors: 1, or 100 where they are percent."""
    found: dict[str, float | None] = {"error_percent": 100.0}
    for form, least in (("availability", 1.5), ("error_rate", 1.0)):
        every = [values for key, values in raw.columns.items() if key[2] == form]
        largest = max((float(np.nanmax(v)) for v in every if seen(v)), default=0.0)
        found[form] = None if largest == 0 else 100.0 if largest > least else 1.0
    return found


def _one_unit(columns: list[Column], raw: Raw) -> list[Column]:
    """Latencies as they are, unless their names tell different units: then in seconds."""
    units = {raw.units.get(c.key) for c in columns if c.kind == LATENCY}
    if len(units - {None}) > 1:
        return columns
    return [replace(c, scale=1.0) if c.kind == LATENCY else c for c in columns]
