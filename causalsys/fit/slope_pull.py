"""Gaussian priors on the slopes of a district with latents, as a penalty on its likelihood.

Member 0 has the posterior's mode. Every other member has the mode under a prior whose mean is
itself a draw from the prior, besides its own weights on the rows: perturb and maximise, which
draws from the posterior exactly where all is normal (Papandreou and Yuille, ICCV 2011), and keeps
a slope that the data do not show as wide as its prior.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from causalsys.fit.joint import Scope
from causalsys.mechanisms.base import Mechanism
from causalsys.mechanisms.linear import LinearMechanism
from causalsys.scm.declaration import Node

_NOISE = 0.25
"""The share of a variable's variance that a start takes for noise."""


@dataclass(frozen=True)
class SlopePull:
    """The priors of all slopes of a district, one variable's after the other's.

    Attributes:
        mean: `[member or 1, slope]`.
        precision: `[slope]`; that of a wide prior, where a slope has none of its own, and zero
            for a constant.
        given: `[slope]`, which slopes have a prior of their own.
        sizes: How many slopes each variable has, its constant included.
    """

    mean: Tensor
    precision: Tensor
    given: Tensor
    sizes: tuple[int, ...]

    @classmethod
    def of(
        cls, parts: Sequence[tuple[Mechanism, Sequence[int], Tensor]], *, wide: float
    ) -> SlopePull:
        """The priors, in units of each variable's own spread.

        Args:
            parts: Each variable's mechanism, which of its columns are observed, and its spread.
            wide: The variance of a slope without a prior.
        """
        means, precisions, given = [], [], []
        for mechanism, observed, spread in parts:
            zero, columns = spread.new_zeros(1), list(observed)
            mean, own = spread.new_zeros(len(columns)), spread.new_zeros(len(columns))
            prior = mechanism.slope_prior if isinstance(mechanism, LinearMechanism) else None
            if prior is not None:
                mean = prior.mean[columns] / spread
                own = prior.precision[columns] * spread**2
            means += [zero, mean]
            precisions += [zero, torch.where(own > 0, own, 1 / wide)]
            given += [zero > 0, own > 0]
        sizes = tuple(1 + len(observed) for _, observed, _ in parts)
        return cls(torch.cat(means).unsqueeze(0), torch.cat(precisions), torch.cat(given), sizes)

    def penalty(self, slopes: Sequence[Tensor], whose: Tensor) -> Tensor:
        """Twice the negative log prior of slopes, one tensor `[point, slope]` a variable."""
        mean = self.mean if len(self.mean) == 1 else self.mean[whose]
        return (self.precision * (torch.cat(list(slopes), -1) - mean) ** 2).sum(-1)

    def guess(self, variable: int, gram: Tensor, moment: Tensor, *, rows: int) -> Tensor:
        """A variable's slopes by least squares under the priors, latents left out.

        Args:
            variable: Its place.
            gram: `[member, slope, slope]`, a mean over rows.
            moment: `[member, slope]`.
            rows: How many rows there are.
        """
        part, ridge = self._ridge(variable, rows)
        return torch.linalg.solve(
            gram + torch.diag_embed(ridge + 1e-8), moment + ridge * self.mean[:1, part]
        )

    def drawn(self, members: int, *, generator: torch.Generator) -> SlopePull:
        """The priors with each member's mean drawn from them; member 0 keeps the mean."""
        if not bool(self.given.any()):
            return self
        draws = torch.randn(members, len(self.given), generator=generator, dtype=self.mean.dtype)
        draws[0] = 0
        deviation = torch.where(self.given, self.precision.clamp(min=1e-300).rsqrt(), 0)
        return replace(self, mean=self.mean + draws * deviation)

    def shift(self, variable: int, gram: Tensor, *, rows: int) -> Tensor:
        """How far a variable's slopes move with the means that `drawn` moved."""
        part, ridge = self._ridge(variable, rows)
        moved = ridge * (self.mean[:, part] - self.mean[:1, part])
        return torch.linalg.solve(gram + torch.diag_embed(ridge + 1e-8), moved)

    def of_variable(self, variable: int) -> Tensor:
        """The precisions of one variable's slopes, `[slope]`."""
        return self.precision.split(self.sizes)[variable]

    def _ridge(self, variable: int, rows: int) -> tuple[slice, Tensor]:
        start = sum(self.sizes[:variable])
        part = slice(start, start + self.sizes[variable])
        given = torch.where(self.given[part], self.of_variable(variable), 0)
        return part, given * _NOISE / rows


def log_prior(mechanisms: Mapping[str, Mechanism]) -> Tensor:
    """The log density of mechanisms' slopes under their priors, added up over members."""
    total = torch.zeros(())
    for mechanism in mechanisms.values():
        prior = mechanism.slope_prior if isinstance(mechanism, LinearMechanism) else None
        if prior is not None:
            off = mechanism.state["weight"] - prior.mean
            total = total - 0.5 * (prior.precision * off**2).sum()
    return total


def spread(scope: Scope, *, weight: Tensor, generator: torch.Generator) -> dict[str, Mechanism]:
    """A trained district's mechanisms with what their priors leave open added to the members.

    Members of a variational fit are restarts; where the data do not show a slope, they agree on
    its prior's mean. Each but the first moves by a draw of the prior's part of the posterior,
    `A⁻¹ P^½ draw` (see `Shrunken.halves`), the latents taken as given.

    Args:
        scope: The trained district.
        weight: `[member, row]`.
        generator: Fixes the draws.
    """
    found = dict(scope.mechanisms)
    for node in scope.nodes:
        mechanism = found.get(node.name)
        prior = mechanism.slope_prior if isinstance(mechanism, LinearMechanism) else None
        if prior is None or not isinstance(mechanism, LinearMechanism):
            continue
        design = mechanism.columns(_at_rest(node, scope))
        assert design is not None
        center = (weight[0] @ design[0]) / weight[0].sum()
        centred = design[0] - center
        data = centred.mT @ (weight[0].unsqueeze(-1) * centred)
        total = data * torch.exp(-2 * mechanism.state["log_scale"][0])
        total = total + torch.diag(prior.precision)
        size = total.diagonal()
        scale = torch.where(size > 0, size.clamp(min=1e-300).rsqrt(), 0)
        inverse = torch.linalg.pinv(scale[:, None] * total * scale, rtol=1e-12, hermitian=True)
        half = scale[:, None] * inverse * scale * prior.precision.sqrt()
        draws = torch.randn(len(weight), len(half), generator=generator, dtype=half.dtype)
        draws[0] = 0
        moved = draws @ half.mT
        state = dict(mechanism.state)
        state["weight"] = state["weight"] + moved
        state["constant"] = state["constant"] - (moved @ center).unsqueeze(-1)
        found[node.name] = mechanism.with_state(state)
    return found


def _at_rest(node: Node, scope: Scope) -> dict[str, Tensor]:
    """A node's parents as known, the others at zero."""
    found = {}
    for ref in node.parents:
        size = scope.schema.supports[ref.name].size
        shape = (1, scope.rows, *([size] if size else []))
        zero = torch.zeros(shape, dtype=torch.float64)
        found[ref.key] = scope.known[ref.key][:1] if ref.key in scope.known else zero
    return found
