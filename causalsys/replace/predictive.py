"""The law of a target, row by row, as weighted values; and the point that loses least under it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from causalsys.detect.loss import Loss, Values
from causalsys.replace.belief import Belief

_LEVELS = 64
"""Quantiles that stand for the law where a loss of the user's own is minimised."""
_FINER = 8
"""Points between two of them in the second look."""


@dataclass(frozen=True)
class Predictive:
    """The posterior predictive law of the target: a mixture over latents, members and noise.

    Attributes:
        atoms: Values, `[row, atom]`.
        weight: Their weights, `[row, atom]`; each row sums to 1.
    """

    atoms: Tensor
    weight: Tensor

    @classmethod
    def of(cls, belief: Belief, target: str) -> Predictive:
        """The law of `target`, one of the variables that a belief is about."""
        weight = belief.sample_weight
        value = belief.values[target].double().expand(weight.shape)
        rows = weight.shape[-1]
        return cls(value.reshape(-1, rows).T.contiguous(), weight.reshape(-1, rows).T.contiguous())

    @property
    def mean(self) -> Values:
        """The expectation, `[row]`."""
        found: Values = (self.atoms * self.weight).sum(1).numpy()
        return found

    def best(self, loss: Loss) -> Values:
        """The point of least expected loss, `[row]`.

        The mean for "squared", the median for "absolute"; for "relative" the median under weights
        of 1 / |y|, since E|y - p| / |y| = E[1/|y|] · E'|y - p|, with E' under those weights
        (Gneiting, JASA 2011, section 2.2). Any other loss is minimised over the law's quantiles.
        """
        if loss.name == "squared":
            return self.mean
        if loss.name == "absolute":
            return self.quantiles([0.5])[:, 0]
        if loss.name == "relative":
            size = self.atoms.abs()
            floor = 1e-12 * size.amax(1, keepdim=True) + 1e-300
            weight = self.weight / size.maximum(floor)
            tilted = Predictive(self.atoms, weight / weight.sum(1, keepdim=True))
            return tilted.quantiles([0.5])[:, 0]
        return self._searched(loss)

    def quantiles(self, levels: list[float]) -> Values:
        """Quantiles, `[row, level]`, interpolated between the middles of the atoms' steps."""
        atoms, middle = self._sorted
        wanted = torch.tensor(levels, dtype=torch.float64).expand(len(atoms), -1).contiguous()
        last = atoms.shape[1] - 1
        right = torch.searchsorted(middle, wanted).clamp(max=last)
        left = (right - 1).clamp(min=0)
        low, high = middle.gather(1, left), middle.gather(1, right)
        share = ((wanted - low) / (high - low).clamp(min=1e-300)).clamp(0, 1)
        found: Values = torch.lerp(atoms.gather(1, left), atoms.gather(1, right), share).numpy()
        return found

    @cached_property
    def _sorted(self) -> tuple[Tensor, Tensor]:
        """The atoms in order, and the cumulative weight in the middle of each one's step."""
        atoms, order = torch.sort(self.atoms, 1)
        weight = self.weight.gather(1, order)
        return atoms, weight.cumsum(1) - weight / 2

    def _searched(self, loss: Loss) -> Values:
        """The minimum of a loss of the user's own, in two looks at the law's quantiles."""
        levels = [(i + 0.5) / _LEVELS for i in range(_LEVELS)]
        law = self.quantiles(levels)
        first = _least(law, law, loss)
        low = np.take_along_axis(law, np.maximum(first - 1, 0), 1)
        high = np.take_along_axis(law, np.minimum(first + 1, _LEVELS - 1), 1)
        finer = low + (high - low) * np.linspace(0, 1, 2 * _FINER + 1)
        found: Values = np.take_along_axis(finer, _least(law, finer, loss), 1)[:, 0]
        return found


def _least(law: Values, candidates: Values, loss: Loss) -> np.ndarray:
    """Which candidate loses least, `[row, 1]`; a loss sees flat arrays, as everywhere."""
    rows, levels = law.shape
    truth = np.broadcast_to(law[:, None, :], (rows, candidates.shape[1], levels))
    guess = np.broadcast_to(candidates[:, :, None], truth.shape)
    lost = loss(truth.ravel(), guess.ravel()).reshape(truth.shape).mean(-1)
    least: np.ndarray = lost.argmin(1)[:, None]
    return least


__all__ = ["Predictive"]
