"""Small networks with a member axis: every layer is one batched product over the ensemble."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import silu

from causalsys.mechanisms.base import State


def start_net(
    prefix: str,
    inputs: int,
    outputs: int,
    *,
    hidden: tuple[int, ...],
    members: int,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Random weights of a network with a linear shortcut from its inputs to its outputs.

    The output layer and the shortcut start at zero, so that the network starts as a constant.
    """
    state: dict[str, Tensor] = {}
    sizes = (inputs, *hidden)
    for layer, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        draws = torch.rand(members, fan_in, fan_out, generator=generator) * 2 - 1
        bound = math.sqrt(3 / max(fan_in, 1))
        state[f"{prefix}.weight{layer}"] = draws * bound
        shift = torch.rand(members, 1, fan_out, generator=generator) * 2 - 1
        state[f"{prefix}.bias{layer}"] = shift
    state[f"{prefix}.out"] = torch.zeros(members, sizes[-1] if hidden else 0, outputs)
    state[f"{prefix}.shortcut"] = torch.zeros(members, inputs, outputs)
    state[f"{prefix}.constant"] = torch.zeros(members, 1, outputs)
    return state


def apply_net(prefix: str, inputs: Tensor, state: State) -> Tensor:
    """The outputs `[..., member, row, output]` for inputs `[..., 1 or member, row, input]`."""
    shortcut = _affine(inputs, state[f"{prefix}.shortcut"], state[f"{prefix}.constant"])
    layer, value = 0, inputs
    while f"{prefix}.weight{layer}" in state:
        value = silu(
            _affine(value, state[f"{prefix}.weight{layer}"], state[f"{prefix}.bias{layer}"])
        )
        layer += 1
    return shortcut + value @ state[f"{prefix}.out"] if layer else shortcut


def _affine(value: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`value @ weight + bias`, in one pass over memory where there are no further axes."""
    if value.dim() > 3:
        return value @ weight + bias
    members = max(value.shape[0], weight.shape[0])
    value, weight, bias = (
        tensor.expand(members, *tensor.shape[1:]) for tensor in (value, weight, bias)
    )
    return torch.baddbmm(bias, value, weight)
