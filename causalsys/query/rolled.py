"""The parts of a roll-out that look like one variable: what a policy does, what is learned."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from causalsys.data.stepwise import Argument
from causalsys.errors import CausalSysError, InterventionError
from causalsys.query.intervention import Draw, Function, Intervention, Situation
from causalsys.query.policy import Moment, label_of, narrowed
from causalsys.scm.declaration import Node
from causalsys.scm.supports import Categorical

if TYPE_CHECKING:
    from causalsys.query.rollout import Rollout

_BLOCK = 131_072
"""Rows whose noises are found at once: few calls, and little memory."""


class Once:
    """What a function gives, found at most once."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make, self.found = make, None

    def __call__(self) -> Any:
        if self.found is None:
            self.found = self.make()
        return self.found


class Act:
    """One world's intervention on a variable, step by step."""

    def __init__(self, roll: Rollout, node: Node, world: int, does: Intervention) -> None:
        self.roll, self.node, self.world, self.does = roll, node, world, does
        self.function = isinstance(self.does, Function | Draw)
        label = label_of(self.does.function) if isinstance(self.does, Function) else "a draw"
        self.title = f"the policy {label}"
        self.memory: Any = None
        self.support = roll.supports[node.name]
        self.seed = zlib.crc32(f"{roll.plan.seed}/{node.name}".encode())
        self._check_reads()
        for name in self.does.reads:
            if name != node.name:
                roll.course(name)
        self.moment = Moment(
            self._past, self._ahead, self.draw, self._recall, self._keep, self.told_at
        )

    @property
    def live(self) -> int:
        """How many traces it acts in."""
        return self.roll.live

    def of_traces(self, value: Tensor) -> Tensor:
        """The values `[sample, trace]` of the traces that it acts in."""
        return value

    def rows(self) -> Tensor:
        """The rows in which it acts."""
        return self.roll.rows

    def forget(self, was: int, live: int) -> None:
        """Of `was` traces only the first `live` go on."""
        self.memory = narrowed(self.memory, was, live)

    def told_at(self, trace: int) -> str:
        """This step of a trace, in words."""
        return self.roll.steps.told(self.roll.step, trace)

    def draw(self, distribution: Any) -> Tensor:
        """A draw, by the luck that all worlds share."""
        roll, name = self.roll, self.node.name
        return roll.luck(name).draw(distribution, roll.step, roll.live, told=roll.told.get(name))

    def __call__(self, natural: Callable[[], Tensor]) -> Tensor:
        """What it gives in this step, `[sample or 1, trace]`."""
        roll = self.roll
        size = [self.support.size] if self.support.size else []
        situation = Situation(
            self.node.name,
            self.support,
            (roll.samples, self.live),
            self._now,
            lambda: self.of_traces(in_world(natural(), self.world)).expand(
                roll.samples, self.live, *size
            ),
            self.rows(),
            self.seed,
            self.moment,
        )
        try:
            return self.does.apply(situation)
        except CausalSysError as error:
            if not self.function:
                raise
            raise type(error)(
                error.variable, found=f"{error.found}, from {self.title}", mend=error.mend
            ) from error

    def _now(self, name: str) -> Tensor:
        value = self.of_traces(in_world(self.roll.now(name), self.world))
        return value.expand(self.roll.samples, *value.shape[1:])

    def _past(self, name: str, steps: int) -> Tensor:
        roll, course, size = self.roll, self.roll.course(name), self.roll.supports[name].size
        shape = (roll.samples, roll.live, *([size] if size else []))
        kind = torch.int64 if isinstance(roll.supports[name], Categorical) else torch.float64
        values = []
        for step in range(roll.step - steps, roll.step):
            if step < 0:
                values.append(torch.zeros((), dtype=kind).expand(shape))
                continue
            value = in_world(course[step], self.world)
            values.append(value[:, : roll.live].expand(shape))
        if steps == 1:
            return self.of_traces(values[0])
        return self.of_traces(torch.stack(values, 2))

    def _ahead(self, name: str, steps: int) -> Tensor:
        roll = self.roll
        last = roll.step + steps
        if steps > 1 and roll.steps.even and last <= len(roll.steps.lives):
            course = roll.as_it_was(name)
            found = torch.stack([v[0] for v in course[roll.step : last]], 2)
        else:
            ends = roll.steps.lengths[: roll.live, None] - 1
            further = torch.minimum(roll.step + torch.arange(steps), ends)
            at = roll.steps.starts[: roll.live, None] + further
            found = roll.plan.factual[name][:, at if steps > 1 else at[:, 0]]
        found = self.of_traces(found)
        return found.expand(roll.samples, *found.shape[1:])

    def _recall(self) -> Any:
        return self.memory

    def _keep(self, memory: Any) -> None:
        self.memory = memory

    def _check_reads(self) -> None:
        """Refuse what no policy can look at."""
        nodes = self.roll.plan.schema.declaration.nodes
        if not isinstance(self.does, Function):
            return
        for look in self.does.looks:
            if look.when == "memory":
                continue
            if nodes[look.name].kind == "latent":
                raise InterventionError(
                    self.node.name,
                    found=f"{self.title}, which reads the latent {look.name}",
                    mend="A policy sees what is logged, or what is computed from it.",
                )
            if look.when == "ahead" and look.name in self.roll.reaches[self.world]:
                raise InterventionError(
                    self.node.name,
                    found=f"{self.title}, which looks ahead at {look.name}, which its own world "
                    "changes",
                    mend="Only what nothing in the world changes is known beforehand.",
                )
            if look.when == "ahead" and look.name not in self.roll.plan.factual:
                raise InterventionError(
                    self.node.name,
                    found=f"{self.title}, which looks ahead at {look.name}, which is not recorded",
                    mend="Ask of recorded traces, and look ahead at a column of theirs.",
                )


class Learned:
    """A learned variable under its own noise, step by step."""

    def __init__(self, roll: Rollout, node: Node, arguments: tuple[Argument, ...]) -> None:
        self.roll, self.node, self.arguments = roll, node, arguments
        self.mechanism = roll.plan.mechanisms[node.name]
        self.axes = 4 if roll.supports[node.name].size else 3
        self.told = node.name in roll.plan.told
        self.noises: list[Tensor] = []
        self.first = 0
        self.factual = roll.as_it_was(node.name) if self.told else []
        moved = [argument for argument in arguments if argument.ref.name in roll.moved]
        self.moved = moved
        self.before = [
            Argument(a.ref, roll.as_it_was(a.ref.name), a.support) if self.told else a
            for a in moved
        ]

    def __call__(self) -> Tensor:
        roll = self.roll
        step, live = roll.step, roll.live
        if self.told and not self.moved:
            return self.factual[step]
        if not self.told and roll.plan.carry is not None:
            changed = {a.ref.key: a.at(step, live, axes=2) for a in self.moved}
            value = roll.plan.carry(self.node, roll.rows, changed)
            if value is not None:
                return self._with_worlds(value)
        given = {a.ref.key: a.at(step, live, axes=2) for a in self.arguments}
        value = self._with_worlds(self.mechanism.push(self._noise(), given))
        return self._as_it_was(value, given) if self.told else value

    def _as_it_was(self, value: Tensor, given: Mapping[str, Tensor]) -> Tensor:
        """The recorded value where nothing above it differs, to the last bit."""
        roll = self.roll
        same: Tensor | None = None
        for argument in self.before:
            was = argument.at(roll.step, roll.live, axes=2)
            equal = given[argument.ref.key] == was
            equal = equal.all(-1) if argument.support.size else equal
            same = equal if same is None else same & equal
        if same is None:
            return value
        same = same.unsqueeze(-1) if self.axes == 4 else same
        return torch.where(same, self.factual[roll.step], value)

    def _noise(self) -> Tensor:
        """The noise of this step, found for a block of steps at once."""
        roll = self.roll
        if roll.step >= self.first + len(self.noises):
            self.first, last, rows = roll.step, roll.step, 0
            lives = roll.steps.lives
            while last < len(lives) and (rows == 0 or rows + lives[last] <= _BLOCK):
                rows += lives[last]
                last += 1
            block = roll.plan.noise_of(self.node, roll.steps.rows_of(self.first, last))
            self.noises = list(block.split(lives[self.first : last], dim=1))
        return self.noises[roll.step - self.first]

    def _with_worlds(self, value: Tensor) -> Tensor:
        """The value with an axis of worlds, which it lacks where nothing above it has one."""
        return value.reshape((1,) * (self.axes - value.dim()) + tuple(value.shape))


def in_world(value: Tensor, world: int) -> Tensor:
    """A value in one world, `[sample or 1, trace]`; it may be the same in all of them."""
    return value[world if len(value) > 1 else 0]


__all__ = ["Act", "Learned", "Once", "in_world"]
