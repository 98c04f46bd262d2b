"""A district with latents: what is put together for training, and what is told of it."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from causalsys.data.table import Table
from causalsys.errors import FitError
from causalsys.fit.classes import is_categorical, maximise_classes
from causalsys.fit.diagnostics import DistrictReport, VariableReport
from causalsys.fit.factors import Factors, is_gaussian
from causalsys.fit.gaussian import Maximum, maximise
from causalsys.fit.guide import Guide
from causalsys.fit.independence import independent_of
from causalsys.fit.joint import Scope
from causalsys.fit.markov.fit import fit_markov
from causalsys.fit.markov.place import has_chain
from causalsys.fit.mixture import Mixture, maximise_mixture
from causalsys.fit.parts import Parts
from causalsys.fit.posterior import summed_out
from causalsys.fit.program import noise_size
from causalsys.fit.redeployed import Before
from causalsys.fit.resume import resume
from causalsys.fit.state_space.fit import fit_state_space
from causalsys.fit.state_space.place import has_low_rank
from causalsys.fit.variational import District, Outcome, train
from causalsys.fit.warm import linearised, warm_start
from causalsys.mechanisms.base import Mechanism, Sample
from causalsys.mechanisms.build import build
from causalsys.mechanisms.training import Training
from causalsys.scm.blocks import Block
from causalsys.scm.declaration import Node
from causalsys.scm.specs import StandardNormal
from causalsys.scm.supports import Categorical, Support

_LEAST_ROWS = 10
_GENTLE = 0.3
"""The share of the learning rate for what starts near an optimum."""
_WORSE = 0.05
"""Nats per row by which a bound on held-out rows may stay below a linear fit's own rows."""


def fit_district(
    block: Block,
    table: Table,
    *,
    weight: Tensor,
    training: Training,
    before: Before | None = None,
) -> Parts:
    """Fit a block's latents and variables together.

    Args:
        block: The block.
        table: The data; rows with gaps in the block count only once they are imputed.
        weight: `[member, row]`.
        training: How training runs.
        before: Its last fit, from where variational training goes on.

    Raises:
        FitError: The block cannot be fitted to the table.
    """
    _check_priors(block, table)
    if has_low_rank(block, table.schema.declaration):
        return fit_state_space(block, table, weight=weight, training=training)
    if has_chain(block, table):
        return fit_markov(block, table, weight=weight, training=training)
    if len({table.schema.declaration.nodes[name].per for name in block.latents}) > 1:
        raise FitError(
            block.latents[0],
            found="latents of steps and of traces that act on the same variables",
            mend="Declare them with the same `per`.",
        )
    independences = independences_of(block, table)
    beside = sorted({name for names in independences.values() for name in names})
    scope = Scope.of(table, {}, nodes=scope_nodes(block, table), beside=beside)
    known = _known_rows(block, table)
    if known is not None:
        scope, weight = scope.take(known), weight.index_select(1, known)
    _check_rows(block, scope)
    generator = training.generator()
    scope = scope.with_mechanisms(
        {n.name: _started(n, scope, weight, generator) for n in scope.nodes if n.learned}
    )
    if is_gaussian(scope):
        best = maximise(scope, weight=weight, generator=generator)
        fitted = scope.with_mechanisms(best.mechanisms)
        return _exact(block, fitted, best, Factors.of(fitted).log_likelihood(), weight)
    if is_categorical(scope):
        best = maximise_classes(scope, weight=weight, generator=generator)
        fitted = scope.with_mechanisms(best.mechanisms)
        return _exact(block, fitted, best, summed_out(fitted, {}), weight)
    mixture = Mixture.of(scope, weight)
    if mixture is not None:
        old = before.mechanisms if before is not None else None
        best = maximise_mixture(mixture, weight=weight, generator=generator, before=old)
        fitted = scope.with_mechanisms(best.mechanisms)
        return _exact(block, fitted, best, summed_out(fitted, {}), weight)
    guide = _guide_of(block, scope, table)
    district = District(scope, guide, weight, independences)
    again = resume(district, before, training=training) if before is not None else None
    if before is None or again is None or _is_caught(again, district, generator):
        return _trained(block, _searched(district, training=training, generator=generator))
    return _trained(block, again, search=before.report)


def _is_caught(outcome: Outcome, district: District, generator: torch.Generator) -> bool:
    """Whether what went on from an old optimum did worse than the linear district of the graph."""
    weight = district.weight[:1]
    linear = linearised(district.scope, weight=weight, generator=generator)
    if linear is None:
        return False
    best = maximise(linear, weight=weight, generator=generator)
    rows = Factors.of(linear.with_mechanisms(best.mechanisms)).log_likelihood()
    floor = (weight * rows).sum() / weight.sum()
    return bool(outcome.score.max() < floor - _WORSE)


def _searched(district: District, *, training: Training, generator: torch.Generator) -> Outcome:
    """A started district, trained: from the linear one of the same graph, if there is one."""
    scope, guide, weight = district.scope, district.guide, district.weight
    if guide is not None:
        inputs = {key: scope.known[key] for key in guide.inputs}
        guide = guide.start(inputs, weight=weight, generator=generator)
    linear = linearised(scope, weight=weight, generator=generator)
    if linear is not None and guide is not None:
        scope, guide = warm_start(
            scope, linear, guide, weight=weight, training=training, generator=generator
        )
    district = replace(district, scope=scope, guide=guide)
    warmed = linear is not None
    gentle = replace(training, rate=training.rate * (_GENTLE if warmed else 1))
    return train(district, training=gentle, warmed=warmed)


def _trained(block: Block, outcome: Outcome, *, search: DistrictReport | None = None) -> Parts:
    """The parts of a trained district; `search` is how its optimum was found, if before."""
    trained = outcome.district
    report = DistrictReport(
        block.latents,
        block.variables,
        method="variational",
        log_likelihood=float(outcome.score[0]),
        restarts=search.restarts if search else len(outcome.score),
        agreeing=search.agreeing if search else outcome.agreeing,
        converged=search.converged if search else outcome.converged,
        independences=trained.independences,
    )
    guides = () if trained.guide is None else (trained.guide,)
    return Parts(dict(trained.scope.mechanisms), guides, _reports(block, trained.scope), (report,))


def _check_priors(block: Block, table: Table) -> None:
    """Refuse priors on slopes where latents last, whose fits do not know them."""
    declaration = table.schema.declaration
    if not (has_low_rank(block, declaration) or has_chain(block, table)):
        return
    for name in block.variables:
        if getattr(declaration.nodes[name].mechanism, "prior", ()):
            raise FitError(
                name,
                found="a prior on slopes beside a latent that lasts from step to step",
                mend="Drop the prior, or declare the latent as new in every step.",
            )


def _check_rows(block: Block, scope: Scope) -> None:
    """Refuse data from which no latent can be told."""
    told = ", ".join(block.latents)
    if scope.rows < _LEAST_ROWS:
        raise FitError(
            block.variables[0],
            found=f"{scope.rows} row{'s' * (scope.rows > 1)} to tell the latent {told} from",
            mend=f"Give at least {_LEAST_ROWS}.",
        )
    for name in block.variables:
        value = scope.known[name]
        categorical = isinstance(scope.schema.supports[name], Categorical)
        if not categorical and bool((value == value[:, :1]).all()):
            raise FitError(
                name,
                found=f"a constant column, which cannot tell the latent {told}",
                mend="Give data in which it varies, or leave it out of the model.",
            )


def _exact(block: Block, fitted: Scope, best: Maximum, likelihood: Tensor, weight: Tensor) -> Parts:
    """The parts of a district whose likelihood, `[member, row]`, is known exactly."""
    report = DistrictReport(
        block.latents,
        block.variables,
        method="exact",
        log_likelihood=float((weight[0] * likelihood[0]).sum() / weight[0].sum()),
        restarts=best.attempts,
        agreeing=best.agreeing,
        converged=best.converged,
    )
    return Parts(dict(best.mechanisms), (), _reports(block, fitted), (report,))


def _reports(block: Block, scope: Scope) -> dict[str, VariableReport]:
    return {
        name: VariableReport(
            family=type(scope.mechanisms[name].spec).__name__,
            reason="fitted together with its latent parents",
            rows=scope.rows,
            warnings=scope.mechanisms[name].notes,
        )
        for name in (*block.latents, *block.variables)
    }


def scope_nodes(block: Block, table: Table) -> list[Node]:
    """The block's variables with the unobserved equations between them, in causal order.

    Raises:
        FitError: The block needs a latent as it was in an earlier step.
    """
    nodes = table.schema.declaration.nodes
    inside = {*block.latents, *block.variables}
    found: list[Node] = []
    for node in nodes.values():
        hidden = [p for p in node.parents if p.name in inside and nodes[p.name].kind == "latent"]
        hidden += [p for p in node.parents if any(f.name == p.name and f.function for f in found)]
        computed = node.function is not None and hidden and node.name not in table.values
        if node.name not in inside and not computed:
            continue
        lagged = [parent.name for parent in hidden if parent.lag]
        if lagged:
            raise FitError(
                node.name,
                found=f"the latent {lagged[0]} of an earlier step among its causes",
                mend="Latents with a memory are not fitted yet: use per='trace', or drop the lag.",
            )
        found.append(node)
    return found


def independences_of(block: Block, table: Table) -> dict[str, tuple[str, ...]]:
    """For each continuous latent, the logged variables that the graph separates from it."""
    graph = table.schema.declaration.graph
    among: dict[str, Support] = {
        node.name: table.schema.supports[node.name]
        for node in table.schema.needed
        if node.name in table.values and node.name not in table.missing
    }
    return {
        name: independent_of(graph, name, among=among)
        for name in block.latents
        if not isinstance(table.schema.supports[name], Categorical)
    }


def _guide_of(block: Block, scope: Scope, table: Table) -> Guide | None:
    """The guide of a block's continuous latents.

    It looks at all that is known in the block, and at what the latents are independent of.
    """
    supports = table.schema.supports
    latents = [n for n in block.latents if not isinstance(supports[n], Categorical)]
    if not latents:
        return None
    per = {table.schema.declaration.nodes[name].per for name in latents}
    keys = {ref.key: supports[ref.name] for node in scope.nodes for ref in node.parents}
    inputs = {key: keys.get(key) or supports[key] for key in sorted(scope.known)}
    sizes = tuple(noise_size(scope.mechanisms[name].noise_shape) for name in latents)
    return Guide(tuple(latents), sizes, inputs, per_trace=per == {"trace"})


def _started(node: Node, scope: Scope, weight: Tensor, generator: torch.Generator) -> Mechanism:
    """A node's mechanism with a first guess from what is known of it."""
    assert node.mechanism is not None
    parents = {ref.key: scope.schema.supports[ref.name] for ref in node.parents}
    mechanism = build(node.mechanism, scope.schema.supports[node.name], parents=parents)
    value = scope.known.get(node.name)
    if value is None:
        value = _prior_draw(mechanism, scope.rows, generator)
    given = {key: scope.known[key] for key in parents if key in scope.known}
    return mechanism.start(Sample(value, given, weight), generator=generator)


def _prior_draw(mechanism: Mechanism, rows: int, generator: torch.Generator) -> Tensor:
    """Values on a latent's scale, to start its mechanism from: it has none in the data."""
    support = mechanism.support
    if isinstance(support, Categorical):
        # Uneven on purpose: equal frequencies are a saddle of the likelihood.
        share = torch.rand(support.cardinality, generator=generator) + 0.5
        shape = (1, rows, *([support.size] if support.size else []))
        codes = torch.multinomial(
            share, num_samples=noise_size(shape), replacement=True, generator=generator
        )
        return codes.reshape(shape)
    empty = Sample(torch.zeros(1, 1), {}, torch.ones(1, 1))
    prior = build(StandardNormal(), support, parents={}).start(empty, generator=generator)
    return prior.push(prior.draw_noise((1, rows), generator=generator), {})


def _known_rows(block: Block, table: Table) -> Tensor | None:
    """The rows in which everything of the block is known; None when these are all rows."""
    if table.imputed or not table.missing:
        return None
    known = torch.ones(table.rows, dtype=torch.bool)
    for name in block.variables:
        complete = table.complete(table.schema.declaration.nodes[name])
        if complete is not None:
            known &= complete
    if bool(known.all()):
        return None
    if not bool(known.any()):
        raise FitError(
            block.variables[0],
            found="no row in which its district's variables are all known",
            mend="Give data that have them together.",
        )
    return known.nonzero()[:, 0]
