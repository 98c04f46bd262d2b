"""The chaos floor: how far roll-outs move when the mechanisms are off by no more than they may be.

A policy that compares (the shortest queue, the highest bitrate that fits) turns a hair's breadth
into another decision, and every later step of the trace goes another way. Such a roll-out cannot
agree step by step with a second run, however good the mechanism; its mean still may. So the same
traces are rolled forward, with the same random numbers, under mechanisms that differ by their own
uncertainty: by another parameter draw, or, where there is only one, by a factor that varies
smoothly over what they are given and has the size of the one-step error that was achieved.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from torch import Tensor

from causalsys.fit.fitted import Fitted
from causalsys.mechanisms.base import Mechanism, Parents, State
from causalsys.scm.supports import Categorical, Positive, Real

PERTURBED = 3
"""Perturbed mechanisms beside the fitted one."""


@dataclass(frozen=True)
class Perturbed(Mechanism):
    """A mechanism whose values are off by a factor (a positive one) or a shift (a real one).

    Attributes:
        inner: The mechanism as fitted.
        offsets: For each categorical parent the relative error per level, `[member, level]`.
        waves: For each continuous parent the amplitude and phase of a wave over its logarithm (a
            positive one) or itself, `[member, 2]`.
        unit: What an offset of one means in a real variable's unit.
    """

    inner: Mechanism | None = None
    offsets: Mapping[str, Tensor] | None = None
    waves: Mapping[str, Tensor] | None = None
    unit: float = 1.0

    @property
    def noise_shape(self) -> tuple[int, ...]:
        return self._own.noise_shape

    @property
    def _own(self) -> Mechanism:
        assert self.inner is not None
        return self.inner

    def error(self, parents: Parents) -> Tensor:
        """The relative error under some parents, broadcastable to the value."""
        found = torch.zeros((1, 1), dtype=torch.float64)
        for key, table in (self.offsets or {}).items():
            found = found + table[torch.arange(len(table))[:, None], parents[key]]
        for key, wave in (self.waves or {}).items():
            place = parents[key]
            if isinstance(self.parents[key], Positive):
                place = place.clamp(min=1e-9).log()
            found = found + wave[:, :1] * torch.sin(place + wave[:, 1:])
        return found

    def start(self, sample: object, *, generator: torch.Generator) -> Self:
        return self

    def push(self, noise: Tensor, parents: Parents) -> Tensor:
        return self._moved(self._own.push(noise, parents), parents, 1)

    def pull(
        self, value: Tensor, parents: Parents, *, generator: torch.Generator | None = None
    ) -> Tensor:
        return self._own.pull(self._moved(value, parents, -1), parents, generator=generator)

    def log_prob(self, value: Tensor, parents: Parents) -> Tensor:
        return self._own.log_prob(self._moved(value, parents, -1), parents)

    def members(self, index: Tensor) -> Self:
        return replace(
            self,
            inner=self._own.members(torch.zeros_like(index)),
            offsets={key: table[index] for key, table in (self.offsets or {}).items()},
            waves={key: wave[index] for key, wave in (self.waves or {}).items()},
        )

    def with_state(self, state: State) -> Self:
        return replace(self, inner=self._own.with_state(state), state=dict(state))

    def _moved(self, value: Tensor, parents: Parents, sign: int) -> Tensor:
        error = sign * self.error(parents)
        return (
            value * error.exp() if isinstance(self.support, Positive) else value + self.unit * error
        )


def perturbed(fitted: Fitted, sizes: Mapping[str, float], *, seed: int = 0) -> Fitted | None:
    """The model with its best estimate as member 0, and perturbed ones beside it.

    Args:
        fitted: The model.
        sizes: The relative error of each mechanism that is perturbed.
        seed: Fixes the perturbations.

    Returns:
        The model; itself where its members already differ, and None where it has but one and
        none of its mechanisms can be perturbed.
    """
    if fitted.members > 1:
        return fitted
    index = torch.zeros(1 + PERTURBED, dtype=torch.int64)
    mechanisms = {name: m.members(index) for name, m in fitted.mechanisms.items()}
    rng = np.random.default_rng(seed)
    able = [name for name in sizes if _able(fitted.mechanisms[name])]
    if not able or fitted.guides:
        return None
    for name in able:
        mechanisms[name] = _perturbed(fitted.mechanisms[name], sizes[name], rng)
    return replace(fitted, mechanisms=mechanisms, members=1 + PERTURBED)


def _able(mechanism: Mechanism) -> bool:
    kind = type(mechanism.support) in (Positive, Real) and not mechanism.support.size
    return mechanism.bijective and kind and bool(mechanism.parents)


def _perturbed(mechanism: Mechanism, size: float, rng: np.random.Generator) -> Perturbed:
    offsets: dict[str, Tensor] = {}
    waves: dict[str, Tensor] = {}
    each = size / math.sqrt(len(mechanism.parents))
    for key, support in mechanism.parents.items():
        if isinstance(support, Categorical):
            drawn = each * rng.standard_normal((1 + PERTURBED, support.cardinality))
            drawn[0] = 0
            offsets[key] = torch.from_numpy(drawn)
        elif not support.size:
            phase = rng.uniform(0, 2 * math.pi, 1 + PERTURBED)
            height = np.full(1 + PERTURBED, each * math.sqrt(2))
            height[0] = 0
            waves[key] = torch.from_numpy(np.stack([height, phase], 1))
    return Perturbed(
        mechanism.spec,
        mechanism.support,
        mechanism.parents,
        mechanism.state,
        mechanism.notes,
        inner=mechanism,
        offsets=offsets,
        waves=waves,
    )
