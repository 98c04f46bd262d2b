"""Does a model of latents hold against one that leaves their variables free?

Where latents are fewer than the covariances they explain, the model says something that can be
wrong. Its likelihood is compared with that of the saturated model, which predicts each variable
of the district from all that comes before (the factorisation of Tian and Pearl, 2002); twice the
difference is chi-square (Wilks, 1938; for factor models Lawley, 1940).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causalsys.data.table import Table
from causalsys.fit.classes import is_categorical
from causalsys.fit.district import scope_nodes
from causalsys.fit.factors import Factors, is_gaussian
from causalsys.fit.fitted import Fitted
from causalsys.fit.joint import Scope
from causalsys.fit.posterior import summed_out
from causalsys.mechanisms.links import log_slope
from causalsys.mechanisms.packing import pack, unpack
from causalsys.scm.blocks import Block
from causalsys.scm.supports import Categorical

_STEP = 1e-4
_FLAT = 1e-5
"""A direction in which the likelihood changes by a smaller share than this is no parameter."""
_FEW = 5
"""Rows per cell of a table below which a chi-square is no good guide."""
_ROWS = 2000


@dataclass(frozen=True)
class Overidentification:
    """A likelihood-ratio test of latents against the saturated model.

    Attributes:
        statistic: Twice the difference of the log likelihoods.
        freedom: By how many parameters the models differ; 0 where nothing can be tested.
        p_value: Of the model that has the latents.
    """

    statistic: float
    freedom: int
    p_value: float


def overidentification(
    fitted: Fitted, table: Table, *, latents: Sequence[str], variables: Sequence[str]
) -> Overidentification | str:
    """Test the latents of some variables, as they are fitted.

    Args:
        fitted: The model.
        table: The rows that it was fitted to.
        latents: The latents of the district; none, to test that there are none.
        variables: The variables that they tie, or would tie.

    Returns:
        The test, or why there is none.
    """
    nodes = scope_nodes(Block(tuple(latents), tuple(variables)), table)
    mechanisms = {
        name: m.members(torch.zeros(1, dtype=torch.int64)) for name, m in fitted.mechanisms.items()
    }
    scope = Scope.of(table, mechanisms, nodes=nodes)
    if table.missing:
        return "cells are missing"
    if is_gaussian(scope):
        free, parameters = _saturated_normal(Factors.of(scope))
    elif is_categorical(scope):
        cells = _saturated_table(scope)
        if cells is None:
            return f"fewer than {_FEW} rows for a cell of the table"
        free, parameters = cells
    else:
        return "the likelihood is not exact here"
    freedom = parameters - _dimension(scope)
    if freedom <= 0:
        return "the latents explain any such data: nothing is left to test"
    from scipy.stats import chi2

    statistic = max(0.0, 2 * (free - float(_likelihood(scope).sum())))
    return Overidentification(statistic, freedom, float(chi2.sf(statistic, freedom)))


def _likelihood(scope: Scope) -> Tensor:
    """The log likelihood of each row, `[row]`."""
    with torch.no_grad():
        if not any(node.kind == "latent" for node in scope.nodes):
            return scope.sweep({})[1][0]
        if is_gaussian(scope):
            return Factors.of(scope).log_likelihood()[0]
        return summed_out(scope, {})[0]


def _dimension(scope: Scope) -> int:
    """How many parameters the data can see: the rank of the scores of the rows.

    Turning the latents about, say, changes parameters and no likelihood.
    """
    few = scope.take(torch.arange(min(scope.rows, _ROWS)))
    names = {
        node.name: [
            key for key in m.state if not key.startswith(m.constants) and m.state[key].numel()
        ]
        for node in few.nodes
        for m in [few.mechanisms[node.name]]
    }
    columns = []
    for name, keys in names.items():
        mechanism = few.mechanisms[name]
        if not keys:
            continue
        point = pack(mechanism.state, keys)
        for place in range(point.shape[1]):
            ends = []
            for sign in (1, -1):
                moved = point.clone()
                moved[0, place] += sign * _STEP
                changed = mechanism.with_state(unpack(moved, mechanism.state, keys))
                ends.append(_likelihood(few.with_mechanisms({**few.mechanisms, name: changed})))
            columns.append((ends[0] - ends[1]) / (2 * _STEP))
    return _rank(torch.stack(columns, -1).numpy(), _FLAT)


def _rank(columns: NDArray[np.float64], tolerance: float) -> int:
    scale = np.sqrt((columns**2).mean(axis=0))
    values = np.linalg.svd(columns[:, scale > 1e-12] / scale[scale > 1e-12], compute_uv=False)
    return int((values > tolerance * values[0]).sum()) if len(values) else 0


def _saturated_normal(factors: Factors) -> tuple[float, int]:
    """The log likelihood of each variable's regression on all before, and the parameters."""
    lines, designs = list[NDArray[np.float64]](), list[NDArray[np.float64]]()
    total, parameters = 0.0, 0
    for node in factors.variables:
        mechanism = factors.mechanism(node)
        line = mechanism.line(factors.scope.known[node.name])[0]
        design = mechanism.columns(factors.plain(node))
        if design is not None:
            designs.append(design[0][:, factors.observed(node)].numpy())
        columns = [np.ones((len(line), 1)), *designs, *(each[:, None] for each in lines)]
        before = np.concatenate(columns, axis=1)
        left = line.numpy() - before @ np.linalg.lstsq(before, line.numpy(), rcond=None)[0]
        slope = log_slope(
            factors.scope.known[node.name],
            support=mechanism.support,
            offset=mechanism.state["offset"],
        )
        total += float(slope.sum()) - 0.5 * len(left) * (np.log(2 * np.pi * (left**2).mean()) + 1)
        parameters += _rank(before, 1e-9) + 1
        lines.append(line.numpy())
    return total, parameters


def _saturated_table(scope: Scope) -> tuple[float, int] | None:
    """The same of categories: each one's frequencies for every combination of those before."""
    before = list[NDArray[np.int64]]()
    total, parameters = 0.0, 0
    for node in scope.nodes:
        if node.kind == "latent":
            continue
        hidden = {each.name for each in scope.nodes if each.kind == "latent"}
        before += [scope.known[r.key][0].numpy() for r in node.parents if r.name not in hidden]
        value = scope.known[node.name][0].numpy()
        size = cast(Categorical, scope.schema.supports[node.name]).cardinality
        keys = np.stack(before, axis=-1) if before else np.zeros((len(value), 1), dtype=np.int64)
        _, group = np.unique(keys, axis=0, return_inverse=True)
        counts = np.zeros((int(group.max()) + 1, size))
        np.add.at(counts, (group.ravel(), value), 1)
        if len(value) / counts.size < _FEW:
            return None
        share = counts / counts.sum(axis=1, keepdims=True)
        total += float((counts * np.log(np.where(counts > 0, share, 1))).sum())
        parameters += len(counts) * (size - 1)
        before.append(value)
    return total, parameters


__all__ = ["Overidentification", "overidentification"]
