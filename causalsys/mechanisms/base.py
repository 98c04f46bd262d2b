"""What a mechanism is: `log_prob`, `pull` and `push`, over tensors `[..., sample, row]`.

Everything above this room is written in those three. A mechanism is immutable; its parameters
are tensors with a leading member axis (an ensemble, or one parameter draw per sample), so that
parameter uncertainty is one more batched axis and never a loop.

Shapes, used throughout the room:

    value    [..., sample, row]          a vector-valued variable: [..., sample, row, size]
    parents  key -> the same; codes (int64) for categorical and boolean parents
    noise    [..., sample, row, *noise_shape]
    state    name -> [member, ...], member being 1 or the number of samples
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor

from causalsys.mechanisms.training import Training, by_gradient
from causalsys.scm.specs import MechanismSpec
from causalsys.scm.supports import Support

NoiseLaw = Literal["normal", "gumbel"]
Parents = Mapping[str, Tensor]
State = Mapping[str, Tensor]


@dataclass(frozen=True)
class Sample:
    """What a mechanism learns from: values with their parents.

    Attributes:
        value: `[member or 1, row]` (vectors `[..., row, size]`).
        parents: Each parent, shaped alike. A latent parent is absent.
        weight: `[member, row]`, non-negative; member 0 has the rows' own weights, the others
            a Bayesian bootstrap of them (Rubin, 1981).
    """

    value: Tensor
    parents: Parents
    weight: Tensor

    @property
    def members(self) -> int:
        """How many members are fitted side by side."""
        return self.weight.shape[0]

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return self.weight.shape[1]

    def first(self) -> Sample:
        """Member 0's part of the sample."""
        return self.pick(torch.zeros(1, dtype=torch.int64, device=self.weight.device))

    def to(self, device: str) -> Sample:
        """The sample on another device."""
        parents = {key: parent.to(device) for key, parent in self.parents.items()}
        return Sample(self.value.to(device), parents, self.weight.to(device))

    def pick(self, members: Tensor) -> Sample:
        """The sample of these members, in this order; a member may come twice."""

        def of(column: Tensor) -> Tensor:
            return column if column.shape[0] == 1 else column.index_select(0, members)

        parents = {key: of(parent) for key, parent in self.parents.items()}
        return Sample(of(self.value), parents, self.weight.index_select(0, members))

    def take(self, rows: Tensor) -> Sample:
        """The sample with these rows only."""
        axis = 1
        return Sample(
            self.value.index_select(axis, rows),
            {key: parent.index_select(axis, rows) for key, parent in self.parents.items()},
            self.weight.index_select(axis, rows),
        )


@dataclass(frozen=True)
class Mechanism(ABC):
    """One variable's conditional distribution, as a function of its parents and a noise.

    Subclasses give `start`, `log_prob`, `pull` and `push`; they inherit maximum likelihood by
    gradient, and override `fit` where there is a closed form.

    Attributes:
        spec: The specification it implements.
        support: The support of the variable.
        parents: The support of each parent, by key.
        state: Its parameters and constants; empty before `start`.
        notes: What a user should know about this fit, in words.

    Class attributes:
        noise: The law of every element of the noise: standard normal, or standard Gumbel.
        bijective: Whether the value determines the noise; otherwise `pull` draws the noise
            from its posterior.
        constants: Prefixes of the names in `state` that training leaves as `start` set them.
    """

    spec: Any
    support: Support
    parents: Mapping[str, Support]
    state: State = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    noise: ClassVar[NoiseLaw] = "normal"
    bijective: ClassVar[bool] = True
    constants: ClassVar[tuple[str, ...]] = ("center", "spread", "offset", "knots", "line")

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """The trailing axes of the noise of one value."""
        return ()

    @property
    def resampled(self) -> bool:
        """Whether a bootstrap of the rows' weights tells members apart.

        Otherwise `fit` draws them from the sampling distribution of member 0's estimate, and
        looks at its weights only; any number of rows can then be fitted.
        """
        return True

    @abstractmethod
    def start(self, sample: Sample, *, generator: torch.Generator) -> Self:
        """A first guess from the data: scaling constants, and parameters to train from.

        Must work when latent parents are absent from `sample`; their influence then starts
        small and random, which breaks the symmetry between restarts.
        """

    @abstractmethod
    def log_prob(self, value: Tensor, parents: Parents) -> Tensor:
        """The log density (or mass) of `value`, shaped `[..., sample, row]`."""

    @abstractmethod
    def pull(
        self, value: Tensor, parents: Parents, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """The noise behind `value`; drawn from its posterior where it is not determined."""

    @abstractmethod
    def push(self, noise: Tensor, parents: Parents) -> Tensor:
        """The value that `noise` gives."""

    def carry(
        self,
        value: Tensor,
        parents: Parents,
        changed: Parents,
        *,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """What `value` would have been under other parents, its noise being the same.

        Args:
            value: The value that was seen.
            parents: The parents under which it was seen.
            changed: Those of them that differ, as they would have been.
            generator: As for `pull`.
        """
        return self.push(self.pull(value, parents, generator=generator), {**parents, **changed})

    def fit(self, sample: Sample, *, training: Training) -> Self:
        """The maximum-likelihood fit, by gradient unless the family has a closed form."""
        return by_gradient(self, sample, training=training)

    def finish(self, sample: Sample) -> Self:
        """What is computed once training has ended, such as the law of the residuals."""
        return self

    def draw_noise(self, shape: tuple[int, ...], *, generator: torch.Generator) -> Tensor:
        """Noise from its law, shaped `[*shape, *noise_shape]`."""
        full = (*shape, *self.noise_shape)
        normal = torch.randn(full, generator=generator, dtype=torch.float64)
        return normal if self.noise == "normal" else gumbel_of_normal(normal)

    def with_state(self, state: State) -> Self:
        """The same mechanism with other parameters."""
        return self._replaced(state=dict(state))

    def noted(self, *notes: str) -> Self:
        """The same mechanism with notes added."""
        return self._replaced(notes=(*self.notes, *notes))

    def members(self, index: Tensor) -> Self:
        """The mechanism with member `index[s]` as its parameters for sample `s`."""
        return self.with_state(
            {
                name: value if value.shape[0] == 1 else value.index_select(0, index)
                for name, value in self.state.items()
            }
        )

    def to(self, *, device: str | None = None, dtype: torch.dtype | None = None) -> Self:
        """The mechanism on another device, or its floating-point parameters in another type."""
        return self.with_state(
            {
                name: value.to(
                    device=device, dtype=dtype if value.is_floating_point() else value.dtype
                )
                for name, value in self.state.items()
            }
        )

    def _replaced(
        self, *, state: State | None = None, notes: tuple[str, ...] | None = None
    ) -> Self:
        return type(self)(
            self.spec,
            self.support,
            self.parents,
            self.state if state is None else state,
            self.notes if notes is None else notes,
        )


def gumbel_of_normal(normal: Tensor) -> Tensor:
    """Map standard normal noise to standard Gumbel noise, monotonically."""
    return -torch.log(-torch.special.log_ndtr(normal))


def normal_of_gumbel(gumbel: Tensor) -> Tensor:
    """The inverse of `gumbel_of_normal`, accurate in both tails."""
    survival = -torch.expm1(-torch.exp(-gumbel))
    lower = torch.special.ndtri(torch.exp(-torch.exp(-gumbel)).clamp(min=1e-300))
    upper = -torch.special.ndtri(survival.clamp(min=1e-300))
    return torch.where(gumbel > 0.37, upper, lower)


__all__ = ["Mechanism", "MechanismSpec", "NoiseLaw", "Parents", "Sample", "State", "Training"]
