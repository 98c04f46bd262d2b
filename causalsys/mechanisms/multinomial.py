"""Multinomial logistic regression, for every member at once.

Every level has half a pseudo-count, spread evenly over the rows (a catalytic prior; Huang,
Stein, Rubin and Kou, PNAS 2020), and the slopes a wide normal one, so that neither a level never
seen nor separated classes send a coefficient to infinity.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from causalsys.mechanisms.base import Sample
from causalsys.mechanisms.quasi_newton import minimise

PSEUDO_COUNT = 0.5
SLOPE_VARIANCE = 100.0
"""Of the prior of a slope, per standard deviation of its column."""


def frequencies(sample: Sample, *, levels: int) -> Tensor:
    """The levels' weighted frequencies with the pseudo-counts, `[member, level]`."""
    hits = one_hot(sample.value.long(), levels).to(sample.weight.dtype)
    counts = (sample.weight.unsqueeze(-1) * hits).sum(-2) + PSEUDO_COUNT
    return counts / counts.sum(-1, keepdim=True)


def multinomial_regression(design: Tensor, sample: Sample, *, levels: int) -> tuple[Tensor, Tensor]:
    """Constants `[member, 1, level]` and slopes `[member, column, level]`.

    Args:
        design: Standardised columns `[member or 1, row, column]`.
        sample: Codes and weights.
        levels: How many levels there are.
    """
    ones = design.new_ones(*design.shape[:-1], 1)
    full = torch.cat([ones, design], dim=-1)
    columns = full.shape[-1]
    rows = sample.weight[:1].unsqueeze(-1)
    gram = (rows * full[:1]).mT @ full[:1] / rows.sum()
    # The Hessian is at most half of this (Böhning, 1992): a good shape to precondition with.
    root = torch.linalg.inv(gram + 1e-3 * torch.eye(columns, dtype=gram.dtype))

    def metric(vector: Tensor) -> Tensor:
        return (root @ vector.unflatten(-1, (columns, levels))).flatten(-2)

    def solve(part: Sample, design: Tensor, start: Tensor) -> Tensor:
        # The design travels as if it were a parent, to be picked from like one.
        part = Sample(part.value.long().unsqueeze(-1), {"design": design}, part.weight)

        def losses(point: Tensor, members: Tensor) -> Tensor:
            mine = part.pick(members)
            table = point.unflatten(-1, (columns, levels))
            log_odds = mine.parents["design"] @ table
            code = mine.value.expand(*log_odds.shape[:-1], 1)
            own = log_odds.gather(-1, code).squeeze(-1)
            total = mine.weight.sum(-1, keepdim=True)
            all_counts = log_odds.logsumexp(-1) * (1 + levels * PSEUDO_COUNT / total)
            hits = own + log_odds.sum(-1) * PSEUDO_COUNT / total
            data = (mine.weight * (all_counts - hits)).sum(-1)
            ridge = 0.5 / SLOPE_VARIANCE * (table[:, 1:] ** 2).sum((-1, -2))
            return (data + ridge) / total.squeeze(-1)

        return minimise(losses, start, metric=metric)

    start = design.new_zeros(1, columns, levels)
    first = sample.first()
    start[:, 0] = frequencies(first, levels=levels).log()
    best = solve(first, full[:1], start.flatten(-2))
    # The other members' optima are close to the first one's: they start from there.
    best = solve(sample, full, best.expand(sample.members, -1))
    table = best.unflatten(-1, (columns, levels))
    return table[:, :1], table[:, 1:]
