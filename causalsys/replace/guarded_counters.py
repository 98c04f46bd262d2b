"""What a guard did: counted as it acts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

FAILED = "policy failed"
"""The rail that every guard has: the policy raised, or decided what is no decision."""


@dataclass(frozen=True)
class Counters:
    """What a guard did since it was made, or since `reset`; a step of one trace counts one.

    Attributes:
        steps: Steps that it looked at.
        fallback: Those of them that the fallback decided.
        clipped: Those in which a limit changed the policy's decision.
        trips: How often the fallback took over.
        rails: By rail, the steps in which it objected.
        failures: What the policy raised first; empty where it did not.

    Example:
        >>> print(Counters(200, 30, 0, 4, {"low buffer": 12, "policy failed": 0}))
        200 steps: 30 (15.0 %) decided by the fallback, which took over 4 times; 0 clipped.
          low buffer: 12 (6.0 %)
          policy failed: 0 (0.0 %)
    """

    steps: int = 0
    fallback: int = 0
    clipped: int = 0
    trips: int = 0
    rails: Mapping[str, int] = field(default_factory=dict)
    failures: str = ""

    @property
    def share(self) -> float:
        """The share of steps that the fallback decided."""
        return self.fallback / self.steps if self.steps else 0.0

    def plus(self, other: Counters) -> Counters:
        """The sum of two counts."""
        names = dict.fromkeys([*self.rails, *other.rails])
        return Counters(
            self.steps + other.steps,
            self.fallback + other.fallback,
            self.clipped + other.clipped,
            self.trips + other.trips,
            {name: self.rails.get(name, 0) + other.rails.get(name, 0) for name in names},
            self.failures or other.failures,
        )

    def to_frame(self) -> pd.DataFrame:
        """A row per rail: the steps in which it objected, and their share."""
        import pandas as pd

        rows = {
            name: {"steps": number, "share": number / max(self.steps, 1)}
            for name, number in self.rails.items()
        }
        return pd.DataFrame.from_dict(rows, orient="index", columns=["steps", "share"])

    def __str__(self) -> str:
        def of_all(number: int) -> str:
            return f"{number} ({number / max(self.steps, 1):.1%})".replace("%", " %")

        lines = [
            f"{self.steps} steps: {of_all(self.fallback)} decided by the fallback, which took over "
            f"{self.trips} times; {self.clipped} clipped."
        ]
        lines += [f"  {name}: {of_all(number)}" for name, number in self.rails.items()]
        return "\n".join([*lines, *([f"  First: {self.failures}"] if self.failures else [])])


__all__ = ["FAILED", "Counters"]
