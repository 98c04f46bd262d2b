"""The same luck for a random policy in every simulator, ours, the baselines and the truth.

Pathwise errors of a random policy mean nothing where its draws differ: even the true model then
has an error of a hundred per cent.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Categorical


def with_luck(policy: Callable[..., Any], chance: Tensor) -> Callable[..., Any]:
    """A policy whose choices are quantiles of given uniform numbers, `[step, trace]`."""
    signature = inspect.signature(policy)
    if "memory" in signature.parameters:
        return policy  # Those that remember are not random here.

    def act(*args: Any, memory: int | None = None, **given: Any) -> tuple[Tensor, int]:
        step = 0 if memory is None else memory
        made = policy(*args, **given)
        if isinstance(made, Categorical):
            below = made.probs.cumsum(-1) <= chance[step].unsqueeze(-1)
            made = below.sum(-1).clamp(max=made.probs.shape[-1] - 1)
        return torch.as_tensor(made), step + 1

    own = inspect.Parameter("memory", inspect.Parameter.KEYWORD_ONLY, default=None)
    act.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*signature.parameters.values(), own]
    )
    return act
