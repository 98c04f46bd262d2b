"""Metrics of services before and after: neither graph nor load nor target nor clean rows."""

from __future__ import annotations

import numpy as np

from benchmarks.lines import Line
from benchmarks.rootcause.ours import ours_before_after
from benchmarks.rootcause.sample import REPORTED
from benchmarks.rootcause.services_only import before_after, largest_deviation

NAME = "before and after"


def run(*, quick: bool = False) -> list[Line]:
    """Top-1 and top-3 beside the largest robust deviation's."""
    seeds = range(REPORTED, REPORTED + (5 if quick else 100))
    mine, rule, sure = [], [], []
    for seed in seeds:
        made = before_after(seed=seed)
        answer = ours_before_after(made)
        names = [cause.name for cause in answer.ranking]
        mine.append((names[:1] == [made.cause], made.cause in names[:3]))
        ranked = largest_deviation(made)
        rule.append((ranked[0] == made.cause, made.cause in ranked[:3]))
        if answer.ranking and answer.ranking[0].probability >= 0.9:
            sure.append(made.cause in answer.ranking[0].all)
    first, third = np.mean(mine, axis=0)
    simple = np.mean(rule, axis=0)
    note = (
        f"{len(seeds)} tables of 13 services, seeds from {REPORTED}; largest robust deviation "
        f"{simple[0]:.2f}/{simple[1]:.2f}"
    )
    right = float(np.mean(sure)) if sure else float("nan")
    return [
        Line(NAME, "top-1", float(first), "≥ 0.92", bool(first >= 0.92), note),
        Line(NAME, "top-3", float(third)),
        Line(NAME, "first causes given .90 or more: right", right, note=f"{len(sure)} of them"),
    ]
