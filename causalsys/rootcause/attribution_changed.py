"""Which mechanisms changed: does the noise of new rows differ from that of the old ones?

Under an unchanged mechanism the noise, told by the old period's fit, has the same law in both
periods whatever the causes are. Its mean, its spread and its slopes on the causes are compared,
each against its sampling error in the new rows, and against its error in the old ones or what the
fit leaves open (the spread over members), whichever is larger. Two samples are compared rather than
one with the law that was fitted, so that neither ties nor a wrong law is mistaken for a change.
dowhy asks the same of the two periods by a kernel test.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from causalsys.data.table import Table
from causalsys.fit.abduct import Abducted, abduct
from causalsys.fit.fitted import Fitted
from causalsys.mechanisms.base import normal_of_gumbel
from causalsys.scm.declaration import Node
from causalsys.scm.supports import Categorical

Array = NDArray[np.float64]
_EXTREME = 4.0
"""A noise beyond it counts as one at it."""


def p_values(
    fitted: Fitted, new: Table, old: Table, *, names: Iterable[str], seed: int
) -> dict[str, float]:
    """The p-value of "this mechanism is as it was", by variable.

    Args:
        fitted: The old period's model.
        new: The new period's rows.
        old: The old period's rows.
        names: Learned variables; those that share a latent are left out, for their noise is
            inferred by the very mechanism in question.
        seed: Fixes the noises of counts and categories, which their values leave open.
    """
    found = [abduct(fitted, table, samples=fitted.members, seed=seed) for table in (new, old)]
    tested: dict[str, float] = {}
    for name in names:
        node = fitted.node(name)
        latents = fitted.judge.view.blocks[name].latents
        if latents or any(name in each.noises for each in found):
            continue
        noises = [_normal(fitted, each, node) for each in found]
        bases = _bases(node, [each.table for each in found])
        each = [
            p
            for part in range(noises[0].shape[0])
            for p in _moments([noise[part] for noise in noises], bases)
        ]
        tested[name] = _holm(each)
    return tested


def _normal(fitted: Fitted, found: Abducted, node: Node) -> Array:
    """A variable's noises, `[part, member, row]`, standard normal if nothing changed."""
    noise = found.noise_of(node, slice(0, found.table.rows))
    if fitted.mechanisms[node.name].noise == "gumbel":
        noise = normal_of_gumbel(noise)
    flat = noise.reshape(*noise.shape[:2], -1).movedim(-1, 0)
    # Where residuals are tied, the map to the noise is steep, and one row would be a whole mean.
    clipped: Array = flat.clamp(-_EXTREME, _EXTREME).numpy()
    return clipped


def rejected(tested: Mapping[str, float], level: float) -> frozenset[str]:
    """Those that changed, at this rate of false discoveries (Benjamini and Hochberg, 1995)."""
    order = sorted(tested, key=lambda name: tested[name])
    last = 0
    for rank, name in enumerate(order, start=1):
        if tested[name] <= level * rank / len(order):
            last = rank
    return frozenset(order[:last])


def _bases(node: Node, tables: Sequence[Table]) -> list[Array]:
    """The causes as orthonormal columns, the first constant: each table's `[row, column]`."""
    columns = [torch.ones(sum(table.rows for table in tables), dtype=torch.float64)]
    for ref in node.parents:
        parts = [table.values[ref.name] for table in tables]
        value = torch.cat([part[0] for part in parts])
        support = tables[0].schema.supports[ref.name]
        if isinstance(support, Categorical):
            columns += [(value == level).double() for level in range(1, support.cardinality)]
        else:
            columns += list(value.double().reshape(len(value), -1).T)
    full = torch.stack(columns, -1)
    scaled = (full / full.abs().amax(0).clamp(min=1e-300)).numpy()
    found: list[Array] = np.split(
        _orthonormal(scaled), np.cumsum([table.rows for table in tables])[:-1]
    )
    return found


def _orthonormal(columns: Array) -> Array:
    """Columns of mean square one, each what the earlier ones leave; none where that is nothing."""
    left, size = np.linalg.qr(columns)
    kept = np.abs(np.diag(size)) > 1e-9 * np.abs(size[0, 0])
    found: Array = left[:, kept] * np.sqrt(len(columns))
    return found


def _moments(noises: Sequence[Array], bases: Sequence[Array]) -> list[float]:
    """The p-values of each moment of the new noise being that of the old.

    Args:
        noises: `[member or 1, row]` of the new rows and of the old ones.
        bases: Their causes.
    """
    from scipy.stats import norm

    found: list[float] = []
    for spread in (False, True):
        means, errors = [], []
        for noise, basis in zip(noises, bases, strict=True):
            each = (noise**2 - 1)[:, :, None] if spread else noise[:, :, None] * basis
            means.append(each.mean(axis=1))
            errors.append(each[0].var(axis=0, ddof=1) / each.shape[1])
        mean = means[0] - means[1]
        fit = mean[1:].var(axis=0, ddof=1) if len(mean) > 2 else np.zeros_like(errors[1])
        whole = np.maximum(errors[0] + np.maximum(errors[1], fit), 1e-300)
        found += list(map(float, 2 * norm.sf(np.abs(mean[0]) / np.sqrt(whole))))
    return found


def _holm(each: list[float]) -> float:
    """The p-value of "all of these hold"."""
    return min(1.0, len(each) * min(each))


__all__ = ["p_values", "rejected"]
