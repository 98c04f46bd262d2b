"""How a fit went, in figures and in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class VariableReport:
    """One learned variable.

    Attributes:
        family: The family of its mechanism.
        reason: Why this family, where it was chosen automatically.
        held_out: Held-out log likelihood per row, in nats; None for a latent.
        calibration: The p-value of a Kolmogorov-Smirnov test of its noise against its law.
        rows: How many rows it was fitted on.
        warnings: What a user should know.
    """

    family: str
    reason: str = ""
    held_out: float | None = None
    calibration: float | None = None
    rows: int = 0
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class DistrictReport:
    """Variables that were fitted together with the latents that tie them.

    Attributes:
        latents: The latents.
        variables: The learned variables.
        method: "exact" where the likelihood has a closed form, else "variational".
        log_likelihood: Per row of the district, in nats; of a variational fit the lower bound
            on held-out rows.
        restarts: How many restarts were made; where a refit went on from the last fit, those of
            the search before, as the next two.
        agreeing: How many of them ended in the best optimum.
        converged: Whether training stopped before its budget did.
        independences: For each latent, what its posterior was held independent of.
    """

    latents: tuple[str, ...]
    variables: tuple[str, ...]
    method: str
    log_likelihood: float
    restarts: int
    agreeing: int
    converged: bool
    independences: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a user should know."""
        names = ", ".join(self.latents)
        found = []
        if not self.converged:
            found.append(f"{names}: training used its whole budget; raise `steps`")
        if self.agreeing * 4 < self.restarts:
            found.append(
                f"{names}: only {self.agreeing} of {self.restarts} restarts found the best "
                "optimum; the latent may not be identified"
            )
        return tuple(found)


@dataclass(frozen=True)
class Diagnostics:
    """How a fit went.

    Attributes:
        variables: A report for each learned variable.
        districts: A report for each district with latents.
        rows: How many rows the data had.
        notes: What concerns the whole fit, such as a sample taken of a large file.
    """

    variables: Mapping[str, VariableReport] = field(default_factory=dict)
    districts: tuple[DistrictReport, ...] = ()
    rows: int = 0
    notes: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """Everything to worry about, one sentence each."""
        found = [
            f"{name}: {warning}"
            for name, report in self.variables.items()
            for warning in report.warnings
        ]
        for district in self.districts:
            found.extend(district.warnings)
        return tuple(found)

    def to_frame(self) -> pd.DataFrame:
        """A row per learned variable: family, held-out likelihood (nats), calibration, rows."""
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    "variable": name,
                    "family": report.family,
                    "held_out": report.held_out,
                    "calibration": report.calibration,
                    "rows": report.rows,
                    "reason": report.reason,
                    "warnings": "; ".join(report.warnings),
                }
                for name, report in self.variables.items()
            ]
        ).set_index("variable")

    def __str__(self) -> str:
        lines = [f"fitted on {self.rows} rows"]
        for name, report in self.variables.items():
            score = "" if report.held_out is None else f", held out {report.held_out:.3f} nats/row"
            reason = f" ({report.reason})" if report.reason else ""
            lines.append(f"  {name}: {report.family}{score}{reason}")
        lines.extend(f"  note: {note}" for note in self.notes)
        lines.extend(f"  warning: {warning}" for warning in self.warnings)
        return "\n".join(lines)
