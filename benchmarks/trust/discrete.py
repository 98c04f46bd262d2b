"""Discrete models of a mixed graph, counted out in full, and pairs that look alike and are not.

A verdict that an effect is identified is checked by its formula, on what is observed of a model,
against the model's own effect. That it is not is proved by two models that agree on all that is
observed and differ in the effect.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from causalsys.identify.mixed import Mixed

LETTERS = "abcdefgh"


def latent_pairs(graph: Mixed) -> list[tuple[str, str]]:
    """One pair for each two-headed edge."""
    return [(a, b) for a in graph.nodes for b in sorted(graph.siblings[a]) if a < b]


@dataclass(frozen=True)
class Discrete:
    """A model with binary variables and one latent with `levels` to each two-headed edge.

    Its parameters are logits; every distribution is an array with one axis of two to a variable.
    A known equation is the parity of its parents.
    """

    graph: Mixed
    levels: int = 2

    @property
    def axes(self) -> list[Any]:
        return [*self.graph.nodes, *latent_pairs(self.graph)]

    def _shape(self, name: str) -> tuple[int, ...]:
        parents = self.graph.parents[name]
        shape = [2 if n in parents else 1 for n in self.graph.nodes]
        return (*shape, *(self.levels if name in p else 1 for p in latent_pairs(self.graph)))

    @property
    def size(self) -> int:
        """How many parameters it has."""
        own = sum(int(np.prod(self._shape(name))) for name in self.graph.nodes)
        return own + len(latent_pairs(self.graph)) * (self.levels - 1)

    def draw(self, seed: int) -> torch.Tensor:
        """Random parameters."""
        generator = torch.Generator().manual_seed(seed)
        return 1.5 * torch.randn(self.size, generator=generator, dtype=torch.float64)

    def distribution(self, logits: torch.Tensor, do: Collection[str] = ()) -> torch.Tensor:
        """P(all | do), with an axis to each variable; those of `do` are what it is held at."""
        nodes, pairs = self.graph.nodes, latent_pairs(self.graph)
        joint = torch.ones([1] * len(self.axes), dtype=torch.float64)
        at = 0
        for i, name in enumerate(nodes):
            shape = self._shape(name)
            count = int(np.prod(shape))
            one = torch.sigmoid(logits[at : at + count]).reshape(shape)
            at += count
            if name in do:
                continue
            if name in self.graph.known:
                one = self._parity(name)
            joint = joint * torch.cat([1 - one, one], dim=i)
        for k, _ in enumerate(pairs):
            free = torch.cat([logits[at : at + self.levels - 1], torch.zeros(1).double()])
            at += self.levels - 1
            shape = [1] * len(self.axes)
            shape[len(nodes) + k] = self.levels
            joint = joint * torch.softmax(free, dim=0).reshape(shape)
        if pairs:
            joint = joint.sum(dim=tuple(range(len(nodes), len(self.axes))))
        return joint.expand([2] * len(nodes))

    def effect(
        self,
        logits: torch.Tensor,
        *,
        outcome: Collection[str],
        do: Collection[str],
        given: Collection[str] = (),
    ) -> torch.Tensor:
        """P(outcome | do, given), with axes of length one where nothing is free."""
        part = self._marginal(self.distribution(logits, do), {*outcome, *do, *given})
        below = self._marginal(part, {*do, *given}) if given else torch.ones(1)
        # What never happens has no distribution: zero, as in formulas.
        return torch.where(below > 0, part / torch.where(below > 0, below, 1), 0)

    def _parity(self, name: str) -> torch.Tensor:
        total = torch.zeros([1] * len(self.axes), dtype=torch.float64)
        for i, other in enumerate(self.graph.nodes):
            if other in self.graph.parents[name]:
                shape = [2 if i == k else 1 for k in range(len(self.axes))]
                total = total + torch.arange(2).reshape(shape)
        return total % 2

    def _marginal(self, table: torch.Tensor, kept: set[str]) -> torch.Tensor:
        gone = tuple(i for i, name in enumerate(self.graph.nodes) if name not in kept)
        return table.sum(dim=gone, keepdim=True) if gone else table


def disagreement(
    graph: Mixed,
    *,
    outcome: Collection[str],
    do: Collection[str],
    given: Collection[str] = (),
    levels: Sequence[int] = (2, 3, 4),
    seed: int = 0,
) -> float:
    """How far two models, found here, differ in the effect while all observed is the same.

    From a random model we walk along the curve of models that agree on everything observed, in the
    direction in which the effect moves. Zero where the effect moves in no such direction: where
    it is identified, at least near that model.
    """
    for count in levels:
        model = Discrete(graph, count)
        start = model.draw(seed)

        def seen(logits: torch.Tensor, model: Discrete = model) -> torch.Tensor:
            return model.distribution(logits).flatten()

        def asked(logits: torch.Tensor, model: Discrete = model) -> torch.Tensor:
            return model.effect(logits, outcome=outcome, do=do, given=given).flatten()

        away = _direction(seen, asked, start)
        if away is not None:
            other = _back(seen, start + 0.3 * away, target=seen(start))
            assert (seen(other) - seen(start)).abs().max() < 1e-12
            return float((asked(other) - asked(start)).abs().max())
    return 0.0


def _jacobian(function: Any, at: torch.Tensor) -> torch.Tensor:
    return torch.autograd.functional.jacobian(function, at, vectorize=True)


def _direction(seen: Any, asked: Any, at: torch.Tensor) -> torch.Tensor | None:
    """Where to go so that what is asked moves most, and what is seen does not."""
    _, values, rows = torch.linalg.svd(_jacobian(seen, at), full_matrices=True)
    rank = int((values > 1e-10 * values[0]).sum())
    still = rows[rank:]
    _, moved, ways = torch.linalg.svd(_jacobian(asked, at) @ still.T, full_matrices=False)
    if not len(moved) or moved[0] < 1e-7:
        return None
    return ways[0] @ still


def _back(seen: Any, at: torch.Tensor, *, target: torch.Tensor) -> torch.Tensor:
    """The nearest model, about, that agrees with `target`: Newton's method."""
    for _ in range(50):
        gap = seen(at) - target
        if gap.abs().max() < 1e-14:
            break
        at = at - torch.linalg.pinv(_jacobian(seen, at), rtol=1e-9) @ gap
    return at
