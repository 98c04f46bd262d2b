"""Tuning a policy in simulation, and what to expect of the result elsewhere.

The search is differential evolution (Storn and Price, 1997; SciPy's), a whole generation of
candidates being simulated at once, as so many worlds. Its best candidate is best in part by luck:
it was chosen on these traces, under this estimate of the mechanisms. So it is chosen on one half of
the traces and scored on the other; and the regret that the simulator's own error lets expect is the
mean, over parameter draws of the model, of how much better the best of the finalists does under the
draw than the one that was chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from causalsys.data.traces import Traces, as_traces
from causalsys.errors import InterventionError, QueryError
from causalsys.fit.fitted import Fitted
from causalsys.query.asked import count
from causalsys.query.draws import Estimate
from causalsys.simulate.fix import Prefer
from causalsys.simulate.objective import Goal, Objective, objective
from causalsys.simulate.scored import Scored, scored
from causalsys.simulate.simulate import Simulator
from causalsys.simulate.simulation import traces_as_given

if TYPE_CHECKING:
    import pandas as pd

Range = tuple[float, float] | tuple[int, int] | Sequence[Any]
_FINALISTS = 8
_POPULATION = 8


@dataclass(frozen=True, repr=False)
class Tuned:
    """A policy's parameters, chosen in simulation.

    Attributes:
        policy: The policy with the parameters that were chosen.
        parameters: These parameters.
        objective: What was asked for.
        expected: The objective on traces that the choice did not see.
        recorded: The same as it was recorded on them.
        regret: How much the choice may lose to the best finalist, by the simulator's own error.
        trials: Every candidate with its score on the traces that the choice was made on.
    """

    policy: Any
    parameters: Mapping[str, Any]
    objective: str
    expected: Estimate
    recorded: Estimate
    regret: float
    trials: pd.DataFrame

    def __str__(self) -> str:
        told = ", ".join(f"{name}={_shown(value)}" for name, value in self.parameters.items())
        return (
            f"{told}: {self.objective} {self.expected} expected, {self.recorded} as recorded; "
            f"expected regret {self.regret:.3g}, after {len(self.trials)} trials."
        )

    def __repr__(self) -> str:
        return str(self)


def tune(
    fitted: Fitted,
    traces: object,
    policy: Callable[..., Any],
    *,
    space: Mapping[str, Range],
    objective: Goal,
    prefer: Prefer = "lower",
    generations: int = 6,
    level: float = 0.9,
    members: int | None = None,
    seed: int = 0,
) -> Tuned:
    """Search a policy's parameters in simulation.

    Args:
        fitted: The model.
        traces: The recorded traces: at least four.
        policy: What makes a policy from parameters by their names: a class of policies, or a
            function that returns one.
        space: For each parameter its range: two floats, two whole numbers, or a list of choices.
        objective: As in `cs.validate_fix`.
        prefer: Whether "lower" or "higher" is better.
        generations: How many generations of candidates, each some 8 per parameter.
        level: Of the intervals.
        members: How many parameter draws score the finalists; all of the model by default.
        seed: Fixes the search and all draws.

    Returns:
        The policy that was chosen, what to expect of it on traces that the choice did not see, and
        its regret.

    Raises:
        InterventionError: The space is empty or a range is none, or the policy cannot be made.
        NotIdentifiedError: The data cannot carry what the policy changes.
        QueryError: There are too few traces, or the objective cannot be read.

    Example:
        >>> import causalsys as cs, pandas as pd
        >>> class Queue(cs.SCM):
        ...     arrivals = cs.Observed(cs.Positive("req"), mechanism=cs.Marginal())
        ...     waiting = cs.State(cs.Positive("req"))
        ...     served = cs.Decision(cs.Positive("req"), [waiting], mechanism=cs.Logged())
        ...     @cs.transition(waiting)
        ...     def later(waiting, arrivals, served):
        ...         return (waiting + arrivals - served).clamp(min=0)
        >>> rng = np.random.default_rng(0)
        >>> log = pd.DataFrame({"trace": np.repeat(range(8), 50), "step": [*range(50)] * 8})
        >>> log["arrivals"], log["served"] = rng.exponential(2, 400), rng.uniform(0, 4, 400)
        >>> tuned = tune(
        ...     Queue.fit(log, ensemble=2), log,
        ...     lambda share: lambda waiting: share * waiting,
        ...     space={"share": (0.0, 1.0)}, objective="served", prefer="higher", generations=2)
        >>> tuned.parameters["share"] > 0.9
        True
    """
    if prefer not in ("lower", "higher"):
        raise QueryError("prefer", found=repr(prefer), mend='Use "lower" or "higher".')
    dimensions = {name: _Dimension.of(name, given) for name, given in _space(space).items()}
    generations = count(generations, "generations")
    sign = 1.0 if prefer == "lower" else -1.0
    choosing, judging = _halves(fitted, traces, seed=seed)
    bench = _Bench.of(fitted, choosing, objective, policy, dimensions, members=1, seed=seed)
    tried, trials = _searched(bench, generations=generations, sign=sign, seed=seed)
    ranked = trials.drop_duplicates([*dimensions]).sort_values(
        "score", ascending=sign > 0, kind="stable"
    )
    # Not read back from the frame, in which a choice of None, or 1 beside 0.5, is another value.
    finalists = [tried[place] for place in ranked.index[:_FINALISTS]]
    taken = fitted.members if members is None else count(members, "members")
    fresh = _Bench.of(fitted, judging, objective, policy, dimensions, members=taken, seed=seed)
    # The finalists are compared under every draw; the one that was chosen was chosen before.
    scores = fresh.scored(finalists)
    chosen = finalists[0]
    draws = sign * np.stack([score.draws for score in scores])
    regret = float((draws[0] - draws.min(axis=0)).mean())
    return Tuned(
        policy(**chosen),
        chosen,
        fresh.objective.name,
        scores[0].interval(level),
        fresh.recorded().interval(level),
        regret,
        trials.reset_index(drop=True),
    )


@dataclass(frozen=True)
class _Dimension:
    """One parameter's range, as the interval in which the optimiser searches."""

    low: float
    high: float
    whole: bool
    choices: tuple[Any, ...] = ()

    @classmethod
    def of(cls, name: str, given: Range) -> _Dimension:
        """A range as it was given, checked."""
        values = list(given) if isinstance(given, list | tuple) else []
        numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
        if isinstance(given, tuple) and len(values) == 2 and numbers and values[0] < values[1]:
            whole = all(isinstance(value, int) for value in values)
            return cls(float(values[0]), float(values[1]), whole)
        if isinstance(given, list) and len(values) > 1:
            return cls(0.0, len(values) - 1.0, True, tuple(values))
        raise InterventionError(
            name,
            found=f"{given!r} as its range",
            mend="Give (low, high), or a list of choices: [1, 2, 5].",
        )

    def value(self, at: float) -> Any:
        """The parameter at a point of the interval."""
        if self.choices:
            return self.choices[round(at)]
        return round(at) if self.whole else float(at)


@dataclass(frozen=True)
class _Bench:
    """Traces on which candidates are scored."""

    simulator: Simulator
    objective: Objective
    policy: Callable[..., Any]
    dimensions: Mapping[str, _Dimension]
    seed: int

    @classmethod
    def of(
        cls,
        fitted: Fitted,
        traces: object,
        goal: Goal,
        policy: Callable[..., Any],
        dimensions: Mapping[str, _Dimension],
        *,
        members: int,
        seed: int,
    ) -> _Bench:
        """Abduct the traces once, for all candidates."""
        simulator = Simulator.of(fitted, traces, members=members, seed=seed)
        columns = simulator.recorded.columns
        found = objective(goal, columns=columns, simulated=fitted.declaration)
        return cls(simulator, found, policy, dimensions, seed)

    def scored(self, candidates: Sequence[Mapping[str, Any]]) -> list[Scored]:
        """The objective of each candidate, all simulated at once."""
        made = {str(i): _made(self.policy, each) for i, each in enumerate(candidates)}
        simulation = self.simulator.run(made)
        members = range(self.simulator.found.samples)
        return [
            scored(
                self.objective,
                (simulation.frame(name, member=member) for member in members),
                trace=traces_as_given(simulation.layout),
                seed=self.seed,
            )
            for name in made
        ]

    def recorded(self) -> Scored:
        """The objective as it was recorded."""
        trace = traces_as_given(self.simulator.found.table.layout)
        return scored(self.objective, [self.simulator.recorded], trace=trace, seed=self.seed)


def _searched(
    bench: _Bench, *, generations: int, sign: float, seed: int
) -> tuple[list[dict[str, Any]], pd.DataFrame]:
    """Every candidate that the search tried, and a frame of them with their scores."""
    import pandas as pd
    from scipy.optimize import differential_evolution

    names = list(bench.dimensions)
    tried: list[dict[str, Any]] = []
    reached: list[float] = []

    def losses(points: NDArray[np.float64]) -> NDArray[np.float64]:
        candidates = [
            {name: bench.dimensions[name].value(at) for name, at in zip(names, point, strict=True)}
            for point in np.atleast_2d(points.T)
        ]
        scores = np.array([score.estimate for score in bench.scored(candidates)])
        tried.extend(candidates)
        reached.extend(scores.tolist())
        return sign * scores

    differential_evolution(
        losses,
        [(each.low, each.high) for each in bench.dimensions.values()],
        integrality=[each.whole for each in bench.dimensions.values()],
        popsize=_POPULATION,
        maxiter=generations - 1,
        polish=False,
        vectorized=True,
        updating="deferred",
        tol=0.0,
        rng=np.random.default_rng(seed),
    )
    return tried, pd.DataFrame(tried).assign(score=reached)


def _made(policy: Callable[..., Any], parameters: Mapping[str, Any]) -> Any:
    try:
        return policy(**parameters)
    except TypeError as error:
        told = ", ".join(parameters)
        raise InterventionError(
            getattr(policy, "__name__", "policy"),
            found=f"no policy from the parameters {told} ({error})",
            mend="Give a class or a function that takes them by these names.",
        ) from error


def _space(space: Mapping[str, Range]) -> Mapping[str, Range]:
    if not isinstance(space, Mapping) or not space:
        raise InterventionError(
            "space", found=repr(space), mend='Give ranges: space={"reservoir": (0.5, 8.0)}.'
        )
    return space


def _halves(fitted: Fitted, traces: object, *, seed: int) -> tuple[object, object]:
    """The traces to choose on, and those to judge on."""
    given = as_traces(fitted.declaration, traces)
    if not isinstance(given, Traces):
        raise QueryError(
            "traces",
            found=f"a {type(given).__name__} without traces",
            mend='Give a frame with the columns "trace" and "step", or cs.Traces.',
        )
    names = given.frame[given.trace].unique()
    if len(names) < 4:
        raise QueryError(
            "traces", found=f"{len(names)} of them", mend="Give at least four: half are to judge."
        )
    chosen = np.random.default_rng(seed).permutation(len(names))[: len(names) // 2]
    inside = given.data[given.trace].isin(names[chosen])
    first = Traces(given.data[inside], given.trace, given.step)
    return first, Traces(given.data[~inside], given.trace, given.step)


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
