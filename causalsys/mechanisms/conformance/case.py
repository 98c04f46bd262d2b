"""A mechanism under test, with data for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from causalsys.mechanisms.base import Mechanism, Sample
from causalsys.mechanisms.training import Training
from causalsys.scm.supports import Categorical, Count, Fraction, Positive, Support


@dataclass(frozen=True)
class Case:
    """What the checks share.

    Attributes:
        make: Gives the mechanism, not fitted.
        sample: What it is fitted to.
        training: How.
    """

    make: Callable[[], Mechanism]
    sample: Sample
    training: Training

    @cached_property
    def fitted(self) -> Mechanism:
        """The mechanism, fitted once for all checks."""
        return self.make().fit(self.sample, training=self.training)

    @property
    def label(self) -> str:
        """The mechanism as messages name it."""
        made = self.make()
        parents = ", ".join(f"{key}: {support}" for key, support in made.parents.items())
        return f"{made.spec} for {made.support} given ({parents})"

    def generator(self) -> torch.Generator:
        """Randomness of the checks' own."""
        return torch.Generator().manual_seed(20)

    def draws(self, mechanism: Mechanism) -> Tensor:
        """Values drawn from the mechanism at the sample's parents, `[member, row, ...]`."""
        shape = (self.sample.members, self.sample.rows)
        noise = mechanism.draw_noise(shape, generator=self.generator())
        return mechanism.push(noise, self.sample.parents)

    def demand(self, condition: object, words: str) -> None:
        """Raise an AssertionError unless the condition holds."""
        if not condition:
            raise AssertionError(f"{self.label}: {words}.")


def example(mechanism: Mechanism, *, rows: int = 200, members: int = 3, seed: int = 0) -> Sample:
    """Made-up data in the supports of a mechanism and its parents; the value depends on them."""
    generator = torch.Generator().manual_seed(seed)
    parents = {
        key: _value(torch.randn(_shape(support, rows), generator=generator).double(), support)
        for key, support in mechanism.parents.items()
    }
    drive = _drive(parents, mechanism.parents, rows)
    noise = torch.randn(_shape(mechanism.support, rows), generator=generator).double()
    line = noise + (drive.unsqueeze(-1) if mechanism.support.size else drive)
    weight = torch.rand(members, rows, generator=generator).double().log().neg()
    weight[0] = 1
    return Sample(_value(line, mechanism.support), parents, weight)


def _shape(support: Support, rows: int) -> tuple[int, ...]:
    return (1, rows, support.size) if support.size else (1, rows)


def _value(normal: Tensor, support: Support) -> Tensor:
    """A value of the support, increasing in a normal draw."""
    if isinstance(support, Categorical):
        level = torch.special.ndtr(0.7 * normal) * support.cardinality
        return level.long().clamp(0, support.cardinality - 1)
    if isinstance(support, Count):
        return torch.exp(1 + 0.5 * normal).round()
    if isinstance(support, Positive):
        return torch.exp(3 + 0.5 * normal)
    if isinstance(support, Fraction):
        return torch.sigmoid(normal)
    return 2 + 3 * normal


def _drive(parents: Mapping[str, Tensor], supports: Mapping[str, Support], rows: int) -> Tensor:
    """One number a row, near standard normal, that all parents have a say in."""
    total = torch.zeros(1, rows, dtype=torch.float64)
    for key, value in parents.items():
        number = value.double()
        number = number.sum(-1) if supports[key].size else number
        total = total + (number - number.mean()) / number.std().clamp(min=1e-9)
    return total / max(len(parents), 1)
