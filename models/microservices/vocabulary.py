"""What metrics of services are called, in words: kinds, statistics, units."""

from __future__ import annotations

import re
from itertools import product
from types import MappingProxyType

REQUESTS, LATENCY, ERRORS = "requests", "latency", "errors"
KINDS = (REQUESTS, LATENCY, ERRORS)
"""The kinds that the calls between services carry; every other kind is a resource."""

_REQUESTS = """requests request req reqs request_count requests_count request_rate requests_rate
count qps rps tps workload load calls call_count throughput hits invocations traffic"""
_LATENCY = """latency latencies lat duration response_time resp_time rt delay request_duration
response_duration elapsed call_duration request_time service_time"""
_ERRORS = """errors error err errs error_count errors_count err_count failures failure failed
failed_requests request_errors request_failures 5xx http_5xx server_errors fault faults
fault_count exceptions"""
_RATES = "error_rate errors_rate err_rate error_ratio failure_rate fault_rate 5xx_rate"
_PERCENT = """error_percent error_percentage error_pct failure_percent error_rate_percent
error_rate_pct"""
_AVAILABLE = "availability avail success_rate success_ratio success_percent success_percentage"
_CPU = "cpu cpu_usage cpu_util cpu_utilization cpu_utilisation cpu_load cpu_percent cpu_time"
_MEMORY = """memory mem ram memory_usage mem_usage memory_utilization memory_utilisation mem_util
memory_working_set memory_rss"""

_CALLED = {
    "requests": (REQUESTS, _REQUESTS, ("http", "grpc", "rpc")),
    "latency": (LATENCY, _LATENCY, ("http", "grpc", "rpc", "http_request", "http_server_request")),
    "errors": (ERRORS, _ERRORS, ("http", "grpc", "rpc")),
    "error_rate": (ERRORS, _RATES, ("http", "grpc", "rpc")),
    "error_percent": (ERRORS, _PERCENT, ("http", "grpc", "rpc")),
    "availability": (ERRORS, _AVAILABLE, ()),
    "cpu": ("cpu", _CPU, ("container", "ctn", "pod", "process")),
    "memory": ("memory", _MEMORY, ("container", "ctn", "pod", "process")),
}
FORMS = (*_CALLED, "seconds")
"""In what form a metric gives its kind; of two forms of one kind the first is taken."""

WORDS = MappingProxyType(
    {
        word: (kind, form)
        for form, (kind, words, fillers) in _CALLED.items()
        for filler, each in product(("", *fillers), words.split())
        for word in (f"{filler}_{each}" if filler else each,)
    }
)
"""From a metric's words, joined by `_`, to its kind and its form."""
LONGEST = max(word.count("_") + 1 for word in WORDS)

UNITS = MappingProxyType(
    {
        **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
        **dict.fromkeys(("ms", "msec", "millis", "millisecond", "milliseconds"), 1e-3),
        **dict.fromkeys(("us", "micros", "microsecond", "microseconds"), 1e-6),
        **dict.fromkeys(("ns", "nanos", "nanosecond", "nanoseconds"), 1e-9),
    }
)
"""Seconds in a unit of time."""
_IGNORED = frozenset(
    (
        *("bytes", "byte", "kb", "kib", "mb", "mib", "gb"),
        *("percent", "pct", "percentage", "ratio", "rate"),
    )
)
_STATISTICS = MappingProxyType(
    {
        **dict.fromkeys(("mean", "avg", "average"), "mean"),
        **dict.fromkeys(("median",), "p50"),
        **dict.fromkeys(("max", "maximum"), "max"),
        **dict.fromkeys(("min", "minimum"), "min"),
        **dict.fromkeys(("sum", "total"), "sum"),
        **dict.fromkeys(("count", "samplecount"), "count"),
        **dict.fromkeys(("std", "stddev", "stdev"), "std"),
    }
)
_PERCENTILE = re.compile(r"[pq]?(\d+(?:\.\d+)?)(?:th|st|nd|rd|percentile|pct)?")
TIMES = frozenset(["time", "timestamp", "unix_timestamp", "date", "datetime", "ts", "step"])
"""Columns that say when, not what."""


def statistic_of(word: str) -> str | None:
    """The statistic that a word names, as `mean`, `p99`, `max`, ...; None if it names none.

    Example:
        >>> [statistic_of(word) for word in ("Average", "p99", "90", "0.95", "p999", "cpu")]
        ['mean', 'p99', 'p90', 'p95', 'p99.9', None]
    """
    word = word.strip().casefold()
    if word in _STATISTICS:
        return _STATISTICS[word]
    found = _PERCENTILE.fullmatch(word)
    if found is None:
        return None
    number = float(found[1])
    if number < 1 and "." in found[1]:
        number *= 100
    while number >= 100:
        number /= 10
    marked = word[0] in "pq" or not word[-1].isdigit()
    return f"p{number:g}" if marked or number >= 25 else None


def is_suffix(word: str) -> bool:
    """Whether a word after a metric's name only says its statistic or its unit."""
    return word in UNITS or word in _IGNORED or statistic_of(word) is not None
