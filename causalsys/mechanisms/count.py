"""Counts: a negative binomial with log-linear mean, driven by one normal noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

import torch
from torch import Tensor
from torch.nn.functional import softplus

from causalsys.mechanisms.base import Mechanism, Parents, Sample
from causalsys.mechanisms.draws import uniform_like
from causalsys.mechanisms.features import columns, start_columns
from causalsys.mechanisms.packing import pack, unpack
from causalsys.mechanisms.quasi_newton import Losses, minimise
from causalsys.mechanisms.training import Training

if TYPE_CHECKING:
    from causalsys.mechanisms import nbinom

_TRAINED = ("constant", "log_size", "weight")
_LOG_MEAN = 30.0
"""Log means stay within this of zero, so that a count stays a count at extreme parents."""
_LOG_SIZE = (-10.0, 14.0)
_PSEUDO_COUNT = 0.5
_SLOPE_VARIANCE = 100.0
_SIZE_PRIOR = (2.0, 3.0)
"""Mean and standard deviation of a wide prior: Poisson data do not tell the size."""
_INSIDE = 1e-6
"""Noise is drawn at least this share of a step away from its ends, where rounding decides."""


@dataclass(frozen=True)
class CountMechanism(Mechanism):
    """`value = F⁻¹(Φ(noise); mean(parents), size)`, with variance `mean + mean² / size`.

    The noise behind a count is only known to lie on a step of F, and is drawn from there. Counts
    and positive parents enter by their logarithm, so that the mean is a power law in them.
    """

    bijective: ClassVar[bool] = False

    def log_prob(self, value: Tensor, parents: Parents) -> Tensor:
        log_mean, log_size = self._law(parents)
        count, size = value.to(log_mean.dtype), log_size.exp()
        odds = log_mean - log_size
        ways = torch.lgamma(count + size) - torch.lgamma(size) - torch.lgamma(count + 1)
        return ways - size * softplus(odds) - count * softplus(-odds)

    def pull(
        self, value: Tensor, parents: Parents, *, generator: torch.Generator | None = None
    ) -> Tensor:
        from causalsys.mechanisms import nbinom

        log_mean, log_size = self._law(parents)
        shape = torch.broadcast_shapes(value.shape, log_mean.shape)
        count, mean, size = (
            _array(tensor.expand(shape)) for tensor in (value, log_mean, log_size.exp())
        )
        share = uniform_like(value.expand(shape), generator=generator)
        inside = _array(_INSIDE + (1 - 2 * _INSIDE) * share)
        below = nbinom.log_tails(count - 1, mean, size)
        noise = nbinom.noise_between(below, nbinom.log_tails(count, mean, size), inside)
        return torch.from_numpy(noise).reshape(shape).to(log_mean)

    def push(self, noise: Tensor, parents: Parents) -> Tensor:
        from causalsys.mechanisms import nbinom

        log_mean, log_size = self._law(parents)
        shape = torch.broadcast_shapes(noise.shape, log_mean.shape)
        flat = [_array(tensor.expand(shape)) for tensor in (noise, log_mean, log_size.exp())]
        return torch.from_numpy(nbinom.quantile(*flat)).reshape(shape).to(log_mean)

    def start(self, sample: Sample, *, generator: torch.Generator) -> Self:
        state = start_columns(
            sample.parents, parents=self.parents, scale="log", weight=sample.weight
        )
        members, width = sample.members, state["center"].shape[-1]
        weight = sample.weight
        count = sample.value.to(weight.dtype)
        total = weight.sum(-1, keepdim=True)
        mean = ((weight * count).sum(-1, keepdim=True) + _PSEUDO_COUNT) / total
        excess = (weight * (count - mean) ** 2).sum(-1, keepdim=True) / total - mean
        size = mean**2 / excess.clamp(min=1e-6)
        state["constant"] = mean.log()
        state["log_size"] = size.log().clamp(-2, 5)
        state["weight"] = torch.zeros(members, width, dtype=weight.dtype)
        if len(sample.parents) < len(self.parents):
            # A latent parent: start from a random slope, or all restarts would be alike.
            draws = torch.randn(members, width, generator=generator, dtype=weight.dtype)
            state["weight"] = 0.5 * draws
        return self.with_state(state)

    def fit(self, sample: Sample, *, training: Training) -> Self:
        started = self.start(sample, generator=training.generator())
        # The other members' optima are close to the first one's: they start from there.
        best = minimise(started._losses(sample.first()), pack(started.state, _TRAINED)[:1])
        best = minimise(started._losses(sample), best.expand(sample.members, -1))
        return started.with_state(unpack(best, started.state, _TRAINED))

    def _losses(self, sample: Sample) -> Losses:
        """The negative log posterior per row, as a function of the trained parameters."""
        center, spread = _SIZE_PRIOR

        def losses(point: Tensor, members: Tensor) -> Tensor:
            tried, part = self.with_state(unpack(point, self.state, _TRAINED)), sample.pick(members)
            data = (part.weight * tried.log_prob(part.value, part.parents)).sum(-1)
            prior = (
                _PSEUDO_COUNT * tried.state["constant"][:, 0]
                - 0.5 * ((tried.state["log_size"][:, 0] - center) / spread) ** 2
                - 0.5 / _SLOPE_VARIANCE * (tried.state["weight"] ** 2).sum(-1)
            )
            return -(data + prior) / part.weight.sum(-1)

        return losses

    def _law(self, parents: Parents) -> tuple[Tensor, Tensor]:
        """The log mean and the log size, `[..., member, row]`."""
        design = columns(parents, parents=self.parents, scale="log", state=self.state)
        log_mean = self.state["constant"]
        if design is not None:
            log_mean = log_mean + (design @ self.state["weight"].unsqueeze(-1)).squeeze(-1)
        return log_mean.clamp(-_LOG_MEAN, _LOG_MEAN), self.state["log_size"].clamp(*_LOG_SIZE)


def _array(tensor: Tensor) -> nbinom.Array:
    array: nbinom.Array = tensor.detach().double().cpu().contiguous().numpy().ravel()
    return array
