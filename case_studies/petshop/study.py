"""The study: every case judged by us and by the rivals."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass

from case_studies.petshop.case import Case, ranked
from case_studies.petshop.cases import cases
from case_studies.petshop.ours import Answer, Ours
from case_studies.petshop.read import Scenario
from case_studies.petshop.rivals import RIVALS

OURS = "causalsys"


@dataclass(frozen=True)
class Study:
    """All verdicts on one scenario.

    `named[method][case.id]` holds the nodes that a method names, best first; nothing where it is
    silent. `seconds` is what each method took, fitting included.
    """

    scenario: str
    cases: tuple[Case, ...]
    answers: dict[str, Answer]
    named: dict[str, dict[str, tuple[str, ...]]]
    never_silent: frozenset[str]
    seconds: dict[str, float]
    about_normal: str


def run(
    scenario: Scenario,
    *,
    without: Collection[str] = (),
    most_windows: int | None = None,
    seed: int = 0,
) -> Study:
    """Judge all cases of a scenario.

    Args:
        scenario: From `read`.
        without: Names of methods that are left out.
        most_windows: At most so many normal windows a target; None for all.
        seed: Of our own method.

    Raises:
        DataError: There is nothing that could stand for normal rows.
    """
    judged, about = cases(scenario, most_windows=most_windows)
    answers: dict[str, Answer] = {}
    named: dict[str, dict[str, tuple[str, ...]]] = {}
    seconds: dict[str, float] = {}
    if OURS not in without:
        begun, ours = time.monotonic(), Ours(seed=seed)
        answers = {case.id: ours.judge(case) for case in judged}
        named[OURS] = {key: answer.named for key, answer in answers.items()}
        seconds[OURS] = time.monotonic() - begun
    rivals = [rival for rival in RIVALS if rival.name not in without]
    for rival in rivals:
        begun = time.monotonic()
        mine = [case for case in judged if rival.can_be_silent or case.split != "normal"]
        named[rival.name] = {
            case.id: ranked(case, scores)
            for case, scores in zip(mine, rival.judge(mine), strict=True)
        }
        seconds[rival.name] = time.monotonic() - begun
    return Study(
        scenario.name,
        tuple(judged),
        answers,
        named,
        frozenset(rival.name for rival in rivals if not rival.can_be_silent),
        seconds,
        about,
    )
