"""The table of the PetShop paper: top-1 and top-3 recall, and specificity on normal windows.

A method that is silent on an issue has missed it. Specificity is the share of normal windows on
which a method names nobody (Hardt et al., arXiv 2311.04806, section on evaluation).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pandas as pd

from case_studies.petshop.case import Case
from case_studies.petshop.read import SPLITS
from case_studies.petshop.study import Study

ALL = "all"


def recall(study: Study) -> pd.DataFrame:
    """Rows: metric and split. Columns: the number of issues, and top-1 and top-3 by method."""
    known = [case for case in study.cases if case.split in SPLITS and case.truth is not None]
    rows: _Rows = {}
    for metric in (*sorted({case.target.metric for case in known}), ALL):
        for split in (*SPLITS, ALL):
            chosen = [case for case in known if _in(case, metric, split)]
            if chosen:
                rows[study.scenario, metric, split] = {("", "issues"): len(chosen)} | {
                    (method, f"top-{k}"): _share(chosen, _hit(named, k))
                    for method, named in study.named.items()
                    for k in (1, 3)
                }
    return _frame(rows)


def specificity(study: Study) -> pd.DataFrame:
    """Rows: metric. Columns: the number of normal windows, and by method the share unnamed."""
    normal = [case for case in study.cases if case.split == "normal"]
    rows: _Rows = {}
    for metric in (*sorted({case.target.metric for case in normal}), ALL):
        chosen = [case for case in normal if metric in (case.target.metric, ALL)]
        if chosen:
            rows[study.scenario, metric, "normal"] = {("", "windows"): len(chosen)} | {
                (method, "specificity"): (
                    0.0 if method in study.never_silent else _share(chosen, _silent(named))
                )
                for method, named in study.named.items()
            }
    return _frame(rows)


def shown(table: pd.DataFrame) -> str:
    """As text, two decimals, no column that is empty."""
    return table.to_string(float_format=lambda value: f"{value:.2f}")


_Rows = dict[tuple[str, str, str], dict[tuple[str, str], float]]


def _frame(rows: _Rows) -> pd.DataFrame:
    if not rows:
        return pd.DataFrame()
    index = pd.MultiIndex.from_tuples(rows, names=["scenario", "metric", "split"])
    columns = pd.MultiIndex.from_tuples(next(iter(rows.values())))
    return pd.DataFrame([list(row.values()) for row in rows.values()], index, columns)


def _in(case: Case, metric: str, split: str) -> bool:
    return metric in (case.target.metric, ALL) and split in (case.split, ALL)


def _hit(named: dict[str, tuple[str, ...]], k: int) -> Callable[[Case], bool]:
    return lambda case: case.truth in named[case.id][:k]


def _silent(named: dict[str, tuple[str, ...]]) -> Callable[[Case], bool]:
    return lambda case: not named[case.id]


def _share(cases: Iterable[Case], holds: Callable[[Case], bool]) -> float:
    found = [holds(case) for case in cases]
    return sum(found) / len(found)
