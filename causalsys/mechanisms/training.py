"""Maximum likelihood by gradient, for every member of an ensemble at once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor

from causalsys.errors import FitError

if TYPE_CHECKING:
    from causalsys.mechanisms.base import Mechanism, Sample

    M = TypeVar("M", bound=Mechanism)


@dataclass(frozen=True)
class Training:
    """How gradient training runs.

    Attributes:
        seed: Seeds the initial guess, the batches and the held-out rows.
        steps: The most optimiser steps.
        batch: Rows of a step.
        rate: The largest learning rate.
        held_out: The share of rows on which early stopping looks.
        patience: Looks without improvement after which training stops.
        device: Where it runs.
    """

    seed: int = 0
    steps: int = 2000
    batch: int = 512
    rate: float = 1e-2
    held_out: float = 0.15
    patience: int = 10
    device: str = "cpu"

    def generator(self) -> torch.Generator:
        """A generator of its own, so that no fit depends on another or on global state."""
        return torch.Generator().manual_seed(self.seed)


_LOOK_EVERY = 50
_LEAST_ROWS = 10


def by_gradient(mechanism: M, sample: Sample, *, training: Training) -> M:
    """Fit by Adam with a one-cycle rate, keeping each member's best state on held-out rows.

    Returns:
        The fitted mechanism, its parameters in float64.

    Raises:
        FitError: There are fewer than ten rows.
    """
    if sample.rows < _LEAST_ROWS:
        raise FitError(
            type(mechanism.spec).__name__,
            found=f"{sample.rows} rows to train on",
            mend=f"Give at least {_LEAST_ROWS}, or a family with a closed form: cs.Linear().",
        )
    generator = training.generator()
    started = mechanism.start(sample, generator=generator)
    order = torch.randperm(sample.rows, generator=generator)
    held = max(int(training.held_out * sample.rows), 1)
    check, learn = _narrow(sample.take(order[:held])), _narrow(sample.take(order[held:]))
    state = {name: tensor.float() for name, tensor in started.state.items()}
    trained = {
        name: tensor.clone().requires_grad_(True)
        for name, tensor in state.items()
        if not name.startswith(mechanism.constants)
    }
    state |= trained
    best = {name: tensor.detach().clone() for name, tensor in trained.items()}
    best_score = torch.full((sample.members,), -math.inf)
    optimiser = torch.optim.Adam(list(trained.values()), lr=training.rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=training.rate, total_steps=training.steps, pct_start=0.1
    )
    since = 0
    for step in range(training.steps):
        rows = torch.randint(learn.rows, (min(training.batch, learn.rows),), generator=generator)
        optimiser.zero_grad()
        loss = -_score(started.with_state(state), learn.take(rows)).sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained.values(), 10.0 * sample.members)
        optimiser.step()
        schedule.step()
        if (step + 1) % _LOOK_EVERY and step + 1 < training.steps:
            continue
        with torch.no_grad():
            score = _score(started.with_state(state), check)
        better = score > best_score + 1e-5
        best_score = torch.where(better, score, best_score)
        for name, tensor in trained.items():
            best[name][better] = tensor.detach()[better]
        since = 0 if bool(better.any()) else since + 1
        if since >= training.patience:
            break
    kept = {**started.state, **{name: tensor.double() for name, tensor in best.items()}}
    return started.with_state(kept).finish(sample)


def _score(mechanism: Mechanism, sample: Sample) -> Tensor:
    """The weighted mean log likelihood of each member, `[member]`."""
    weight = sample.weight
    log_prob = mechanism.log_prob(sample.value, sample.parents)
    return (weight * log_prob).sum(-1) / weight.sum(-1)


def _narrow(sample: Sample) -> Sample:
    """Single precision: training is twice as fast in it, and its noise is larger anyway."""
    return type(sample)(
        sample.value.float() if sample.value.is_floating_point() else sample.value,
        {k: v.float() if v.is_floating_point() else v for k, v in sample.parents.items()},
        sample.weight.float(),
    )
