"""The search for rivals: as extreme an answer as the likelihood allows.

Many starts climb side by side. Each maximises its answer under a penalty on how much less likely
than the fitted model it is, and the penalty tightens from stage to stage: a rival may first leave
the ridge of the likelihood, and must then come back to it, elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from causalsys.fit.rival import Part, Posterior
from causalsys.mechanisms.base import Mechanism
from causalsys.mechanisms.quasi_newton import minimise

TOLERANCE = 2.0
"""How much less likely a rival may be, in nats over all rows of the fit.

Twice this is about the 95 % quantile of chi-square with one degree of freedom, so that where the
data identify the answer, the rivals span its likelihood interval (Wilks, 1938).
"""
_STAGES = (100.0, 10.0, 1.0)
_FARTHEST = 20.0
"""How far a parameter may go, in units of its size; a longer step of the search is refused."""
_INSIDE = 0.7
"""The share of the tolerance from which on it is penalised."""

Answers = Callable[[dict[str, Mechanism], Sequence[Posterior], Tensor], Tensor]
"""From mechanisms, latents and their starts to what each start maximises, `[start]`."""


@dataclass(frozen=True)
class Found:
    """Where the search ended.

    Attributes:
        mechanisms: The mechanisms of all parts, a member for each start.
        parts: The parts, their nodes as they were last placed.
        answer: What each start reached, `[start]`.
        deficit: How much less likely each is, in nats over all rows of the fit, `[start]`.
    """

    mechanisms: dict[str, Mechanism]
    parts: tuple[Part, ...]
    answer: Tensor
    deficit: Tensor


class Search:
    """One search over some parts of a model.

    Args:
        parts: What may change.
        answers: What is maximised, in units in which 1 is much.
        rows: How many rows the model was fitted to.
    """

    def __init__(self, parts: Sequence[Part], answers: Answers, *, rows: int) -> None:
        self.parts, self.answers, self.rows = tuple(parts), answers, rows
        self.sizes = [part.start.shape[1] for part in parts]
        with torch.no_grad():
            mechanisms = self.mechanisms(self.start)
            self._prior = torch.stack([part.prior(mechanisms) for part in parts]).sum(0)
            self._fitted = self._likelihood(self.start, None)

    @property
    def start(self) -> Tensor:
        """The fitted parameters, `[1, parameter]`."""
        return torch.cat([part.start for part in self.parts], -1)

    def run(self, starts: Tensor, *, steps: int) -> Found:
        """Climb from points `[start, parameter]`, `steps` at most in each stage."""
        points, everyone = starts, torch.arange(len(starts))
        for slack in _STAGES:
            points = minimise(self._losses(slack), points, steps=steps, tolerance=1e-6)
            mechanisms = self.mechanisms(points)
            self.parts = tuple(part.placed(mechanisms) for part in self.parts)
        with torch.no_grad():
            mechanisms = self.mechanisms(points)
            deficit = self._fitted - self._likelihood(points, everyone)
            answer = self.answers(mechanisms, self._posteriors(mechanisms, everyone), everyone)
        return Found(mechanisms, self.parts, answer, deficit)

    def mechanisms(self, points: Tensor) -> dict[str, Mechanism]:
        """All parts' mechanisms at points."""
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
        likelihood = torch.stack([each.log_likelihood.mean(-1) for each in found]).sum(0)
        prior = torch.stack([part.prior(mechanisms) for part in self.parts]).sum(0)
        # Weights smaller than the fitted ones earn nothing.
        return self.rows * likelihood - (prior - self._prior).clamp(min=0)

    def _likelihood(self, points: Tensor, whose: Tensor | None) -> Tensor:
        mechanisms = self.mechanisms(points)
        return self._score(mechanisms, self._posteriors(mechanisms, whose))

    def _losses(self, slack: float) -> Callable[[Tensor, Tensor], Tensor]:
        start = self.start

        def losses(points: Tensor, whose: Tensor) -> Tensor:
            far = (points - start).abs().amax(-1, keepdim=True) > _FARTHEST
            points = torch.where(far, start, points)
            mechanisms = self.mechanisms(points)
            found = self._posteriors(mechanisms, whose)
            deficit = self._fitted - self._score(mechanisms, found)
            over = (deficit / (slack * TOLERANCE) - _INSIDE).clamp(min=0)
            loss = over**2 - self.answers(mechanisms, found, whose)
            return torch.where(far.squeeze(-1), torch.inf, loss)

        return losses
