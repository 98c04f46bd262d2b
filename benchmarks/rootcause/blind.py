"""Blind spots: in half of the cases the culprit has no metric of its own."""

from __future__ import annotations

import numpy as np

from benchmarks.lines import Line
from benchmarks.rootcause.cases import Case
from benchmarks.rootcause.sample import AT_SERVICES, REPORTED, asked, run_all
from benchmarks.rootcause.scores import SURE, Score, share
from benchmarks.rootcause.spoil import unseen

NAME = "blind"


def run(*, quick: bool = False) -> list[Line]:
    """The culprit in the set of names, how large sets are, and confident wrong names."""
    cases = asked(30 if quick else 200, AT_SERVICES, 1 if quick else 5, first=REPORTED + 5000)
    # Every second case of each kind: the kinds take turns.
    turn = len(AT_SERVICES)
    blind = [each for at, each in enumerate(cases) if (at // turn + at) % 2]
    seen = [each for each in cases if each not in blind]
    unseen_scores = run_all(blind, spoil=_unseen)
    scores = [*unseen_scores, *run_all(seen)]
    said = f"{len(scores)} cases of 200 services, {len(unseen_scores)} blind, seeds from 6000"
    return [
        *_lines("half of them blind", scores, said, judged=True),
        *_lines("the blind ones alone", unseen_scores, said, judged=False),
    ]


def _unseen(case: Case, seed: int) -> Case | None:
    return None if case.target[0] in case.truth.causes else unseen(case)


def _lines(which: str, scores: list[Score], said: str, *, judged: bool) -> list[Line]:
    inside = share(scores, lambda s: s.inside)
    sizes = np.array([score.size for score in scores])
    within = float(np.mean(sizes <= 4)) if len(sizes) else float("nan")
    wrong = share(scores, lambda s: s.alarm and s.probability >= SURE and not s.inside)
    told = f"median {np.median(sizes):.0f}, largest {sizes.max()}" if len(sizes) else ""
    return [
        Line(
            NAME,
            f"{which}: the culprit is in the first set",
            inside,
            "≥ 0.95" if judged else "",
            inside >= 0.95 if judged else None,
            said,
        ),
        Line(
            NAME,
            f"{which}: sets of at most 4 names",
            within,
            "1" if judged else "",
            within == 1 if judged else None,
            told,
        ),
        Line(
            NAME,
            f"{which}: wrong, with {SURE:.0%} or more",
            wrong,
            "≤ 0.05" if judged else "",
            wrong <= 0.05 if judged else None,
            f"alarms {share(scores, lambda s: s.alarm):.2f}",
        ),
    ]
