"""Independent repetitions until chance has been averaged out."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from causalsys.rootcause.shapley import Design, every_coalition, some_orders

_FEWEST, _MOST = 4, 32
"""Repetitions: below four nothing is known of their error."""
_PAIRS = 16
"""Orders of each repetition, each with its reverse, where there are too many coalitions."""
_EVERY = 10
"""Players up to which every coalition is evaluated."""

Play = Callable[[int], tuple[Tensor, Tensor]]


def design_of(players: int, seed: int, turn: int) -> Design:
    """Which coalitions a repetition evaluates: all, or those along orders of its own."""
    if players <= _EVERY:
        return every_coalition(players)
    generator = np.random.default_rng(zlib.crc32(f"{seed}/orders/{turn}".encode()))
    return some_orders(players, pairs=_PAIRS, generator=generator)


def repeated(play: Play, *, precision: float, least: float | Tensor) -> tuple[Tensor, Tensor]:
    """Play until standard errors are no larger than a share of their totals, on the whole.

    They are judged by their root mean square: the largest of many is known worst.

    Args:
        play: ShapleyValues `[player, case]` and totals `[case]` of one repetition.
        precision: The share.
        least: What a total counts as at least.

    Returns:
        `[turn, player, case]` and `[turn, case]`.
    """
    turns: list[Tensor] = []
    totals: list[Tensor] = []
    for turn in range(_MOST):
        each, total = play(turn)
        turns, totals = [*turns, each], [*totals, total]
        if turn + 1 < _FEWEST:
            continue
        found = torch.stack(turns)
        size = torch.stack(totals).mean(0).abs().clamp(min=torch.as_tensor(least).double())
        error = found.std(0) / len(turns) ** 0.5 / size
        if bool((error**2).mean() <= precision**2):
            break
    return torch.stack(turns), torch.stack(totals)


__all__ = ["design_of", "repeated"]
