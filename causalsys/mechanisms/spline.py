"""A conditional monotone spline flow of one normal noise: bijective, heteroscedastic, skewed.

`noise = spline((link(value) - location(parents)) / scale(parents); parents)`, the spline
rational-quadratic (Durkan, Bekasov, Murray and Papamakarios, NeurIPS 2019), all of location, scale
and knots by one network.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from causalsys.mechanisms.base import Mechanism, Parents, Sample
from causalsys.mechanisms.features import columns, start_columns
from causalsys.mechanisms.links import from_line, log_slope, offset_of, to_line
from causalsys.mechanisms.nets import apply_net, start_net
from causalsys.mechanisms.neural import NeuralMechanism
from causalsys.mechanisms.rational_quadratic import Spline
from causalsys.mechanisms.training import Training, improve
from causalsys.scm import specs

_LOG_2PI = math.log(2 * math.pi)
_LOG_RANGE = 7.0
_SCALE_SHARE, _SHAPE_SHARE = 0.5, 0.25
"""How strongly scale and shape follow their outputs of the network. Less than the location, as
the weights' prior is the same for all, and the noise's law seldom bends as much as its place."""

_FAR, _QUARTILES = 10.0, 1.349
"""Standard deviations, and how many of them lie between a normal law's quartiles."""


@dataclass(frozen=True)
class SplineMechanism(Mechanism):
    """The flow; outside ±5 scales from its location it goes on as a straight line."""

    def start(self, sample: Sample, *, generator: torch.Generator) -> Self:
        state = start_columns(
            sample.parents, parents=self.parents, scale="both", weight=sample.weight
        )
        state["offset"] = offset_of(sample.value.flatten())
        line = to_line(sample.value, support=self.support, offset=state["offset"])
        spread = line.std(unbiased=False)
        state["line.center"] = line.mean().reshape(1, 1)
        state["line.spread"] = torch.where(spread > 0, spread, torch.ones_like(spread)).reshape(
            1, 1
        )
        width, outputs = state["center"].shape[-1], 3 * self.spec.bins + 1
        members = sample.members
        net = start_net(
            "net", width, outputs, hidden=self.spec.hidden, members=members, generator=generator
        )
        if len(sample.parents) < len(self.parents):
            net["net.shortcut"][..., :1] = 0.5 * torch.randn(members, width, 1, generator=generator)
        return self.with_state(state | {name: tensor.double() for name, tensor in net.items()})

    def fit(self, sample: Sample, *, training: Training) -> Self:
        """Fit an additive model first, and bend its noise from there.

        From scratch, a scale that follows the misfit of a location still in training hides that
        misfit from it. The additive model's noise is normal, so outliers are drawn in for it.
        """
        spec = specs.NeuralAdditive(noise="normal", hidden=self.spec.hidden)
        state = dict(self.start(sample, generator=training.generator()).state)
        near = replace(sample, value=self._drawn_in(sample.value, state["offset"]))
        additive = NeuralMechanism(spec, self.support, self.parents).fit(near, training=training)
        state |= {name: additive.state[name] for name in ("line.center", "line.spread")}
        for name, tensor in additive.state.items():
            if name.startswith(("net.weight", "net.bias")):
                state[name] = tensor
            elif name.startswith("net."):
                state[name] = torch.cat([tensor, state[name][..., 1:]], dim=-1)
        share = (additive.state["log_scale"] - state["line.spread"].log()) / _LOG_RANGE
        scale = _LOG_RANGE / _SCALE_SHARE * torch.atanh(share.clamp(-0.9, 0.9))
        state["net.constant"][..., 1] = scale
        return improve(self.with_state(state), sample, training=training)

    def _drawn_in(self, value: Tensor, offset: Tensor) -> Tensor:
        """Values beyond ten robust standard deviations, drawn in to there."""
        line = to_line(value, support=self.support, offset=offset)
        ordered = line.flatten().sort().values
        low, middle, high = (ordered[int(share * len(ordered))] for share in (0.25, 0.5, 0.75))
        reach = _FAR * (high - low) / _QUARTILES
        if not float(reach) or float((line - middle).abs().amax()) <= float(reach):
            return value
        line = line.clamp(middle - reach, middle + reach)
        return from_line(line, support=self.support, offset=offset)

    def log_prob(self, value: Tensor, parents: Parents) -> Tensor:
        location, log_scale, spline = self._flow(parents)
        line = to_line(value, support=self.support, offset=self.state["offset"])
        noise, slope = spline.forward((line - location) * torch.exp(-log_scale))
        link = log_slope(value, support=self.support, offset=self.state["offset"])
        return -0.5 * (noise**2 + _LOG_2PI) + slope - log_scale + link

    def pull(
        self, value: Tensor, parents: Parents, *, generator: torch.Generator | None = None
    ) -> Tensor:
        location, log_scale, spline = self._flow(parents)
        line = to_line(value, support=self.support, offset=self.state["offset"])
        return spline.forward((line - location) * torch.exp(-log_scale))[0]

    def push(self, noise: Tensor, parents: Parents) -> Tensor:
        location, log_scale, spline = self._flow(parents)
        line = location + torch.exp(log_scale) * spline.inverse(noise)
        return from_line(line, support=self.support, offset=self.state["offset"])

    def _flow(self, parents: Parents) -> tuple[Tensor, Tensor, Spline]:
        """Location and log scale `[..., member, row]`, and the spline on the scaled value."""
        design = columns(parents, parents=self.parents, scale="both", state=self.state)
        if design is None:
            design = self.state["center"]
        # The outputs come first from here on: see `rational_quadratic`.
        out = apply_net("net", design, self.state).movedim(-1, 0).contiguous()
        center, spread = self.state["line.center"], self.state["line.spread"]
        location = center + spread * out[0]
        # The scale may shrink to a thousandth of the marginal one, and no further: a density
        # that may shrink without limit has no maximum likelihood.
        log_scale = spread.log() + _LOG_RANGE * torch.tanh(_SCALE_SHARE * out[1] / _LOG_RANGE)
        spline = Spline.of(_SHAPE_SHARE * out[2:], bins=self.spec.bins)
        return location, log_scale, spline
