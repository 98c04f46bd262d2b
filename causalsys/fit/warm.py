"""A warm start for nonlinear districts: the linear district of the same graph, fitted exactly.

Variational inference from random slopes needs many steps, and finds the likelihood's valleys
slowly. The linear district is solved in a second; draws of its latents then give every
nonlinear mechanism a supervised fit, and the guide a regression, from where both are trained on.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from causalsys.fit.factors import Factors, is_gaussian
from causalsys.fit.gaussian import maximise
from causalsys.fit.guide import Guide
from causalsys.fit.joint import Scope
from causalsys.mechanisms.base import Mechanism, Sample
from causalsys.mechanisms.build import build
from causalsys.mechanisms.features import columns
from causalsys.mechanisms.training import Training
from causalsys.scm.declaration import Node
from causalsys.scm.specs import Linear, natural_link
from causalsys.scm.supports import Categorical, Count

_BRIEF = 400


def linearised(scope: Scope, *, weight: Tensor, generator: torch.Generator) -> Scope | None:
    """The linear district of the same graph, started; None where there is none.

    Args:
        scope: The district.
        weight: `[member, row]`.
        generator: Fixes the first guess.
    """
    mechanisms = dict(scope.mechanisms)
    for node in scope.nodes:
        support = scope.schema.supports[node.name]
        if node.kind == "latent":
            continue
        if node.function is not None or isinstance(support, Categorical | Count) or support.size:
            return None
        parents = {ref.key: scope.schema.supports[ref.name] for ref in node.parents}
        linear = build(Linear(link=natural_link(support)), support, parents=parents)
        given = {key: scope.known[key] for key in parents if key in scope.known}
        sample = Sample(scope.known[node.name], given, weight)
        mechanisms[node.name] = linear.start(sample, generator=generator)
    found = scope.with_mechanisms(mechanisms)
    return found if is_gaussian(found) else None


def warm_start(
    scope: Scope,
    linear: Scope,
    guide: Guide,
    *,
    weight: Tensor,
    training: Training,
    generator: torch.Generator,
) -> tuple[Scope, Guide]:
    """The district and its guide, trained on draws from the linear district's posterior.

    Args:
        scope: The nonlinear district, started.
        linear: The linear one, started.
        guide: The guide, started.
        weight: `[member, row]`.
        training: How training runs; the warm start takes a part of its steps.
        generator: Fixes the draws.
    """
    best = maximise(linear, weight=weight, generator=generator)
    factors = Factors.of(linear.with_mechanisms(best.mechanisms))
    noises = factors.draw(samples=len(weight), generator=generator)
    values = {name: scope.mechanisms[name].push(noise, {}) for name, noise in noises.items()}
    brief = replace(training, steps=min(_BRIEF, training.steps))
    mechanisms = dict(scope.mechanisms)
    for node in scope.nodes:
        if node.kind != "latent":
            mechanisms[node.name] = _supervised(node, scope, values, weight, brief)
    mean, covariance = factors.posterior()
    return scope.with_mechanisms(mechanisms), _regressed(guide, scope, mean, covariance)


def _supervised(
    node: Node,
    scope: Scope,
    values: dict[str, Tensor],
    weight: Tensor,
    training: Training,
) -> Mechanism:
    parents = {ref.key: values.get(ref.name, scope.known.get(ref.key)) for ref in node.parents}
    given = {key: value for key, value in parents.items() if value is not None}
    mechanism = scope.mechanisms[node.name]
    return mechanism.fit(Sample(scope.known[node.name], given, weight), training=training)


def _regressed(guide: Guide, scope: Scope, mean: Tensor, covariance: Tensor) -> Guide:
    """The guide with its linear part set to the linear district's posterior."""
    inputs = {key: scope.known[key] for key in guide.inputs}
    design = columns(inputs, parents=guide.inputs, scale="both", state=guide.state)
    assert design is not None
    full = torch.cat([torch.ones_like(design[..., :1]), design], -1)
    gram = full.mT @ full
    ridge = 1e-6 * full.shape[-2] * torch.eye(gram.shape[-1], dtype=gram.dtype)
    solution = torch.linalg.solve(gram + ridge, full.mT @ mean)
    members, width = mean.shape[0], guide.width
    state = dict(guide.state)
    shortcut = torch.zeros_like(state["guide.shortcut"])
    shortcut[..., :width] = solution[..., 1:, :]
    constant = torch.zeros_like(state["guide.constant"])
    constant[..., :width] = solution[..., :1, :]
    spread = covariance.diagonal(dim1=-2, dim2=-1).expand(members, width)
    constant[..., width:] = 0.5 * spread.log().unsqueeze(-2)
    state |= {
        "guide.shortcut": shortcut,
        "guide.constant": constant,
        "guide.out": 0.0 * state["guide.out"],
    }
    return guide.with_state(state)
