"""Validating a fix: what it would have done to recorded traces, before it ships."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from causalsys.errors import QueryError
from causalsys.fit.fitted import Fitted
from causalsys.identify.verdict import Verdict
from causalsys.query.draws import Estimate
from causalsys.query.judged import merged
from causalsys.simulate.coverage import Coverage, coverage
from causalsys.simulate.objective import Goal, Objective, objective
from causalsys.simulate.scored import by_trace, scored
from causalsys.simulate.simulate import Simulator
from causalsys.simulate.simulation import Simulation, traces_as_given

if TYPE_CHECKING:
    import pandas as pd

Prefer = Literal["lower", "higher"]
_COVERED = 0.95
_FIX = "fix"


@dataclass(frozen=True, repr=False)
class FixReport:
    """What a fix would have done.

    Attributes:
        objective: What was asked for.
        prefer: Whether less of it is better, or more.
        before: The objective as recorded.
        after: The objective under the fix.
        effect: After minus before, on the same traces.
        traces: A row per trace: before, after, change, and the probability that it gets worse;
            the one that gets worst first.
        coverage: For each mechanism that the fix asks, how much of what it asks the data cover.
        verdict: Whether the data carry the answer, and on what terms.
        simulation: The traces under the fix.
    """

    objective: str
    prefer: Prefer
    before: Estimate
    after: Estimate
    effect: Estimate
    traces: pd.DataFrame
    coverage: tuple[Coverage, ...]
    verdict: Verdict
    simulation: Simulation

    @property
    def improves(self) -> bool | None:
        """Whether the fix helps; None where the interval of its effect includes none at all."""
        sign = 1 if self.prefer == "higher" else -1
        if self.effect.low <= 0 <= self.effect.high:
            return None
        return bool(sign * self.effect.value > 0)

    @property
    def worse(self) -> pd.DataFrame:
        """The traces that get worse, more likely than not."""
        return self.traces[self.traces["worse"] > 0.5]

    @property
    def extrapolates(self) -> bool:
        """Whether the fix leaves the region that the data cover."""
        return any(each.share < _COVERED for each in self.coverage)

    def __str__(self) -> str:
        told = {True: "The fix helps", False: "The fix harms", None: "No effect can be told"}
        lines = [
            f"{told[self.improves]}: {self.objective} {self.before} → {self.after}, "
            f"a change of {self.effect} ({self.effect.level:.0%} interval).",
        ]
        if len(self.traces):
            lines.append(f"  {len(self.worse)} of {len(self.traces)} traces get worse.")
        lines += [f"  {each}." for each in self.coverage]
        if self.extrapolates:
            lines.append("  It leaves the region that the data cover: there it is extrapolation.")
        return "\n".join([*lines, str(self.verdict)])

    def __repr__(self) -> str:
        return str(self)


def validate_fix(
    fitted: Fitted,
    traces: object,
    fix: Any,
    *,
    objective: Goal,
    prefer: Prefer = "lower",
    level: float = 0.9,
    members: int | None = None,
    seed: int = 0,
) -> FixReport:
    """What a fix would have done to recorded traces: the objective, who loses, and how sure.

    Args:
        fitted: The model.
        traces: The recorded traces, or rows.
        fix: A policy for the model's decision, or `do` as in `counterfactual`: a parameter that
            is set, a mechanism that is replaced by a function of its parents.
        objective: A column ("latency", its mean), a quantile of one ("p99 latency"), or a function
            of columns as arrays (its mean over rows), or of `frame`.
        prefer: Whether "lower" or "higher" is better.
        level: Of the intervals. They hold what the parameters leave open, and that other traces of
            the kind might have been recorded. Of an objective that is one number for all rows no
            trace is told to lose.
        members: How many parameter draws to simulate with; all of the model by default.
        seed: Fixes all draws.

    Returns:
        The objective before and after with intervals, trace by trace who loses, and whether the fix
        leaves the region that the data cover; `print` tells it in words.

    Raises:
        NotIdentifiedError: The data cannot carry what the fix changes.
        InterventionError: The fix cannot be done.
        QueryError: The objective cannot be read.

    Example:
        >>> import causalsys as cs, numpy as np, pandas as pd
        >>> class Cache(cs.SCM):
        ...     size = cs.Decision(cs.Positive("GiB"))
        ...     latency = cs.Observed(cs.Real("ms"), parents=[size], mechanism=cs.Linear())
        >>> rng = np.random.default_rng(0)
        >>> log = pd.DataFrame({"size": rng.uniform(1, 4, 500)})
        >>> log["latency"] = 20 - 3 * log["size"] + rng.normal(size=500)
        >>> report = validate_fix(Cache.fit(log), log, {"size": 3.5}, objective="latency")
        >>> report.improves, report.extrapolates
        (True, False)
    """
    if prefer not in ("lower", "higher"):
        raise QueryError("prefer", found=repr(prefer), mend='Use "lower" or "higher".')
    taken = fitted.members if members is None else members
    simulator = Simulator.of(fitted, traces, members=taken, seed=seed)
    goal = _objective(objective, simulator)
    simulation = simulator.run({_FIX: fix})
    trace = traces_as_given(simulation.layout)
    under = [simulation.frame(_FIX, member=member) for member in range(taken)]
    before = scored(goal, [simulator.recorded], trace=trace, seed=seed)
    after = scored(goal, under, trace=trace, seed=seed)
    verdict = merged(list(simulation.verdicts.values()), question=f"{goal.name} under the fix")
    return FixReport(
        goal.name,
        prefer,
        before.interval(level),
        after.interval(level),
        after.minus(before).interval(level),
        _per_trace(goal, simulator.recorded, under, simulation=simulation, prefer=prefer),
        coverage(fitted, simulator.found, simulation.values, policy=0, seed=seed),
        verdict,
        simulation,
    )


def _objective(goal: Goal, simulator: Simulator) -> Objective:
    model = simulator.fitted.declaration
    return objective(goal, columns=simulator.recorded.columns, simulated=model)


def _per_trace(
    goal: Objective,
    recorded: pd.DataFrame,
    under: list[pd.DataFrame],
    *,
    simulation: Simulation,
    prefer: Prefer,
) -> pd.DataFrame:
    import pandas as pd

    values, trace = goal.by_row(recorded), traces_as_given(simulation.layout)
    if values.ndim == 0:
        return pd.DataFrame(columns=["before", "after", "change", "worse"], dtype=float)
    before = by_trace(goal, values, trace=trace)
    after = np.stack([by_trace(goal, goal.by_row(frame), trace=trace) for frame in under])
    harm = (after - before) * (1 if prefer == "lower" else -1)
    names = simulation.layout.names or range(simulation.layout.traces)
    found = pd.DataFrame(
        {
            "before": before,
            "after": after[0],
            "change": after[0] - before,
            "worse": (harm > 1e-9 * (1 + np.abs(before))).mean(axis=0),
        },
        index=pd.Index(list(names), name="trace"),
    )
    worst = np.argsort(-harm[0], kind="stable")
    return found.iloc[worst]


__all__ = ["FixReport", "validate_fix"]
