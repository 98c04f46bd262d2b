"""How long one incident takes, and how that grows with the nodes of the model."""

from __future__ import annotations

import numpy as np

from benchmarks.lines import Line
from benchmarks.rootcause.cases import random_case
from benchmarks.rootcause.ours import ours

NAME = "speed"
_SIZES = (20, 40, 100, 200, 400)
"""Services; five variables each."""
SEED = 21_001


def run(*, quick: bool = False) -> list[Line]:
    """One finding on a fitted model of 1000 nodes; the exponent from 100 to 2000 nodes."""
    seconds, whole = [], []
    sizes = _SIZES[: 2 if quick else None]
    for services in sizes:
        case = random_case(services, "latency", seed=SEED)
        answers = [ours(case) for _ in range(2 if quick else 3)]
        seconds.append(min(answer.finding_seconds for answer in answers))
        whole.append(min(answer.seconds for answer in answers))
    told = ", ".join(f"{5 * n} nodes {s:.2f} s" for n, s in zip(sizes, seconds, strict=True))
    fits = ", ".join(f"{5 * n}: {s:.1f} s" for n, s in zip(sizes, whole, strict=True))
    exponent = float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
    lines = []
    if 200 in sizes:
        at = seconds[sizes.index(200)]
        case_ = "one incident, 1000 nodes × 10 rows [s]"
        lines.append(Line(NAME, case_, at, "< 1", at < 1, f"model and fit included: {fits}"))
    grows = "time grows with nodes by the power"
    return [*lines, Line(NAME, grows, exponent, "≤ 1.2", exponent <= 1.2, told)]
