"""The verdict that every answer carries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

Status = Literal["identified", "identified under", "bounded", "not identified"]
SEVERITY: tuple[Status, ...] = ("identified", "identified under", "bounded", "not identified")
"""From what the graph alone carries to what nothing carries."""


@dataclass(frozen=True)
class Assumption:
    """Something that the answer rests on beyond the graph.

    Attributes:
        name: What the field calls it, for example "monotone one-dimensional noise".
        words: What it says of this system, in words.
        variables: Of which variables it says so, where the words do not name them.
        test: How the data can contradict it; empty where they cannot.
    """

    name: str
    words: str
    variables: tuple[str, ...] = ()
    test: str = ""

    def __str__(self) -> str:
        of = f" of {', '.join(self.variables)}" if self.variables else ""
        tested = f" Tested by {self.test}." if self.test else " No data can test it."
        return f"{self.name}{of}: {self.words}.{tested}"


@dataclass(frozen=True)
class Addition:
    """Something that would identify the answer.

    Attributes:
        variables: What it is about.
        words: What to do, as an imperative.
    """

    variables: tuple[str, ...]
    words: str


@dataclass(frozen=True)
class Verdict:
    """Whether graph and data can carry an answer.

    Attributes:
        status: The verdict.
        question: What was asked, in the field's notation.
        formula: How the data give the answer, where the graph alone carries it; else empty.
        adjustment: The variables to adjust for, where that suffices; None where it does not.
        assumptions: What the answer rests on beyond the graph.
        additions: The smallest additions that would identify it, where it is not.
        reason: Why it is not identified, or what identifies it.
    """

    status: Status
    question: str
    formula: str = ""
    adjustment: tuple[str, ...] | None = None
    assumptions: tuple[Assumption, ...] = ()
    additions: tuple[Addition, ...] = ()
    reason: str = ""

    @property
    def answerable(self) -> bool:
        """Whether there is one answer, under the assumptions if there are any."""
        return self.status in ("identified", "identified under")

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        under = ", ".join(dict.fromkeys(item.name for item in self.assumptions))
        title = f"{self.status.capitalize()}{f' {{{under}}}' if under else ''}: {self.question}."
        yield f"{title} {self.reason}".strip()
        if self.formula:
            yield f"  formula: {self.formula}"
        if self.adjustment is not None:
            yield f"  adjust for: {', '.join(self.adjustment) or 'nothing'}"
        for item in self.assumptions:
            yield f"  assumes {item}"
        for addition in self.additions:
            yield f"  would identify it: {addition.words}"


def together(assumptions: Iterable[Assumption]) -> tuple[Assumption, ...]:
    """The assumptions, those that say the same of several variables as one.

    Example:
        >>> each = [Assumption("linear", "so it is", (name,)) for name in "xy"]
        >>> [item.variables for item in together(each)]
        [('x', 'y')]
    """
    found: dict[tuple[str, str], Assumption] = {}
    for item in assumptions:
        key = (item.name, item.words)
        names = {*item.variables, *(found[key].variables if key in found else ())}
        found[key] = Assumption(item.name, item.words, tuple(sorted(names)), item.test)
    return tuple(found.values())
