"""The raw metrics of one frame, by service and kind, whatever they are called there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from causalsys.errors import DataError
from models.microservices.names import Named, plain_words, read_metric, read_name
from models.microservices.tidy import widened
from models.microservices.vocabulary import FORMS, TIMES, WORDS, statistic_of

if TYPE_CHECKING:
    import pandas as pd

_HOW = (
    "Name columns by service and metric: a MultiIndex (service, metric) or (service, metric, "
    'statistic), or names such as `cart_latency_p99`, `cart|requests`, `cpu{service="cart"}`.'
)
Key = tuple[str, str, str, str]
"""Service, kind, form, statistic."""


@dataclass(frozen=True)
class Raw:
    """A frame of raw metrics, read.

    Attributes:
        index: The frame's own index: one row is one step.
        columns: `[row]` for each service, kind, form and statistic; NaN where it is missing.
        units: Seconds in the unit that a name tells, where it tells one.
        unread: Columns whose names say no metric.
        doubled: Keys that several columns have: counts were added, all else averaged.
    """

    index: pd.Index[Any]
    columns: Mapping[Key, NDArray[np.float64]]
    units: Mapping[Key, float]
    unread: tuple[str, ...]
    doubled: tuple[Key, ...]

    @property
    def services(self) -> tuple[str, ...]:
        """All services with a metric, in the frame's order."""
        return tuple(dict.fromkeys(service for service, _, _, _ in self.columns))


def read_raw(raw: Any, *, known: Iterable[str] = ()) -> Raw:
    """Read a frame of raw metrics.

    Args:
        raw: One row per step, metrics in columns; or long: service, metric, value, time.
        known: Services that exist, spelled as they should be.

    Raises:
        DataError: It is no frame, has no rows, or its columns' names are not understood.
    """
    frame = widened(raw)
    spelled = Spelling(known)
    names = _names(frame.columns, spelled)
    keys: dict[Key, list[int]] = defaultdict(list)
    units: dict[Key, float] = {}
    unread = []
    for position, (label, named) in enumerate(zip(frame.columns, names, strict=True)):
        if named is None:
            if _shown(label).casefold() not in TIMES:
                unread.append(_shown(label))
            continue
        key = (spelled(named.service), named.kind, named.form, named.statistic)
        keys[key].append(position)
        if named.unit is not None:
            units[key] = named.unit
    if not keys or len(unread) > len(names) / 2:
        told = ", ".join(repr(name) for name in unread[:4]) or "no columns"
        raise DataError("raw metrics", found=f"names that say no metric: {told}", mend=_HOW)
    values = _numbers(frame, [p for several in keys.values() for p in several])
    columns = {key: _joined([values[p] for p in several], key) for key, several in keys.items()}
    doubled = tuple(key for key, several in keys.items() if len(several) > 1)
    return Raw(frame.index, columns, units, tuple(unread), doubled)


class Spelling:
    """One spelling per service: `carts-db` of a call graph is `carts_db` of the metrics."""

    def __init__(self, known: Iterable[str]) -> None:
        self.known = frozenset(known)
        self._plain: dict[str, list[str]] = defaultdict(list)
        for service in self.known:
            self._plain[_bare(service)].append(service)
        self._found: dict[str, str] = {}

    def __call__(self, service: str) -> str:
        """The known service of that name, but for case and separators, if there is just one."""
        if service in self.known:
            return service
        if service not in self._found:
            alike = self._plain.get(_bare(service), [])
            self._found[service] = alike[0] if len(alike) == 1 else service
        return self._found[service]


def _names(columns: pd.Index[Any], spelled: Spelling) -> list[Named | None]:
    if columns.nlevels > 1:
        return _of_levels(columns)
    labels = [str(label) for label in columns]
    names = [read_name(label, known=spelled.known) for label in labels]
    # What the clear names tell of services tells the metric in those that are not clear.
    found = spelled.known | {named.service for named in names if named is not None}
    return [
        named if named is not None or label.casefold() in TIMES else read_name(label, known=found)
        for label, named in zip(labels, names, strict=True)
    ]


def _of_levels(columns: pd.Index[Any]) -> list[Named | None]:
    """Metrics of a MultiIndex; its levels are told by what is in them, whatever their order."""
    levels = [[str(label) for label in columns.get_level_values(n)] for n in range(columns.nlevels)]
    hits = [_share(level, _is_metric) for level in levels]
    metric = max(range(len(levels)), key=lambda n: (hits[n], n == 1))
    others = [n for n in range(len(levels)) if n != metric]
    service = others[0]
    statistic: list[str] = [""] * len(columns)
    if len(others) > 1:
        which = max(others, key=lambda n: (_share(levels[n], _is_statistic), n))
        service = next(n for n in others if n != which)
        statistic = levels[which]
    return [
        read_metric(name, service=owner, statistic=stat)
        for owner, name, stat in zip(levels[service], levels[metric], statistic, strict=True)
    ]


def _is_metric(label: str) -> bool:
    return plain_words(label) in WORDS or read_metric(label).form != "resource"


def _is_statistic(label: str) -> bool:
    return statistic_of(label) is not None


def _share(level: Sequence[str], test: Any) -> float:
    different = set(level)
    return sum(map(test, different)) / max(len(different), 1)


def _numbers(frame: pd.DataFrame, positions: Sequence[int]) -> dict[int, NDArray[np.float64]]:
    part = frame.iloc[:, list(positions)]
    try:
        values = part.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise DataError(
            "raw metrics",
            found=f"cells that are no numbers ({error})",
            mend="Give numbers, and NaN where nothing was seen.",
        ) from error
    infinite = np.isinf(values)
    if infinite.any():
        row, column = (int(at[0]) for at in np.nonzero(infinite))
        raise DataError(
            str(part.columns[column]),
            found=f"an infinite value in row {part.index[row]!r}",
            mend="Give the number, or NaN where nothing was seen.",
        )
    return {position: values[:, n] for n, position in enumerate(positions)}


def _joined(columns: list[NDArray[np.float64]], key: Key) -> NDArray[np.float64]:
    """One column for several of one key, such as the pods of a service."""
    if len(columns) == 1:
        return columns[0]
    stack = np.stack(columns)
    seen = ~np.isnan(stack)
    total = np.where(seen, stack, 0.0).sum(0)
    count = seen.sum(0)
    added = key[2] in ("requests", "errors", "seconds")
    result = total if added else total / np.maximum(count, 1)
    return np.where(count > 0, result, np.nan)


def _bare(service: str) -> str:
    return "".join(filter(str.isalnum, service)).casefold()


def _shown(label: Any) -> str:
    return " / ".join(map(str, label)) if isinstance(label, tuple) else str(label)


def best(keys: Iterable[Key], *, statistic: str) -> Key | None:
    """Of the metrics of one service and kind, the one that is modelled.

    A count of errors is taken before a rate. Of latencies it is `statistic`, or else the mean, or
    else the median-most percentile; of anything else the total, or else the mean.
    """
    order = {form: place for place, form in enumerate(FORMS)}
    return min(keys, default=None, key=lambda key: (order.get(key[2], 99), *_taste(key, statistic)))


def _taste(key: Key, statistic: str) -> tuple[bool, int, float, str]:
    _, _, form, which = key
    if form in ("requests", "errors", "error_rate", "error_percent", "availability"):
        usual = ("sum", "count", "", "mean")
        return False, usual.index(which) if which in usual else 9, 0.0, which
    wanted = which == statistic or (statistic == "mean" and which == "")
    place = 0 if which in ("mean", "") else 2 if which.startswith("p") else 3
    middle = abs(float(which[1:]) - 50) if which[:1] == "p" and which[1:2].isdigit() else 99.0
    return not wanted, place, middle, which
