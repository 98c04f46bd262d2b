"""Rivals: models that fit as well as the fitted one, and answer as differently as they can.

Where a question is not identified, an answer is the spread over them (Nasr-Esfahany and Kıcıman,
arXiv 2301.09031, 2023: the worst-case counterfactual error, by training a second model that
agrees with the first on what is observed). A fitted model keeps no data, so a rival is judged on
rows that the fitted model generates: there it may be at most `TOLERANCE` nats less likely, over
as many rows as the fit had, which data of that size could not tell apart.

The search has limits, and a spread is no wider than they let it be: rivals are of the families
that were declared, the latents' number and priors stay, and no latent explains more than
`1 - LEAST_NOISE` of what a variable's observed causes leave.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from causalsys.data.derived import derive
from causalsys.data.table import Layout, Table
from causalsys.errors import QueryError
from causalsys.fit.district import scope_nodes
from causalsys.fit.fitted import Fitted
from causalsys.fit.joint import Scope
from causalsys.fit.rival import Part, Posterior
from causalsys.fit.rival_guide import follow
from causalsys.fit.rival_search import TOLERANCE, Effort, Found, Search
from causalsys.mechanisms.base import Mechanism, gumbel_of_normal
from causalsys.query.asked import count, world
from causalsys.query.intervention import Do, Intervention, Under, as_intervention
from causalsys.query.smooth import Outcome
from causalsys.scm.blocks import blocks
from causalsys.scm.supports import Categorical

_ROWS = 1024
_EXACT = Effort(near=(0.02, 0.1, 0.3, 0.3, *8 * (1.0,), *8 * (2.0,)), taught=0, each=3, steps=60)
_NODES = Effort(near=(0.02, 0.3), taught=8, each=1, steps=40)
"""Where latents are looked at over nodes, a row costs as many times more."""
_GROUPS, _ALIKE = 3, 0.02
"""Groups of rows, and how close answers are that count as one, in the outcome's spreads."""
_FAR = 5.0
"""Spreads beyond which a change counts by its logarithm, so that no tail of rows is all."""


def rivals(
    fitted: Fitted, *, do: Do, outcome: str, unit: bool, seed: int = 0
) -> tuple[Fitted, ...]:
    """The fitted model, and rivals that push its answer up, down, and apart.

    Args:
        fitted: The model.
        do: What is done, as in `FittedSCM.counterfactual`; one world. Values given row by row
            are dealt out over the rows that are drawn.
        outcome: The variable whose answers are to differ.
        unit: Whether rows keep their noises (a counterfactual): there are then rivals whose
            answers differ row by row, though their mean may not.
        seed: Fixes the rows, and the starts.

    Returns:
        The fitted model first; it alone, where what is done does not reach the outcome.

    Raises:
        QueryError: The model has states, lags or latents of traces, or a question in `do` nests
            another; or the search found no rival.
        UnknownNameError: A name is not in the model.
    """
    node = fitted.node(outcome)
    _refuse_traces(fitted)
    seed, first = count(seed, "seed", least=0), _collapsed(fitted)
    table = _drawn(first, _ROWS, seed)
    asked = _asked(table, do, outcome=node.name, unit=unit)
    parts = _parts(first, asked)
    if not parts:
        return (fitted,)
    effort = _EXACT
    if any(part.nodes is not None for part in parts):
        effort = _NODES if unit else replace(_NODES, each=2)
    with torch.no_grad():
        plain = asked.expected(first.mechanisms, [p.posterior(first.mechanisms) for p in parts])
    aims = _Aims(asked, plain, first.mechanisms)
    search = Search(parts, aims, rows=_rows(fitted, parts))
    found = search.run(effort, generator=torch.Generator().manual_seed(seed))
    best = _best(found)
    if not best:
        # One number alone would pass for an answer.
        raise QueryError(
            node.name,
            found="no rival that fits as well, where the search ended",
            mend="Ask with another seed; or declare fewer latents, or log one of them.",
        )
    return (fitted, *_assembled(fitted, found, best))


class _Aims:
    """What rivals are to have as large as they can, in units of the outcome's spread."""

    def __init__(self, asked: Outcome, plain: Tensor, mechanisms: Mapping[str, Mechanism]) -> None:
        self.asked, self.plain, self.others = asked, plain, mechanisms
        self.spread = _spread(asked.table, asked.outcome, plain)
        rows = plain.shape[1]
        weights = [torch.ones(rows, dtype=torch.float64)]
        if asked.unit:
            weights += _groups(asked)
        self.weight = torch.stack(weights) / rows

    def __call__(self, mechanisms: dict[str, Mechanism], latents: Sequence[Posterior]) -> Tensor:
        """Every aim, `[start, aim]`."""
        moved = self.asked.expected({**self.others, **mechanisms}, latents) - self.plain
        moved = _FAR * torch.asinh(moved / self.spread / _FAR)
        each = torch.einsum("wr,srk->swk", self.weight, moved).flatten(1)
        found = [each, -each]
        if self.asked.unit:
            square = moved.square().sum(-1).mean(-1, keepdim=True)
            found.append((square + 1e-6).sqrt())
        return torch.cat(found, -1)


def _groups(asked: Outcome) -> list[Tensor]:
    """Weights of groups of rows: a rival may raise some of them and leave, or lower, others.

    Thirds of the first number that is done something to; else of the outcome, or its levels.
    """
    supports, values = asked.table.schema.supports, asked.table.values
    numbers = [name for name in sorted(asked.do) if not isinstance(supports[name], Categorical)]
    for name in (*numbers, asked.outcome):
        value = values.get(name)
        if value is None or value.dim() > 2:
            continue
        if isinstance(supports[name], Categorical):
            place = value[0].clamp(max=_GROUPS - 1)
        else:
            place = value[0].double().argsort().argsort() * _GROUPS // value.shape[1]
        shares = [(place == group).double() for group in range(_GROUPS)]
        return [share / share.mean() for share in shares if bool(share.any())]
    return []


def _spread(table: Table, name: str, plain: Tensor) -> Tensor:
    """The outcome's standard deviation, by column; of a level, that of its indicator."""
    value, support = table.values.get(name), table.schema.supports[name]
    if value is None:
        return plain[0].std(0).clamp(min=1e-9)
    if isinstance(support, Categorical):
        levels = torch.arange(1, max(support.cardinality, 2))
        share = (value[0].unsqueeze(-1) == levels).double().mean(0)
        return (share * (1 - share)).clamp(min=1e-4).sqrt()
    value = value[0].double()
    return (value if support.size else value.unsqueeze(-1)).std(0).clamp(min=1e-9)


def _best(found: Found) -> list[int]:
    """For each aim the start that came furthest and fits as well; none where none did.

    One that answers as another does is left out.
    """
    allowed = (found.deficit <= 1.02 * TOLERANCE) & torch.isfinite(found.values).all(-1)
    chosen: list[int] = []
    for aim in range(found.values.shape[1]):
        reach = torch.where((found.aim == aim) & allowed, found.values[:, aim], -torch.inf)
        best = int(reach.argmax())
        apart = (found.values[chosen] - found.values[best]).abs().amax(-1)
        if float(reach[best]) > 0 and not bool((apart < _ALIKE).any()):
            chosen.append(best)
    return chosen


def _assembled(fitted: Fitted, found: Found, chosen: list[int]) -> list[Fitted]:
    """A model for each chosen start; what was not searched stays as it is."""
    if not chosen:
        return []
    index = torch.tensor(chosen)
    mechanisms = {name: m.members(index) for name, m in found.mechanisms.items()}
    followed = {}
    for part in found.parts:
        guide = follow(part.members(index), mechanisms)
        if guide is not None:
            followed[guide.latents] = guide
    models = []
    for place in range(len(chosen)):
        alike = torch.full((fitted.members,), place)
        own = {name: m.members(alike) for name, m in mechanisms.items()}
        guides = tuple(
            followed[guide.latents].members(alike) if guide.latents in followed else guide
            for guide in fitted.guides
        )
        models.append(replace(fitted, mechanisms={**fitted.mechanisms, **own}, guides=guides))
    return models


def _parts(first: Fitted, asked: Outcome) -> list[Part]:
    """What rivals may change: every block that decides the outcome once something is done."""
    replaced = {name for name, each in asked.do.items() if name not in each.reads}
    open_names = {node.name for node in asked.path} - replaced
    found = []
    for block in blocks(first.declaration):
        nodes = scope_nodes(block, asked.table)
        if not any(node.name in open_names for node in nodes):
            continue
        guide = next((g for g in first.guides if set(g.latents) <= set(block.latents)), None)
        beside = [key for key in (guide.inputs if guide else ()) if key in asked.table.values]
        scope = Scope.of(asked.table, first.mechanisms, nodes=nodes, beside=beside)
        part = Part.of(scope, guide)
        if part.trained:
            found.append(part)
    return found


def _asked(table: Table, do: Do, *, outcome: str, unit: bool) -> Outcome:
    supports, nodes = table.schema.supports, table.schema.declaration
    found: dict[str, Intervention] = {}
    for key, given in world(do).items():
        name = nodes.node(key).name
        if isinstance(given, Under):
            raise QueryError(
                name,
                found="a nested question, whose spread is not searched for",
                mend="Give the value itself, or a function.",
            )
        found[name] = as_intervention(
            _dealt(given, table.rows, vector=bool(supports[name].size)),
            name=name,
            support=supports[name],
            rows=table.rows,
            supports=supports,
        )
    return Outcome.of(table, found, outcome=outcome, unit=unit)


def _dealt(given: Any, rows: int, *, vector: bool) -> Any:
    """Values given row by row, dealt out over as many rows as there are."""
    import pandas as pd

    if isinstance(given, Tensor):
        given = given.detach().numpy()
    if not isinstance(given, list | tuple | np.ndarray | pd.Series | pd.Index):
        return given
    values = np.asarray(given)
    if values.ndim != (2 if vector else 1) or len(values) < 2:
        return given
    return values[np.arange(rows) % len(values)]


def _drawn(first: Fitted, rows: int, seed: int) -> Table:
    """Rows that the fitted model generates, without their latents.

    The noises are points of a scrambled Sobol sequence (Owen, 1998), which fill their law evenly:
    as many random rows would be less than the law itself, and rivals would fit what is luck.
    """
    import pandas as pd

    schema, layout = first.schema, Layout.single(rows)
    nodes = list(first.declaration.nodes.values())
    learned = [node.name for node in nodes if node.learned]
    sizes = [math.prod(first.mechanisms[name].noise_shape) for name in learned]
    engine = torch.quasirandom.SobolEngine(sum(sizes), scramble=True, seed=seed)
    uniform = engine.draw(rows, dtype=torch.float64).clamp(1e-9, 1 - 1e-9)
    noises = {}
    for name, part in zip(learned, torch.special.ndtri(uniform).split(sizes, -1), strict=True):
        mechanism = first.mechanisms[name]
        normal = part.reshape(1, rows, *mechanism.noise_shape)
        noises[name] = normal if mechanism.noise == "normal" else gumbel_of_normal(normal)
    scope = Scope(schema, first.mechanisms, nodes, {}, {}, layout)
    with torch.no_grad():
        values, _ = scope.sweep(noises)
    known = {
        node.name: values[node.name].expand(1, rows, *values[node.name].shape[2:])
        for node in schema.needed
    }
    weight = torch.ones(rows, dtype=torch.float64)
    return derive(Table(schema, known, {}, weight, layout, pd.RangeIndex(rows)), refusal=QueryError)


def _collapsed(fitted: Fitted) -> Fitted:
    """The model with its first member alone, which has the fit itself as its parameters."""
    index = torch.zeros(1, dtype=torch.int64)
    return Fitted(
        fitted.schema,
        {name: m.members(index) for name, m in fitted.mechanisms.items()},
        tuple(guide.members(index) for guide in fitted.guides),
        1,
        fitted.seed,
        fitted.diagnostics,
    )


def _rows(fitted: Fitted, parts: Sequence[Part]) -> int:
    """How many rows the parts were fitted to: the fewest of any variable."""
    reports = fitted.diagnostics.variables
    names = [name for part in parts for name in part.trained if name in reports]
    counts = [reports[name].rows for name in names if reports[name].rows]
    return min(counts, default=max(fitted.diagnostics.rows, 1))


def _refuse_traces(fitted: Fitted) -> None:
    nodes = fitted.declaration.nodes.values()
    tied = any(node.kind == "latent" and node.per == "trace" for node in nodes)
    if fitted.declaration.temporal or tied:
        raise QueryError(
            "allow",
            found=f"the spread of {fitted.declaration.name}, which has states, lags or traces",
            mend="Rivals are searched for in models of independent rows alone.",
        )
