"""One measured line: a rate or a ratio beside its target."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """One measurement.

    Attributes:
        what: Which benchmark it is of.
        case: What was measured.
        measured: The figure.
        target: The target, in words; empty where the row only informs.
        met: Whether it is met; None without a target.
        note: Seeds, sizes, and what else a reader needs.
    """

    what: str
    case: str
    measured: float
    target: str = ""
    met: bool | None = None
    note: str = ""
