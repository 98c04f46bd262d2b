"""Checks at the edges: extreme parents, gradients, latent parents, data that say little."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from causalsys.errors import FitError
from causalsys.mechanisms.base import Mechanism, Parents, Sample
from causalsys.mechanisms.conformance.case import Case
from causalsys.scm.supports import Categorical, Count, Fraction, Positive, Support

_FAR = (1e6, 1e12)
"""How far out the extreme parents lie, in standard deviations."""


def check_extremes(case: Case) -> None:
    """Parents far outside the data still give finite values, noises and log probabilities."""
    mechanism, sample = case.fitted, case.sample
    for words, parents in _extremes(case):
        density = mechanism.log_prob(sample.value, parents)
        case.demand(not density.isnan().any(), f"log_prob is NaN where {words}")
        noise = mechanism.pull(sample.value, parents, generator=case.generator())
        case.demand(torch.isfinite(noise).all(), f"pull is not finite where {words}")
        shape = (sample.members, sample.rows)
        drawn = mechanism.push(mechanism.draw_noise(shape, generator=case.generator()), parents)
        outside = mechanism.support.outside(drawn.double().numpy()).any()
        case.demand(not outside, f"push leaves the support where {words}")


def check_gradients(case: Case) -> None:
    """The gradient of `log_prob` in the trained parameters is never NaN, nor at extremes."""
    everywhere = [("parents are as in the data", case.sample.parents), *_extremes(case)]
    for words, parents in everywhere:
        mechanism = _differentiable(case.fitted)
        density = mechanism.log_prob(case.sample.value, parents)
        if not density.requires_grad:
            return
        density.sum().backward()
        for name, tensor in mechanism.state.items():
            bad = tensor.grad is not None and bool(tensor.grad.isnan().any())
            case.demand(not bad, f"the gradient in {name!r} is NaN where {words}")


def check_latent_parents(case: Case) -> None:
    """Started without a parent's values, it has a gradient in them, and no symmetry."""
    made = case.make()
    if not getattr(made.spec, "latent_parents", True):
        return
    for key, support in made.parents.items():
        if isinstance(support, Categorical | Count):
            continue
        kept = {name: value for name, value in case.sample.parents.items() if name != key}
        sample = replace(case.sample, parents=kept)
        started = made.start(sample, generator=case.generator())
        latent = case.sample.parents[key].clone().requires_grad_(True)
        density = started.log_prob(case.sample.value, {**kept, key: latent})
        (slope,) = torch.autograd.grad(density.sum(), latent)
        case.demand(torch.isfinite(slope).all(), f"no finite gradient in the latent {key!r}")
        case.demand(bool((slope != 0).any()), f"started without the latent {key!r}, it ignores it")


def check_degenerate(case: Case) -> None:
    """Data that say little give finite values or a FitError that says what to do."""
    for words, sample in _degenerate(case):
        try:
            fitted = case.make().fit(sample, training=case.training)
        except FitError as error:
            told = error.variable and error.found and error.mend
            case.demand(told, f"the FitError of {words} does not say what to do")
            continue
        shape = (sample.members, sample.rows)
        noise = fitted.draw_noise(shape, generator=case.generator())
        drawn = fitted.push(noise, sample.parents).double()
        case.demand(torch.isfinite(drawn).all(), f"push is not finite after {words}")
        density = fitted.log_prob(sample.value, sample.parents)
        case.demand(not density.isnan().any(), f"log_prob is NaN after {words}")


def _extremes(case: Case) -> Iterator[tuple[str, Parents]]:
    supports = case.make().parents
    for key, support in supports.items():
        for name, value in _far(case.sample.parents[key], support):
            yield f"{key} is {name}", {**case.sample.parents, key: value}


def _far(value: Tensor, support: Support) -> Iterator[tuple[str, Tensor]]:
    if isinstance(support, Categorical):
        return
    if isinstance(support, Positive | Count | Fraction):
        yield "0", torch.zeros_like(value)
    if isinstance(support, Fraction):
        yield "1", torch.ones_like(value)
        return
    for far in _FAR:
        away = (value.mean() + far * value.std()).round()
        yield f"{far:.0e} sd high", away.expand_as(value)
        if not isinstance(support, Positive | Count):
            yield f"{far:.0e} sd low", (-away).expand_as(value)


def _degenerate(case: Case) -> Iterator[tuple[str, Sample]]:
    sample = case.sample
    constant = sample.value[:, :1].expand_as(sample.value).contiguous()
    yield "a constant column", replace(sample, value=constant)
    yield "a single row", sample.take(torch.tensor([0]))
    parents = case.make().parents
    plain = [key for key, support in parents.items() if not (support.discrete or support.size)]
    flat = {key: sample.parents[key][:, :1].expand(-1, sample.rows) for key in plain}
    if plain:
        yield "constant parents", replace(sample, parents={**sample.parents, **flat})
    if len(plain) > 1:
        same = {key: sample.parents[plain[0]] for key in plain if parents[key] == parents[plain[0]]}
        yield "collinear parents", replace(sample, parents={**sample.parents, **same})


def _differentiable(mechanism: Mechanism) -> Mechanism:
    return mechanism.with_state(
        {
            name: tensor.detach()
            .clone()
            .requires_grad_(tensor.is_floating_point() and not name.startswith(mechanism.constants))
            for name, tensor in mechanism.state.items()
        }
    )
