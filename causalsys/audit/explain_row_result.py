"""What the explanation of one misprediction gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from causalsys.identify.verdict import Verdict

if TYPE_CHECKING:
    import pandas as pd

Value = float | int | bool | str


@dataclass(frozen=True)
class RowNoise:
    """How usual a variable was, given its causes.

    Attributes:
        name: The variable.
        value: What it was; of a latent what it most likely was.
        z: Its noise in standard deviations, the mean over what the row leaves open; NaN of a
            category.
        spread: How much of the noise the row leaves open, a standard deviation; 0 where its value
            tells it.
        percentile: The share of rows with these causes whose noise is smaller; of a category, the
            share that has its level.
    """

    name: str
    value: Value
    z: float
    spread: float
    percentile: float

    def __str__(self) -> str:
        if self.z != self.z:
            return f"{self.name} = {_shown(self.value)}: {self.percentile:.2g} of such rows have it"
        open_by = f" ± {self.spread:.2g}" if self.spread > 1e-9 else ""
        return f"{self.name} = {_shown(self.value)}: noise {self.z:+.2f}{open_by}"


@dataclass(frozen=True)
class RowLatent:
    """What a row tells of a latent.

    Attributes:
        name: The latent.
        mean: Of a number, its posterior mean; NaN of a category.
        spread: Of a number, its posterior standard deviation.
        probabilities: Of a category, by level.
    """

    name: str
    mean: float
    spread: float
    probabilities: Mapping[Value, float]

    def __str__(self) -> str:
        if self.probabilities:
            shares = ", ".join(f"{k}: {v:.2f}" for k, v in self.probabilities.items())
            return f"latent {self.name}: {shares}"
        return f"latent {self.name}: {self.mean:.3g} ± {self.spread:.2g}"


@dataclass(frozen=True)
class RowChange:
    """A change under which the prediction would have been right.

    Attributes:
        names: The variables that are changed: one, or two.
        before: What they were.
        after: What they would have been.
        size: In standard deviations of their noise: of two, the root of the sum of squares.
        prediction: What would then be predicted.
        truth: What would then be true.
        error: The loss of that.
        row: What predictor and target would then be about: every input, the target, and what is
            changed, the effects of the change carried on.
        verdict: Whether graph, shapes and data carry it.
    """

    names: tuple[str, ...]
    before: tuple[Value, ...]
    after: tuple[Value, ...]
    size: float
    prediction: float
    truth: float
    error: float
    row: Mapping[str, Value]
    verdict: Verdict

    @property
    def identified(self) -> bool:
        """Whether graph, shapes and data carry it."""
        return self.verdict.answerable

    def __str__(self) -> str:
        parts = [
            f"{name} {_shown(after)} instead of {_shown(before)}"
            for name, before, after in zip(self.names, self.before, self.after, strict=True)
        ]
        told = "" if self.identified else f", but {self.verdict.status}"
        return (
            f"{' and '.join(parts)} (size {self.size:.2f}{told}): predicted "
            f"{self.prediction:.4g}, true {self.truth:.4g}"
        )


@dataclass(frozen=True)
class RowExplanation:
    """Why one prediction was wrong, or was not.

    Attributes:
        label: The row's label.
        predictor: The predictor's name.
        target: What it predicts.
        loss: How errors are measured.
        prediction: What was predicted.
        truth: What was true.
        error: The loss of that.
        tolerance: The loss up to which a prediction counts as right.
        noises: How usual each variable was given its causes, in a causal order.
        latents: What the row tells of latents.
        changes: Under which the prediction would have been right: what is identified first, then
            the smaller first. Empty where it was right, or nothing was found.
        notes: What else a reader should know.
    """

    label: Any
    predictor: str
    target: str
    loss: str
    prediction: float
    truth: float
    error: float
    tolerance: float
    noises: tuple[RowNoise, ...]
    latents: tuple[RowLatent, ...]
    changes: tuple[RowChange, ...]
    notes: tuple[str, ...] = ()

    @property
    def right(self) -> bool:
        """Whether the prediction was right as it was."""
        return self.error <= self.tolerance

    @property
    def smallest(self) -> RowChange | None:
        """The smallest identified change; None where there is none."""
        return next((change for change in self.changes if change.identified), None)

    def to_frame(self) -> pd.DataFrame:
        """A row per change."""
        import pandas as pd

        names = ("names", "before", "after", "size", "prediction", "truth", "error", "identified")
        return pd.DataFrame(
            [{name: getattr(each, name) for name in names} for each in self.changes],
            columns=list(names),
        )

    def __str__(self) -> str:
        lines = [
            f"row {self.label}: {self.predictor} said {self.prediction:.4g}, {self.target} was "
            f"{self.truth:.4g}; {self.loss} error {self.error:.3g}, tolerance {self.tolerance:.3g}"
        ]
        lines += [f"  {noise}" for noise in self.noises]
        lines += [f"  {latent}" for latent in self.latents]
        if self.right:
            lines.append("right as it was")
        elif not self.changes:
            lines.append("no change of one or two variables to what is usual makes it right")
        else:
            lines += ["right if:", *(f"  {change}" for change in self.changes)]
        return "\n".join([*lines, *self.notes])


def _shown(value: Value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


__all__ = ["RowChange", "RowExplanation", "RowLatent", "RowNoise", "Value"]
