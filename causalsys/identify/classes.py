"""What a district of categories with categorical latents tells: latent classes.

Latents with few levels leave only so many free chances, and what is observed may settle them:
three views of one latent class do, two do not (Allman, Matias and Rhodes, 2009). Decided by rank
(`rank.py`), so for almost all tables, and locally: the levels of a latent can always be renamed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from causalsys.identify.rank import Array, determined

_POINTS = 3
_VALUES = 4000
_PARAMETERS = 400


@dataclass(frozen=True)
class TableBlock:
    """A district in which everything is a category with a free table of chances.

    Attributes:
        cards: How many levels each variable has, with latents and outside causes.
        parents: The causes of each variable and latent of the district. Causes that are not keys
            here are outside the district, and count as set.
        latents: The latents.

    Example:
        >>> names = ("h", "p", "q", "r")
        >>> tests = TableBlock(
        ...     dict.fromkeys(names, 2), {"h": (), "p": ("h",), "q": ("h",), "r": ("h",)}, ("h",)
        ... )
        >>> parameters(tests)
        True
    """

    cards: Mapping[str, int]
    parents: Mapping[str, tuple[str, ...]]
    latents: tuple[str, ...]

    @cached_property
    def variables(self) -> tuple[str, ...]:
        """The district's observed variables."""
        return tuple(name for name in self.parents if name not in self.latents)

    @cached_property
    def axes(self) -> Mapping[str, tuple[str, ...]]:
        """The axes of each table: the causes, then the variable."""
        return {name: (*dict.fromkeys(causes), name) for name, causes in self.parents.items()}

    def size(self, names: Collection[str]) -> int:
        """How many combinations of levels there are."""
        return prod(self.cards[name] for name in names)

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """How many free chances each table has."""
        return tuple(
            self.size(axes[:-1]) * (self.cards[name] - 1) for name, axes in self.axes.items()
        )


def parameters(block: TableBlock) -> bool:
    """Whether all tables are determined, up to the names of the latents' levels.

    False also where the district is too large to tell.
    """
    return _settled(block, lambda points: points, sum(block.widths))


def kernel(block: TableBlock, part: Collection[str]) -> bool:
    """Whether `Q[part]`, the law of `part` when all else observed is set, is determined.

    False also where the district is too large to tell.
    """
    tables = [*block.latents, *(name for name in block.variables if name in part)]
    kept = _seen(block, tables)
    return _settled(block, lambda points: _law(block, tables, points), block.size(kept))


def _settled(block: TableBlock, quantities: Callable[[Array], Array], count: int) -> bool:
    tables = [*block.latents, *block.variables]
    moments, width = block.size(_seen(block, tables)), sum(block.widths)
    if max(moments, count) > _VALUES or width > _PARAMETERS:
        return False
    if not width:
        return True
    generator = np.random.default_rng(0)
    chances = [_chances(block, name, generator) for name in block.axes]
    return bool(
        determined(
            lambda points: _law(block, tables, points),
            quantities,
            points=np.concatenate(chances, -1),
        ).all()
    )


def _chances(block: TableBlock, name: str, generator: np.random.Generator) -> Array:
    """Random tables without their last level, `[point, parameter]`."""
    *causes, own = (block.cards[axis] for axis in block.axes[name])
    drawn = generator.dirichlet(np.ones(own), (_POINTS, prod(causes)))
    return drawn[..., :-1].reshape(_POINTS, -1)


def _seen(block: TableBlock, tables: Sequence[str]) -> list[str]:
    """The observed axes of some tables, in a fixed order."""
    names = dict.fromkeys(axis for name in tables for axis in block.axes[name])
    return [name for name in names if name not in block.latents]


def _law(block: TableBlock, tables: Sequence[str], points: Array) -> Array:
    """The product of some tables with the latents summed out, `[point, combination]`."""
    ends = np.cumsum([0, *block.widths])
    starts = dict(zip(block.axes, pairwise(ends), strict=True))
    letter = {name: i + 1 for i, name in enumerate(block.cards)}
    operands: list[Any] = []
    for name in tables:
        start, end = starts[name]
        *causes, own = (block.cards[axis] for axis in block.axes[name])
        free = points[:, start:end].reshape(len(points), *causes, own - 1)
        table = np.concatenate([free, 1 - free.sum(-1, keepdims=True)], -1)
        operands += [table, [0, *(letter[axis] for axis in block.axes[name])]]
    kept = [letter[name] for name in _seen(block, tables)]
    law = np.einsum(*operands, [0, *kept], optimize="greedy")
    return law.reshape(len(points), -1)
