"""Trace-driven simulation: recorded traces, rolled forward under policies that never ran.

Abduct the noises of every step, replace the policy's mechanism, roll forward: the same three moves
as any counterfactual, for many policies at once. What the policies do not reach stays as it was
recorded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Self

import torch
from torch import Tensor

from causalsys.data.left import states_left
from causalsys.data.read import read
from causalsys.data.schema import columns_of
from causalsys.data.traces import Traces, as_traces
from causalsys.engine.base import Engine
from causalsys.engine.here import as_engine
from causalsys.errors import EvidenceError, InterventionError, NotIdentifiedError, QueryError
from causalsys.fit.abduct import Abducted, abduct
from causalsys.fit.fitted import Fitted
from causalsys.identify.verdict import Verdict
from causalsys.query.ask import plan_of, told_by, world_of
from causalsys.query.asked import count
from causalsys.query.behaviour import Behaviour
from causalsys.query.intervention import Do
from causalsys.query.judged import merged
from causalsys.query.terms import Terms
from causalsys.scm.declaration import Declaration
from causalsys.scm.specs import Logged
from causalsys.simulate.recorded import recorded_by
from causalsys.simulate.simulation import Simulation

if TYPE_CHECKING:
    import pandas as pd

Keep = Literal["recorded", "asked", "all"]
_LANES = 8_000
"""Traces times policies that go forward together."""


def simulate(
    fitted: Fitted,
    traces: object,
    *,
    policies: Mapping[str, Any],
    behaviour: Mapping[Any, Any] | None = None,
    members: int = 1,
    engine: Engine | None = None,
    seed: int = 0,
) -> Simulation:
    """What recorded traces would have been under policies that never ran.

    Args:
        fitted: A model with a decision.
        traces: The recorded traces, as for `fit`.
        policies: For each name what decides: a value, a function of variables by their names
            (tensors `[..., trace]`, vectors `[..., trace, size]`, categories as codes) that
            returns a decision or a torch distribution, or what `cs.policy` makes of a model. In a
            model of several decisions, a mapping from each that is replaced to what decides it.
        behaviour: The policies that made the record, by arm, where they are known. The luck of
            recorded random choices is then found and kept, so that a policy's own arm comes back
            as it was recorded; otherwise policies draw anew.
        members: How many parameter draws of the model to simulate with; the first is the best
            estimate, and their spread is what the fit leaves open.
        engine: Where policies are worked through: all at once in this process, unless given
            `cs.Cores()`, which takes one at a time to each core. The numbers are the same.
        seed: Fixes random policies; their draws are the same for all of them.

    Returns:
        The simulation; `frames[name]` has the recorded columns for the same traces and steps.

    Raises:
        EvidenceError: The traces do not fit the model.
        InterventionError: A policy cannot be used, or returned what is no decision.
        NotIdentifiedError: Graph, shapes and data cannot carry what the policies change.
        EngineError: A worker was lost.

    Example:
        >>> import causalsys as cs, numpy as np, pandas as pd
        >>> class Queue(cs.SCM):
        ...     arrivals = cs.Observed(cs.Positive("req"))
        ...     waiting = cs.State(cs.Positive("req"))
        ...     served = cs.Decision(cs.Positive("req"), parents=[waiting])
        ...     @cs.transition(waiting)
        ...     def later(waiting, arrivals, served):
        ...         return (waiting + arrivals - served).clamp(min=0)
        >>> rng = np.random.default_rng(0)
        >>> log = pd.DataFrame({"trace": np.repeat([0, 1], 50), "step": [*range(50)] * 2})
        >>> log["arrivals"], log["served"] = rng.exponential(2, 100), rng.uniform(0, 4, 100)
        >>> fitted = Queue.fit(log, ensemble=2)
        >>> found = simulate(fitted, log, policies={"all": lambda waiting: waiting})
        >>> list(found.frames["all"].columns)
        ['trace', 'step', 'arrivals', 'served']
    """
    simulator = Simulator.of(fitted, traces, members=members, seed=seed)
    return simulator.run(policies, behaviour=behaviour, engine=engine)


@dataclass(frozen=True, eq=False)
class Simulator:
    """Recorded traces, abducted once, to be rolled forward as often as one likes.

    Attributes:
        fitted: The model.
        recorded: The rows as they were given.
        found: What was abducted of them.
        luck: Fixes random policies, where that is another seed than the abduction's.
        keep: Which variables: "recorded", those and what learned variables depend on ("asked",
            which tells whether the data cover where they were asked), or "all".
    """

    fitted: Fitted
    recorded: pd.DataFrame
    found: Abducted
    luck: int | None = None
    keep: Keep = "asked"

    @classmethod
    def of(cls, fitted: Fitted, traces: object, *, members: int = 1, seed: int = 0) -> Self:
        """Abduct recorded traces; see `simulate`."""
        check_fitted(fitted)
        members, seed = count(members, "members"), count(seed, "seed", least=0)
        given = as_traces(fitted.declaration, traces)
        table = read(fitted.schema, given, purpose="evidence")
        for node in fitted.declaration.nodes.values():
            if node.kind == "arm" and node.name not in table.values:
                raise EvidenceError(
                    node.name,
                    found="traces that do not say which policy was live",
                    mend="Give the column; in simulation any arm will do, if no policy reads it.",
                )
        return cls(fitted, rows_of(given), abduct(fitted, table, samples=members, seed=seed))

    def run(
        self,
        policies: Mapping[str, Any],
        *,
        behaviour: Mapping[Any, Any] | None = None,
        engine: Engine | None = None,
    ) -> Simulation:
        """The traces under policies; see `simulate`."""
        where = as_engine(engine)
        declaration, table = self.fitted.declaration, self.found.table
        dos = [as_do(each, name, declaration) for name, each in named(policies).items()]
        verdicts = _verdicts(self.fitted, dos, evidence=told_by(table), frame=self.recorded)
        known = None if behaviour is None else recorded_by(behaviour, self.fitted)
        # Few traces go forward under many policies at once; many fill the cache by themselves.
        size = max(_LANES // table.layout.traces, 1) if engine is None else 1
        groups = [dos[at : at + size] for at in range(0, len(dos), size)]
        parts = where.map(lambda at: self._rolled(groups[at], known), range(len(groups)))
        values = self._together(list(parts))
        return Simulation(
            tuple(policies),
            values,
            self.recorded,
            table.layout,
            self.fitted.schema,
            verdicts,
            states_left(values, table),
        )

    def _rolled(self, dos: Sequence[Do], known: Behaviour | None) -> dict[str, Tensor]:
        """What some policies change, `[policy, member, row]`."""
        plan = plan_of(self.fitted, self.found)
        if self.luck is not None:
            plan = replace(plan, seed=self.luck)
        index = self.found.table.index
        worlds = [world_of(do, self.fitted, plan, index=index) for do in dos]
        return plan.predict(worlds, keep=self._kept(), behaviour=known)

    def _together(self, parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """One policy after the other; what one of them leaves alone is as it was recorded."""
        if len(parts) == 1:
            return dict(parts[0])
        names = [n for n in self.fitted.declaration.nodes if any(n in part for part in parts)]
        factual = self.found.table.values
        return {
            name: torch.cat(
                [
                    part[name] if name in part else factual[name].unsqueeze(0).expand(like.shape)
                    for part in parts
                ]
            )
            for name in names
            for like in [next(part[name] for part in parts if name in part)]
        }

    def _kept(self) -> set[str] | None:
        """What is kept: also what says how a step left a state that was recorded so."""
        if self.keep == "all":
            return None
        nodes = self.fitted.declaration.nodes
        seen = {name for name, n in nodes.items() if {*columns_of(n)} <= {*self.recorded.columns}}
        left = {parent.name for name in self.found.table.left for parent in nodes[name].parents}
        if self.keep == "recorded":
            return seen | left
        asked = [n for n in nodes.values() if n.learned and not isinstance(n.mechanism, Logged)]
        return seen | left | {parent.name for node in asked for parent in node.parents}


def check_fitted(fitted: object) -> None:
    """Refuse what is no fitted model, such as its class.

    Raises:
        QueryError: It is none.
    """
    if not isinstance(fitted, Fitted):
        raise QueryError(
            "fitted",
            found=f"{getattr(fitted, '__name__', type(fitted).__name__)}, which is not fitted",
            mend="Fit it first: fitted = Model.fit(traces).",
        )


def named(policies: Mapping[str, Any]) -> Mapping[str, Any]:
    """Policies, checked to be given by their names."""
    plain = isinstance(policies, Mapping) and all(isinstance(name, str) for name in policies)
    if not plain or not policies:
        raise InterventionError(
            "policies",
            found=f"the names {list(policies)}"
            if isinstance(policies, Mapping)
            else f"a {type(policies).__name__}",
            mend='Give each a name: policies={"shortest": lambda waiting: waiting.argmin(-1)}.',
        )
    return policies


def as_do(policy: Any, name: str, declaration: Declaration) -> Do:
    """What one policy does, by the variables that it decides."""
    if isinstance(policy, Mapping):
        return policy
    decisions = [node.name for node in declaration.nodes.values() if node.kind == "decision"]
    if len(decisions) == 1:
        return {decisions[0]: policy}
    listed = ", ".join(decisions) or "none"
    raise InterventionError(
        name,
        found=f"one policy for a model whose decisions are: {listed}",
        mend="Say what it decides: policies={name: {decision: policy}}.",
    )


def _verdicts(
    fitted: Fitted, dos: list[Do], *, evidence: list[frozenset[str]], frame: pd.DataFrame
) -> dict[str, Verdict]:
    """The verdict on each recorded variable that a policy reaches.

    Raises:
        NotIdentifiedError: One of them is not identified.
    """
    judged = Terms(fitted, None, None, differs=()).judged(dos, evidence=evidence)
    nodes = fitted.declaration.nodes
    verdicts: dict[str, Verdict] = {}
    for name, node in nodes.items():
        if node.kind in ("arm", "latent") or not set(columns_of(node)) <= set(frame.columns):
            continue
        found = merged(
            [judged.of(name, world=world) for world in range(len(dos))],
            question=f"simulated {name}",
        )
        if not found.answerable:
            raise NotIdentifiedError(
                name,
                found=f"what policies change, but cannot be told: {found.reason}".rstrip("."),
                mend=" Or ".join(f"{each.words}." for each in found.additions)
                or "Declare what is known of its mechanism.",
            )
        verdicts[name] = found
    return verdicts


def rows_of(recorded: object) -> pd.DataFrame:
    """The rows of recorded traces, as they were given."""
    if isinstance(recorded, Traces):
        return recorded.data
    import pandas as pd

    if isinstance(recorded, pd.DataFrame):
        return recorded
    raise EvidenceError(
        "traces",
        found=f"a {type(recorded).__name__}",
        mend='Give a frame with the columns "trace" and "step", or cs.Traces.',
    )
