"""The rows of a table as the tests of a graph need them: noises, columns, and what ties rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causalsys.data.table import Table
from causalsys.fit.covariance import Column, Given, covaries
from causalsys.fit.fitted import Fitted
from causalsys.fit.implied import Implied, Window
from causalsys.identify.question import logged
from causalsys.scm.declaration import Node, ParentRef
from causalsys.scm.specs import Logged
from causalsys.scm.supports import Categorical

LEAST = 20
"""With fewer rows, or traces, nothing is tested."""
_ROWS = 10_000
_MEMBERS = 4


@dataclass(frozen=True)
class Tested:
    """A fitted model beside the rows that it is tested on.

    Attributes:
        fitted: The model.
        table: All rows.
        window: The model's graph.
        steps: The rows that are tested, in order.
        noises: For each learned variable that no latent acts on, its noise in its rows in normal
            coordinates, `[member, row]`, for some members: what all of them fail is not failed
            because of the parameters' uncertainty.
    """

    fitted: Fitted
    table: Table
    window: Window
    steps: Tensor
    noises: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    _kept: dict[Any, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, fitted: Fitted, table: Table, *, window: Window, seed: int) -> Tested:
        """The rows of a table that are tested: all, or a random part of many."""
        generator = torch.Generator().manual_seed(seed)
        steps = torch.randperm(table.rows, generator=generator)[:_ROWS].sort().values
        found = cls(fitted, table, window, steps)
        seen = logged(fitted.declaration)
        for node in fitted.declaration.nodes.values():
            hidden = any(parent.name not in seen for parent in node.parents)
            fitted_to = node.learned and not isinstance(node.mechanism, Logged)
            if node.kind != "latent" and fitted_to and not hidden:
                found.noises[node.name] = found._noise(node, generator)
        return found

    @property
    def usable(self) -> frozenset[str]:
        """The numbers and categories that are known in every row."""
        return frozenset(
            name
            for name in self.table.values
            if name not in self.table.missing and not self.fitted.node(name).support.size
        )

    def parent(self, ref: ParentRef, node: Node) -> NDArray[np.float64]:
        """A parent's values in the rows of a node."""
        return self.table.value_of(ref)[0][self._rows(node)].double().numpy()

    def independence(self, test: Implied) -> tuple[float, float] | None:
        """The correlation and p-value of an implied independence; None where it has no test."""
        node = self.fitted.node(test.variable)
        noise = self.noises.get(node.name)
        if noise is None and (node.name not in self.usable or self._few_traces):
            return None
        if any(self.window.places[point][0] not in self.table.values for point in test.given):
            return (
                None  # What is carried, and what is read off it for logged policies, is not kept.
            )
        rows = self._rows(node)
        inside = self.table.layout.position[rows] >= self.fitted.declaration.graph.longest_lag
        rows = rows[inside]
        if len(rows) < LEAST:
            return None
        whose = (node.per, node.name if self.table.complete(node) is not None else "")
        if noise is not None and self.fitted.mechanisms[node.name].bijective:
            one = self._once(("noise", node.name), lambda: Column(noise[0][inside.numpy()]))
        elif node.name in self.usable:
            one = self._column(test.variable, rows, whose)
        else:
            return None
        other = self._column(test.other, rows, whose)
        given = self._once((*whose, test.given), lambda: self._given(test.given, rows, whose))
        return covaries(one, other, given, cluster=self._clusters(rows))

    @property
    def _few_traces(self) -> bool:
        """Whether rows depend on one another in too few traces to allow for it.

        Then only a noise can be tested, row by row: nothing earlier tells it.
        """
        declaration, layout = self.fitted.declaration, self.table.layout
        tied = declaration.temporal or any(n.per == "trace" for n in declaration.nodes.values())
        return tied and layout.steps > 1 and layout.traces < LEAST

    def _rows(self, node: Node) -> Tensor:
        """The rows where a variable and its parents are known; a trace's own value counts once."""
        keep = self.table.layout.first_rows if node.per == "trace" else self.steps
        known = self.table.complete(node)
        return keep if known is None else keep[known[keep]]

    def _noise(self, node: Node, generator: torch.Generator) -> NDArray[np.float64]:
        rows = self._rows(node)
        members = torch.arange(min(self.fitted.members, _MEMBERS))
        mechanism = self.fitted.mechanisms[node.name].members(members)
        parents = {key: value[:, rows] for key, value in self.table.parents_of(node).items()}
        value = self.table.values[node.name][:, rows]
        with torch.no_grad():
            noise = mechanism.pull(value, parents, generator=generator)
        if mechanism.noise == "gumbel":
            # The difference of two Gumbels is logistic: one number per row tells levels apart.
            noise = torch.special.ndtri(torch.sigmoid(noise[..., -1] - noise[..., 0]))
        return noise.reshape(len(noise), len(rows), -1)[..., 0].double().numpy()

    def _given(self, points: tuple[str, ...], rows: Tensor, whose: tuple[str, str]) -> Given:
        columns = [self._column(point, rows, whose) for point in points]
        parts = [
            Column(part, column.categorical)
            for column in columns
            for part in np.atleast_2d(column.values.T)
        ]
        return Given(parts, rows=len(rows))

    def _column(self, point: str, rows: Tensor, whose: tuple[str, str]) -> Column:
        """A point's values in some rows, `[row]`, of a vector `[row, size]`."""

        def made() -> Column:
            name, lag = self.window.places[point]
            value = self.table.value_of(ParentRef(name, lag))[0][rows].double().numpy()
            return Column(value, isinstance(self.fitted.schema.supports[name], Categorical))

        return self._once((point, *whose), made)

    def _clusters(self, rows: Tensor) -> NDArray[np.int64]:
        if self.table.layout.traces < LEAST:
            return np.arange(len(rows))
        return torch.unique(self.table.layout.trace[rows], return_inverse=True)[1].numpy()

    def _once(self, place: Any, make: Any) -> Any:
        if place not in self._kept:
            self._kept[place] = make()
        return self._kept[place]
