"""Shapley values of games whose coalitions are evaluated all at once.

A design says which coalitions are to be evaluated, and turns their values into contributions. With
few players it holds every coalition; with many, random orders of the players, each together with
its reverse (antithetic, so that a player who comes early in one comes late in the other; Mitchell,
Cooper, Frank and Holmes, JMLR 2022, section 3). In either, contributions are sums of differences
that telescope, so that they add up to the value of all players less that of none.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Design:
    """Coalitions to be evaluated, and how contributions follow from their values.

    Attributes:
        coalitions: `[coalition, player]`, whether the player is in it; the first has nobody, the
            last has everybody.
        weights: `[player, coalition]`: contributions are weighted sums of the values; None where
            orders are used.
        orders: `[order, player]`, the players as they join; None where all coalitions are.
        steps: `[order, player + 1]`, the coalitions that each order goes through.
    """

    coalitions: NDArray[np.bool_]
    weights: Tensor | None = None
    orders: Tensor | None = None
    steps: Tensor | None = None

    @property
    def players(self) -> int:
        """How many players there are."""
        return self.coalitions.shape[1]

    @property
    def exact(self) -> bool:
        """Whether every coalition is in it, so that no order is left to chance."""
        return self.weights is not None

    def contributions(self, values: Tensor) -> Tensor:
        """Each player's Shapley value.

        Args:
            values: `[coalition, ...]`, what each coalition is worth.

        Returns:
            `[player, ...]`; they sum to `values[-1] - values[0]`.
        """
        flat = values.reshape(len(values), -1)
        if self.weights is not None:
            found = self.weights @ flat
        else:
            assert self.orders is not None
            assert self.steps is not None
            found = flat.new_zeros(self.players, flat.shape[1])
            for order, steps in zip(self.orders, self.steps, strict=True):
                found[order] += flat[steps[1:]] - flat[steps[:-1]]
            found /= len(self.orders)
        return found.reshape(self.players, *values.shape[1:])


def every_coalition(players: int) -> Design:
    """All coalitions, with Shapley's weights (Shapley, 1953).

    Example:
        >>> design = every_coalition(2)
        >>> worth = torch.tensor([0.0, 1.0, 2.0, 9.0], dtype=torch.float64)
        >>> design.contributions(worth).tolist()  # Nobody; the first; the second; both.
        [4.0, 5.0]
    """
    number = np.arange(2**players)
    inside = (number[:, None] >> np.arange(players)) & 1 == 1
    size = inside.sum(axis=1)
    joins = np.array([1 / (players * comb(players - 1, k)) for k in range(players)] + [0.0])
    # With the player, a coalition counts as one that was joined; without, as one that is left.
    weights = np.where(inside, joins[size - 1][:, None], -joins[size][:, None])
    return Design(inside, torch.from_numpy(np.ascontiguousarray(weights.T)))


def some_orders(players: int, *, pairs: int, generator: np.random.Generator) -> Design:
    """Random orders and their reverses; a coalition that several go through is there once."""
    drawn = generator.permuted(np.tile(np.arange(players), (pairs, 1)), axis=1)
    orders = np.concatenate([drawn, drawn[:, ::-1]])
    rank = np.empty_like(orders)
    np.put_along_axis(rank, orders, np.arange(players)[None].repeat(len(orders), 0), axis=1)
    passed = rank[:, None, :] < np.arange(players + 1)[None, :, None]
    flat = passed.reshape(-1, players)
    first, place = distinct(flat)
    size = flat[first].sum(axis=1)
    by_size = np.argsort(size, kind="stable")
    back = np.empty_like(by_size)
    back[by_size] = np.arange(len(by_size))
    steps = back[place].reshape(len(orders), players + 1)
    return Design(
        flat[first][by_size], None, torch.from_numpy(orders.copy()), torch.from_numpy(steps)
    )


def distinct(rows: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each distinct row is first found, and which of them every row is."""
    if rows.shape[1] == 0:
        return np.zeros(1, np.int64), np.zeros(len(rows), np.int64)
    packed = np.ascontiguousarray(np.packbits(rows, axis=1))
    keys = packed.view(np.dtype((np.void, packed.shape[1]))).ravel()
    _, first, place = np.unique(keys, return_index=True, return_inverse=True)
    return first.astype(np.int64), place.reshape(-1).astype(np.int64)


__all__ = ["Design", "distinct", "every_coalition", "some_orders"]
