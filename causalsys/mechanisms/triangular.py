"""Vectors: a scalar family for each component in order, the earlier ones being parents too.

A triangular map, and a bijection where the scalar family is one (Rosenblatt, 1952).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, ClassVar, Protocol, Self

import torch
from torch import Tensor

from causalsys.mechanisms.base import Mechanism, NoiseLaw, Parents, Sample, State
from causalsys.mechanisms.training import Training
from causalsys.scm.supports import Support

_AT = "@"
"""Component i's share of the state is `name@i`, and it is `@i` among the parents of the later
ones. The mark comes last, so that a name's meaning is still read off its beginning."""


class Build(Protocol):
    """What gives the mechanism of a component."""

    def __call__(
        self, spec: Any, support: Support, *, parents: Mapping[str, Support]
    ) -> Mechanism: ...


@dataclass(frozen=True)
class Triangular(Mechanism):
    """Made by `triangular`; `parts` holds the components' mechanisms, without their state."""

    parts: tuple[Mechanism, ...] = ()

    @property
    def noise_shape(self) -> tuple[int, ...]:
        return (len(self.parts), *self.parts[0].noise_shape)

    @property
    def resampled(self) -> bool:
        return any(part.resampled for part in self.parts)

    @cached_property
    def components(self) -> tuple[Mechanism, ...]:
        """The components' mechanisms with their parameters."""
        found: list[dict[str, Tensor]] = [{} for _ in self.parts]
        for name, tensor in self.state.items():
            own, _, index = name.rpartition(_AT)
            found[int(index)][own] = tensor
        return tuple(part.with_state(own) for part, own in zip(self.parts, found, strict=True))

    def start(self, sample: Sample, *, generator: torch.Generator) -> Self:
        return self._gathered(
            [
                part.start(self._component(sample, index), generator=generator)
                for index, part in enumerate(self.parts)
            ]
        )

    def fit(self, sample: Sample, *, training: Training) -> Self:
        return self._gathered(
            [
                part.fit(
                    self._component(sample, index),
                    # Members' draws must not be the same in every component.
                    training=replace(training, seed=training.seed + 7919 * index),
                )
                for index, part in enumerate(self.parts)
            ]
        )

    def finish(self, sample: Sample) -> Self:
        return self._gathered(
            [
                part.finish(self._component(sample, index))
                for index, part in enumerate(self.components)
            ]
        )

    def log_prob(self, value: Tensor, parents: Parents) -> Tensor:
        terms = [
            part.log_prob(value[..., index], self._parents(value, parents, index))
            for index, part in enumerate(self.components)
        ]
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return total

    def pull(
        self, value: Tensor, parents: Parents, *, generator: torch.Generator | None = None
    ) -> Tensor:
        source = torch.Generator().manual_seed(0) if generator is None else generator
        noises = [
            part.pull(value[..., index], self._parents(value, parents, index), generator=source)
            for index, part in enumerate(self.components)
        ]
        return torch.stack(torch.broadcast_tensors(*noises), dim=self._axis)

    def push(self, noise: Tensor, parents: Parents) -> Tensor:
        known = dict(parents)
        for index, part in enumerate(self.components):
            known[f"{_AT}{index}"] = part.push(noise.select(self._axis, index), known)
        values = [known[f"{_AT}{index}"] for index in range(len(self.parts))]
        return torch.stack(torch.broadcast_tensors(*values), dim=-1)

    @property
    def _axis(self) -> int:
        """The axis of the noise that runs over the components."""
        return -1 - len(self.parts[0].noise_shape)

    def _parents(self, value: Tensor, parents: Parents, index: int) -> Parents:
        earlier = {f"{_AT}{before}": value[..., before] for before in range(index)}
        return {**parents, **earlier}

    def _component(self, sample: Sample, index: int) -> Sample:
        parents = self._parents(sample.value, sample.parents, index)
        return Sample(sample.value[..., index], parents, sample.weight)

    def _gathered(self, parts: list[Mechanism]) -> Self:
        state = {
            f"{name}{_AT}{index}": tensor
            for index, part in enumerate(parts)
            for name, tensor in part.state.items()
        }
        notes = [f"component {i}: {note}" for i, part in enumerate(parts) for note in part.notes]
        return self.with_state(state).noted(*notes)

    def _replaced(
        self, *, state: State | None = None, notes: tuple[str, ...] | None = None
    ) -> Self:
        return replace(
            self,
            state=self.state if state is None else state,
            notes=self.notes if notes is None else notes,
        )


@dataclass(frozen=True)
class TriangularDrawn(Triangular):
    """Of components whose noise is normal and drawn, such as counts."""

    bijective: ClassVar[bool] = False


@dataclass(frozen=True)
class TriangularGumbel(Triangular):
    """Of categorical components."""

    noise: ClassVar[NoiseLaw] = "gumbel"
    bijective: ClassVar[bool] = False


def triangular(
    build: Build, spec: Any, support: Support, *, parents: Mapping[str, Support]
) -> Mechanism:
    """The mechanism of a vector out of a family's scalar mechanisms.

    Args:
        build: What gives a component's mechanism.
        spec: The family's specification.
        support: The vector's support; its `size` is the number of components.
        parents: The support of each parent, by key.
    """
    scalar = _scalar(support)
    known = dict(parents)
    parts = []
    for index in range(support.size or 1):
        parts.append(build(spec, scalar, parents=dict(known)))
        known[f"{_AT}{index}"] = scalar
    kind = Triangular if parts[0].bijective else TriangularDrawn
    if parts[0].noise == "gumbel":
        kind = TriangularGumbel
    return kind(spec, support, parents, parts=tuple(parts))


def _scalar(support: Support) -> Support:
    """The support of one component; levels and unit stay."""
    copy = object.__new__(type(support))
    for item in fields(support):
        value = None if item.name == "size" else getattr(support, item.name)
        object.__setattr__(copy, item.name, value)
    return copy
