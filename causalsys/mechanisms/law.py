"""A mechanism, given its parents, as a Pyro distribution."""

from __future__ import annotations

from typing import Any

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from causalsys.mechanisms.base import Mechanism, Parents
from causalsys.scm.supports import Boolean, Categorical, Count, Fraction, Positive, Support


def constraint(support: Support) -> Any:
    """The torch constraint of a support's values."""
    if isinstance(support, Boolean):
        inner: Any = constraints.boolean
    elif isinstance(support, Categorical):
        inner = constraints.integer_interval(0, max(support.cardinality - 1, 0))
    elif isinstance(support, Count):
        inner = constraints.nonnegative_integer
    elif isinstance(support, Positive):
        inner = constraints.nonnegative
    elif isinstance(support, Fraction):
        inner = constraints.unit_interval
    else:
        inner = constraints.real
    return constraints.independent(inner, 1) if support.size else inner


class MechanismLaw(TorchDistribution):
    """The conditional law of a variable, for `pyro.sample`.

    Args:
        mechanism: The fitted (or started) mechanism.
        parents: Its parents' values, `[..., sample, row]`.
        batch_shape: The shape `[..., sample, row]` of the variable.
    """

    arg_constraints: dict[str, Any] = {}  # noqa: RUF012  (torch's own protocol)

    def __init__(
        self, mechanism: Mechanism, parents: Parents, *, batch_shape: tuple[int, ...]
    ) -> None:
        self.mechanism = mechanism
        self.parents = parents
        size = mechanism.support.size
        self.has_rsample = mechanism.bijective
        super().__init__(
            torch.Size(batch_shape), torch.Size((size,) if size else ()), validate_args=False
        )

    @property
    def support(self) -> Any:
        return constraint(self.mechanism.support)

    def log_prob(self, value: Tensor) -> Tensor:
        each = self.mechanism.log_prob(value, self.parents)
        return each.expand(torch.broadcast_shapes(self.batch_shape, each.shape))

    def rsample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        shape = (*sample_shape, *self.batch_shape, *self.mechanism.noise_shape)
        noise = torch.randn(shape, dtype=torch.float64)
        if self.mechanism.noise == "gumbel":
            noise = -torch.log(torch.empty(shape, dtype=torch.float64).exponential_())
        return self.mechanism.push(noise, self.parents)

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        with torch.no_grad():
            return self.rsample(sample_shape)

    def expand(
        self, batch_shape: torch.Size | list[int] | tuple[int, ...], _instance: Any = None
    ) -> MechanismLaw:
        return MechanismLaw(self.mechanism, self.parents, batch_shape=tuple(batch_shape))
