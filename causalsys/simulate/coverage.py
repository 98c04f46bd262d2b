"""Does a simulation leave the region that the data cover?

A mechanism was learned where its causes had been together with such a noise; elsewhere it is
extrapolated. For each learned variable that a policy reaches, a simulated row counts as covered
where a recorded row is as near as recorded rows are to each other, the discrete causes being equal:
nearest neighbours in the continuous causes and in the noise, each on the scale of its own ranks, so
that no unit and no tail decides what is near.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from causalsys.data.table import Table
from causalsys.fit.abduct import Abducted
from causalsys.fit.fitted import Fitted
from causalsys.scm.declaration import Node
from causalsys.scm.supports import Categorical

_RECORDED, _SIMULATED = 20_000, 10_000
"""Rows that are compared, drawn at random: shares are then right to about one per cent."""
_USUAL = 0.99
"""The share of recorded rows that by definition lie within the region."""
_FEW = 20
"""Recorded rows of one combination of levels below which nothing is covered there."""


@dataclass(frozen=True)
class Coverage:
    """How much of a simulation the data cover.

    Attributes:
        variable: The learned variable whose mechanism was asked.
        share: The share of simulated rows that are covered, from 0 to 1.
        levels: Combinations of discrete causes that occur in the simulation and hardly ever in
            the data, as a reader would name them.
    """

    variable: str
    share: float
    levels: tuple[str, ...] = ()

    def __str__(self) -> str:
        told = f"{self.variable}: {self.share:.1%} of simulated rows lie where there are data"
        return f"{told}; never seen: {', '.join(self.levels)}" if self.levels else told


def coverage(
    fitted: Fitted, found: Abducted, values: Mapping[str, Tensor], *, policy: int, seed: int = 0
) -> tuple[Coverage, ...]:
    """The coverage of each learned variable that a policy reaches.

    Args:
        fitted: The model.
        found: What was abducted of the recorded rows.
        values: What was simulated, `[policy, member, row]`.
        policy: Which policy.
        seed: Fixes the rows that are compared.
    """
    told = []
    for name in values:
        node = fitted.declaration.nodes[name]
        moved = [p for p in node.parents if p.name in values]
        if node.learned and node.kind == "observed" and moved:
            told.append(_of(node, fitted, found, values, policy=policy, seed=seed))
    return tuple(told)


def _of(
    node: Node,
    fitted: Fitted,
    found: Abducted,
    values: Mapping[str, Tensor],
    *,
    policy: int,
    seed: int,
) -> Coverage:
    table = found.table
    rng = np.random.default_rng(seed)
    rows = table.rows
    here = rng.choice(rows, min(rows, _RECORDED), replace=False)
    there = rng.choice(rows, min(rows, _SIMULATED), replace=False)
    simulated = {name: value[policy][:1] for name, value in values.items()}
    moved = table.with_values(
        {n: v.to(table.values[n].dtype) for n, v in simulated.items() if n in table.values}
    )
    noise = found.noise_of(node, slice(0, rows))[:1]
    before = _points(node, table, noise, fitted)
    after = _points(node, moved, noise, fitted)
    codes_before, codes_after = before.codes[here], after.codes[there]
    place, spot = before.place[here], after.place[there]
    inside = np.zeros(len(there), dtype=bool)
    unseen = []
    for code in np.unique(codes_after):
        mine, theirs = place[codes_before == code], codes_after == code
        if len(mine) < _FEW:
            unseen.append(before.named(int(code)))
            continue
        inside[theirs] = _near(mine, spot[theirs])
    return Coverage(node.name, float(inside.mean()), tuple(unseen))


@dataclass(frozen=True)
class _Points:
    """Rows as a mechanism sees them: a code for discrete causes, coordinates for the rest."""

    codes: NDArray[np.int64]
    place: NDArray[np.float64]
    names: Sequence[str]
    levels: Sequence[Sequence[object]]

    def named(self, code: int) -> str:
        """A combination of discrete causes in words, by its code."""
        parts = []
        for name, levels in zip(reversed(self.names), reversed(self.levels), strict=True):
            code, at = divmod(code, len(levels))
            parts.append(f"{name}={levels[at]}")
        return ", ".join(reversed(parts))


def _points(node: Node, table: Table, noise: Tensor, fitted: Fitted) -> _Points:
    supports = fitted.schema.supports
    codes = np.zeros(table.rows, dtype=np.int64)
    names: list[str] = []
    levels: list[Sequence[object]] = []
    columns = [noise.reshape(table.rows, -1).numpy()] if noise.dtype.is_floating_point else []
    for ref in node.parents:
        value = table.value_of(ref)[0]
        support = supports[ref.name]
        if isinstance(support, Categorical) and not support.size:
            known = support.levels or ()
            codes = codes * len(known) + value.numpy().astype(np.int64)
            names.append(ref.key)
            levels.append(known)
        else:
            columns.append(value.reshape(table.rows, -1).double().numpy())
    wide = [
        column if len(column) == table.rows else np.repeat(column, table.rows, 0)
        for column in columns
    ]
    place = np.concatenate(wide, axis=1) if wide else np.zeros((table.rows, 0))
    return _Points(codes, place, names, levels)


def _near(recorded: NDArray[np.float64], simulated: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which simulated points have a recorded one as near as recorded ones have each other."""
    if not recorded.shape[1]:
        return np.ones(len(simulated), dtype=bool)
    from scipy.spatial import cKDTree

    order = np.sort(recorded, axis=0)
    ours, theirs = _ranked(recorded, order), _ranked(simulated, order)
    tree = cKDTree(ours)
    own = tree.query(ours, k=2)[0][:, 1]
    return np.asarray(tree.query(theirs)[0] <= np.quantile(own, _USUAL) + 1e-9)


def _ranked(values: NDArray[np.float64], order: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values by their ranks among recorded ones; beyond those, and in holes, on as a line."""
    found = np.empty_like(values)
    for axis in range(values.shape[1]):
        column, mine = values[:, axis], order[:, axis]
        spread = max(float(mine[-1] - mine[0]), 1e-12)
        places = np.arange(len(mine)) / max(len(mine) - 1, 1)
        places[1:] += np.cumsum(_holes(mine)) / spread
        beyond = np.clip(column - mine[-1], 0, None) - np.clip(mine[0] - column, 0, None)
        found[:, axis] = np.interp(column, mine, places) + beyond / spread
    return found


def _holes(mine: NDArray[np.float64]) -> NDArray[np.float64]:
    """The width of each gap between sorted values that is a hole, else 0, `[gap]`.

    One wider than what a twentieth of the values takes on either side of it: a tail, or values that
    were rounded, have none.
    """
    gaps, near = np.diff(mine), max(len(mine) // 20, 5)
    at = np.arange(len(gaps))
    below = mine[at] - mine[np.maximum(at - near, 0)]
    above = mine[np.minimum(at + 1 + near, len(mine) - 1)] - mine[at + 1]
    return np.where(gaps > np.maximum(below, above), gaps, 0.0)


__all__ = ["Coverage", "coverage"]
