"""What an answer is worth, case by case, and what many of them come to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.rootcause.cases import Case, Truth
from benchmarks.rootcause.ours import Answer, Named
from benchmarks.rootcause.rules import RULES

SURE = 0.9
"""From this probability on, a name is said with confidence."""


@dataclass(frozen=True)
class Score:
    """How one case was answered.

    Attributes:
        kind: Of the fault.
        first: Whether the first name is a component at fault. Where a fault sits between two
            services either of them counts; `strict` has the one only.
        third: Whether every component at fault is among the first three.
        strict: Whether the first name is the component at fault itself.
        inside: Whether a component at fault is in the first set of names.
        size: Names in that set.
        probability: Of the first cause.
        alarm: Whether there was one.
        warned: Whether data were said to contradict the graph.
        precise: Of the edges of the first cause's path, those that are right; None without any.
        found: Of the edges that carried the effect, those that its path has; None without any.
        rules: Of each simple rule, `first` and `third`.
        seconds: Of ours, fitting included.
        refused: Why not, if so.
    """

    kind: str
    first: bool
    third: bool
    strict: bool
    inside: bool
    size: int
    probability: float
    alarm: bool
    warned: bool
    precise: float | None
    found: float | None
    rules: dict[str, tuple[bool, bool]]
    seconds: float
    refused: str


def scored(case: Case, answer: Answer) -> Score:
    """Compare an answer with the truth."""
    truth = case.truth
    names = [cause.name for cause in answer.ranking]
    top = answer.ranking[0] if answer.ranking else None
    right = set(truth.causes) | truth.alike
    strict = top is not None and top.name in truth.causes
    precise, found = _edges(top, truth) if top is not None and strict else (None, None)
    return Score(
        truth.kind,
        _first(names, truth),
        _third(names, truth),
        strict,
        top is not None and bool(top.all & right),
        len(top.all) if top is not None else 0,
        top.probability if top is not None else 0.0,
        answer.alarm,
        answer.warned,
        precise,
        found,
        {
            name: (_first(ranked, truth), _third(ranked, truth))
            for name, ranked in ((name, rule(case)) for name, rule in RULES.items())
        },
        answer.seconds,
        answer.refused,
    )


def share(scores: Iterable[Score], holds: Callable[[Score], bool]) -> float:
    """Of the scores, those for which it holds; NaN of none."""
    held = [holds(score) for score in scores]
    return float(np.mean(held)) if held else float("nan")


def rules_told(scores: Sequence[Score]) -> str:
    """The simple rules' top-1 and top-3 on the same cases."""
    parts = []
    for name in RULES:
        held = [score.rules[name] for score in scores]
        first, third = np.mean(held, axis=0) if held else (np.nan, np.nan)
        parts.append(f"{name} {first:.2f}/{third:.2f}")
    return ", ".join(parts)


def _first(names: Sequence[str], truth: Truth) -> bool:
    return bool(names) and names[0] in set(truth.causes) | truth.alike


def _third(names: Sequence[str], truth: Truth) -> bool:
    among = set(names[:3])
    if truth.alike:
        return bool(among & (set(truth.causes) | truth.alike))
    return bool(truth.causes) and set(truth.causes) <= among


def _edges(top: Named, truth: Truth) -> tuple[float | None, float | None]:
    """Precision and recall of a path.

    An edge is right if it carried a hundredth of the effect, and must be found if it carried a
    tenth: what lies between is nobody's mistake.
    """
    if truth.kind in ("load surge", "noisy host", "two faults"):
        return None, None
    right = {edge for edge, share in truth.shares.items() if share >= 0.01}
    wanted = {edge for edge, share in truth.shares.items() if share >= 0.1}
    precise = len(top.path & right) / len(top.path) if top.path else None
    found = len(top.path & wanted) / len(wanted) if wanted else None
    return precise, found
