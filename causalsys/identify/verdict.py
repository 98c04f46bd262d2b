"""The verdict that every answer carries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["not checked", "identified", "identified under", "bounded", "not identified"]


@dataclass(frozen=True)
class Verdict:
    """Whether graph and data can carry an answer.

    Attributes:
        status: The verdict.
        assumptions: What it rests on, in words.
    """

    status: Status
    assumptions: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.status == "not checked":
            return "Not checked: whether the graph and the data identify this answer."
        under = f": {'; '.join(self.assumptions)}" if self.assumptions else ""
        return f"{self.status.capitalize()}{under}."


NOT_CHECKED = Verdict("not checked")
