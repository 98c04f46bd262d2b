"""The questions: counterfactuals of rows, samples of a model, likelihoods."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causalsys.data.read import read
from causalsys.data.table import Layout, Table
from causalsys.engine.base import one_thread
from causalsys.errors import EvidenceError, QueryError
from causalsys.fit.abduct import Abducted, abduct
from causalsys.fit.fitted import Fitted
from causalsys.query.answer import Answer
from causalsys.query.asked import by_row, condition, count, named, titles, world, worlds
from causalsys.query.intervention import Do, Under, Value, as_intervention
from causalsys.query.terms import Terms
from causalsys.query.world import Rows, Unfolding, World
from causalsys.scm.declaration import Node
from causalsys.scm.order import reached

if TYPE_CHECKING:
    import pandas as pd

_DRAWS = 128
"""Samples where something is drawn, rather than determined by the evidence."""


@one_thread()
def counterfactual(
    fitted: Fitted,
    evidence: object,
    *,
    do: Do | Sequence[Do],
    outcome: str | None = None,
    allow: str | None = None,
    redraw: Sequence[str] = (),
    differs: Sequence[str] = (),
    samples: int | None = None,
    seed: int = 0,
) -> Answer:
    """What these rows would have been; see `FittedSCM.counterfactual`."""
    dos, seed = worlds(do), count(seed, "seed", least=0)
    draws = None if samples is None else count(samples, "samples")
    terms = Terms(fitted, outcome, allow, differs=differs, redraw=redraw)
    table = read(fitted.schema, evidence, purpose="evidence")
    take = draws or samples_for(fitted, table, terms.redraw, dos=dos)

    def ask(model: Fitted) -> Answer:
        found = abduct(model, table, samples=take, seed=seed)
        return _answer(model, found, dos, terms=terms, evidence=told_by(table))

    return terms.settled(ask, dos, seed=seed)


@one_thread()
def sample(
    fitted: Fitted,
    rows: int,
    *,
    do: Do | Sequence[Do] | None,
    given: Mapping[str, Any] | None,
    outcome: str | None = None,
    allow: str | None = None,
    differs: Sequence[str] = (),
    steps: int,
    samples: int | None,
    seed: int,
) -> Answer:
    """New rows of the model; see `FittedSCM.sample`."""
    rows, steps, seed = count(rows, "rows"), count(steps, "steps"), count(seed, "seed", least=0)
    draws = fitted.members if samples is None else count(samples, "samples")
    dos = worlds({} if do is None else do)
    if steps > 1 and not fitted.declaration.temporal:
        raise QueryError(
            "steps", found=f"{steps} steps of a model without lags or states", mend="Use rows."
        )
    terms = Terms(fitted, outcome, allow, differs=differs)

    def ask(model: Fitted) -> Answer:
        if given is not None and given != {}:
            return _conditional(
                model, rows, dos, given=given, terms=terms, samples=draws, seed=seed
            )
        return _drawn(model, rows, dos, terms=terms, steps=steps, samples=draws, seed=seed)

    return terms.settled(ask, dos, seed=seed)


def _drawn(
    fitted: Fitted,
    rows: int,
    dos: Sequence[Do],
    *,
    terms: Terms,
    steps: int,
    samples: int,
    seed: int,
) -> Answer:
    """Rows with noise from its law."""
    import pandas as pd

    draws = samples
    trace = torch.arange(rows).repeat_interleave(steps)
    layout = Layout(trace, torch.arange(steps).repeat(rows))
    members = torch.arange(draws) % fitted.members
    mechanisms = {name: m.members(members) for name, m in fitted.mechanisms.items()}
    noises: dict[str, Tensor] = {}

    def noise_of(node: Node, at: Rows) -> Tensor:
        if node.name not in noises:
            generator = torch.Generator().manual_seed(zlib.crc32(f"{seed}/{node.name}".encode()))
            units = rows if node.per == "trace" else len(trace)
            drawn = mechanisms[node.name].draw_noise((draws, units), generator=generator)
            noises[node.name] = drawn[:, trace] if node.per == "trace" else drawn
        return noises[node.name][:, at]

    plan = Unfolding(fitted.schema, mechanisms, noise_of, {}, layout, draws, seed)
    index = pd.RangeIndex(len(trace))
    made = [world_of(each, fitted, plan, index=index) for each in dos]
    judged = terms.judged(dos)
    values = plan.predict(made)
    if steps > 1:
        judged = terms.judged(dos, course=True)
    return Answer(
        values, {}, fitted.schema.supports, titles(dos), index, judged, members=fitted.members
    )


@one_thread()
def log_prob(fitted: Fitted, data: object) -> NDArray[np.float64]:
    """The log likelihood of each row in nats, `[row]`; see `FittedSCM.log_prob`."""
    from causalsys.query.likelihood import row_log_prob

    table = read(fitted.schema, data, purpose="fit")
    if table.missing:
        name = min(table.missing)
        raise EvidenceError(
            name, found="missing values", mend="Drop those rows: a likelihood needs them."
        )
    return row_log_prob(fitted, table)


def _conditional(
    fitted: Fitted,
    rows: int,
    dos: Sequence[Do],
    *,
    given: Mapping[str, Any],
    terms: Terms,
    samples: int,
    seed: int,
) -> Answer:
    """Rows given the values of some variables.

    Conditions that no intervention reaches hold before and after it, so abduction answers
    them; one below an intervention would have to be abducted in the changed world.
    """
    columns = condition(fitted, given, rows=rows)
    graph = fitted.declaration.graph
    for each in dos:
        for name in each:
            changed = {fitted.node(name).name, *graph.descendants(name)}
            both = sorted(changed & {named(key) for key in given})
            if both:
                raise QueryError(
                    both[0],
                    found=f"given, although do({name}) changes it",
                    mend="Condition on what the intervention does not reach, or draw rows and "
                    "select among them.",
                )
    table = read(fitted.schema, columns, purpose="evidence")
    found = abduct(fitted, table, samples=samples, seed=seed)
    names = [named(key) for key in given]
    return _answer(fitted, found, dos, terms=terms, given=names)


def _answer(
    fitted: Fitted,
    found: Abducted,
    dos: Sequence[Do],
    *,
    terms: Terms,
    evidence: Sequence[frozenset[str]] = (),
    given: Sequence[str] = (),
) -> Answer:
    """Act and predict, once the rows have been abducted."""
    plan, index = plan_of(fitted, found, redraw=terms.redraw), found.table.index
    made = [world_of(each, fitted, plan, index=index) for each in dos]
    judged = terms.judged(dos, evidence=evidence, given=given)
    return Answer(
        plan.predict(made),
        found.table.values,
        fitted.schema.supports,
        titles(dos),
        index,
        judged,
        found.inferred,
        members=fitted.members,
    )


def plan_of(fitted: Fitted, found: Abducted, *, redraw: frozenset[str] = frozenset()) -> Unfolding:
    """How to roll rows forward: under their own noise, or new noise for `redraw`."""

    def noise_of(node: Node, at: Rows) -> Tensor:
        if node.name not in redraw:
            return found.noise_of(node, at)
        layout = found.table.layout
        traced = node.per == "trace"
        start = 0 if traced else at.start if isinstance(at, slice) else int(at[0])
        seed = zlib.crc32(f"{found.seed}/{node.name}/{start}/anew".encode())
        count = layout.traces if traced else len(layout.position[at])
        drawn = found.mechanisms[node.name].draw_noise(
            (found.samples, count), generator=torch.Generator().manual_seed(seed)
        )
        return drawn[:, layout.trace[at]] if traced else drawn

    def carry(node: Node, at: Rows, changed: Mapping[str, Tensor]) -> Tensor | None:
        return None if node.name in redraw else found.carry(node, at, changed)

    return Unfolding(
        fitted.schema,
        found.mechanisms,
        noise_of,
        found.table.values,
        found.table.layout,
        found.samples,
        found.seed,
        redraw,
        carry,
        found.told - redraw,
    )


def world_of(do: Do, fitted: Fitted, plan: Unfolding, *, index: pd.Index[Any]) -> World:
    """What a user wrote after `do=`, checked; nested worlds are predicted first."""
    found = {}
    for name, given in world(do).items():
        support = fitted.schema.supports[fitted.node(name).name]
        if isinstance(given, Under):
            inner = plan.predict([world_of(given.do, fitted, plan, index=index)])
            given = Value(inner[name][0] if name in inner else plan.factual[name])
        found[name] = as_intervention(
            by_row(given, name, layout=plan.layout, index=index, vector=bool(support.size)),
            name=name,
            support=support,
            rows=len(index),
            supports=fitted.schema.supports,
        )
    return found


def _below(fitted: Fitted, dos: Sequence[Do] | None) -> set[str]:
    """The learned variables whose noise matters once something is done: those that are reached.

    In traces a policy may be all that is done, and then what no policy reaches asks for no draws.
    """
    learned = set(fitted.mechanisms)
    if dos is None or not fitted.declaration.temporal:
        return learned
    effects: dict[str, list[str]] = {}
    for edge in fitted.declaration.graph.edges:
        effects.setdefault(edge.cause, []).append(edge.effect)
    done = {named(key) for do in dos for key in do}
    if any(isinstance(value, Under) for do in dos for value in do.values()):
        return learned
    return learned & reached({effect for name in done for effect in effects.get(name, ())}, effects)


def told_by(table: Table) -> list[frozenset[str]]:
    """What is known of the rows, for each way in which they are known.

    The graph may carry a question from less and not from more: a row that tells its outcome, too,
    asks for its own noise.
    """
    known, gaps = table.unkept.union(table.values), sorted(table.missing)
    if not gaps:
        return [known]
    each = torch.stack([table.missing[name] for name in gaps], -1).unique(dim=0)
    return [known.difference(n for n, gap in zip(gaps, row, strict=True) if gap) for row in each]


def samples_for(
    fitted: Fitted,
    table: Table,
    redraw: frozenset[str] = frozenset(),
    *,
    dos: Sequence[Do] | None = None,
) -> int:
    """How many draws an answer deserves: more, where something beyond parameters is drawn."""
    nodes = fitted.declaration.nodes.values()
    drawn = any(
        node.learned and (node.name not in table.values or node.name in table.missing)
        for node in nodes
    )
    drawn = drawn or bool(redraw)
    below = _below(fitted, dos)
    drawn = drawn or any(not fitted.mechanisms[name].bijective for name in below)
    return max(_DRAWS, fitted.members) if drawn else fitted.members


__all__ = [
    "counterfactual",
    "log_prob",
    "plan_of",
    "sample",
    "samples_for",
    "told_by",
    "world_of",
]
