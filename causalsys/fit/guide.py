"""The amortised guide: from what is observed of a row to the posterior of its latents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import torch
from torch import Tensor

from causalsys.mechanisms.base import Parents, State
from causalsys.mechanisms.features import columns, start_columns
from causalsys.mechanisms.nets import apply_net, start_net
from causalsys.scm.supports import Support


@dataclass(frozen=True)
class Guide:
    """A normal posterior of the latents' noises given the observed part of their block.

    Latents are handled by their noises, which are standard normal a priori whatever the
    support: one prior, one scale, and the same coordinates in which queries abduct.

    Attributes:
        latents: The latents, in causal order.
        sizes: How many noises each has.
        inputs: What the guide looks at: the support of each column, by key.
        per_trace: Whether the latents belong to traces; the rows of a trace are then pooled.
        state: Its parameters, `[member, ...]`.
    """

    latents: tuple[str, ...]
    sizes: tuple[int, ...]
    inputs: Mapping[str, Support]
    per_trace: bool = False
    state: State = field(default_factory=dict)

    @property
    def width(self) -> int:
        """How many noises there are in all."""
        return sum(self.sizes)

    def start(self, values: Parents, *, weight: Tensor, generator: torch.Generator) -> Self:
        """A first guess: the prior, up to small random slopes that differ between members."""
        members = weight.shape[0]
        state = start_columns(values, parents=self.inputs, scale="both", weight=weight)
        width = state["center"].shape[-1]
        net = start_net(
            "guide", width, 2 * self.width, hidden=(32, 32), members=members, generator=generator
        )
        net["guide.out"] = 0.1 * torch.randn(net["guide.out"].shape, generator=generator)
        return self.with_state(state | {name: tensor.double() for name, tensor in net.items()})

    def with_state(self, state: State) -> Self:
        """The same guide with other parameters."""
        return type(self)(self.latents, self.sizes, self.inputs, self.per_trace, dict(state))

    def members(self, index: Tensor) -> Self:
        """The guide with member `index[s]` for sample `s`."""
        return self.with_state(
            {k: v if v.shape[0] == 1 else v.index_select(0, index) for k, v in self.state.items()}
        )

    def posterior(self, values: Parents, *, trace: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean and scale of the noises, `[..., member, row or trace, width]`.

        Args:
            values: The inputs by key, `[..., 1 or member, row]`.
            trace: For latents of traces, the number of each row's trace, `[row]`.
        """
        design = columns(values, parents=self.inputs, scale="both", state=self.state)
        if design is None:
            raise AssertionError("a guide always has inputs: a latent has children")
        out = apply_net("guide", design, self.state)
        if self.per_trace and trace is not None:
            out = _pooled(out, trace)
        mean, raw = out.split(self.width, dim=-1)
        return mean, torch.exp(raw.clamp(-8, 2))


def _pooled(out: Tensor, trace: Tensor) -> Tensor:
    """The mean over each trace's rows, `[..., member, trace, width]`."""
    traces = int(trace.max()) + 1
    count = torch.bincount(trace, minlength=traces).to(out.dtype).unsqueeze(-1)
    shape = (*out.shape[:-2], traces, out.shape[-1])
    total = torch.zeros(shape, dtype=out.dtype, device=out.device).index_add(-2, trace, out)
    return total / count
