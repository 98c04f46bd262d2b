"""A variable of low rank with its latents: how it is fitted, and what is told of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor

from causalsys.data.table import Table
from causalsys.errors import FitError
from causalsys.fit.diagnostics import DistrictReport, VariableReport
from causalsys.fit.lasting.course import Course
from causalsys.fit.parts import Parts
from causalsys.fit.state_space.climb import STARTS, climb, members_of
from causalsys.fit.state_space.kalman import covariances, innovations, log_densities
from causalsys.fit.state_space.place import Place, known_rows, persistence, place_of
from causalsys.fit.state_space.series import Series, Shape, System, fitted_state, system_of
from causalsys.mechanisms.base import Mechanism, Sample
from causalsys.mechanisms.build import build
from causalsys.mechanisms.lasting_normal import LastingNormalMechanism
from causalsys.mechanisms.links import log_slope
from causalsys.mechanisms.low_rank import LowRankMechanism
from causalsys.mechanisms.training import Training
from causalsys.scm.blocks import Block

_ROWS = 60_000
"""Rows beyond which whole traces are drawn at random."""
_LEAST_ROWS = 30
_ALIKE = 0.15
"""Loadings that add a smaller share than this of the largest are in no direction of their own."""
_MOST = 8
"""More components than this are not told apart by any data we have seen."""


def fit_state_space(block: Block, table: Table, *, weight: Tensor, training: Training) -> Parts:
    """Fit a low-rank variable with its latents, by maximum likelihood through a Kalman filter.

    What a policy does with the past drops out of the likelihood, so a policy may look at outcomes
    (sequential exogeneity); moments by action would be biased by it.

    Args:
        block: The block.
        table: The data, traces.
        weight: `[member, row]`.
        training: Seed.

    Raises:
        FitError: The block cannot be fitted to the table.
    """
    declaration = table.schema.declaration
    place = place_of(block, declaration)
    name, generator = place.child.name, training.generator()
    mechanism, series, known = series_of(place, table, generator=generator)
    _check(place, table, mechanism, series)
    traces = table.layout.mean_by_trace(weight).to(torch.float64)
    series, traces = series.some(traces, rows=_ROWS, generator=generator)
    shape = Shape(mechanism.count, sum(mechanism.sizes.values()), series.columns.shape[1])
    best = climb(series, shape, weight=traces[:1], generator=generator)
    system = best.system
    if len(traces) > 1:
        rest = members_of(series, shape, start=system, weight=traces[1:])
        system = _joined(system, rest)
    fitted = mechanism.with_state(fitted_state(mechanism, system))
    mechanisms: dict[str, Mechanism] = {name: fitted, **_latents(place, system, table)}
    filtered = covariances(best.system, series)
    surprise = innovations(filtered, best.system.errors(series))[1]
    calibration = _calibration(surprise * filtered.precision.sqrt(), filtered.precision)
    each = log_densities(filtered, surprise)[:, 0].sum(0)
    rows = (traces[0] * series.live.sum(0)).sum()
    slope = _slope(fitted, table.values[name][:1], known)
    likelihood = float((traces[0] * each).sum() / rows) + slope
    told = ", ".join(f"{keep:.3f}" for keep in best.system.keeps[0].tolist())
    reports = {
        each_name: VariableReport(
            family=type(mechanisms[each_name].spec).__name__,
            reason=f"components last: {told} of each is kept per step"
            if each_name == name
            else f"fitted together with {name}",
            calibration=calibration if each_name == name else None,
            rows=int(series.live.sum()),
            warnings=_fewer(best.system) if each_name == name else (),
        )
        for each_name in (*block.latents, name)
    }
    report = DistrictReport(
        block.latents,
        block.variables,
        method="exact",
        log_likelihood=likelihood,
        restarts=STARTS,
        agreeing=best.agreeing,
        converged=best.converged,
    )
    return Parts(mechanisms, (), reports, (report,))


def series_of(
    place: Place,
    table: Table,
    *,
    generator: torch.Generator | None = None,
    mechanism: LowRankMechanism | None = None,
) -> tuple[LowRankMechanism, Series, Tensor | None]:
    """A table's series, under a mechanism that is started from it unless one is given.

    Returns:
        The mechanism; the series; and which rows are known, `[row]`, or None for all.
    """
    child, known = place.child, known_rows(place, table)
    value, parents = table.values[child.name][:1], table.parents_of(child)
    parents = {key: parent[:1] for key, parent in parents.items()}
    if mechanism is None:
        assert generator is not None
        assert child.mechanism is not None
        built = build(
            child.mechanism,
            table.schema.supports[child.name],
            parents=table.schema.parent_supports(child),
        )
        sample = Sample(value, parents, torch.ones((1, table.rows), dtype=torch.float64))
        rows = sample if known is None else sample.take(known.nonzero()[:, 0])
        mechanism = cast(LowRankMechanism, built).start(rows, generator=generator)
    course = Course.of(table.layout)
    return mechanism, Series.of(mechanism, value, parents, course=course, known=known), known


def row_log_density(
    mechanism: LowRankMechanism, system: System, series: Series, table: Table, *, name: str
) -> Tensor:
    """The log density of each row's value given those before it in its trace, `[member, row]`.

    In the value's own units; 0 where it is missing.
    """
    with torch.no_grad():
        known = covariances(system, series)
        each = log_densities(known, innovations(known, system.errors(series))[1])
        course = Course.of(table.layout)
        live = course.flat(series.live)
        spread = float(mechanism.state["line.spread"].log())
        value = table.values[name][:1]
        slope = log_slope(value, support=mechanism.support, offset=mechanism.state["offset"])
        return course.flat(each) + live * (slope - spread)


def rows_foreseen(block: Block, mechanisms: Mapping[str, Mechanism], table: Table) -> Tensor:
    """The same from the mechanisms of a block: `[member, row]`."""
    place = place_of(block, table.schema.declaration)
    mechanism = cast(LowRankMechanism, mechanisms[place.child.name])
    _, series, _ = series_of(place, table, mechanism=mechanism)
    system = system_of(mechanism, persistence(place, mechanisms))
    return row_log_density(mechanism, system, series, table, name=place.child.name)


def _latents(place: Place, system: System, table: Table) -> dict[str, Mechanism]:
    found: dict[str, Mechanism] = {}
    first = 0
    for node in place.latents:
        assert node.mechanism is not None
        size = node.support.size or 1
        own = build(node.mechanism, node.support, parents=table.schema.parent_supports(node))
        keeps = system.keeps[:, first : first + size]
        found[node.name] = cast(LastingNormalMechanism, own).of(keeps)
        first += size
    return found


def _joined(first: System, rest: System) -> System:
    return System(
        torch.cat([first.constant, rest.constant]),
        torch.cat([first.loading, rest.loading]),
        torch.cat([first.weight, rest.weight]),
        torch.cat([first.keeps, rest.keeps]),
        torch.cat([first.noise, rest.noise]),
    )


def _slope(mechanism: LowRankMechanism, value: Tensor, known: Tensor | None) -> float:
    """What the link and the units add to a log density, on average."""
    column = value if known is None else value[:, known]
    each = log_slope(column, support=mechanism.support, offset=mechanism.state["offset"])
    return float(each.mean()) - float(mechanism.state["line.spread"].log())


def _calibration(noise: Tensor, precision: Tensor) -> float:
    """The p-value of a Kolmogorov-Smirnov test of what each value adds to its forecast."""
    from scipy.stats import kstest

    flat = noise[precision > 0]
    return float(kstest(flat[:: max(len(flat) // 20_000, 1)].numpy(), "norm").pvalue)


def _fewer(system: System) -> tuple[str, ...]:
    """Whether actions tell fewer latents apart than there are."""
    sizes = torch.linalg.svdvals(system.loading[0])
    count, told = len(system.loading[0]), int((sizes > _ALIKE * sizes[0]).sum())
    if told >= count:
        return ()
    return (
        f"its actions tell {told} of {count} latents apart: the rest weighs next to nothing, or is "
        "another pace of the same",
    )


def _check(place: Place, table: Table, mechanism: LowRankMechanism, series: Series) -> None:
    name = place.child.name
    size = sum(mechanism.sizes.values())
    if size > _MOST:
        raise FitError(
            place.latents[0].name,
            found=f"{size} latents behind {name}",
            mend=f"Give it at most {_MOST}.",
        )
    if float(series.live.sum()) < max(_LEAST_ROWS, 3 * mechanism.count * size):
        raise FitError(
            name,
            found=f"{int(series.live.sum())} rows for {mechanism.count} actions "
            f"with {size} loadings each",
            mend="Give more traces, or fewer latents.",
        )
    if table.layout.steps < 2:
        raise FitError(
            name,
            found="latents that last from step to step, but no row that follows another",
            mend='Give traces: cs.Traces(frame, trace="trace", step="step").',
        )
    if float(series.line.abs().max()) < 1e-6 or float(mechanism.state["line.spread"]) < 1e-8:
        raise FitError(
            name,
            found="a constant column, which cannot tell its latents",
            mend="Give data in which it varies, or leave it out of the model.",
        )
    taken = torch.zeros(mechanism.count, dtype=torch.float64)
    taken.index_add_(0, series.action.flatten(), series.live.flatten())
    lost = (taken == 0).nonzero()[:, 0].tolist()
    if lost:
        raise FitError(
            name,
            found=f"an action that was never taken: {_told(mechanism, lost[0])}",
            mend="Leave its level out of the model, or give traces in which it is taken.",
        )


def _told(mechanism: LowRankMechanism, number: int) -> str:
    """An action's levels in words."""
    parts = []
    for key, support in reversed(list(mechanism.actions.items())):
        number, level = divmod(number, support.cardinality)
        parts.append(f"{key} = {support.levels[level] if support.levels else level}")
    return ", ".join(reversed(parts))
