"""What a user can set about a fit."""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch

from causalsys.errors import FitError
from causalsys.mechanisms.training import Training


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
        rows_in_memory: The most rows that are taken from a file; of more, a random sample.
    """

    seed: int = 0
    ensemble: int = 8
    steps: int = 2000
    device: str = "cpu"
    missing: str = "latent"
    rows_in_memory: int = 1_000_000

    def __post_init__(self) -> None:
        for name, value, least in (
            ("seed", self.seed, 0),
            ("ensemble", self.ensemble, 1),
            ("steps", self.steps, 1),
            ("rows_in_memory", self.rows_in_memory, 1),
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
