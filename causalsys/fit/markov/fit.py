"""A district with a chain: how it is fitted, and what is told of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from causalsys.data.table import Table
from causalsys.errors import FitError
from causalsys.fit.diagnostics import DistrictReport, VariableReport
from causalsys.fit.markov.calibrate import calibrations
from causalsys.fit.markov.children import expanded, is_cheap
from causalsys.fit.markov.em import Model, climb, expect
from causalsys.fit.markov.emissions import Emissions
from causalsys.fit.markov.grids import first_levels, is_given, zoomed
from causalsys.fit.markov.laws import Law
from causalsys.fit.markov.place import place_of
from causalsys.fit.markov.starts import STARTS, started_children, starts
from causalsys.fit.parts import Parts
from causalsys.mechanisms.base import Mechanism, Sample
from causalsys.mechanisms.build import build
from causalsys.mechanisms.chain import ChainMechanism
from causalsys.mechanisms.draws import some_traces
from causalsys.mechanisms.training import Training
from causalsys.scm.blocks import Block
from causalsys.scm.specs import AutoRegressive

_SCREEN_ROWS = 2000
"""Rows on which starts are compared."""
_SCREEN_STEPS, _STEPS, _MEMBER_STEPS = 30, 300, 12
_TOLERANCE = 5e-6
"""Nats per row that an EM step must gain to go on."""
_ALIKE = 2e-3
"""Nats per row within which two starts count as one optimum."""
_ROOM = 30_000_000
"""States times members times rows that are held at once."""
_LEAST_ROWS = 10
_ZOOMS = 3
_LOOSE = (
    "a flexible mechanism under hidden states, without declared physics: unlike fits come close "
    "to each other in likelihood, so compare several seeds, or declare the physics"
)


def fit_markov(block: Block, table: Table, *, weight: Tensor, training: Training) -> Parts:
    """Fit a chain with its children, by EM from several starts.

    Args:
        block: The block.
        table: The data, traces.
        weight: `[member, row]`.
        training: Seed.

    Raises:
        FitError: The block cannot be fitted to the table.

    Source: L. E. Baum et al., Ann. Math. Statist. 41 (1970); with declared physics, C. Bothra et
    al., Veritas: Answering causal queries from video streaming traces, SIGCOMM 2023.
    """
    place, nodes = place_of(block, table)
    emissions = Emissions.of(table, place, nodes=nodes)
    _check(place.chain.name, table)
    generator = training.generator()
    schema = table.schema
    chain = build(
        place.chain.mechanism,  # type: ignore[arg-type]
        schema.supports[place.chain.name],
        parents=schema.parent_supports(place.chain),
    )
    empty = Sample(torch.zeros(1, 1), {}, torch.ones(1, 1))
    chain = chain.start(empty, generator=generator)
    assert isinstance(chain, ChainMechanism)
    traces = table.layout.mean_by_trace(weight)
    few = _few(table, generator)
    some = emissions if few is None else emissions.take(few)
    some_traces = traces if few is None else traces[:, torch.unique(table.layout.trace[few])]
    some = some.members(torch.zeros(1, dtype=torch.int64))
    children = started_children(some, chain.values[:1], generator=generator)
    levels = first_levels(chain, some, children)
    if not is_given(chain):
        values = chain.with_state({"levels": levels}).values
        children = started_children(some, values, generator=generator)
    tries = starts(chain, levels, children, some, some_traces[:1])
    wide = some_traces[:1].expand(STARTS, -1)
    tries, _ = climb(tries, some, wide, steps=_SCREEN_STEPS, tolerance=10 * _TOLERANCE)
    score = tries.log_likelihood
    agreeing = int((score >= score.max() - _ALIKE).sum())
    first = emissions.members(torch.zeros(1, dtype=torch.int64))
    best, converged = _best(tries.members(score.argmax().reshape(1)), first, traces[:1])
    model = _all_members(best, emissions, traces)
    mechanisms = _finished(model, emissions, traces)
    return _parts(block, best, mechanisms, first, traces[:1], agreeing, converged)


def _best(model: Model, emissions: Emissions, weight: Tensor) -> tuple[Model, bool]:
    """One member, to the top; the grid of an AR(1) follows where its values are."""
    model, converged = climb(model, emissions, weight, steps=_STEPS, tolerance=_TOLERANCE)
    if model.law.point is None or not model.law.free or is_given(model.chain):
        return model, converged
    for _ in range(_ZOOMS):
        share = expect(model, emissions, weight)[0].states.sum((0, 1, 2))
        levels = zoomed(model.law.levels, share)
        old = model.law.levels[0]
        moved = (levels[0, [0, -1]] - old[[0, -1]]).abs().max() / (old[-1] - old[0])
        if float(moved) < 0.1:
            break
        keeps = torch.tanh(model.law.point[:, 2])
        law = Law.autoregressive(levels, free=True, persistence=keeps)
        law = replace(law, point=model.law.point)
        model = replace(model, law=law)
        model, converged = climb(model, emissions, weight, steps=_STEPS, tolerance=_TOLERANCE)
    return model, converged


def _all_members(best: Model, emissions: Emissions, weight: Tensor) -> Model:
    """All members, each on from the best under its own weights, as many at once as fit."""
    members = len(weight)
    if members == 1:
        return best
    each = best.law.levels.shape[-1] * emissions.scope.rows
    size = max(1, _ROOM // each)
    done: list[Model] = []
    for index in torch.arange(members).split(size):
        start = best.members(torch.zeros_like(index))
        part = emissions.members(index)
        done.append(climb(start, part, weight[index], steps=_MEMBER_STEPS, tolerance=_TOLERANCE)[0])
    return _stacked(done)


def _stacked(models: Sequence[Model]) -> Model:
    if len(models) == 1:
        return models[0]
    laws = [m.law for m in models]
    points = [law.point for law in laws if law.point is not None]
    law = Law(
        torch.cat([each.levels for each in laws]),
        torch.cat([each.initial for each in laws]),
        torch.cat([each.transition for each in laws]),
        torch.cat(points) if points else None,
        laws[0].free,
    )
    children = {name: _joined([m.children[name] for m in models]) for name in models[0].children}
    score = torch.cat([m.log_likelihood for m in models])
    return Model(models[0].chain, law, children, None, score)


def _joined(several: Sequence[Mechanism]) -> Mechanism:
    """One mechanism with the members of several; what all share stays one."""
    first = several[0]
    state = {
        name: value
        if name.startswith(first.constants) and value.shape[0] == 1
        else torch.cat([each.state[name] for each in several])
        for name, value in first.state.items()
    }
    return first.with_state(state)


def _finished(model: Model, emissions: Emissions, weight: Tensor) -> dict[str, Mechanism]:
    """The mechanisms; an empirical noise follows the residuals under the law of their states."""
    found: dict[str, Mechanism] = {emissions.place.chain.name: model.mechanism}
    loose = [n for n, m in model.children.items() if getattr(m.spec, "noise", "") == "empirical"]
    counts: Tensor | None = None
    if loose:
        seen = expect(model, emissions, weight)[0]
        counts = emissions.rows_of(seen.states) * weight[:, emissions.scope.layout.trace]
    parents = emissions.parents(model.values)
    for name, mechanism in model.children.items():
        found[name] = mechanism
        if name in loose and counts is not None:
            value = emissions.value(name)
            found[name] = mechanism.finish(expanded(mechanism, value, parents[name], counts))
    return found


def _parts(
    block: Block,
    best: Model,
    mechanisms: dict[str, Mechanism],
    emissions: Emissions,
    weight: Tensor,
    agreeing: int,
    converged: bool,
) -> Parts:
    seen, likelihood = expect(best, emissions, weight)
    rows = weight @ torch.bincount(emissions.scope.layout.trace).to(weight.dtype)
    live = emissions.course.live[:, None, :, None].to(weight.dtype)
    share = (seen.states * live * weight.unsqueeze(-1)).sum((0, 1, 2))
    share = share / share.sum()
    name = emissions.place.chain.name
    chain = mechanisms[name]
    used = int((share > 1e-3).sum())
    told = f"{used} of {len(share)} states are used"
    if isinstance(chain.spec, AutoRegressive):
        told += f"; persistence {float(chain.state['persistence'][0, 0]):.3f} per step"
    calibration = calibrations(mechanisms, best, emissions, seen)
    warnings: dict[str, tuple[str, ...]] = {}
    if is_given(best.chain) and float(share[[0, -1]].max()) > 0.2 and len(share) > 4:
        warnings[name] = ("an end of the grid is used much: values may lie beyond it",)
    loose = [n for n, m in best.children.items() if not is_cheap(m)]
    if not emissions.place.equations:
        warnings |= dict.fromkeys(loose, (_LOOSE,))
    reports = {
        each: VariableReport(
            family=type(mechanisms[each].spec).__name__,
            calibration=calibration.get(each),
            reason=told if each == name else "fitted together with its latent parents",
            rows=emissions.scope.rows,
            warnings=(*mechanisms[each].notes, *warnings.get(each, ())),
        )
        for each in (*block.latents, *block.variables)
    }
    report = DistrictReport(
        block.latents,
        block.variables,
        method="exact",
        log_likelihood=float((weight * likelihood).sum() / rows[0]),
        restarts=STARTS,
        agreeing=agreeing,
        converged=converged,
    )
    return Parts(mechanisms, (), reports, (report,))


def _check(name: str, table: Table) -> None:
    if table.rows < _LEAST_ROWS:
        raise FitError(
            name,
            found=f"{table.rows} rows to tell it from",
            mend=f"Give at least {_LEAST_ROWS}.",
        )
    if table.layout.steps < 2:
        raise FitError(
            name,
            found="dynamics, but no row that follows another",
            mend='Give traces: cs.Traces(frame, trace="trace", step="step").',
        )


def _few(table: Table, generator: torch.Generator) -> Tensor | None:
    """The rows of some traces, on which starts are compared; None where these are all."""
    if table.rows <= 1.5 * _SCREEN_ROWS:
        return None
    lengths = torch.bincount(table.layout.trace)
    return table.layout.rows_of(some_traces(lengths, _SCREEN_ROWS, generator=generator))
