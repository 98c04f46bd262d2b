"""The exact maximum-likelihood fit of linear districts with normal latents.

The likelihood needs the data only through one matrix of cross moments, so rows cost nothing
while it is maximised. Priors on slopes count beside it (`slope_pull`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import pad

from causalsys.fit.factors import Factors
from causalsys.fit.joint import Scope
from causalsys.fit.slope_pull import SlopePull
from causalsys.mechanisms.base import Mechanism
from causalsys.mechanisms.quasi_newton import Metric, minimise

_ATTEMPTS = 24
_STEPS = 400
_ROUGH = 1e-4
"""How flat an attempt ends: enough to tell optima apart; members climb on from there."""
_PRIOR = 25.0
"""Variance of a wide prior on slopes of standardised columns; it only settles flat directions."""
_LEAST = 1e-4
"""The smallest share of a variable's variance that is left to its noise (Heywood, 1931)."""


@dataclass(frozen=True)
class Maximum:
    """The maximum-likelihood fit of a linear district.

    Attributes:
        mechanisms: With all members' parameters.
        agreeing: How many attempts ended in the best optimum.
        attempts: How many were made.
        converged: Whether nothing more was to be gained at the end.
    """

    mechanisms: Mapping[str, Mechanism]
    agreeing: int
    attempts: int
    converged: bool = True


def maximise(scope: Scope, *, weight: Tensor, generator: torch.Generator) -> Maximum:
    """Fit a linear district by its exact likelihood.

    Attempts from random loadings settle on the best optimum; each member then climbs from one
    of the attempts that found it, under its own weights. Where the data identify the loadings
    the members agree up to their uncertainty; where they do not, they stay apart and show it.

    Args:
        scope: The district with started mechanisms.
        weight: `[member, row]`.
        generator: Fixes the attempts.
    """
    problem = _Problem.of(Factors.of(scope), weight)
    own = problem.only(torch.zeros(_ATTEMPTS, dtype=torch.int64))
    bend = problem.bend()
    tries = minimise(own.losses, own.start(generator), steps=_STEPS, tolerance=_ROUGH, metric=bend)
    scores = own.losses(tries, torch.arange(_ATTEMPTS))
    good = scores <= scores.min() + 2.0 / scope.rows
    best = tries[scores.argsort(stable=True)[: int(good.sum())]]
    best = problem.aligned(best, problem.upright(best[:1]))
    aligned = best[torch.arange(len(weight)) % len(best)]
    problem = replace(problem, pull=problem.pull.drawn(len(weight), generator=generator))
    points = minimise(problem.losses, problem.leaning(aligned), steps=_STEPS, metric=bend)
    return Maximum(problem.mechanisms(problem.aligned(points, points[:1])), len(best), _ATTEMPTS)


@dataclass(frozen=True)
class _Problem:
    """The likelihood as a function of points `[member, parameter]`, through cross moments.

    A point holds, for each variable in turn, its constant and slopes, its loadings, and the
    log of its noise's scale, all in units of the variable's own spread.
    """

    factors: Factors
    moments: Tensor
    spread: Tensor
    slopes: tuple[int, ...]
    mask: Tensor
    rows: int
    pull: SlopePull

    @classmethod
    def of(cls, factors: Factors, weight: Tensor) -> _Problem:
        blocks, spreads, slopes = [], [], []
        for node in factors.variables:
            mechanism = factors.mechanism(node)
            line = mechanism.line(factors.scope.known[node.name])
            spread = line.std(unbiased=False).clamp(min=1e-9)
            design = mechanism.columns(factors.plain(node))
            observed = [] if design is None else [design[..., factors.observed(node)]]
            ones = torch.ones_like(line).unsqueeze(-1)
            parts = [(line / spread).unsqueeze(-1), ones, *observed]
            lead = max(map(len, parts))  # one data set per member, once cells are imputed
            block = torch.cat([part.expand(lead, *part.shape[1:]) for part in parts], -1)
            blocks.append(block)
            spreads.append(spread)
            slopes.append(block.shape[-1] - 1)
        lead = max(len(block) for block in blocks)
        data = torch.cat([block.expand(lead, *block.shape[1:]) for block in blocks], -1)
        share = weight / weight.sum(-1, keepdim=True)
        moments = torch.stack(
            [
                data[min(m, lead - 1)].mT @ (share[m].unsqueeze(-1) * data[min(m, lead - 1)])
                for m in range(len(weight))
            ]
        )
        mask = torch.zeros(len(factors.variables), factors.width, dtype=torch.bool)
        for index, node in enumerate(factors.variables):
            for name in factors.columns(node):
                mask[index, factors.latents[name]] = True
        regressions = [
            (factors.mechanism(node), factors.observed(node), spread)
            for node, spread in zip(factors.variables, spreads, strict=True)
        ]
        pull = SlopePull.of(regressions, wide=_PRIOR)
        spread = torch.stack(spreads)
        return cls(factors, moments, spread, tuple(slopes), mask, weight.shape[1], pull)

    def only(self, index: Tensor) -> _Problem:
        """The problem of the members `index`."""
        return replace(self, moments=self.moments[index])

    def start(self, generator: torch.Generator) -> Tensor:
        """Least squares without latents, plus random loadings, one point per member."""
        members = len(self.moments)
        parts = [
            self.pull.guess(index, gram, moment, rows=self.rows)
            for index, (gram, moment) in enumerate(self._regressions())
        ]
        size = int(self.mask.sum())
        draws = torch.randn(members, size, generator=generator, dtype=self.moments.dtype)
        scales = torch.full((members, len(self.slopes)), math.log(0.5), dtype=draws.dtype)
        return torch.cat([*parts, 0.6 * draws, scales], -1)

    def leaning(self, points: Tensor) -> Tensor:
        """The points moved as far as the means of the slopes' priors were."""
        if len(self.pull.mean) == 1:
            return points
        moves = [
            self.pull.shift(index, gram, rows=self.rows)
            for index, (gram, _) in enumerate(self._regressions())
        ]
        move = torch.cat(moves, -1)
        return points + pad(move, (0, points.shape[1] - move.shape[1]))

    def _regressions(self) -> Iterator[tuple[Tensor, Tensor]]:
        """For each variable the moments of its slopes' columns, and those with itself."""
        row = 0
        for count in self.slopes:
            x = slice(row + 1, row + 1 + count)
            yield self.moments[:, x, x], self.moments[:, x, row]
            row += 1 + count

    def losses(self, points: Tensor, whose: Tensor) -> Tensor:
        """The negative log likelihood per row, up to a constant, of the members `whose`."""
        slopes, loading, variance = self._read(points)
        own, columns = self._places
        flat = points.new_zeros(len(points), len(self.slopes) * self.moments.shape[-1])
        flat = flat.index_fill(1, own, 1.0).index_copy(1, columns, -torch.cat(slopes, -1))
        combine = flat.unflatten(1, (len(self.slopes), -1))
        residual = combine @ self.moments[whose] @ combine.mT
        covariance = loading @ loading.mT + torch.diag_embed(variance)
        root, failed = torch.linalg.cholesky_ex(covariance)
        log_det = 2 * root.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        fit = torch.cholesky_solve(residual, root).diagonal(dim1=-2, dim2=-1).sum(-1)
        prior = (loading**2).sum((-1, -2)) / _PRIOR + self.pull.penalty(slopes, whose)
        loss = 0.5 * (log_det + fit) + 0.5 * prior / self.rows
        return torch.where(failed > 0, torch.full_like(loss, torch.inf), loss)

    @cached_property
    def _places(self) -> tuple[Tensor, Tensor]:
        """Where in `[variable, moment]` each variable's own moment stands, and its slopes'."""
        width, row = self.moments.shape[-1], 0
        own: list[int] = []
        columns: list[int] = []
        for index, count in enumerate(self.slopes):
            own.append(index * width + row)
            columns += range(index * width + row + 1, index * width + row + 1 + count)
            row += 1 + count
        return torch.tensor(own), torch.tensor(columns)

    def bend(self) -> Metric:
        """The likelihood's inverse curvature where the latents do nothing.

        Requests and seconds go together, and slopes of columns that do are slow to climb along
        one by one. There the slopes of a variable have its regression's own inverse, a loading
        has the noise's variance, and the log of its scale has a half.
        """
        blocks, variances, row = [], [], 0
        for index, (gram, moment) in enumerate(self._regressions()):
            guess = self.pull.guess(index, gram[:1], moment[:1], rows=self.rows)[0]
            gram, moment = gram[0], moment[0]
            noise = self.moments[0, row, row] - 2 * guess @ moment + guess @ gram @ guess
            noise = noise.clamp(min=_LEAST)
            held = torch.diag(self.pull.of_variable(index).clamp(min=1 / _PRIOR) / self.rows)
            values, vectors = torch.linalg.eigh(gram / noise + held)
            values = values.clamp(min=1 / (_PRIOR * self.rows))
            blocks.append((vectors / values) @ vectors.mT)
            variances.append(noise)
            row += 1 + self.slopes[index]
        inverse = torch.block_diag(*blocks)
        loadings = torch.stack(variances).unsqueeze(-1).expand(self.mask.shape)[self.mask]
        others = torch.cat([loadings, torch.full_like(self.spread, 0.5)])

        def metric(points: Tensor) -> Tensor:
            return torch.cat(
                [points[:, : len(inverse)] @ inverse, points[:, len(inverse) :] * others], -1
            )

        return metric

    def upright(self, point: Tensor) -> Tensor:
        """The point with each latent's strongest loading positive: its sign is a convention."""
        _, loading, _ = self._read(point)
        strongest = loading.gather(-2, loading.abs().argmax(-2, keepdim=True))
        return self._turned(point, loading * strongest.sign())

    def aligned(self, points: Tensor, model: Tensor) -> Tensor:
        """The points with each latent's sign as in `model`: the likelihood does not see it."""
        if not len(points):
            return points
        _, loading, _ = self._read(points)
        _, wanted, _ = self._read(model)
        sign = torch.where((loading * wanted).sum(-2) < 0, -1.0, 1.0).to(points.dtype)
        return self._turned(points, loading * sign.unsqueeze(-2))

    def _turned(self, points: Tensor, loading: Tensor) -> Tensor:
        """The points with other loadings."""
        at, size = sum(self.slopes), int(self.mask.sum())
        turned = points.clone()
        turned[:, at : at + size] = loading[:, self.mask]
        return turned

    def mechanisms(self, points: Tensor) -> dict[str, Mechanism]:
        """The mechanisms with the points as their parameters."""
        slopes, loading, variance = self._read(points)
        found = dict(self.factors.scope.mechanisms)
        for index, node in enumerate(self.factors.variables):
            mechanism = found[node.name]
            old, spread = mechanism.state["weight"], self.spread[index]
            weight = points.new_zeros(len(points), old.flatten(1).shape[1])
            weight[:, self.factors.observed(node)] = spread * slopes[index][:, 1:]
            for name, columns in self.factors.columns(node).items():
                weight[:, columns] = spread * loading[:, index, self.factors.latents[name]]
            state = {
                **mechanism.state,
                "weight": weight.reshape(len(points), *old.shape[1:]),
                "constant": spread * slopes[index][:, :1],
                "log_scale": 0.5 * variance[:, index : index + 1].log() + spread.log(),
            }
            found[node.name] = mechanism.with_state(state)
        return found

    def _read(self, points: Tensor) -> tuple[list[Tensor], Tensor, Tensor]:
        """Slopes by variable, loadings `[member, variable, width]`, noise variances."""
        sizes = [*self.slopes, int(self.mask.sum()), len(self.slopes)]
        *slopes, packed, log_scale = points.split(sizes, -1)
        loading = points.new_zeros(len(points), *self.mask.shape)
        loading = loading.masked_scatter(self.mask.expand(len(points), -1, -1), packed)
        return list(slopes), loading, torch.exp(2 * log_scale) + _LEAST
