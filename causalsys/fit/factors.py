"""Linear districts with normal latents as matrices: their exact likelihood and posterior.

With every mechanism linear on its link's scale and every latent normal there, the residuals of a
row, `r = line - constant - weight · columns`, are normal with covariance `L L' + D`: a factor
model (Jöreskog, 1967) with the observed parents as regressors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from causalsys.fit.joint import Scope
from causalsys.mechanisms.additive import Additive
from causalsys.mechanisms.features import widths
from causalsys.mechanisms.linear import LinearMechanism
from causalsys.mechanisms.links import log_slope
from causalsys.mechanisms.multiplicative import MultiplicativeMechanism
from causalsys.scm.declaration import Node
from causalsys.scm.specs import StandardNormal
from causalsys.scm.supports import Positive, Real


def is_gaussian(scope: Scope) -> bool:
    """Whether a scope is a linear district with normal latents of steps."""
    for node in scope.nodes:
        if node.kind == "latent":
            normal = isinstance(node.mechanism, StandardNormal) and node.per == "step"
            if not normal or not isinstance(scope.schema.supports[node.name], Real | Positive):
                return False
        elif not _is_linear(node, scope):
            return False
    return True


def _is_linear(node: Node, scope: Scope) -> bool:
    mechanism = scope.mechanisms.get(node.name)
    if not isinstance(mechanism, LinearMechanism | MultiplicativeMechanism):
        return False
    if isinstance(mechanism, LinearMechanism) and mechanism.spec.noise != "normal":
        return False
    if isinstance(mechanism, MultiplicativeMechanism) and mechanism.spec.rank > 1:
        return False
    on_line = (Real, Positive) if mechanism.scale == "log" else (Real,)
    latents = [p.name for p in node.parents if p.name not in scope.known and not p.lag]
    return all(isinstance(scope.schema.supports[name], on_line) for name in latents)


@dataclass(frozen=True)
class Factors:
    """A linear district as matrices.

    Attributes:
        scope: The district.
        variables: The observed variables, in causal order.
        latents: Where each latent's noises stand among all, by name.
    """

    scope: Scope
    variables: tuple[Node, ...]
    latents: Mapping[str, slice]

    @classmethod
    def of(cls, scope: Scope) -> Factors:
        """The matrices of a scope for which `is_gaussian` holds."""
        latents: dict[str, slice] = {}
        end = 0
        for node in scope.nodes:
            if node.kind == "latent":
                size = scope.schema.supports[node.name].size or 1
                latents[node.name] = slice(end, end + size)
                end += size
        return cls(scope, tuple(n for n in scope.nodes if n.kind != "latent"), latents)

    @property
    def width(self) -> int:
        """How many latent noises there are."""
        return max((part.stop for part in self.latents.values()), default=0)

    def posterior(self) -> tuple[Tensor, Tensor]:
        """The noises' posterior mean `[member, row, width]` and covariance `[member, w, w]`."""
        loading, scale = self._loading(), self._scale()
        residual = torch.stack([self._residual(node) for node in self.variables], -1)
        weighted = loading / scale.unsqueeze(-1) ** 2
        precision = torch.eye(self.width, dtype=loading.dtype) + loading.mT @ weighted
        covariance = torch.linalg.inv(precision)
        return residual @ (weighted @ covariance), covariance

    def moments(self) -> tuple[Tensor, Tensor]:
        """The residuals, `[member, row, variable]`, and their covariance, `[member, v, v]`."""
        loading, scale = self._loading(), self._scale()
        residual = torch.stack([self._residual(node) for node in self.variables], -1)
        return residual, loading @ loading.mT + torch.diag_embed(scale**2)

    def draw(self, *, samples: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Draws of the latents' noises from their exact posterior, `[sample, row, ...]`."""
        mean, covariance = self.posterior()
        mean = mean.expand(samples, *mean.shape[1:])
        root = torch.linalg.cholesky(covariance)
        standard = torch.randn(mean.shape, generator=generator, dtype=mean.dtype)
        noise = mean + standard @ root.mT
        return {
            name: noise[..., part]
            if self.scope.schema.supports[name].size
            else noise[..., part.start]
            for name, part in self.latents.items()
        }

    def log_likelihood(self) -> Tensor:
        """The log likelihood of each row with the latents integrated out, `[member, row]`."""
        loading, scale = self._loading(), self._scale()
        residual = torch.stack([self._residual(node) for node in self.variables], -1)
        covariance = loading @ loading.mT + torch.diag_embed(scale**2)
        root = torch.linalg.cholesky(covariance)
        white = torch.linalg.solve_triangular(root, residual.mT, upper=False)
        log_det = 2 * root.diagonal(dim1=-2, dim2=-1).log().sum(-1, keepdim=True)
        normal = -0.5 * ((white**2).sum(-2) + log_det + residual.shape[-1] * math.log(2 * math.pi))
        slopes = [
            log_slope(
                self.scope.known[node.name],
                support=self.mechanism(node).support,
                offset=self.mechanism(node).state["offset"],
            )
            for node in self.variables
        ]
        return normal + torch.stack(torch.broadcast_tensors(*slopes)).sum(0)

    def mechanism(self, node: Node) -> Additive:
        mechanism = self.scope.mechanisms[node.name]
        assert isinstance(mechanism, Additive)
        return mechanism

    def _residual(self, node: Node) -> Tensor:
        """What is left of a variable once its observed parents are accounted for."""
        mechanism = self.mechanism(node)
        return mechanism.line(self.scope.known[node.name]) - mechanism.location(self.plain(node))

    def plain(self, node: Node) -> dict[str, Tensor]:
        """A node's parents, latents at the value of a noise of zero."""
        found = {}
        for ref in node.parents:
            if ref.name not in self.latents:
                found[ref.key] = self.scope.known[ref.key]
                continue
            support = self.scope.schema.supports[ref.name]
            shape = (1, self.scope.rows, *([support.size] if support.size else []))
            noise = torch.zeros(shape, dtype=torch.float64)
            found[ref.key] = self.scope.mechanisms[ref.name].push(noise, {})
        return found

    def _scale(self) -> Tensor:
        """The noises' scales, `[member, variable]`."""
        return torch.cat([self.mechanism(n).state["log_scale"] for n in self.variables], -1).exp()

    def _loading(self) -> Tensor:
        """How the latents act on each variable, `[member, variable, width]`."""
        rows = []
        for node in self.variables:
            weight = self.mechanism(node).state["weight"].flatten(1)
            row = weight.new_zeros(weight.shape[0], self.width)
            for name, columns in self.columns(node).items():
                row[:, self.latents[name]] = weight[:, columns]
            rows.append(row)
        return torch.stack(rows, 1)

    def observed(self, node: Node) -> list[int]:
        """Which of a mechanism's columns are observed parents."""
        mechanism = self.mechanism(node)
        taken = sum(widths(mechanism.parents, scale=mechanism.scale).values())
        hidden = {i for part in self.columns(node).values() for i in range(taken)[part]}
        return [i for i in range(taken) if i not in hidden]

    def columns(self, node: Node) -> dict[str, slice]:
        """Which of a mechanism's columns are latents."""
        mechanism, found, end = self.mechanism(node), {}, 0
        taken = widths(mechanism.parents, scale=mechanism.scale)
        for ref in node.parents:
            if ref.name in self.latents:
                found[ref.name] = slice(end, end + taken[ref.key])
            end += taken[ref.key]
        return found
