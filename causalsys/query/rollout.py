"""PREDICT, in traces: all worlds, samples and traces go forward together, step by step.

Values are laid out with the steps in front, `[step][world, sample, trace]`, traces by length, so
that a step is a slice without padding (`data/stepwise.py`). What can be found out beforehand is:
which variables an intervention reaches, what each function is given, the noises of many
steps at once. Within a step there is one call for each variable, and one for each policy.
Values are looked into for NaN and for what is outside their support only at the end, or once
something fails; the message then names the first step and its trace.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from causalsys.data.stepwise import Argument, Computed, Stepwise, check_course
from causalsys.engine.base import one_thread
from causalsys.errors import CausalSysError, InterventionError, QueryError
from causalsys.query.behaviour import Behaviour, Record
from causalsys.query.chance import Chance
from causalsys.query.intervention import Function
from causalsys.query.rolled import Act, Learned, Once, in_world
from causalsys.scm.declaration import Node
from causalsys.scm.specs import Logged
from causalsys.scm.structure import Structure, kept
from causalsys.scm.supports import Categorical

if TYPE_CHECKING:
    from causalsys.query.world import Unfolding, World

_CHECKED = 63
"""Steps after which values are looked into, while they are still at hand."""


class Rollout:
    """Traces rolled forward in several worlds.

    Args:
        plan: What it takes to predict.
        worlds: The interventions of each world.
        order: What is computed, in causal order.
        moved: Those that an intervention may change; the others are computed only to be looked at.
        keep: The variables whose values are wanted; all that are moved by default.
        behaviour: What is known of the policies that made the recorded choices; the last world is
            then the recorded one.
    """

    def __init__(
        self,
        plan: Unfolding,
        worlds: Sequence[World],
        *,
        order: Sequence[Node],
        moved: frozenset[str],
        keep: frozenset[str] | None = None,
        behaviour: Behaviour | None = None,
    ) -> None:
        self.plan, self.worlds, self.order, self.moved = plan, worlds, order, moved
        self.supports, self.samples = plan.schema.supports, plan.samples
        self.steps = Stepwise.of(plan.layout)
        structures = {n.name for n in order if isinstance(n.support, Structure)}
        self.wanted = (moved if keep is None else moved & keep) - structures
        self.courses: dict[str, list[Any]] = {node.name: [] for node in order}
        self.recorded: dict[str, list[Tensor]] = {}
        self.carried: dict[str, Any] = {}
        self.lucks: dict[str, Chance] = {}
        self.lead = (len(worlds), plan.samples)
        known = max((len(value) for value in plan.factual.values()), default=1)
        self.leads = {name: self.lead if name in moved else (1, known) for name in structures}
        self.reaches = [plan.reach(world) for world in worlds]
        self.acts: dict[str, list[Act | None]] = {}
        for node in order:
            if any(node.name in world for world in worlds):
                self.acts[node.name] = [
                    Act(self, node, number, world[node.name]) if node.name in world else None
                    for number, world in enumerate(worlds)
                ]
        self.told: dict[str, Tensor] = {}
        self.record: Record | None = None
        if behaviour is not None and behaviour.decision in self.acts:
            node = plan.schema.declaration.nodes[behaviour.decision]
            self.record = Record(self, node, behaviour, len(worlds) - 1)
        self.makers = {node.name: self._maker(node) for node in order}
        self.back = self._looked_back()
        self.step, self.live, self.checked = 0, 0, 0
        self.rows = torch.arange(0)

    @one_thread()
    def run(self) -> dict[str, Tensor]:
        """The values of what is wanted, `[world, sample, row]`.

        Raises:
            CausalSysError: A function or a policy fails, or gives what it should not; the message
                names the step, and the trace where there is one to name.
        """
        try:
            for step, live in enumerate(self.steps.lives):
                self._forward(step, live)
                if step - self.checked == _CHECKED:
                    self._check()
        except CausalSysError as error:
            # What fails may have been given what another function should not have given.
            self._check()
            if f"at step {self.step}" in error.found:
                raise
            raise type(error)(
                error.variable, found=f"{error.found}, at step {self.step}", mend=error.mend
            ) from error
        self._check()
        return {node.name: self._by_row(node) for node in self.order if node.name in self.wanted}

    def course(self, name: str) -> list[Any]:
        """A variable's values by step: those computed so far, or all as they were."""
        return self.courses[name] if name in self.courses else self.as_it_was(name)

    def as_it_was(self, name: str) -> list[Tensor]:
        """A variable's recorded values by step, `[1, 1 or sample, trace]`."""
        if name not in self.recorded:
            vector = self.supports[name].size is not None
            course = self.steps.course(self.plan.factual[name].unsqueeze(0), vector=vector)
            self.recorded[name] = course
        return self.recorded[name]

    def luck(self, name: str) -> Chance:
        """The luck of a decision, the same in every world."""
        if name not in self.lucks:
            names, traces = self.plan.layout.names, self.steps.traces.tolist()
            self.lucks[name] = Chance.of(
                [names[trace] for trace in traces] if names else traces,
                samples=self.samples,
                seed=self.plan.seed,
                name=name,
            )
        return self.lucks[name]

    def now(self, name: str) -> Tensor:
        """A variable's values in this step, `[world or 1, sample or 1, trace]`."""
        found: Tensor = self.course(name)[self.step]
        return found

    def _forward(self, step: int, live: int) -> None:
        if step and live != self.live:
            for name, carried in self.carried.items():
                self.carried[name] = kept(carried, live)
            for acts in self.acts.values():
                for act in acts:
                    if act is not None:
                        act.forget(self.live, live)
            if self.record is not None:
                self.record.narrow(live)
        self.step, self.live = step, live
        self.rows = self.steps.starts[:live] + step
        for node in self.order:
            name = node.name
            value = self._value(node)
            if isinstance(node.support, Structure):
                self.carried[name] = value
                continue
            self.courses[name].append(value)

    def _value(self, node: Node) -> Any:
        """A variable's values in this step: by itself, or by each world's intervention."""
        make, acts = self.makers[node.name], self.acts.get(node.name)
        if acts is None:
            return make()
        if self.record is not None and self.record.node.name == node.name:
            found = self.record.tell()
            self.told = {} if found is None else {node.name: found}
        natural: Callable[[], Tensor] = Once(make)
        width = self.supports[node.name].size
        size = [width] if width else []
        if len(acts) == 1:
            (act,) = acts
            assert act is not None
            value = act(natural)
            return value.expand(len(value), self.live, *size).unsqueeze(0)
        shape = (self.samples, self.live, *size)
        values = []
        for number, act in enumerate(acts):
            value = in_world(natural(), number) if act is None else act(natural)
            values.append(value.expand(shape))
        return torch.stack(values)

    def _maker(self, node: Node) -> Callable[[], Any]:
        """How a variable comes about by itself, step by step."""
        if isinstance(node.mechanism, Logged):
            return self._logged(node)
        arguments = tuple(
            Argument(ref, self._given(ref.name), self.supports[ref.name]) for ref in node.parents
        )
        if node.function is None:
            return Learned(self, node, arguments)
        lead = (1, 1)
        for name in {node.name, *(ref.name for ref in node.parents)} & set(self.leads):
            lead = self.leads[name]
        computed = Computed(node.name, node.function, self.supports[node.name], arguments)

        def compute() -> Any:
            if node.kind == "state" and self.step == 0:
                return self._first(node, lead)
            return computed.at(self.step, self.live, carried=self.carried, lead=lead)

        return compute

    def _given(self, name: str) -> list[Any]:
        """The course of a parent, which may be one that is carried."""
        if isinstance(self.supports[name], Structure):
            return []
        return self.course(name)

    def _first(self, node: Node, lead: tuple[int, int]) -> Any:
        """A state as its traces begin."""
        support = self.supports[node.name]
        if isinstance(support, Structure):
            return support.start((*lead, self.live))
        if node.name in self.plan.factual:
            axis = -2 if support.size else -1
            first = self.plan.factual[node.name].index_select(axis, self.rows)
            return first.unsqueeze(0)
        kind = torch.int64 if isinstance(support, Categorical) else torch.float64
        size = [support.size] if support.size else []
        return torch.full((1, 1, self.live, *size), node.initial, dtype=kind)

    def _logged(self, node: Node) -> Callable[[], Any]:
        """The recorded decision, in worlds in which nothing that its policy may see has changed."""
        for world, reach in zip(self.worlds, self.reaches, strict=True):
            itself = node.name not in world or node.name in world[node.name].reads_now
            if itself and any(parent.name in reach for parent in node.parents):
                raise InterventionError(
                    node.name,
                    found="a logged policy, asked what it would choose where what it sees has "
                    "changed: it was not fitted",
                    mend=f"Say in `do` what decides {node.name}, or declare it with a mechanism "
                    "that can be fitted, such as cs.GumbelMax().",
                )
        return lambda: self.as_it_was(node.name)[self.step]

    def _looked_back(self) -> int:
        """How many steps back a value may still be asked for, and one more."""
        lags = [ref.lag for node in self.order for ref in node.parents]
        acts = [act for world in self.worlds for act in world.values()]
        if self.record is not None:
            acts += [teller.does for teller in self.record.tellers]
        for act in acts:
            if isinstance(act, Function):
                lags += [look.steps for look in act.looks if look.when == "past"]
        return max(lags, default=0) + 1

    def _check(self) -> None:
        """Refuse the first value that is no value, by its step and trace; let go of what can be."""
        first, wrong = self.checked, []
        for node in self.order:
            if isinstance(node.support, Structure):
                continue
            course = self.courses[node.name][first:]
            for number, act in enumerate(self.acts.get(node.name, [])):
                if act is not None and act.function:
                    values = [in_world(value, number) for value in course]
                    wrong += self._wrong(node, values, act.title, exact=True)
            if node.function is not None and node.name not in self.acts:
                source = "its transition" if node.kind == "state" else "its equation"
                wrong += self._wrong(node, course, source, exact=False)
        if wrong:
            # What comes after the first may be its consequence.
            _, error = min(wrong, key=lambda found: found[0])
            raise error
        self.checked = max((len(course) for course in self.courses.values()), default=0)
        for name in {node.name for node in self.order} - self.wanted:
            past = self.courses[name]
            for step in range(max(first - self.back, 0), self.checked - self.back):
                if step < len(past):
                    past[step] = None

    def _wrong(
        self, node: Node, course: Sequence[Tensor], source: str, *, exact: bool
    ) -> list[tuple[int, CausalSysError]]:
        """The first step at which a variable has a value that is none, and what to say of it."""
        at: list[int] = []

        def told(step: int, trace: int) -> str:
            at.append(self.checked + step)
            return self.steps.told(self.checked + step, trace)

        try:
            check_course(
                node.name,
                course,
                self.supports[node.name],
                told=told,
                refusal=InterventionError if exact else QueryError,
                source=source,
                exact=exact,
            )
        except CausalSysError as error:
            return [(at[0], error)]
        return []

    def _by_row(self, node: Node) -> Tensor:
        size = self.supports[node.name].size
        course = self.courses[node.name]
        axis = -2 if size else -1
        whole = [
            value.expand(*self.lead, value.shape[axis], *([size] if size else []))
            for value in course
        ]
        return self.steps.by_row(whole, vector=bool(size))


__all__ = ["Rollout"]
