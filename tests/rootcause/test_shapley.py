"""Shapley values against their definition, and what every design must keep."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch

from causalsys.rootcause.shapley import Design, distinct, every_coalition, some_orders


def _by_definition(worth: dict[tuple[bool, ...], float], players: int) -> list[float]:
    """The mean over all orders of what each player adds."""
    found = np.zeros(players)
    orders = list(permutations(range(players)))
    for order in orders:
        inside = [False] * players
        for player in order:
            before = worth[tuple(inside)]
            inside[player] = True
            found[player] += worth[tuple(inside)] - before
    return list(found / len(orders))


def _game(design: Design, seed: int) -> tuple[torch.Tensor, dict[tuple[bool, ...], float]]:
    """The same random game on any design of so many players."""
    every = every_coalition(design.players).coalitions
    random = np.random.default_rng(seed).normal(size=len(every))
    worth = {tuple(map(bool, row)): float(v) for row, v in zip(every, random, strict=True)}
    values = [worth[tuple(map(bool, row))] for row in design.coalitions]
    return torch.tensor(values, dtype=torch.float64), worth


@pytest.mark.parametrize("players", [1, 2, 3, 5])
@pytest.mark.parametrize("seed", range(3))
def test_all_coalitions_give_the_definition(players: int, seed: int) -> None:
    design = every_coalition(players)
    values, worth = _game(design, seed)
    assert design.exact
    found = design.contributions(values)
    assert found.tolist() == pytest.approx(_by_definition(worth, players), abs=1e-12)


@pytest.mark.parametrize("pairs", [1, 3, 20])
def test_orders_add_up_exactly_whatever_they_are(pairs: int) -> None:
    design = some_orders(6, pairs=pairs, generator=np.random.default_rng(pairs))
    values, _ = _game(design, pairs)
    assert not design.coalitions[0].any()
    assert design.coalitions[-1].all()
    found = design.contributions(torch.stack([values, 2 * values], 1))
    assert found.sum(0).tolist() == pytest.approx(
        [float(values[-1] - values[0]), 2 * float(values[-1] - values[0])], abs=1e-12
    )


def test_orders_are_unbiased() -> None:
    # 300 designs of 2 pairs: the standard error of their mean is about 0.03 of a unit normal game.
    exact = every_coalition(5)
    truth = exact.contributions(_game(exact, 0)[0])
    generator = np.random.default_rng(0)
    found = []
    for _ in range(300):
        design = some_orders(5, pairs=2, generator=generator)
        found.append(design.contributions(_game(design, 0)[0]))
    stacked = torch.stack(found)
    error = stacked.std(0) / len(found) ** 0.5
    assert bool(((stacked.mean(0) - truth).abs() < 4 * error).all())


def test_an_additive_game_needs_one_pair() -> None:
    own = torch.tensor([3.0, -1.0, 0.0, 2.5], dtype=torch.float64)
    design = some_orders(4, pairs=1, generator=np.random.default_rng(0))
    values = torch.from_numpy(design.coalitions).double() @ own
    assert design.contributions(values).tolist() == pytest.approx(own.tolist(), abs=1e-12)


def test_coalitions_that_several_orders_pass_are_there_once() -> None:
    design = some_orders(5, pairs=40, generator=np.random.default_rng(0))
    first, _ = distinct(design.coalitions)
    assert len(first) == len(design.coalitions) <= 32


def test_rows_are_told_apart_beyond_one_byte() -> None:
    rows = np.random.default_rng(0).random((200, 19)) < 0.5
    first, place = distinct(rows)
    assert np.array_equal(rows[first][place], rows)
    assert len(first) == len({row.tobytes() for row in rows})
