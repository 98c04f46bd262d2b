"""Sequential alarms: false ones on streams that drift and do not, delays, and two real files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

import causalsys as cs
from benchmarks.lines import Line
from case_studies.vm_noise.incumbent import LogLinear, relative
from causalsys.detect.monitor import monitor
from causalsys.detect.monitoring import Alarm, Monitoring
from causalsys.detect.watch import watch
from models.vm_noise import INPUTS, TARGET

NAME = "alarm"
FIRST = 1000
"""Reported seeds start here; defaults were chosen on seeds below."""
_NORMAL, _LATER, _CHANGE = 4000, 5000, 1000
_RATE = 0.1
_BEGIN = pd.Timestamp("2023-11-01", tz="UTC")

Rows = np.ndarray
Change = Callable[[Rows, np.random.Generator], Rows]
_CHANGES: dict[str, Change] = {
    "a shift of half a standard deviation": lambda x, _: x + 0.5,
    "a shift of one standard deviation": lambda x, _: x + 1,
    "a noise half as wide again": lambda x, _: 1.5 * x,
    "a hidden group of 20 %, 3 standard deviations lower": lambda x, draw: (
        x - 3 * (draw.random(len(x)) < 0.2)
    ),
    "a hidden group of 30 %, 6 standard deviations lower": lambda x, draw: (
        x - 6 * (draw.random(len(x)) < 0.3)
    ),
}


def run(*, quick: bool = False) -> list[Line]:
    """False alarms on null streams, delays of seen changes, and the two real files."""
    lines = _false(10 if quick else 200)
    for drift in (0.0, 0.3):
        lines += _delays(3 if quick else 25, drift)
    folder = os.environ.get("CAUSALSYS_DATA")
    return [*lines, *(_real(Path(folder)) if folder else [])]


def _moves(rows: int, memory: float, draw: np.random.Generator) -> Rows:
    """A normal autoregression of order one with variance 1."""
    from scipy.signal import lfilter

    rho = np.exp(-1 / memory)
    steps = draw.standard_normal(rows) * np.sqrt(1 - rho**2)
    steps[0] = draw.standard_normal()
    return lfilter([1], [1, -rho], steps)


def _stream(kind: str, size: float, memory: float, seed: int) -> Rows:
    draw = np.random.default_rng(seed)
    rows = _NORMAL + _LATER
    noise = draw.standard_t(3, rows) / 1.7 if kind == "heavy" else draw.standard_normal(rows)
    moves = size * _moves(rows, memory, draw)
    if kind == "scale":
        return noise * np.exp(moves)
    if kind == "group":
        # A hidden group of about one row in twenty, whose share drifts.
        return noise - 3 * (draw.random(rows) < 1 / (1 + np.exp(3 - 2 * moves)))
    return noise + moves


def _alarm(values: Rows) -> int | None:
    found, _ = watch(
        values[:_NORMAL],
        values[_NORMAL:],
        false_alarms=_RATE,
        per=_LATER,
        streams=1,
        drift=True,
        seed=0,
    ).alarms(reset=False)
    return found[0].row if found else None


def _false(count: int) -> list[Line]:
    lines = []
    cases = (
        ("no drift", "plain", 0.0, 1.0),
        ("drift of .1, memory of 50 rows", "plain", 0.1, 50.0),
        ("drift of .3, memory of 300 rows", "plain", 0.3, 300.0),
        ("drift of .5, memory of 500 rows", "plain", 0.5, 500.0),
        ("drift of .5, memory of 500 rows, heavy tails", "heavy", 0.5, 500.0),
        ("drifting share of a hidden group, memory of 300 rows", "group", 0.3, 300.0),
        ("drifting noise scale of .2, memory of 300 rows", "scale", 0.2, 300.0),
    )
    for told, kind, size, memory in cases:
        seeds = range(FIRST, FIRST + count)
        found = [_alarm(_stream(kind, size, memory, seed)) is not None for seed in seeds]
        rate = float(np.mean(found))
        lines.append(
            Line(
                NAME,
                f"false alarms in {_LATER} rows, {told}",
                rate,
                f"≤ {_RATE}",
                rate <= _RATE,
                f"{count} streams, {_NORMAL} normal rows",
            )
        )
    # Beyond what the rate is stated for: it informs.
    slow = [
        _alarm(_stream("plain", 0.5, 1500.0, seed)) is not None
        for seed in range(FIRST, FIRST + count)
    ]
    told = "drift of .5, memory of 1500 rows: slower than a sixth of the normal period"
    lines.append(Line(NAME, f"alarms in {_LATER} rows, {told}", float(np.mean(slow))))
    return lines


def _delays(count: int, drift: float) -> list[Line]:
    lines = []
    for told, change in _CHANGES.items():
        delays = []
        for seed in range(FIRST, FIRST + count):
            values = _stream("plain", drift, 300.0, seed)
            begin = _NORMAL + _CHANGE
            values[begin:] = change(values[begin:], np.random.default_rng(seed))
            row = _alarm(values)
            delays.append(np.inf if row is None or row < _CHANGE else row - _CHANGE)
        seen = float(np.mean(np.isfinite(delays)))
        middle = float(np.median(delays))
        lines.append(
            Line(
                NAME,
                f"rows until {told} is seen, drift of {drift:g}",
                middle if np.isfinite(middle) else float(_LATER - _CHANGE),
                note=f"median of {count}; seen within {_LATER - _CHANGE} rows in {seen:.0%}",
            )
        )
    return lines


class _Machine(cs.SCM):
    """The log-linear regression of the target on all other benchmarks, in logarithms."""

    redis_get_rps = cs.Observed(cs.Real())
    syscall_ops = cs.Observed(cs.Real())
    cache_ops = cs.Observed(cs.Real())
    memory_bandwidth_mib_s = cs.Observed(cs.Real())
    memory_latency_ns = cs.Observed(cs.Real())
    process_create_us = cs.Observed(cs.Real())
    memcpy_gb_s = cs.Observed(cs.Real())
    postgres_ro_tps = cs.Observed(
        cs.Real(),
        parents=[
            redis_get_rps,
            syscall_ops,
            cache_ops,
            memory_bandwidth_mib_s,
            memory_latency_ns,
            process_create_us,
            memcpy_gb_s,
        ],
        mechanism=cs.Linear(),
    )


def _real(folder: Path) -> list[Line]:
    """The incumbent fitted to the months until October 2023, watched from November on."""
    lines = []
    for where in ("eastus_B8ms", "westus2_B8ms"):
        file = folder / "azure_vm_noise" / f"{where}.parquet"
        if not file.is_file():
            continue
        rows = pd.read_parquet(file).sort_values("started").set_index("started")
        before = rows.index < _BEGIN
        incumbent = LogLinear.fit(rows[before])
        error = relative(rows[TARGET].to_numpy(), incumbent.predict(rows))
        logs = rows[[*INPUTS, TARGET]].apply(np.log)
        normal, later = logs[before], logs[~before]
        fitted = _Machine.fit(normal, ensemble=1)
        for nodes in ([TARGET], None):
            errors = {"error": (error[before], error[~before])}
            found = monitor(fitted, later, normal=normal, nodes=nodes, errors=errors)
            lines += _told(where, "all nodes" if nodes is None else "target and error", found)
    return lines


def _days(alarm: Alarm) -> float:
    """From the beginning of November."""
    return float((pd.Timestamp(str(alarm.label)) - _BEGIN) / pd.Timedelta(days=1))


def _told(where: str, which: str, found: Monitoring) -> list[Line]:
    note = "; ".join(f"{alarm.node} on {alarm.label:%Y-%m-%d}" for alarm in found.alarms)
    note = f"{note or 'no alarm'}; rate of {found.false_alarms:g}"
    if where.startswith("westus2"):
        count = len(found.alarms)
        return [Line(NAME, f"{where}, {which}: alarms", count, "0", count == 0, note)]
    lines = []
    for node in (TARGET, "error"):
        first = found.first(node)
        days = float("nan") if first is None else _days(first)
        lines.append(
            Line(
                NAME,
                f"{where}, {which}: days from November 1 to the alarm of {node}",
                days,
                "≤ 30",
                bool(days <= 30),
                note,
            )
        )
    return lines


__all__ = ["NAME", "run"]
