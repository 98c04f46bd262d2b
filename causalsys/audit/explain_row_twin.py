"""Rows as they would have been: some noises moved, the others kept, and predicted again.

The noises are abducted once (Pearl, 2009, section 7.1.1). In every world the truth follows from
its mechanism and the prediction from the inputs that then hold, so that no cause is changed and
its effect left where it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causalsys.audit.attribute_outcome import Outcome
from causalsys.audit.subject import Subject
from causalsys.data.table import Table
from causalsys.fit.abduct import Abducted, abduct
from causalsys.scm.declaration import Node
from causalsys.scm.evaluate import computed
from causalsys.scm.specs import Logged
from causalsys.scm.supports import Categorical

_CELLS = 1 << 18
"""Predictions that are made at once."""
_DRAWS = 32
"""Draws of what rows do not tell."""


@dataclass(frozen=True, eq=False)
class Moves:
    """What is different in some worlds.

    Attributes:
        shifts: What is added to a noise, `[world, row]`, by variable.
        levels: What a category is set to, `[world, row]`, by variable.
    """

    shifts: Mapping[str, Tensor] = field(default_factory=dict)
    levels: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """What is moved."""
        return (*self.shifts, *self.levels)

    @property
    def worlds(self) -> int:
        """How many worlds."""
        return max(
            (len(each) for each in (*self.shifts.values(), *self.levels.values())), default=1
        )

    def repeated(self, times: int) -> Moves:
        """Every world so many times in a row."""
        return Moves(
            {n: each.repeat_interleave(times, 0) for n, each in self.shifts.items()},
            {n: each.repeat_interleave(times, 0) for n, each in self.levels.items()},
        )

    def some(self, worlds: slice) -> Moves:
        """Some of the worlds."""
        return Moves(
            {n: each[worlds] for n, each in self.shifts.items()},
            {n: each[worlds] for n, each in self.levels.items()},
        )

    def also(self, more: Moves) -> Moves:
        """Both."""
        return Moves({**self.shifts, **more.shifts}, {**self.levels, **more.levels})


@dataclass(frozen=True, eq=False)
class Twin:
    """Rows whose noises are known, or drawn given what is known.

    Attributes:
        subject: The predictor beside its model.
        nodes: What prediction and truth follow from, in a causal order.
        found: The rows, abducted under the best estimate.
    """

    subject: Subject
    nodes: tuple[Node, ...]
    found: Abducted

    @classmethod
    def of(cls, subject: Subject, table: Table, *, seed: int) -> Self:
        """Abduct these rows."""
        fitted = subject.fitted
        graph, read = fitted.declaration.graph, Outcome(subject, "error").reads
        names = set(read).union(*(graph.ancestors(name) for name in read))
        nodes = tuple(n for name, n in fitted.declaration.nodes.items() if name in names)
        best = torch.zeros(1, dtype=torch.int64)
        mechanisms = {name: m.members(best) for name, m in fitted.mechanisms.items()}
        told = all(
            mechanisms[n.name].bijective and n.name in table.values and n.name not in table.missing
            for n in nodes
            if n.learned and not isinstance(n.mechanism, Logged)
        )
        one = replace(fitted, mechanisms=mechanisms, members=1)
        return cls(subject, nodes, abduct(one, table, samples=1 if told else _DRAWS, seed=seed))

    @property
    def rows(self) -> int:
        """How many rows."""
        return self.found.table.rows

    def take(self, rows: Tensor) -> Twin:
        """Some of the rows, with the noises that they had."""
        part = replace(self, found=self.found)
        whole = self.noises, self.values
        # A cached property of its own: what was drawn for all rows is not drawn again.
        part.__dict__["noises"] = {n: v[:, rows] for n, v in whole[0].items()}
        part.__dict__["values"] = {n: v[:, rows] for n, v in whole[1].items()}
        return part

    @cached_property
    def noises(self) -> dict[str, Tensor]:
        """By learned variable, `[1 or sample, row, ...]`."""
        everything = slice(0, self.found.table.rows)
        return {
            node.name: self.found.noise_of(node, everything)
            for node in self.nodes
            if node.learned and not isinstance(node.mechanism, Logged)
        }

    @cached_property
    def values(self) -> dict[str, Tensor]:
        """By variable, `[1 or sample, row, ...]`."""
        known: dict[str, Tensor] = {}
        for node in self.nodes:
            value = self.found.table.values.get(node.name)
            known[node.name] = self._computed(node, known) if value is None else value
        return known

    def worlds(self, moves: Moves) -> dict[str, Tensor]:
        """The variables that differ, `[world, sample or 1, row, ...]`."""
        moved: dict[str, Tensor] = {}
        for node in self.nodes:
            name = node.name
            if name in moves.levels:
                moved[name] = moves.levels[name].unsqueeze(1)
                continue
            if name not in moves.shifts and not any(ref.name in moved for ref in node.parents):
                continue
            known = {
                ref.name: moved[ref.name] if ref.name in moved else self.values[ref.name][None]
                for ref in node.parents
            }
            if node.function is not None:
                moved[name] = self._computed(node, known)
                continue
            noise = self.noises[name][None]
            if name in moves.shifts:
                noise = noise + moves.shifts[name].unsqueeze(1)
            parents = {ref.key: known[ref.name] for ref in node.parents}
            moved[name] = self.found.mechanisms[name].push(noise, parents)
        return moved

    def judged(self, moves: Moves) -> tuple[Tensor, Tensor]:
        """The loss and the prediction less the truth, `[world, row]`: medians over the draws."""
        count, rows = moves.worlds, len(next(iter(self.values.values()))[0])
        size = max(_CELLS // (self.found.samples * rows), 1)
        parts = []
        for start in range(0, count, size):
            some = moves.some(slice(start, start + size))
            truth, prediction = self.outcomes(self.worlds(some), worlds=some.worlds)
            shape = truth.shape
            loss = self.subject.loss(truth.reshape(-1), prediction.reshape(-1)).reshape(shape)
            gap = np.median(prediction - truth, axis=1)
            # The lower median: right means right in half of the draws at least.
            middle = np.partition(loss, (shape[1] - 1) // 2, axis=1)[:, (shape[1] - 1) // 2]
            parts.append((torch.tensor(middle), torch.tensor(gap)))
        return torch.cat([loss for loss, _ in parts]), torch.cat([gap for _, gap in parts])

    def outcomes(
        self, moved: Mapping[str, Tensor], *, worlds: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Truth and prediction, each `[world, sample, row]`."""
        inputs, target = self.subject.predictor.inputs, self.subject.target
        values = {
            name: moved[name] if name in moved else self.values[name][None]
            for name in (*inputs, target)
        }
        rows = values[target].shape[-1]
        shape = (worlds, self.found.samples, rows)
        same = torch.broadcast_shapes(*(values[name].shape for name in inputs))
        columns: dict[str, NDArray[Any]] = {
            name: values[name].expand(same).reshape(-1).numpy() for name in inputs
        }
        found = Outcome(self.subject)(columns).reshape(same)
        truth = values[target].double().expand(shape).numpy()
        return truth, np.broadcast_to(found, shape)

    def _computed(self, node: Node, known: Mapping[str, Tensor]) -> Tensor:
        supports = self.subject.fitted.schema.supports
        value = computed(node, [known[ref.name] for ref in node.parents], supports=supports)
        return value.long() if isinstance(supports[node.name], Categorical) else value


__all__ = ["Moves", "Twin"]
