"""A graph with calls missing, or with wrong ones: how much is lost, and is one warned?"""

from __future__ import annotations

from benchmarks.lines import Line
from benchmarks.rootcause.cases import Case
from benchmarks.rootcause.sample import ONE, REPORTED, asked, run_all
from benchmarks.rootcause.scores import share
from benchmarks.rootcause.spoil import missing, wrong

NAME = "graph"


def run(*, quick: bool = False) -> list[Line]:
    """Top-1 with the true graph and without, on the same cases."""
    cases = asked(30 if quick else 200, ONE, 1 if quick else 3, first=REPORTED + 10_000)
    plain = run_all(cases)
    base = share(plain, lambda s: s.first)
    false_warnings = share(plain, lambda s: s.warned)
    lines = [
        Line(NAME, "true graph: top-1", base, note=f"{len(plain)} cases of 200 services"),
        Line(NAME, "true graph: warned without need", false_warnings),
    ]
    for said, spoil in (("20 % of calls missing", _missing), ("10 % of calls wrong", _wrong)):
        scores = run_all(cases, spoil=spoil)
        first = share(scores, lambda s: s.first)
        fall = base - first
        warned = share(scores, lambda s: s.warned)
        note = f"top-1 {first:.2f}; the same cases, seeds from 11000"
        lines.append(Line(NAME, f"{said}: fall of top-1", fall, "≤ 0.1", fall <= 0.1, note))
        lines.append(Line(NAME, f"{said}: warned", warned))
    return lines


def _missing(case: Case, seed: int) -> Case:
    return missing(case, seed=seed)


def _wrong(case: Case, seed: int) -> Case:
    return wrong(case, seed=seed)
