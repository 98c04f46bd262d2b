"""Counterfactuals of one row to a million: ten linear variables, seventeen edges."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from statistics import median

import numpy as np

import causalsys as cs
from benchmarks import with_dowhy
from benchmarks.by_hand import LinearByHand
from benchmarks.clock import alternate, ratio
from benchmarks.report import SEED, Row
from benchmarks.system import System

NAME = "counterfactuals"
_CAUSE, _VALUE = "x0", 1.0
_DO = {_CAUSE: _VALUE}
_MOST = {("dowhy", 100_000): 0.2, ("by hand", 100_000): 1.5, ("by hand", 1_000_000): 1.5}
"""With fewer rows, checking the data and the question counts: a millisecond for any number."""


def run(*, quick: bool) -> list[Row]:
    """Ours with one parameter set, and with the default eight, against each peer."""
    system = System.random(10, 17, seed=SEED)
    data = system.data(10_000, seed=SEED)
    fitted = system.model(cs.Linear()).fit(data, seed=SEED)
    by_hand = LinearByHand.fitted(system, data)
    dowhy = with_dowhy.fitted(system, data)
    found = []
    for rows, rounds in _sizes(quick=quick):
        frame = system.data(rows, seed=SEED + 1)
        calls: dict[str, Callable[[], object]] = {
            "ours": lambda f=frame: fitted.counterfactual(f, do=_DO, samples=1),
            "ours, 8 members": lambda f=frame: fitted.counterfactual(f, do=_DO),
            "by hand": lambda f=frame: by_hand.counterfactual(f, _CAUSE, _VALUE),
            "dowhy": lambda f=frame: with_dowhy.counterfactual(dowhy, f, _CAUSE, _VALUE),
        }
        if find_spec("chirho"):
            from benchmarks import with_chirho

            calls["ChiRho"] = lambda f=frame: with_chirho.counterfactual(by_hand, f, _CAUSE, _VALUE)
        _agree(system, calls)
        taken = alternate(calls, rounds=rounds, number=1 if quick else 5)
        for peer in [name for name in calls if not name.startswith("ours")]:
            for ours in ("ours", "ours, 8 members"):
                figure = ratio(taken[ours], taken[peer])
                most = _MOST.get((peer, rows)) if ours == "ours" else None
                told = "one parameter set" if ours == "ours" else "8 members"
                found.append(
                    Row(
                        NAME,
                        f"{rows:,} rows, {told}, against {peer}",
                        median(taken[ours]),
                        median(taken[peer]),
                        "s",
                        figure,
                        most,
                    )
                )
    return found


def _sizes(*, quick: bool) -> list[tuple[int, int]]:
    """How many rows, and how many rounds."""
    if quick:
        return [(1, 2), (1000, 2)]
    return [(1, 11), (1000, 11), (10_000, 11), (100_000, 9), (1_000_000, 5)]


def _agree(system: System, calls: dict[str, Callable[[], object]]) -> None:
    """All must answer the same question alike, or there is nothing to compare."""
    answers = {name: call() for name, call in calls.items()}
    ours = answers.pop("ours").mean(system.last)  # type: ignore[attr-defined]
    del answers["ours, 8 members"]
    for name, answer in answers.items():
        theirs = np.asarray(answer[system.last]).reshape(-1)  # type: ignore[index]
        if not np.allclose(ours, theirs, rtol=1e-6, atol=1e-8):
            raise AssertionError(f"{name} disagrees with ours")
