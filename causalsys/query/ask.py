"""The questions: counterfactuals of rows, samples of a model, likelihoods."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from causalsys.data.read import read
from causalsys.data.table import Layout, Table
from causalsys.errors import EvidenceError, InterventionError, QueryError
from causalsys.fit.abduct import Abducted, abduct
from causalsys.fit.fitted import Fitted
from causalsys.identify.verdict import NOT_CHECKED
from causalsys.query.answer import Answer
from causalsys.query.intervention import Do, Under, Value, as_intervention
from causalsys.query.world import Rows, Unfolding, World
from causalsys.scm.declaration import Node
from causalsys.scm.variables import Variable

_DRAWS = 128
"""Samples where something is drawn, rather than determined by the evidence."""


def counterfactual(
    fitted: Fitted,
    evidence: object,
    *,
    do: Do | Sequence[Do],
    redraw: Sequence[str] = (),
    samples: int | None = None,
    seed: int = 0,
) -> Answer:
    """What these rows would have been; see `FittedSCM.counterfactual`."""
    table = read(fitted.schema, evidence, purpose="evidence")
    luck = frozenset(_learned(fitted, name) for name in redraw)
    count = samples and _checked_count(samples, "samples")
    found = abduct(fitted, table, samples=count or _samples(fitted, table, luck), seed=seed)
    plan = _plan(fitted, found, redraw=luck)
    dos = [do] if isinstance(do, Mapping) else list(do)
    if not dos:
        raise InterventionError("do", found="no worlds", mend="Give at least one mapping.")
    values = plan.predict([_world(each, fitted, plan) for each in dos])
    return Answer(
        values,
        found.table.values,
        fitted.schema.supports,
        tuple(_told(each) for each in dos),
        table.index,
        NOT_CHECKED,
        found.inferred,
    )


def sample(
    fitted: Fitted,
    rows: int,
    *,
    do: Do | Sequence[Do] | None,
    given: Mapping[str, Any] | None,
    steps: int,
    samples: int | None,
    seed: int,
) -> Answer:
    """New rows of the model; see `FittedSCM.sample`."""
    rows, steps = _checked_count(rows, "rows"), _checked_count(steps, "steps")
    count = _checked_count(samples, "samples") if samples else fitted.members
    dos = [do or {}] if do is None or isinstance(do, Mapping) else list(do)
    if steps > 1 and not fitted.declaration.temporal:
        raise QueryError(
            "steps", found=f"{steps} steps of a model without lags or states", mend="Use rows."
        )
    if given:
        return _conditional(fitted, rows, dos, given=given, samples=count, seed=seed)
    trace = torch.arange(rows).repeat_interleave(steps)
    layout = Layout(trace, torch.arange(steps).repeat(rows))
    members = torch.arange(count) % fitted.members
    mechanisms = {name: m.members(members) for name, m in fitted.mechanisms.items()}
    noises: dict[str, Tensor] = {}

    def noise_of(node: Node, at: Rows) -> Tensor:
        if node.name not in noises:
            generator = torch.Generator().manual_seed(zlib.crc32(f"{seed}/{node.name}".encode()))
            units = rows if node.per == "trace" else len(trace)
            drawn = mechanisms[node.name].draw_noise((count, units), generator=generator)
            noises[node.name] = drawn[:, trace] if node.per == "trace" else drawn
        return noises[node.name][:, at]

    plan = Unfolding(fitted.schema, mechanisms, noise_of, {}, layout, count, seed)
    values = plan.predict([_world(each, fitted, plan) for each in dos])
    index = pd.RangeIndex(len(trace))
    told = tuple(_told(each) for each in dos)
    return Answer(values, {}, fitted.schema.supports, told, index, NOT_CHECKED)


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
    samples: int,
    seed: int,
) -> Answer:
    """Rows given the values of some variables.

    Conditions that no intervention reaches hold before and after it, so abduction answers
    them; one below an intervention would have to be abducted in the changed world.
    """
    names = [fitted.node(_name(key)).name for key in given]
    graph = fitted.declaration.graph
    for each in dos:
        for key in each:
            below = graph.descendants(fitted.node(_name(key)).name) & set(names)
            if below:
                raise QueryError(
                    min(below),
                    found=f"given, although do({_name(key)}) changes it",
                    mend="Condition on what the intervention does not reach, or draw rows and "
                    "select among them.",
                )
    columns = {name: [value] * rows for name, value in zip(names, given.values(), strict=True)}
    table = read(fitted.schema, pd.DataFrame(columns), purpose="evidence")
    found = abduct(fitted, table, samples=samples, seed=seed)
    plan = _plan(fitted, found)
    values = plan.predict([_world(each, fitted, plan) for each in dos])
    return Answer(
        values,
        found.table.values,
        fitted.schema.supports,
        tuple(_told(each) for each in dos),
        table.index,
        NOT_CHECKED,
        found.inferred,
    )


def _plan(fitted: Fitted, found: Abducted, *, redraw: frozenset[str] = frozenset()) -> Unfolding:
    """How to roll rows forward: under their own noise, or new noise for `redraw`."""

    def noise_of(node: Node, at: Rows) -> Tensor:
        if node.name not in redraw:
            return found.noise_of(node, at)
        rows = found.table.layout.position[at]
        start = at.start if isinstance(at, slice) else int(at[0])
        seed = zlib.crc32(f"{found.seed}/{node.name}/{start}/anew".encode())
        return found.mechanisms[node.name].draw_noise(
            (found.samples, len(rows)), generator=torch.Generator().manual_seed(seed)
        )

    return Unfolding(
        fitted.schema,
        found.mechanisms,
        noise_of,
        found.table.values,
        found.table.layout,
        found.samples,
        found.seed,
    )


def _world(do: Do, fitted: Fitted, plan: Unfolding) -> World:
    """What a user wrote after `do=`, checked; nested worlds are predicted first."""
    if not isinstance(do, Mapping):
        raise InterventionError(
            "do", found=repr(do), mend='Give a mapping: do={"server": 3}, or a list of them.'
        )
    rows = len(plan.layout.trace)
    world = {}
    for key, given in do.items():
        node = fitted.node(_name(key))
        support = fitted.schema.supports[node.name]
        if isinstance(given, Under):
            inner = plan.predict([_world(given.do, fitted, plan)])
            value = inner[node.name][0] if node.name in inner else plan.factual[node.name]
            given = Value(value)
        world[node.name] = as_intervention(
            given, name=node.name, support=support, rows=rows, supports=fitted.schema.supports
        )
    return world


def _learned(fitted: Fitted, name: str) -> str:
    fitted.mechanism(name)
    return name


def _samples(fitted: Fitted, table: Table, redraw: frozenset[str] = frozenset()) -> int:
    """How many draws an answer deserves: more, where something beyond parameters is drawn."""
    nodes = fitted.declaration.nodes.values()
    drawn = any(
        node.learned and (node.name not in table.values or node.name in table.missing)
        for node in nodes
    )
    drawn = drawn or bool(redraw)
    drawn = drawn or any(not mechanism.bijective for mechanism in fitted.mechanisms.values())
    return max(_DRAWS, fitted.members) if drawn else fitted.members


def _checked_count(value: object, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise QueryError(name, found=repr(value), mend="Give a whole number of at least 1.")
    return int(value)


def _name(key: object) -> str:
    return key.name if isinstance(key, Variable) else str(key)


def _told(do: Do) -> str:
    if not do:
        return "nothing done"
    return ", ".join(f"{_name(key)} := {_short(value)}" for key, value in do.items())


def _short(value: object) -> str:
    if callable(value):
        label = getattr(value, "__name__", type(value).__name__)
        return "a function" if label == "<lambda>" else label
    if isinstance(value, Under):
        return f"({_told(value.do)})"
    if np.ndim(np.asarray(value, dtype=object)):
        return "one per row"
    return str(value)


__all__ = ["counterfactual", "log_prob", "sample"]
