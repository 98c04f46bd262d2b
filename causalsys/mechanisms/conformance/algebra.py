"""Checks that `log_prob`, `pull` and `push` are three views of one distribution."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from causalsys.mechanisms.base import Mechanism, Parents
from causalsys.mechanisms.conformance.case import Case
from causalsys.scm.supports import Categorical, Count

LEVEL = 1e-5
"""Of the test of the noise's law: seeds are fixed, so a pass stays a pass."""
_ROWS = 5
_LOG_2PI = math.log(2 * math.pi)


def check_round_trip(case: Case) -> None:
    """`push(pull(value))` gives the value back: exactly if discrete, else to 1e-6 sd."""
    mechanism, sample = case.fitted, case.sample
    noise = mechanism.pull(sample.value, sample.parents, generator=case.generator())
    again = mechanism.push(noise, sample.parents)
    value = sample.value.expand_as(again)
    case.demand(torch.isfinite(noise).all(), "pull gives noise that is not finite")
    if mechanism.support.discrete:
        wrong = int((again != value).sum())
        case.demand(wrong == 0, f"push(pull(value)) differs from the value {wrong} times")
        return
    spread = float(sample.value.double().std()) or 1.0
    gap = float((again - value).abs().max()) / spread
    case.demand(gap <= 1e-6, f"push(pull(value)) is {gap:.1e} sd away from the value")


def check_carry(case: Case) -> None:
    """`carry` is `pull` and then `push` under the changed parents, to 1e-6 sd.

    Each parent is changed alone, and nothing is. Bijective mechanisms only: where the noise is
    drawn, both go through it.
    """
    mechanism, sample = case.fitted, case.sample
    if not mechanism.bijective:
        return
    noise = mechanism.pull(sample.value, sample.parents)
    spread = float(sample.value.double().std()) or 1.0
    changes: list[Parents] = [{key: sample.parents[key].flip(1)} for key in sample.parents]
    for changed in [{}, *changes]:
        carried = mechanism.carry(sample.value, sample.parents, changed)
        pushed = mechanism.push(noise, {**sample.parents, **changed})
        gap = float((carried - pushed).abs().max()) / max(spread, float(pushed.std()))
        case.demand(gap <= 1e-6, f"carry is {gap:.1e} sd away from push(pull(value))")


def check_noise_law(case: Case) -> None:
    """`pull` of values drawn from the mechanism follows the stated law, element by element.

    By a Kolmogorov-Smirnov test of each element at the level `LEVEL`.
    """
    from scipy.stats import gumbel_r, kstest, norm

    mechanism = case.fitted
    source = torch.Generator().manual_seed(21)
    noise = mechanism.pull(case.draws(mechanism), case.sample.parents, generator=source)
    law = norm.cdf if mechanism.noise == "normal" else gumbel_r.cdf
    flat = noise.flatten(2) if mechanism.noise_shape else noise.unsqueeze(-1)
    for element in range(flat.shape[-1]):
        found = kstest(flat[..., element].flatten().numpy(), law)
        case.demand(
            found.pvalue > LEVEL / flat.shape[-1],
            f"element {element} of the pulled noise is not standard {mechanism.noise}"
            f" (Kolmogorov-Smirnov distance {found.statistic:.3f}, p = {found.pvalue:.1e})",
        )


def check_density(case: Case) -> None:
    """`exp(log_prob)` adds up to one over the support, for a few values of the parents.

    Scalars only; for vectors, `check_slopes`. Continuous densities are integrated by the
    trapezoidal rule between the values of a fine grid of noises.
    """
    mechanism = case.fitted
    if mechanism.support.size:
        return
    few = case.sample.take(torch.arange(_ROWS))
    values = _grid(mechanism, few.parents)
    # The grid is one more leading axis.
    total = torch.exp(mechanism.log_prob(values, few.parents))
    discrete = mechanism.support.discrete
    mass = total.sum(0) if discrete else torch.trapezoid(total, values, dim=0)
    worst = float((mass - 1).abs().max())
    case.demand(worst < 0.01, f"the density adds up to one only within {worst:.3f}")


def _grid(mechanism: Mechanism, parents: Parents) -> Tensor:
    """Values that cover the support, `[grid, member, row]`."""
    members, rows = 3, _ROWS
    if isinstance(mechanism.support, Categorical):
        levels = torch.arange(mechanism.support.cardinality)
        return levels.reshape(-1, 1, 1).expand(-1, members, rows)
    if isinstance(mechanism.support, Count):
        far = mechanism.push(torch.full((members, rows), 6.0, dtype=torch.float64), parents)
        whole = torch.arange(float(far.max()) + 1, dtype=torch.float64)
        return whole.reshape(-1, 1, 1).expand(-1, members, rows)
    noise = torch.linspace(-8, 8, 40_001, dtype=torch.float64).reshape(-1, 1, 1)
    return mechanism.push(noise.expand(-1, members, rows), parents)


def check_slopes(case: Case) -> None:
    """For bijective mechanisms, `log_prob` is the noise's law times the slope of `pull`."""
    mechanism = case.fitted
    if not mechanism.bijective:
        return
    few = case.sample.take(torch.arange(_ROWS))
    value = few.value.expand(case.sample.members, *few.value.shape[1:]).clone()
    value.requires_grad_(True)
    noise = mechanism.pull(value, few.parents)
    size = mechanism.support.size
    components = [noise[..., i] for i in range(size)] if size else [noise]
    rows = [torch.autograd.grad(part.sum(), value, retain_graph=True)[0] for part in components]
    slope = torch.stack(rows, -2) if size else rows[0].unsqueeze(-1).unsqueeze(-1)
    law = -0.5 * (noise**2 + _LOG_2PI)
    expected = (law.sum(-1) if size else law) + torch.linalg.slogdet(slope).logabsdet
    gap = float((mechanism.log_prob(value, few.parents) - expected).abs().max().detach())
    case.demand(gap < 1e-5, f"log_prob is {gap:.1e} away from what the slope of pull implies")
