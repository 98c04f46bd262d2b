"""Reading the names of metrics: which service, which kind, which statistic.

A name is cut into words. Its last words that are the name of a kind (with a statistic and a unit
after them) are the metric, and what stands before is the service; where that fails, the metric
may stand first. Labels in braces, as Prometheus writes them, say it outright.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from models.microservices.vocabulary import (
    LATENCY,
    LONGEST,
    REQUESTS,
    UNITS,
    WORDS,
    is_suffix,
    statistic_of,
)

_WORD = re.compile(
    r"[pq]\d+(?:\.\d+)?(?![A-Za-z\d])|\d+(?:\.\d+)?[a-z]*|[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+\d*"
)
_BRACES = re.compile(r"(?P<metric>[^{}]+)\{(?P<labels>.*)\}")
_LABEL = re.compile(r"(\w+)\s*=~?\s*\"([^\"]*)\"")
_SERVICE_LABELS = (
    *("service", "destination_service_name", "destination_service", "destination_workload"),
    *("microservice", "service_name", "app", "application", "container", "deployment"),
    *("job", "pod", "instance"),
)
_LEADING = re.compile(r"[pq]\d.*|mean|avg|average|median|max|maximum")
_STRIP = " _-.|/:"


@dataclass(frozen=True)
class Named:
    """What the name of one column says.

    Attributes:
        service: The service, as the name spells it.
        kind: `requests`, `latency`, `errors`, `cpu`, `memory`, or a resource's own name.
        form: How the metric gives its kind: `availability` and `error_rate` give errors, too.
        statistic: `mean`, `p99`, `sum`, ..., or empty.
        unit: Seconds in the unit that the name tells, if it tells one.
    """

    service: str
    kind: str
    form: str
    statistic: str = ""
    unit: float | None = None


@dataclass(frozen=True)
class _Part:
    """Words `start` to `stop` of a name, read as a metric.

    `width` of them are the name of its kind; `first` marks a metric before its service.
    """

    start: int
    stop: int
    width: int
    metric: Named
    first: bool = False


def read_name(label: str, *, known: frozenset[str] = frozenset()) -> Named | None:
    """What a flat name says, or None where no words in it name a metric.

    Args:
        label: The column's name.
        known: Services that exist: of several ways to cut the name, the one that gives such a
            service is taken, and what follows one is a metric, whatever it is called.

    Example:
        >>> read_name("carts-db_latency-90")
        Named(service='carts-db', kind='latency', form='latency', statistic='p90', unit=None)
        >>> read_name('latency_p99{service="pay"}').service
        'pay'
    """
    braces = _BRACES.fullmatch(label.strip())
    if braces is not None:
        return _labelled(braces["metric"], dict(_LABEL.findall(braces["labels"])))
    if label.count("|") == 1:
        left, right = label.split("|")
        return read_metric(right, service=left.strip()) if left.strip() and right.strip() else None
    found = [(service, part) for service, part in _cuts(label) if service]
    here = [pair for pair in found if pair[0] in known]
    if here or found:
        service, part = max(here or found, key=lambda pair: _rank(pair[1]))
        return _of(service, part)
    return _after_known(label, known)


@lru_cache(maxsize=4096)
def read_metric(text: str, *, service: str = "", statistic: str = "") -> Named:
    """What a metric's own name says; a name that is not known is a resource.

    Example:
        >>> read_metric("ResponseTime", service="pay", statistic="Average").kind
        'latency'
        >>> read_metric("gc_pause_ms").kind
        'gc_pause'
    """
    words = _words(text)
    whole = [part for part in _metrics(words) if part.start == 0 and part.stop == len(words)]
    last = [part for part in _metrics(words) if part.stop == len(words)]
    given = statistic_of(statistic) or statistic.casefold()
    if whole or last:
        # `istio_request_duration` is a duration, whatever `istio` is.
        part = max(whole or last, key=_rank)
        return _of(service, part, statistic=given)
    plain = [word for word, _, _ in words]
    end = next((n for n in range(len(plain), 1, -1) if not is_suffix(plain[n - 1])), 1)
    tail = _suffix(plain[end:])
    own = "_".join(plain[:end]) or text.strip().casefold() or "value"
    return Named(service, own, "resource", given or tail[0], tail[1])


def plain_words(text: str) -> str:
    """The words of a name, joined by `_`, without case."""
    return "_".join(word for word, _, _ in _words(text))


def _cuts(label: str) -> Iterator[tuple[str, _Part]]:
    words = _words(label)
    for part in _metrics(words):
        if part.stop == len(words) and part.start:
            yield label[: words[part.start][1]].rstrip(_STRIP), part
    for part in _metrics(words):
        if part.start == 0 and part.stop < len(words):
            yield label[words[part.stop][1] :].lstrip(_STRIP), replace(part, first=True)


def _rank(part: _Part) -> tuple[bool, int, int]:
    """A metric that stands last is believed first; then longer is better."""
    return not part.first, part.stop - part.start, part.width


def _metrics(words: list[tuple[str, int, int]]) -> Iterator[_Part]:
    """All runs of words that are a kind's name, with the statistic and unit that follow."""
    plain = [word for word, _, _ in words]
    for start in range(len(plain)):
        for width in range(1, min(LONGEST, len(plain) - start) + 1):
            found = WORDS.get("_".join(plain[start : start + width]))
            if found is None:
                continue
            stop = start + width
            while stop < len(plain) and is_suffix(plain[stop]):
                stop += 1
            statistic, unit = _suffix(plain[start + width : stop])
            yield _Part(start, stop, width, Named("", *found, statistic, unit))
            before = statistic_of(plain[start - 1]) if start else None
            if before and _LEADING.fullmatch(plain[start - 1]):
                yield _Part(start - 1, stop, width, Named("", *found, before, unit))


def _suffix(words: Iterable[str]) -> tuple[str, float | None]:
    statistic, unit = "", None
    for word in words:
        unit = UNITS.get(word, unit)
        if word not in UNITS:
            statistic = statistic_of(word) or statistic
    return statistic, unit


def _of(service: str, part: _Part, *, statistic: str = "") -> Named:
    metric = part.metric
    kind, form, which = metric.kind, metric.form, statistic or metric.statistic
    if kind == LATENCY and which == "count":
        kind = form = REQUESTS
    elif kind == LATENCY and which == "sum":
        form = "seconds"
    return Named(service, kind, form, which, metric.unit)


def _labelled(metric: str, labels: dict[str, str]) -> Named | None:
    service = next((labels[key] for key in _SERVICE_LABELS if labels.get(key)), "")
    if not service:
        return None
    found = read_metric(metric, service=service, statistic=labels.get("quantile", ""))
    code = labels.get("code") or labels.get("status") or labels.get("response_code") or ""
    if found.kind == REQUESTS and code.startswith("5"):
        return Named(service, "errors", "errors", found.statistic, found.unit)
    return found


def _after_known(label: str, known: frozenset[str]) -> Named | None:
    """The longest known service that the name begins with; the rest is the metric."""
    for _, start, _ in reversed(_words(label)):
        service = label[:start].rstrip(_STRIP)
        if service in known:
            return read_metric(label[start:], service=service)
    return None


def _words(text: str) -> list[tuple[str, int, int]]:
    return [(found[0].casefold(), *found.span()) for found in _WORD.finditer(text)]
