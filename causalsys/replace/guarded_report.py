"""Validating a guard before it is switched on: trace-driven, beside the policy and the heuristic.

The rule. A guard is worth having where it costs little while all is well, and where it loses little
to the heuristic while the policy fails:

    kept = 1 - (policy - guarded) / max(|policy|, scale)        at least 98 %, in distribution
    lost = (fallback - guarded) / max(|fallback|, scale)        at most 5 %, on each failing set

Rewards may be negative or near 0, where a ratio says nothing: `scale` is the least reward that
counts as one. With positive rewards above it, these are the plain ratios.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from causalsys.engine.base import one_thread
from causalsys.errors import CausalSysError, QueryError
from causalsys.fit.fitted import Fitted
from causalsys.query.asked import amount, count, fitted_model, share
from causalsys.query.draws import Estimate
from causalsys.replace.guarded import Guarded
from causalsys.replace.guarded_counters import Counters
from causalsys.simulate.objective import Goal, Objective, Values, objective
from causalsys.simulate.scored import Scored, scored
from causalsys.simulate.simulate import Simulator
from causalsys.simulate.simulation import traces_as_given

if TYPE_CHECKING:
    import pandas as pd

Prefer = Literal["lower", "higher"]
IN_DISTRIBUTION = "in distribution"


@dataclass(frozen=True)
class Trial:
    """Policy, fallback and guard on the same traces.

    Attributes:
        name: Which traces.
        policy: The objective under the policy alone; None where it could not be simulated.
        fallback: Under the fallback alone.
        guarded: Under the guard.
        kept: The share of the policy's reward that the guard keeps; None without the policy.
        lost: The share of the fallback's reward that the guard loses; negative where it gains.
        counters: What the guard did.
        traces: How many traces there were.
        note: What the policy raised, where it did.
    """

    name: str
    policy: Estimate | None
    fallback: Estimate
    guarded: Estimate
    kept: Estimate | None
    lost: Estimate
    counters: Counters
    traces: int
    note: str = ""


@dataclass(frozen=True)
class GuardReport:
    """What a guard would have done, and whether to switch it on.

    Attributes:
        objective: What was asked for.
        keep: The least share of the policy's reward to be kept in distribution.
        lose: The greatest share of the fallback's reward to be lost where the policy fails.
        usual: The trial in distribution.
        failing: The trials on failing traces.
    """

    objective: str
    keep: float
    lose: float
    usual: Trial
    failing: tuple[Trial, ...] = ()

    @property
    def on(self) -> bool:
        """Whether the rule says to switch it on, by the best estimates."""
        kept = self.usual.kept is not None and self.usual.kept.value >= self.keep
        return kept and all(each.lost.value <= self.lose for each in self.failing)

    @property
    def sure(self) -> bool:
        """Whether it says so at every point of the intervals, too."""
        kept = self.usual.kept is not None and self.usual.kept.low >= self.keep
        return kept and all(each.lost.high <= self.lose for each in self.failing)

    def to_frame(self) -> pd.DataFrame:
        """A row per set of traces: the objective under each, the shares, and what the guard did."""
        import pandas as pd

        rows = {}
        for each in (self.usual, *self.failing):
            rows[each.name] = {
                "traces": each.traces,
                "policy": np.nan if each.policy is None else each.policy.value,
                "fallback": each.fallback.value,
                "guarded": each.guarded.value,
                "kept": np.nan if each.kept is None else each.kept.value,
                "lost": each.lost.value,
                "in fallback": each.counters.share,
                "trips": each.counters.trips,
            }
        return pd.DataFrame.from_dict(rows, orient="index")

    def __str__(self) -> str:
        level = f"{self.usual.guarded.level:.0%}".replace("%", " %")
        lines = [self._verdict, f"{self.objective}, with {level} intervals:"]
        for each in (self.usual, *self.failing):
            alone = "failed" if each.policy is None else f"{each.policy}"
            lines.append(
                f"  {each.name} ({each.traces} traces): policy {alone}, fallback {each.fallback}, "
                f"guarded {each.guarded}."
            )
            share = f"{each.counters.share:.1%}".replace("%", " %")
            told = f"the fallback decided {share} of steps"
            if each is self.usual and each.kept is not None:
                lines.append(f"    keeps {_percent(each.kept)} of the policy's reward; {told}.")
            else:
                lines.append(f"    loses {_percent(each.lost)} to the fallback; {told}.")
            lines += [f"    The policy alone: {each.note}"] if each.note else []
        return "\n".join(lines)

    @property
    def _verdict(self) -> str:
        rule = f"keep at least {self.keep:.0%}, lose at most {self.lose:.0%}".replace("%", " %")
        if not self.on:
            return f"Leave it off: it misses the rule ({rule})."
        if not self.failing:
            return f"Nothing speaks against it ({rule}), but it was tried on no failing traces."
        doubt = "" if self.sure else "; the intervals do not settle it"
        return f"Switch it on: it meets the rule ({rule}){doubt}."


@one_thread()
def validate_guard(
    fitted: Fitted,
    traces: object,
    guarded: Guarded,
    *,
    objective: Goal,
    failing: Mapping[str, object] | None = None,
    prefer: Prefer = "higher",
    scale: float = 0.0,
    keep: float = 0.98,
    lose: float = 0.05,
    level: float = 0.9,
    members: int = 1,
    seed: int = 0,
) -> GuardReport:
    """Simulate a guard on recorded traces, beside its policy and its fallback alone.

    Args:
        fitted: The model, of one decision.
        traces: Recorded traces as the policy was trained for, and that it was not trained on.
        guarded: The guard. Its own counters stay as they are. Without a support of its own it is
            given the decision's.
        objective: As for `cs.validate_fix`: a column, "p99 latency", or a function of columns.
        failing: Traces on which the policy is feared to fail, by name.
        prefer: Whether "higher" or "lower" is better.
        scale: The least reward that counts as one; see the module.
        keep: The least share of the policy's reward to be kept on `traces`.
        lose: The greatest share of the fallback's reward to be lost on each of `failing`.
        level: Of the intervals, which hold what other traces of the kind would have given, and,
            with more members, what the model's parameters leave open. Policies are compared on
            the same traces.
        members: How many parameter draws of the model to simulate with.
        seed: Fixes random policies and the traces that are drawn.

    Returns:
        The objective on each set of traces, what is kept and lost, and whether to switch it on.

    Raises:
        InterventionError: The fallback or a rail failed.
        NotIdentifiedError: The data cannot carry what the policies change.
        QueryError: The objective cannot be read, or an argument is none.

    Example:
        >>> import causalsys as cs, numpy as np, pandas as pd
        >>> class Queue(cs.SCM):
        ...     arrivals = cs.Observed(cs.Positive("req"), mechanism=cs.Marginal())
        ...     waiting = cs.State(cs.Positive("req"))
        ...     served = cs.Decision(cs.Positive("req"), [waiting], mechanism=cs.Logged())
        ...     @cs.transition(waiting)
        ...     def later(waiting, arrivals, served):
        ...         return (waiting + arrivals - served).clamp(min=0)
        >>> rng = np.random.default_rng(0)
        >>> log = pd.DataFrame({"trace": np.repeat([0, 1], 50), "step": [*range(50)] * 2})
        >>> log["arrivals"], log["served"] = rng.exponential(2, 100), rng.uniform(0, 4, 100)
        >>> guarded = Guarded(lambda waiting: waiting, lambda waiting: waiting / 2,
        ...                   rails=[lambda waiting: waiting > 100])
        >>> report = validate_guard(Queue.fit(log, ensemble=2), log, guarded, objective="served")
        >>> report.on, report.usual.kept.value, report.usual.counters.fallback
        (True, 1.0, 0)
    """
    if not isinstance(guarded, Guarded):
        raise QueryError(
            "guarded",
            found=f"a {type(guarded).__name__}",
            mend="Give Guarded(policy, fallback, rails=[...]).",
        )
    if prefer not in ("lower", "higher"):
        raise QueryError("prefer", found=repr(prefer), mend='Use "lower" or "higher".')
    if not isinstance(failing, Mapping | None):
        raise QueryError("failing", found=repr(failing), mend='Give {"name": traces}.')
    fitted, level = fitted_model(fitted), share(level, "level")
    scale, keep, lose = amount(scale, "scale"), amount(keep, "keep"), amount(lose, "lose")
    members, seed = count(members, "members"), count(seed, "seed", least=0)
    sets = {IN_DISTRIBUTION: traces, **(failing or {})}
    if len(sets) != 1 + len(failing or {}):
        raise QueryError(
            "failing", found=f"traces named {IN_DISTRIBUTION!r}", mend="Name them otherwise."
        )
    trials = [
        _trial(
            name,
            Simulator.of(fitted, each, members=members, seed=seed),
            _known(guarded, fitted),
            goal=objective,
            sign=1.0 if prefer == "higher" else -1.0,
            scale=scale,
            level=level,
        )
        for name, each in sets.items()
    ]
    goal = objective_name(objective)
    return GuardReport(goal, keep, lose, trials[0], tuple(trials[1:]))


def objective_name(goal: Goal) -> str:
    """What an objective is called."""
    return goal if isinstance(goal, str) else getattr(goal, "__name__", "objective")


def _known(guarded: Guarded, fitted: Fitted) -> Guarded:
    """The guard with counters of its own, and with the support of the model's decision."""
    made = guarded.fresh()
    decisions = [n for n in fitted.declaration.nodes.values() if n.kind == "decision"]
    if made.support is None and len(decisions) == 1:
        made.support = fitted.schema.supports[decisions[0].name]
    return made


def _trial(
    name: str,
    simulator: Simulator,
    guarded: Guarded,
    *,
    goal: Goal,
    sign: float,
    scale: float,
    level: float,
) -> Trial:
    known = _objective(goal, simulator)
    guarded.reset()
    fallback = _scored(simulator, known, guarded.fallback)
    watched = _scored(simulator, known, guarded)
    counters, note = guarded.counters, ""
    policy: Scored | None = None
    try:
        policy = _scored(simulator, known, guarded.policy)
    except CausalSysError as error:
        # A policy that fails by itself is what the guard is there for.
        note = str(error)
    kept = None if policy is None else _share(policy, watched, sign=sign, scale=scale)
    if kept is not None:
        kept = replace(kept, estimate=1 - kept.estimate, draws=1 - kept.draws)
    return Trial(
        name,
        None if policy is None else policy.interval(level),
        fallback.interval(level),
        watched.interval(level),
        None if kept is None else kept.interval(level),
        _share(fallback, watched, sign=sign, scale=scale).interval(level),
        counters,
        simulator.found.table.layout.traces,
        note,
    )


def _objective(goal: Goal, simulator: Simulator) -> Objective:
    model = simulator.fitted.declaration
    return objective(goal, columns=simulator.recorded.columns, simulated=model)


def _scored(simulator: Simulator, goal: Objective, policy: object) -> Scored:
    """The objective under a policy, with its draws."""
    simulation = simulator.run({"one": policy})
    frames = [simulation.frame("one", member=m) for m in range(simulator.found.samples)]
    return scored(goal, frames, trace=traces_as_given(simulation.layout), seed=simulator.found.seed)


def _share(reference: Scored, found: Scored, *, sign: float, scale: float) -> Scored:
    """By how much a reward falls short of another, as a share of that; draw by draw."""

    def short(before: Values, after: Values) -> Values:
        whole = np.maximum(np.maximum(np.abs(before), scale), np.finfo(float).tiny)
        return np.asarray(sign * (before - after) / whole)

    estimate = float(short(np.array(reference.estimate), np.array(found.estimate)))
    return Scored(estimate, short(reference.draws, found.draws), found.members)


def _percent(share: Estimate) -> str:
    told = f"{share.value:.1%} [{share.low:.1%}, {share.high:.1%}]"
    return told.replace("%", " %")


__all__ = ["GuardReport", "Trial", "validate_guard"]
