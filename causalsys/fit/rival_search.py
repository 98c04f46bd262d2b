"""The search for rivals: as extreme an answer as the likelihood allows.

Many starts climb side by side. Each maximises its answer under a penalty on how much less likely
than the fitted model it is, and the penalty tightens from stage to stage: a rival may first leave
the ridge of the likelihood, and must then come back to it, elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import torch
from torch import Tensor

from causalsys.fit.rival import Part, Posterior
from causalsys.fit.rival_start import supposed
from causalsys.mechanisms.base import Mechanism
from causalsys.mechanisms.quasi_newton import minimise

TOLERANCE = 2.0
"""How much less likely a rival may be, in nats over all rows of the fit.

Twice this is about the 95 % quantile of chi-square with one degree of freedom, so that where the
data identify the answer, the rivals span its likelihood interval (Wilks, 1938).
"""
_SETTLED, _STAGES = 20.0, ((30.0, 1.0), (5.0, 1.0), (1.0, 1.0), (1.0, 30.0))
"""By how much the tolerance is widened before the climb, and in its stages; and there what a
tolerance too much costs."""
_WAYS_BACK = 3
_FARTHEST = 20.0
"""How far a parameter may go, in units of its size; a longer step of the search is refused."""
_INSIDE = 0.7
"""The share of the tolerance from which on it is penalised."""

Answers = Callable[[dict[str, Mechanism], Sequence[Posterior]], Tensor]
"""From mechanisms and latents to what is aimed at, `[start, aim]`."""


@dataclass(frozen=True)
class Found:
    """Where the search ended.

    Attributes:
        mechanisms: What was searched, a member for each start.
        parts: The parts, their nodes as they were last placed.
        aim: What each start aimed at, `[start]`.
        values: How much of every aim it reached, `[start, aim]`.
        deficit: How much less likely it is, in nats over all rows of the fit, `[start]`.
    """

    mechanisms: dict[str, Mechanism]
    parts: tuple[Part, ...]
    aim: Tensor
    values: Tensor
    deficit: Tensor


@dataclass(frozen=True)
class Effort:
    """How much is spent.

    Attributes:
        near: How far from the fitted model starts are, in units of the parameters.
        taught: How many more starts are taught other latents.
        each: With how many starts each aim is climbed for.
        steps: The most steps of a stage.
    """

    near: tuple[float, ...]
    taught: int
    each: int
    steps: int


class Search:
    """One search over some parts of a model.

    Args:
        parts: What may change.
        answers: What is aimed at, in units in which 1 is much.
        rows: How many rows the model was fitted to.
    """

    def __init__(self, parts: Sequence[Part], answers: Answers, *, rows: int) -> None:
        self.parts, self.answers, self.rows = tuple(parts), answers, rows
        self.sizes = [part.start.shape[1] for part in parts]
        self.start = torch.cat([part.start for part in parts], -1)
        with torch.no_grad():
            mechanisms = self.mechanisms(self.start)
            self._prior = _total(part.prior(mechanisms) for part in parts)
            self._fitted = self._score(mechanisms, self._posteriors(mechanisms, None))

    def run(self, effort: Effort, *, generator: torch.Generator) -> Found:
        """Set out from many points, and climb for each aim from the best of them."""
        away = torch.tensor(effort.near).unsqueeze(-1)
        shape = (len(away), self.start.shape[1])
        noise = torch.randn(shape, generator=generator, dtype=torch.float64)
        points = torch.cat([self.start + away * noise, *self._taught(effort, generator)])
        points = self._climbed(points, _SETTLED, 1.0, steps=effort.steps)
        values, deficit = self._judged(points)
        worth = values - (deficit / (_SETTLED * TOLERANCE)).clamp(min=0).square().unsqueeze(-1)
        best = worth.nan_to_num(nan=-torch.inf).topk(effort.each, dim=0).indices
        aim = torch.arange(values.shape[1]).repeat(effort.each)
        chosen = best.flatten()
        points = points[chosen]
        self.parts = tuple(part.members(chosen) for part in self.parts)
        for slack, price in _STAGES:
            points = self._climbed(points, slack, price, steps=effort.steps, aim=aim)
        # What is still beyond the tolerance goes back, the shortest way.
        for _ in range(_WAYS_BACK):
            points = self._climbed(points, 1.0, 1.0, steps=effort.steps)
        values, deficit = self._judged(points)
        return Found(self.mechanisms(points), self.parts, aim, values, deficit)

    def _climbed(
        self, points: Tensor, slack: float, price: float, *, steps: int, aim: Tensor | None = None
    ) -> Tensor:
        """The points after one stage, which the parts' nodes follow."""
        losses = self._losses(slack, price, aim)
        points = minimise(losses, points, steps=steps, tolerance=1e-6)
        with torch.no_grad():
            mechanisms = self.mechanisms(points)
            self.parts = tuple(part.placed(mechanisms) for part in self.parts)
        return points

    def _taught(self, effort: Effort, generator: torch.Generator) -> list[Tensor]:
        """Points at which the latents are something else."""
        if all(part.nodes is None for part in self.parts):
            return []
        known = [
            part
            if part.nodes is None
            else replace(part, nodes=supposed(part, effort.taught, generator=generator))
            for part in self.parts
        ]

        def losses(points: Tensor, whose: Tensor) -> Tensor:
            mechanisms = self.mechanisms(points)
            found = [part.posterior(mechanisms, whose) for part in known]
            return -self._score(mechanisms, found) / self.rows

        start = self.start.expand(effort.taught, -1)
        return [minimise(losses, start, steps=effort.steps, tolerance=1e-6)]

    def _judged(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Every aim's value, `[start, aim]`, and the deficit, `[start]`."""
        with torch.no_grad():
            mechanisms = self.mechanisms(points)
            found = self._posteriors(mechanisms, torch.arange(len(points)))
            return self.answers(mechanisms, found), self._fitted - self._score(mechanisms, found)

    def mechanisms(self, points: Tensor) -> dict[str, Mechanism]:
        """What of all parts may change, at points."""
        found: dict[str, Mechanism] = {}
        for part, own in zip(self.parts, points.split(self.sizes, -1), strict=True):
            found |= part.under(own)
        return found

    def _posteriors(
        self, mechanisms: dict[str, Mechanism], whose: Tensor | None
    ) -> list[Posterior]:
        return [part.posterior(mechanisms, whose) for part in self.parts]

    def _score(self, mechanisms: dict[str, Mechanism], found: Sequence[Posterior]) -> Tensor:
        """The log posterior over all rows of the fit, `[start]`, up to a constant."""
        likelihood = _total(each.log_likelihood.mean(-1) for each in found)
        prior = _total(part.prior(mechanisms) for part in self.parts)
        # Weights smaller than the fitted ones earn nothing.
        return self.rows * likelihood - (prior - self._prior).clamp(min=0)

    def _losses(
        self, slack: float, price: float, aim: Tensor | None
    ) -> Callable[[Tensor, Tensor], Tensor]:
        """What a stage minimises: a deficit beyond the tolerance, and the aim's opposite."""

        def losses(points: Tensor, whose: Tensor) -> Tensor:
            far = (points - self.start).abs().amax(-1, keepdim=True) > _FARTHEST
            points = torch.where(far, self.start, points)
            mechanisms = self.mechanisms(points)
            found = self._posteriors(mechanisms, whose)
            deficit = self._fitted - self._score(mechanisms, found)
            loss = price * (deficit / (slack * TOLERANCE) - _INSIDE).clamp(min=0) ** 2
            if aim is not None:
                values = self.answers(mechanisms, found)
                loss = loss - values.gather(-1, aim[whose].unsqueeze(-1)).squeeze(-1)
            return torch.where(far.squeeze(-1), torch.inf, loss)

        return losses


def _total(terms: Iterable[Tensor]) -> Tensor:
    return reduce(torch.add, terms)
