"""How well a form of a latent foresees arms that were left out, and whether the data refute it.

Forms are compared on one footing: the log density of each value given those before it in its
trace, by a fit to the other arms. For a noise that a value reveals, that takes a law of its
course: it may last in two ways at once, so that a second pace is not taken for a second latent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from causalsys.data.read import read
from causalsys.data.table import Table
from causalsys.data.traces import Traces
from causalsys.errors import FitError
from causalsys.fit.fit import refit
from causalsys.fit.fitted import Fitted
from causalsys.fit.lasting.course import Course
from causalsys.fit.lasting.overidentification import j_test
from causalsys.fit.options import FitOptions
from causalsys.fit.overidentified import Overidentification
from causalsys.fit.state_space.climb import climb, members_of
from causalsys.fit.state_space.fit import row_log_density, series_of
from causalsys.fit.state_space.forecast import FOLD_STEPS, densities, held_out, of_errors, refuted
from causalsys.fit.state_space.place import persistence, place_of
from causalsys.fit.state_space.series import Series, Shape, system_of
from causalsys.mechanisms.base import Mechanism, Sample
from causalsys.mechanisms.linear import LinearMechanism
from causalsys.mechanisms.low_rank import LowRankMechanism
from causalsys.mechanisms.multiplicative import MultiplicativeMechanism
from causalsys.query.dimension_forms import Kind
from causalsys.scm.blocks import blocks
from causalsys.scm.supports import Categorical

_LOG_2PI = math.log(2 * math.pi)
_PACES = 2
"""In how many ways at once a noise may last."""


@dataclass(frozen=True)
class Folds:
    """Traces that are left out in turn.

    Attributes:
        data: The traces.
        fold: The fold of each trace, from 0, in the order of the traces, `[trace]`.
        names: What each fold is called.
    """

    data: Traces
    fold: Tensor
    names: tuple[str, ...]

    def others(self, number: int) -> Traces:
        """All traces but those of a fold."""
        kept = (self.fold != number)[self.data.layout.trace].numpy()
        return Traces(self.data.frame[kept], self.data.trace, self.data.step)


@dataclass(frozen=True)
class Scored:
    """What is found of one form.

    Attributes:
        density: The log density of each row's value, its arm left out, `[row]`.
        test: Whether the data refute it, or why there is no such test.
    """

    density: Tensor
    test: Overidentification | str


def scored(fitted: Fitted, *, child: str, kind: Kind, folds: Folds, options: FitOptions) -> Scored:
    """Score a form on arms that are left out in turn, and test it on all.

    Args:
        fitted: The form, fitted to all data.
        child: The variable that shows the latent.
        kind: See `dimension_forms.kinds`.
        folds: What is left out.
        options: How to fit.
    """
    table = read(fitted.schema, folds.data)
    if kind == "low rank":
        return _low_rank(fitted, table, child=child, fold=folds.fold)
    view = _View.of(fitted, table, child)
    fits = [
        refit(fitted, folds.others(number), only=[child], options=options).mechanisms[child]
        for number in range(len(folds.names))
    ]
    mine = folds.fold[table.layout.trace]
    if kind == "luck":
        each = torch.stack([view.log_prob(fit) for fit in fits])
        density = each.gather(0, mine.unsqueeze(0))[0]
        return Scored(density, _luck(view))
    return _declared(view, fits, mine, folds.fold, generator=options.training(0).generator())


def _low_rank(fitted: Fitted, table: Table, *, child: str, fold: Tensor) -> Scored:
    block = next(b for b in blocks(fitted.declaration) if child in b.variables)
    place = place_of(block, fitted.declaration)
    first = torch.zeros(1, dtype=torch.int64)
    model = {n: m.members(first) for n, m in fitted.mechanisms.items()}
    mechanism = cast(LowRankMechanism, model[child])
    _, series, _ = series_of(place, table, mechanism=mechanism)
    system = system_of(mechanism, persistence(place, model))
    width = sum(mechanism.sizes.values())
    shape = Shape(mechanism.count, width, series.columns.shape[1])
    systems = held_out(series, shape, start=system, fold=fold)
    each = row_log_density(mechanism, systems, series, table, name=child)
    mine = fold[table.layout.trace].unsqueeze(0)
    return Scored(each.gather(0, mine)[0], refuted(series, shape, system))


def _declared(
    view: _View, fits: list[Mechanism], mine: Tensor, fold: Tensor, *, generator: torch.Generator
) -> Scored:
    """The noise of a bijective mechanism, under a law of its course."""
    series = view.series(view.mechanism)
    shape = Shape(view.actions, _PACES, 0, alike=True)
    ones = torch.ones((1, series.traces), dtype=torch.float64)
    system = climb(series, shape, weight=ones, generator=generator).system
    density = torch.zeros(len(mine), dtype=torch.float64)
    for number, fit in enumerate(fits):
        own = view.series(fit)
        kept = (fold != number).to(torch.float64).unsqueeze(0)
        law = members_of(own, shape, start=system, weight=kept, steps=FOLD_STEPS)
        course = Course.of(view.table.layout)
        each = course.flat(densities(law, own))[0] + view.slope(fit)
        density = torch.where(mine == number, each, density)
    return Scored(density, view.j_test(generator) or refuted(series, shape, system))


def _luck(view: _View) -> Overidentification | str:
    """Whether noise that is said to be new in every step foretells itself."""
    series = view.series(view.mechanism)
    live = series.live > 0
    error = series.line
    taken = torch.nn.functional.one_hot(series.action[live], view.actions).double()
    scores = torch.cat([taken.mT * error[live], (error[live] ** 2 - 1).unsqueeze(0)])
    return of_errors(error, series, scores=scores, actions=view.actions)


@dataclass(frozen=True)
class _View:
    """A bijective mechanism on a table's rows.

    Attributes:
        mechanism: One member.
        value: `[1, row]`.
        parents: By key, `[1, row]`.
        known: Where all of it is known, `[row]`.
        table: The table.
    """

    mechanism: Mechanism
    value: Tensor
    parents: Mapping[str, Tensor]
    known: Tensor
    table: Table

    @classmethod
    def of(cls, fitted: Fitted, table: Table, child: str) -> _View:
        """How a fitted model sees the child in a table."""
        node = fitted.node(child)
        known = table.complete(node)
        return cls(
            fitted.mechanisms[child].members(torch.zeros(1, dtype=torch.int64)),
            table.values[child],
            table.parents_of(node),
            torch.ones(table.rows, dtype=torch.bool) if known is None else known,
            table,
        )

    @property
    def actions(self) -> int:
        """How many combinations of categorical parents there are."""
        return math.prod(support.cardinality for support in self._discrete.values())

    @property
    def _discrete(self) -> dict[str, Categorical]:
        return {
            key: support
            for key, support in self.mechanism.parents.items()
            if isinstance(support, Categorical) and not support.size
        }

    def log_prob(self, mechanism: Mechanism) -> Tensor:
        """The log density of each value on its own, `[row]`; 0 where it is missing."""
        with torch.no_grad():
            each = mechanism.log_prob(self.value, self.parents)[0]
        return torch.where(self.known, each, 0.0)

    def slope(self, mechanism: Mechanism) -> Tensor:
        """The log derivative of the noise by the value, `[row]`; 0 where it is missing."""
        normal = -0.5 * (self._noise(mechanism) ** 2 + _LOG_2PI)
        return torch.where(self.known, self.log_prob(mechanism) - normal, 0.0)

    def series(self, mechanism: Mechanism) -> Series:
        """The noise, step by step."""
        course = Course.of(self.table.layout)
        noise = torch.where(self.known, self._noise(mechanism), 0.0)
        action = torch.zeros(1, dtype=torch.int64)
        for key, support in self._discrete.items():
            action = action * support.cardinality + self.parents[key][0]
        live = course.live & course.grid(self.known)
        grid = course.grid(action.expand(len(noise)))
        none = live.new_zeros((len(live), 0, live.shape[1])).to(torch.float64)
        return Series(course.grid(noise), grid, none, live.to(torch.float64))

    def j_test(self, generator: torch.Generator) -> Overidentification | None:
        """The test of sequential moments, where the mechanism is additive and traces suffice."""
        additive = self.mechanism
        shape = LinearMechanism | MultiplicativeMechanism
        if not isinstance(additive, shape) or not bool(self.known.all()):
            return None
        weight = torch.ones((1, self.table.rows), dtype=torch.float64)
        sample = Sample(self.value, self.parents, weight)
        try:
            found = j_test(
                additive, sample, course=Course.of(self.table.layout), generator=generator
            )
        except FitError:
            return None
        return Overidentification(found.statistic, found.degrees, found.p)

    def _noise(self, mechanism: Mechanism) -> Tensor:
        with torch.no_grad():
            return mechanism.pull(self.value, self.parents)[0].to(torch.float64)
