"""One arm left out: the fit to the others, their traces under its policy, and its own beside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from causalsys.fit.fit import fit
from causalsys.fit.fitted import Fitted
from causalsys.fit.options import FitOptions
from causalsys.simulate.baseline_offpolicy import Recorded
from causalsys.simulate.baseline_supervised import supervised
from causalsys.simulate.baselines import EXPERT, OFF_POLICY, REPLAY, SUPERVISED, expert
from causalsys.simulate.coverage import coverage
from causalsys.simulate.distance import Codes, Rows, Values, distance, emd, spread
from causalsys.simulate.forecast import OneStep
from causalsys.simulate.fragility import PERTURBED, perturbed
from causalsys.simulate.objective import Objective
from causalsys.simulate.offpolicy import OffPolicy
from causalsys.simulate.onestep import one_step
from causalsys.simulate.resampled import resampled
from causalsys.simulate.simulate import Simulator
from causalsys.simulate.simulation import Simulation
from causalsys.simulate.trial import Trial
from causalsys.simulate.validation import ArmValidation, Compared, Law

if TYPE_CHECKING:
    import pandas as pd

_SIMULATED = "simulator"
_ROLLED = 200_000
"""Rows of others that suffice for the chaos floor, off-policy estimates, and to learn from."""
_WRONG = 0.01
_LEAST = 1e-4
"""The least perturbation: no mechanism is known better by a validation."""


@dataclass(frozen=True)
class Plan:
    """What is asked of every arm.

    Attributes:
        trial: The trial.
        metrics: The metrics.
        baselines: The baselines' names.
        ensemble: The parameter draws of each fit.
        level: The level of the intervals.
        tolerance: What does not count.
        seed: Fixes all random choices.
        arms: How many arms are left out: over all of them one is called wrong by chance with
            the probability `_WRONG`.
    """

    trial: Trial
    metrics: tuple[Objective, ...]
    baselines: tuple[str, ...]
    ensemble: int
    level: float
    tolerance: float
    seed: int
    arms: int


@dataclass(frozen=True, eq=False)
class LeftOut:
    """An arm, and a simulator that never saw it.

    Attributes:
        arm: Its name.
        plan: What is asked.
        fitted: The model as fitted to the other arms.
        others: Their traces, abducted.
        own: The arm's traces, abducted.
        own_rows: The same as rows, with the number of each row's trace.
        number: The number of each row's trace in the others' rows.
    """

    arm: str
    plan: Plan
    fitted: Fitted
    others: Simulator
    own: Simulator
    own_rows: tuple[pd.DataFrame, Codes]
    number: Codes

    @classmethod
    def of(cls, arm: str, plan: Plan) -> Self:
        """Fit to the other arms."""
        trial = plan.trial
        mine = trial.labels == arm
        given, rows, number = trial.part(~mine)
        options = FitOptions(plan.seed, plan.ensemble)
        fitted = fit(trial.declaration, given, options=options)
        # The fit has never heard of this arm's name; as it acts by decisions alone, any will do.
        stranger = trial.frame.assign(**{trial.column: rows[trial.column].iloc[0]})
        own_given, _, own_number = Trial(
            trial.declaration, stranger, trial.keys, trial.column, trial.policies
        ).part(mine)
        return cls(
            arm,
            plan,
            fitted,
            Simulator.of(fitted, given, seed=plan.seed),
            Simulator.of(fitted, own_given, seed=plan.seed),
            (trial.frame[mine].reset_index(drop=True), own_number),
            number,
        )

    def compared(self) -> ArmValidation:
        """Everything that is told of the arm; the trust in it is still to be judged."""
        metrics = tuple(self._metric(metric) for metric in self.plan.metrics)
        return ArmValidation(
            self.arm,
            int(self.own_rows[1].max()) + 1,
            self.steps,
            metrics,
            tuple(self._law(column) for column in self.plan.trial.outcomes),
            coverage(
                self.fitted,
                self.others.found,
                self.simulation.values,
                policy=0,
                seed=self.plan.seed,
            ),
            self.transported,
            Recorded(self.own).impossible(self.policy),
            self.off_policy,
        )

    @cached_property
    def steps(self) -> tuple[OneStep, ...]:
        """The one-step errors."""
        return one_step(
            self.fitted, self.others.found, self.own.found, level=_WRONG / self.plan.arms
        )

    @property
    def transported(self) -> bool:
        """Whether no one-step bias is there beyond chance."""
        return not any(step.wrong(self.plan.tolerance) for step in self.steps)

    @property
    def policy(self) -> Any:
        """The arm's policy."""
        return self.plan.trial.policies[self.arm]

    @cached_property
    def simulation(self) -> Simulation:
        """The others' traces under the arm's policy, and as an expert would roll them."""
        policies = {_SIMULATED: self.policy}
        if EXPERT in self.plan.baselines:
            policies[EXPERT] = expert(self.policy, self.fitted.declaration, self.others.recorded)
        return self.others.run(policies)

    @cached_property
    def frames(self) -> Mapping[str, pd.DataFrame]:
        """The others' rows, by who simulated them."""
        found = {name: self.simulation.frame(name) for name in self.simulation.policies}
        if REPLAY in self.plan.baselines:
            found[REPLAY] = self.others.recorded
        keys = self.plan.trial.keys
        if SUPERVISED in self.plan.baselines and keys is not None:
            rolled = supervised(
                self.others, self.policy, learned_on=self.record, keys=keys, seed=self.plan.seed
            )
            found[SUPERVISED] = rolled.frame(SUPERVISED)
        return found

    @cached_property
    def record(self) -> Recorded:
        """The others' traces as policies would see them, or some of them where there are many."""
        few, whole = self.few
        if whole:
            return Recorded(self.others)
        given, _, _ = self.plan.trial.part(few)
        return Recorded(Simulator.of(self.fitted, given, seed=self.plan.seed))

    @cached_property
    def few(self) -> tuple[NDArray[np.bool_], bool]:
        """Which rows of the trial are of the others' first traces, and whether these are all."""
        there = np.flatnonzero(self.plan.trial.labels != self.arm)
        last = int(self.number[min(len(there), _ROLLED) - 1])
        few = np.zeros(len(self.plan.trial.labels), dtype=bool)
        few[there[self.number <= last]] = True
        return few, bool((self.number <= last).all())

    @cached_property
    def off_policy(self) -> tuple[OffPolicy, ...]:
        """The off-policy estimates."""
        if OFF_POLICY not in self.plan.baselines:
            return ()
        trial = self.plan.trial
        return self.record.estimates(
            self.policy,
            labels=trial.labels[self.few[0]],
            policies=trial.policies,
            metrics=self.plan.metrics,
            level=self.plan.level,
            seed=self.plan.seed,
        )

    @cached_property
    def rolled(self) -> tuple[list[pd.DataFrame], Codes] | None:
        """Some of the others' traces under slightly different mechanisms, the fitted one first."""
        sizes = {step.variable: self._uncertain(step) for step in self.steps}
        model = perturbed(self.fitted, sizes, seed=self.plan.seed)
        if model is None:
            return None
        given, _, number = self.plan.trial.part(self.few[0])
        members = min(model.members, 1 + PERTURBED)
        simulator = Simulator.of(model, given, members=members, seed=self.plan.seed)
        found = simulator.run({_SIMULATED: self.policy})
        return [found.frame(_SIMULATED, member=m) for m in range(members)], number

    def _uncertain(self, step: OneStep) -> float:
        """How far a mechanism may be off, as far as the one-step errors tell."""
        told = [each for each in (step.transport, step.transport_error) if each == each]
        if not told:
            # No pair has steps enough: then all that is known is what a mean error would show.
            each = np.nan_to_num([step.changed, step.stayed]).max()
            told = [float(each) / np.sqrt(self.own_rows[1].max() + 1)]
        return max(*told, _LEAST)

    def _metric(self, metric: Objective) -> Compared:
        seed, level = self.plan.seed, self.plan.level
        predicted = resampled(metric, self.frames[_SIMULATED], self.number, seed=seed)
        measured = resampled(metric, *self.own_rows, seed=seed + 1)
        floor = self._floor(metric.of)
        noise = float(np.hypot(predicted.noise, measured.noise))
        forgiven = self._forgiven(floor) + self.plan.tolerance * abs(measured.value)
        beyond = max(abs(predicted.value - measured.value) - forgiven, 0.0)
        return Compared(
            metric.name,
            predicted.interval(level),
            measured.interval(level),
            floor,
            _two_sided(beyond, noise),
            "unsure",
            {n: metric.of(frame) for n, frame in self.frames.items() if n != _SIMULATED}
            | {
                each.estimator: each.estimate.value
                for each in self.off_policy
                if each.metric == metric.name and each.estimate is not None
            },
        )

    def _law(self, column: str) -> Law:
        measured = _numbers(self.own_rows[0], column)
        scale = spread(measured)

        def apart(frame: pd.DataFrame) -> float:
            return emd(_numbers(frame, column), measured) / scale

        floor, pathwise = float("nan"), float("nan")
        if self.rolled is not None:
            first, *rest = [_numbers(frame, column) for frame in self.rolled[0]]
            floor = float(np.mean([emd(first, other) for other in rest])) / scale
            size = np.abs(first) + 1e-12 if (first >= 0).all() else np.full(len(first), scale)
            pathwise = float(np.median([np.abs(other - first) / size for other in rest]))
        found = distance(
            Rows(_numbers(self.frames[_SIMULATED], column), self.number),
            Rows(measured, self.own_rows[1]),
            excused=self._forgiven(floor) + self.plan.tolerance,
            seed=self.plan.seed,
        )
        others = {n: apart(frame) for n, frame in self.frames.items() if n != _SIMULATED}
        return Law(column, found, floor, pathwise, "unsure", others)

    def _floor(self, metric: Callable[[pd.DataFrame], float]) -> float:
        if self.rolled is None:
            return float("nan")
        first, *rest = [metric(frame) for frame in self.rolled[0]]
        return float(np.sqrt(np.mean([(other - first) ** 2 for other in rest])))

    def _forgiven(self, floor: float) -> float:
        """A mechanism that is shown to be wrong is not excused by how far that throws its rolls."""
        return floor if self.transported and floor == floor else 0.0


def _numbers(frame: pd.DataFrame, column: str) -> Values:
    return frame[column].to_numpy(dtype=np.float64)


def _two_sided(difference: float, noise: float) -> float:
    from scipy.stats import norm

    if noise == 0:
        return 1.0 if difference == 0 else 0.0
    return float(2 * norm.sf(difference / noise))


__all__ = ["LeftOut", "Plan"]
