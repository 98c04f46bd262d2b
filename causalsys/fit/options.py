"""What a user can set about a fit."""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch

from causalsys.errors import FitError
from causalsys.mechanisms.training import Training

_ENOUGH_TRACES = 20


@dataclass(frozen=True)
class FitOptions:
    """How to fit.

    Attributes:
        seed: Fixes every random choice.
        ensemble: How many parameter draws each mechanism has; their spread is the parameters'
            uncertainty, and member 0 is the best estimate.
        steps: The most optimiser steps of a gradient fit.
        device: "cpu" or "cuda": where the gradient fits of variables without latent parents
            run, which are the large ones. Districts with latents are fitted on the CPU.
        missing: "latent" infers missing cells; "error" refuses them.
    """

    seed: int = 0
    ensemble: int = 8
    steps: int = 2000
    device: str = "cpu"
    missing: str = "latent"

    def __post_init__(self) -> None:
        for name, value, least in (
            ("seed", self.seed, 0),
            ("ensemble", self.ensemble, 1),
            ("steps", self.steps, 1),
        ):
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise FitError(
                    name, found=repr(value), mend=f"Give a whole number of at least {least}."
                )
        if self.missing not in ("latent", "error"):
            raise FitError("missing", found=repr(self.missing), mend='Use "latent" or "error".')
        if not isinstance(self.device, str) or not re.fullmatch(r"cpu|cuda(:\d+)?", self.device):
            raise FitError("device", found=repr(self.device), mend='Use "cpu" or "cuda".')
        if self.device.startswith("cuda") and not torch.cuda.is_available():
            raise FitError("device", found="no CUDA device here", mend='Use device="cpu".')

    def training(self, seed: int) -> Training:
        """The options of a gradient fit."""
        return Training(seed=seed, steps=self.steps, device=self.device)


def bootstrap(
    weight: torch.Tensor, *, trace: torch.Tensor, members: int, seed: int
) -> torch.Tensor:
    """A Bayesian bootstrap of row weights (Rubin, 1981), `[member, row]`.

    Member 0 keeps the weights as they are. Rows of a trace share their draw, since they are
    not independent (Field and Welsh, 2007), unless there are too few traces to draw from.

    Args:
        weight: The rows' own weights, `[row]`.
        trace: The number of each row's trace, `[row]`.
        members: How many members there are.
        seed: Fixes the draws.
    """
    traces = int(trace[-1]) + 1
    units = traces if traces >= _ENOUGH_TRACES else len(weight)
    generator = torch.Generator().manual_seed(seed)
    draws = torch.empty(members, units, dtype=torch.float64)
    draws.exponential_(generator=generator)
    draws[0] = 1.0
    if units == len(weight):
        return draws * weight
    return draws[:, trace] * weight
