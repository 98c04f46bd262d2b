"""The rivals: published methods and simple rules, each as its authors describe it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from case_studies.petshop.case import Case, Method, Scores
from case_studies.petshop.rivals.attribution import counterfactual_attribution
from case_studies.petshop.rivals.circa import circa
from case_studies.petshop.rivals.correlation import ranked_correlation
from case_studies.petshop.rivals.simple import deepest_ancestor, largest_deviation
from case_studies.petshop.rivals.traversal import traversal


@dataclass(frozen=True)
class Rival:
    """A method by its name. One that never stays silent has no specificity to measure."""

    name: str
    judge: Callable[[Sequence[Case]], list[Scores]]
    can_be_silent: bool = True


def _each(method: Method) -> Callable[[Sequence[Case]], list[Scores]]:
    return lambda cases: [method(case) for case in cases]


RIVALS = (
    Rival("largest", _each(largest_deviation)),
    Rival("deepest", _each(deepest_ancestor)),
    Rival("correlation", _each(ranked_correlation)),
    Rival("traversal", _each(traversal)),
    Rival("circa", _each(circa), can_be_silent=False),
    Rival("dowhy", counterfactual_attribution, can_be_silent=False),
)
