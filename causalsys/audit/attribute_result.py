"""What an attribution of predictions gives back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from causalsys.audit.attribute_axioms import AXIOMS, Axiom
from causalsys.errors import UnknownNameError
from causalsys.identify.verdict import Verdict

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RowAttribution:
    """What each variable contributes to the predictions, or to the errors, of rows.

    Attributes:
        method: "do", "shap" or "slope".
        of: "prediction" or "error".
        predictor: The predictor's name.
        target: What it predicts.
        names: The variables, in a causal order.
        values: `[row, variable]`, in the outcome's unit; slopes in that over the variable's.
        outcomes: `[row]`, the rows' predictions or errors.
        baseline: The mean outcome of the reference population; NaN where there is none.
        error: `[row, variable]`, the Monte Carlo standard error; more draws and more permutations
            make it smaller. NaN where the method does not tell.
        index: The rows' labels.
        exact: Whether every coalition was evaluated, so that only the population was sampled.
        verdict: Whether graph, shapes and data carry the answer; None of a method that asks
            nothing of the graph.
        notes: What else a reader should know.
    """

    method: str
    of: str
    predictor: str
    target: str
    names: tuple[str, ...]
    values: Array
    outcomes: Array
    baseline: float
    error: Array
    index: pd.Index[Any]
    exact: bool
    verdict: Verdict | None = None
    notes: tuple[str, ...] = ()

    @property
    def axioms(self) -> tuple[Axiom, ...]:
        """What the method has of specificity, additivity, completeness, baseline invariance."""
        return AXIOMS[self.method]

    @property
    def gives_up(self) -> tuple[str, ...]:
        """What the method does not have of these four; no method has all."""
        return tuple(axiom.name for axiom in self.axioms if not axiom.holds)

    def of_row(self, row: Any) -> dict[str, float]:
        """One row's contributions by variable, the largest first.

        Raises:
            UnknownNameError: There is no one row of this label.
        """
        if row not in self.index or not isinstance(self.index.get_loc(row), int):
            raise UnknownNameError.among(row, map(str, self.index), where="the rows")
        found = self.values[self.index.get_loc(row)]
        order = np.argsort(-np.abs(found), kind="stable")
        return {self.names[at]: float(found[at]) for at in order}

    def to_frame(self) -> pd.DataFrame:
        """A row per row and variable: the contribution and its Monte Carlo error."""
        import pandas as pd

        index = pd.MultiIndex.from_product([self.index, self.names], names=["row", "variable"])
        return pd.DataFrame(
            {"contribution": self.values.reshape(-1), "error": self.error.reshape(-1)}, index=index
        )

    def __str__(self) -> str:
        mean, size = self.values.mean(axis=0), np.abs(self.values).mean(axis=0)
        what = f"{self.of}s of {self.predictor} ({self.target})"
        title = f"{self.method}: {what}, {self.outcomes.mean():.4g} on average over "
        title += f"{len(self.outcomes)} rows"
        if np.isfinite(self.baseline):
            title += f", {self.baseline:.4g} in the reference population"
        lines = [title]
        lines += [
            f"  {self.names[at]}: {size[at]:.3g} either way, {mean[at]:.3g} on average"
            for at in np.argsort(-size, kind="stable")
        ]
        lines += [f"  {axiom}" for axiom in self.axioms if not axiom.holds]
        return "\n".join([*lines, *self.notes, *([str(self.verdict)] if self.verdict else [])])


__all__ = ["RowAttribution"]
