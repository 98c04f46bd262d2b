"""Which mechanisms changed: do new rows' noises still follow their law, whatever the causes are?

Under an unchanged mechanism the noise of new rows is standard, and tells nothing of the causes. Its
mean, its spread and its slopes on the causes are tested, each against its sampling error in the new
rows plus what the fit of the old ones leaves open (the spread over members). dowhy asks the same of
the two periods' rows by a kernel test; here the old rows are known by their fitted mechanism.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from causalsys.data.table import Table
from causalsys.fit.abduct import abduct
from causalsys.fit.fitted import Fitted
from causalsys.mechanisms.base import normal_of_gumbel
from causalsys.scm.declaration import Node
from causalsys.scm.supports import Categorical

Array = NDArray[np.float64]


def p_values(fitted: Fitted, table: Table, names: Iterable[str], *, seed: int) -> dict[str, float]:
    """The p-value of "this mechanism is as it was", by variable.

    Args:
        fitted: The old period's model.
        table: The new period's rows.
        names: Learned variables; those that share a latent are left out, for their noise is
            inferred by the very mechanism in question.
        seed: Fixes the noises of counts and categories, which their values leave open.
    """
    found = abduct(fitted, table, samples=fitted.members, seed=seed)
    tested: dict[str, float] = {}
    for name in names:
        node = fitted.node(name)
        if fitted.judge.view.blocks[name].latents or name in found.noises:
            continue
        noise = found.noise_of(node, slice(0, table.rows))
        if fitted.mechanisms[name].noise == "gumbel":
            noise = normal_of_gumbel(noise)
        flat = noise.reshape(*noise.shape[:2], -1).movedim(-1, 0).numpy()
        basis = _basis(node, table)
        each = [p for part in flat for p in _moments(part, basis)]
        tested[name] = _holm(each)
    return tested


def rejected(tested: Mapping[str, float], level: float) -> frozenset[str]:
    """Those that changed, at this rate of false discoveries (Benjamini and Hochberg, 1995)."""
    order = sorted(tested, key=lambda name: tested[name])
    last = 0
    for rank, name in enumerate(order, start=1):
        if tested[name] <= level * rank / len(order):
            last = rank
    return frozenset(order[:last])


def _basis(node: Node, table: Table) -> Array:
    """The causes as orthonormal columns, the first constant, `[row, column]`."""
    columns: list[Tensor] = [torch.ones(table.rows, dtype=torch.float64)]
    for ref in node.parents:
        value = table.values[ref.name]
        value = value[0] if value.dim() > 1 else value
        support = table.schema.supports[ref.name]
        if isinstance(support, Categorical):
            levels = support.cardinality
            columns += [(value == level).double() for level in range(1, levels)]
        else:
            columns += list(value.double().reshape(table.rows, -1).T)
    full = torch.stack(columns, -1)
    scale = full.abs().amax(0).clamp(min=1e-300)
    values, sizes, _ = np.linalg.svd((full / scale).numpy(), full_matrices=False)
    kept: Array = values[:, sizes > 1e-9 * sizes[0]] * np.sqrt(table.rows)
    return kept


def _moments(noise: Array, basis: Array) -> list[float]:
    """The p-values of each moment of a noise `[member or 1, row]`."""
    from scipy.stats import t

    rows = noise.shape[1]
    kinds = [noise[:, :, None] * basis, (noise**2 - 1)[:, :, None]]
    found = []
    for kind in kinds:
        mean = kind.mean(axis=1)
        chance = kind[0].var(axis=0, ddof=1) / rows
        fit = mean[1:].var(axis=0, ddof=1) if len(mean) > 2 else np.zeros_like(chance)
        whole = np.maximum(chance + fit, 1e-300)
        # Welch and Satterthwaite: few members know their own spread badly.
        freedom = whole**2 / (chance**2 / (rows - 1) + fit**2 / max(len(mean) - 2, 1) + 1e-300)
        found += list(2 * t.sf(np.abs(mean[0]) / np.sqrt(whole), np.maximum(freedom, 1)))
    return [float(each) for each in found]


def _holm(each: list[float]) -> float:
    """The p-value of "all of these hold"."""
    return min(1.0, len(each) * min(each))


__all__ = ["p_values", "rejected"]
