"""`Validation`: where a simulator may be trusted, arm by arm, without the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from causalsys.errors import UnknownNameError
from causalsys.query.draws import Estimate
from causalsys.simulate.coverage import Coverage
from causalsys.simulate.distance import Distance
from causalsys.simulate.forecast import OneStep
from causalsys.simulate.offpolicy import OffPolicy

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

Trust = Literal["trust", "unsure", "distrust"]


@dataclass(frozen=True)
class Compared:
    """A metric of an arm that was left out: simulated from the other arms, and as measured.

    Attributes:
        metric: Its name.
        predicted: On the simulated traces, with the interval that the choice of traces leaves.
        measured: On the arm's own traces.
        floor: The chaos floor: how far the predicted value moves when the mechanisms are off by
            no more than they may be. NaN where they cannot be perturbed.
        p_value: The probability of a difference as large by the choice of traces, the tolerance
            and the floor being forgiven.
        trust: What follows; "unsure" where the intervals are too wide to say.
        baselines: What others predict.
    """

    metric: str
    predicted: Estimate
    measured: Estimate
    floor: float
    p_value: float
    trust: Trust
    baselines: Mapping[str, float] = field(default_factory=dict)

    @property
    def difference(self) -> float:
        """Predicted less measured."""
        return self.predicted.value - self.measured.value

    @property
    def within(self) -> float:
        """Up to which relative difference the simulator is shown to be right."""
        ends = [max(e.high - e.value, e.value - e.low) for e in (self.predicted, self.measured)]
        noise = float(np.hypot(ends[0], ends[1]))
        return float((abs(self.difference) + noise) / (abs(self.measured.value) or np.nan))


@dataclass(frozen=True)
class Law:
    """The distribution of an outcome, simulated and measured.

    Attributes:
        outcome: The column.
        distance: The earth mover's distance, in units of the measured spread (the mean distance
            from the median): 1 is no better than to say the median.
        floor: The distance between roll-outs that differ by the mechanisms' uncertainty.
        pathwise: The median distance of such roll-outs step by step: relative, or in units of
            the spread for what is not positive. Below it no roll-out can be judged by its path.
        trust: What follows.
        baselines: The distances of others.
    """

    outcome: str
    distance: Distance
    floor: float
    pathwise: float
    trust: Trust
    baselines: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ArmValidation:
    """What was found of one arm, when it was left out.

    Attributes:
        arm: Its name.
        traces: How many traces of its own it was compared with.
        one_step: The one-step errors of the learned variables that a decision reaches.
        metrics: The metrics.
        laws: The outcomes' distributions.
        coverage: How much of what was simulated the other arms cover.
        transported: Whether no one-step bias between actions is there beyond chance.
        impossible: The share of its own recorded steps whose choice its policy could not have
            made: what ran was another one. NaN where that cannot be told.
        off_policy: The off-policy estimates, or why there are none.
    """

    arm: str
    traces: int
    one_step: tuple[OneStep, ...]
    metrics: tuple[Compared, ...]
    laws: tuple[Law, ...]
    coverage: tuple[Coverage, ...]
    transported: bool
    impossible: float = float("nan")
    off_policy: tuple[OffPolicy, ...] = ()

    def __getitem__(self, metric: str) -> Compared:
        for each in self.metrics:
            if each.metric == metric:
                return each
        known = [each.metric for each in self.metrics]
        raise UnknownNameError.among(metric, known, where="the metrics")

    @property
    def trust(self) -> Trust:
        """The least trust that anything about the arm deserves."""
        found = {each.trust for each in self.metrics} | {each.trust for each in self.laws}
        if not self.transported or "distrust" in found:
            return "distrust"
        return "unsure" if "unsure" in found or self.impossible > 0 else "trust"


@dataclass(frozen=True, repr=False)
class Validation:
    """Where a simulator may be trusted and where not.

    Attributes:
        model: The model's name.
        arms: The arms that were left out in turn.
        training_only: Arms that were used for fitting only: they have no policy, or were excluded.
        level: The level of the intervals.
        tolerance: The relative difference below which nothing counts.
    """

    model: str
    arms: tuple[ArmValidation, ...]
    training_only: tuple[str, ...]
    level: float
    tolerance: float

    def __getitem__(self, arm: str) -> ArmValidation:
        for each in self.arms:
            if each.arm == arm:
                return each
        known = [each.arm for each in self.arms]
        raise UnknownNameError.among(arm, known, where="the validated arms")

    @property
    def trust(self) -> Trust:
        """The least trust that any arm deserves."""
        found = {each.trust for each in self.arms}
        return "distrust" if "distrust" in found else "unsure" if "unsure" in found else "trust"

    def to_frame(self) -> pd.DataFrame:
        """A row per arm and figure: one-step errors, metrics, distances; see `kind`."""
        from causalsys.simulate.validation_words import frame

        return frame(self)

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Predicted against measured: each metric relative to what was measured, arm by arm."""
        from causalsys.simulate.validation_picture import draw

        return draw(self, ax=ax)

    def __str__(self) -> str:
        from causalsys.simulate.validation_words import told

        return told(self)

    def __repr__(self) -> str:
        return str(self)


__all__ = ["ArmValidation", "Compared", "Law", "Trust", "Validation"]
