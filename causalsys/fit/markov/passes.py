"""The passes over a hidden Markov chain: forward, backward, and draws of whole paths.

Time goes first, `[step, member, trace, state]`, and all traces and members go along together.
Probabilities are rescaled at every step, which is the same as to work with their logarithms and
costs a matrix product instead of a log-sum-exp (Rabiner, Proc. IEEE 77, 1989, section V.A).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Forward:
    """What the forward pass gives.

    Attributes:
        alpha: The law of each state given all up to its step, `[step, member, trace, state]`.
        scaled: The emissions, the largest of each step being 1, of the same shape.
        log_likelihood: Of each trace, `[member, trace]`.
    """

    alpha: Tensor
    scaled: Tensor
    log_likelihood: Tensor


@dataclass(frozen=True)
class Expected:
    """What the backward pass adds: the expectations that an EM step needs.

    Attributes:
        states: The law of each state given its whole trace, `[step, member, trace, state]`.
        pairs: How often each state follows each other one, `[member, state, state]`.
        firsts: How often a trace begins with each state, `[member, state]`.
    """

    states: Tensor
    pairs: Tensor
    firsts: Tensor


def forward(emission: Tensor, initial: Tensor, transition: Tensor) -> Forward:
    """The forward pass.

    Args:
        emission: Log likelihoods of what was seen under each state, `[step, member, trace,
            state]`; zeros where nothing was seen, as after the end of a trace.
        initial: `[member, state]`.
        transition: `[member, state, next state]`.
    """
    peak = emission.amax(-1, keepdim=True)
    scaled = (emission - peak).exp()
    alpha = torch.empty_like(scaled)
    total = peak.sum(0).squeeze(-1)
    now = initial.unsqueeze(1).expand_as(scaled[0])
    for step, seen in enumerate(scaled):
        if step:
            now = now @ transition
        now = now * seen
        size = now.sum(-1, keepdim=True)
        now = now / size
        alpha[step] = now
        total = total + size.squeeze(-1).log()
    return Forward(alpha, scaled, total)


def backward(found: Forward, transition: Tensor, *, weight: Tensor, live: Tensor) -> Expected:
    """The backward pass.

    Args:
        found: What the forward pass gave.
        transition: `[member, state, next state]`.
        weight: How much each trace counts, `[member, trace]`.
        live: Where there is a row, `[step, trace]`.
    """
    states = torch.empty_like(found.alpha)
    states[-1] = found.alpha[-1]
    beta = torch.ones_like(found.alpha[0])
    pairs = torch.zeros_like(transition)
    for step in range(len(states) - 1, 0, -1):
        ahead = found.scaled[step] * beta
        before = found.alpha[step - 1]
        back = ahead @ transition.mT
        size = (before * back).sum(-1, keepdim=True)
        counts = (weight * live[step]).unsqueeze(-1) / size
        pairs += (before * counts).mT @ ahead
        beta = back / size
        states[step - 1] = before * beta
        # What the scales leave over would grow with the steps.
        states[step - 1] /= states[step - 1].sum(-1, keepdim=True)
    firsts = (weight.unsqueeze(-1) * states[0]).sum(1)
    return Expected(states, pairs * transition, firsts)


def draw_paths(
    found: Forward, transition: Tensor, *, whose: Tensor, generator: torch.Generator
) -> Tensor:
    """Draws of whole paths from their posterior: forward filtering, backward sampling.

    Args:
        found: What the forward pass gave.
        transition: `[member, state, next state]`.
        whose: The member of each draw, `[sample]`.
        generator: Fixes the draws.

    Returns:
        Codes of states, `[step, sample, trace]`.

    Source: S. Frühwirth-Schnatter, Data augmentation and dynamic linear models, J. Time Series
    Analysis 15 (1994); C. K. Carter and R. Kohn, Biometrika 81 (1994).
    """
    steps, _, traces, _ = found.alpha.shape
    paths = torch.empty((steps, len(whose), traces), dtype=torch.int64)
    share = torch.rand(paths.shape, generator=generator, dtype=found.alpha.dtype)
    back = transition.mT[whose]
    alone = len(found.alpha[0]) == 1
    for step in range(steps - 1, -1, -1):
        chance = found.alpha[step] if alone else found.alpha[step][whose]
        if step < steps - 1:
            follow = paths[step + 1].unsqueeze(-1).expand(-1, -1, back.shape[-1])
            chance = chance * back.gather(1, follow)
        above = chance.cumsum(-1)
        cut = share[step].unsqueeze(-1) * above[..., -1:]
        paths[step] = (cut > above).sum(-1).clamp(max=above.shape[-1] - 1)
    return paths
