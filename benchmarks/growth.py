"""How cost grows with variables and with rows: the exponent of a power law."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import causalsys as cs
from benchmarks.clock import alternate, exponent
from benchmarks.report import SEED, Row
from benchmarks.system import System

NAME = "growth"
_MOST = 1.1


def run(*, quick: bool) -> list[Row]:
    """From ten variables to a thousand, and from ten thousand rows to ten million."""
    nodes = [10, 30] if quick else [10, 30, 100, 300, 1000]
    rows = [1000, 3000] if quick else [10_000, 100_000, 1_000_000, 10_000_000]
    by_nodes = [_seconds(System.long(n, seed=SEED), 500 if quick else 2000) for n in nodes]
    few = System.long(4, seed=SEED)
    by_rows = [_seconds(few, n) for n in rows]
    return [
        *_exponents(nodes, by_nodes, "variables, 2,000 rows"),
        *_exponents(rows, by_rows, "rows, 4 variables"),
    ]


def _seconds(system: System, rows: int) -> tuple[float, float]:
    """What a fit takes, and a counterfactual of the same rows."""
    data = system.data(rows, seed=SEED)
    model = system.model(cs.Linear())
    fitted = model.fit(data, seed=SEED)
    taken = alternate(
        {
            "fit": lambda: model.fit(data, seed=SEED),
            "ask": lambda: fitted.counterfactual(data, do={"x0": 1.0}),
        },
        rounds=1 if rows > 1_000_000 else 3,
    )
    return median(taken["fit"]), median(taken["ask"])


def _exponents(
    sizes: Sequence[int], seconds: Sequence[tuple[float, float]], what: str
) -> list[Row]:
    found = []
    for index, verb in enumerate(("fit", "counterfactual")):
        spent = [pair[index] for pair in seconds]
        case = f"{verb}: {sizes[-1]:,} {what}, against {sizes[0]:,}; the exponent over all sizes"
        found.append(Row(NAME, case, spent[-1], spent[0], "s", exponent(sizes, spent), _MOST))
    return found
