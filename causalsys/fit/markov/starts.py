"""Where EM for a chain starts: unlike guesses of its states, since the likelihood has many tops."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from causalsys.fit.markov.children import expanded, refitted
from causalsys.fit.markov.em import Model, first_reach, improved
from causalsys.fit.markov.emissions import Emissions
from causalsys.fit.markov.grids import is_given, measured
from causalsys.fit.markov.laws import Law
from causalsys.fit.markov.passes import Expected
from causalsys.fit.markov.place import Place
from causalsys.mechanisms.additive import Additive
from causalsys.mechanisms.base import Mechanism
from causalsys.mechanisms.build import build
from causalsys.mechanisms.chain import ChainMechanism
from causalsys.mechanisms.features import widths
from causalsys.mechanisms.linear import LinearMechanism
from causalsys.mechanisms.measurement import MeasurementMechanism
from causalsys.scm.specs import AutoRegressive, HiddenMarkov, Linear, natural_link
from causalsys.scm.supports import Fraction, Positive, Real

_SCALES = (1.0, 0.5, 0.25, 0.12, 0.06, 0.03)
"""Sizes of the children's noise to start from, in spreads of the children, by physics."""
_WINDOWS = (1, 3, 7, 15, 31, 63)
"""Steps over which a child is averaged to guess states from it, without physics."""
STARTS = len(_SCALES)
_WARM = 6


def started_children(
    emissions: Emissions, levels: Tensor, *, generator: torch.Generator
) -> dict[str, Mechanism]:
    """The children's mechanisms with a first guess, one member; scaled for the chain's levels."""
    chain = emissions.scope.schema
    parents = emissions.parents(levels)
    found = {}
    for node in emissions.place.children:
        assert node.mechanism is not None
        supports = chain.parent_supports(node)
        mechanism = build(node.mechanism, chain.supports[node.name], parents=supports)
        weight = torch.ones(levels.shape[-1], 1, emissions.scope.rows, dtype=torch.float64)
        sample = expanded(mechanism, emissions.value(node.name)[:1], parents[node.name], weight)
        found[node.name] = mechanism.start(sample, generator=generator)
    return found


def starts(
    chain: ChainMechanism,
    levels: Tensor,
    children: Mapping[str, Mechanism],
    emissions: Emissions,
    weight: Tensor,
) -> Model:
    """As many first guesses as there are `STARTS`, as members of one model.

    Args:
        chain: The chain, started.
        levels: Its states on the line, `[1, state]`.
        children: Its children's mechanisms, started, one member.
        emissions: Their data.
        weight: How much each trace counts, `[1, trace]`.
    """
    every = torch.zeros(STARTS, dtype=torch.int64)
    wide = levels[every]
    if isinstance(chain.spec, AutoRegressive):
        keeps = torch.tensor([0.9, 0.97, 0.7, 0.9, 0.97, 0.99], dtype=levels.dtype).unsqueeze(-1)
        free = bool(emissions.place.equations)
        law = Law.autoregressive(wide, free=free, persistence=keeps[:, 0])
    else:
        stay = torch.tensor([0.8, 0.9, 0.95, 0.8, 0.9, 0.95], dtype=levels.dtype)
        law = Law.sticky(wide, stay=stay)
    fixed = isinstance(chain.spec, AutoRegressive) or (
        isinstance(chain.spec, HiddenMarkov) and chain.spec.levels is not None
    )
    reach = None if fixed else first_reach(wide)
    unknown = torch.full((STARTS,), -torch.inf, dtype=torch.float64)
    model = Model(chain, law, {n: m.members(every) for n, m in children.items()}, reach, unknown)
    physical = {n: _as_measured(m, emissions) for n, m in model.children.items()}
    if any(m is not None for m in physical.values()):
        known = {n: m for n, m in physical.items() if m is not None}
        only = replace(emissions, place=_only(emissions, frozenset(known)))
        states = torch.softmax(only.log_prob(known, only.parents(model.values)), 0)
        model = replace(model, children={**model.children, **known})
    else:
        states = _guessed(model, emissions)
    counts = emissions.grid(states)
    seen = Expected(counts, _pairs(counts, emissions), counts[0].sum(1))
    still = replace(model, reach=None)
    for _ in range(_WARM):
        still = improved(still, emissions, seen, weight.expand(STARTS, -1))
    return replace(still, reach=reach)


def _only(emissions: Emissions, names: frozenset[str]) -> Place:
    children = tuple(node for node in emissions.place.children if node.name in names)
    return replace(emissions.place, children=children)


def _pairs(counts: Tensor, emissions: Emissions) -> Tensor:
    """How often guessed states follow each other, `[member, state, state]`."""
    live = emissions.course.live[1:, None, :, None].to(counts.dtype)
    before, after = counts[:-1] * live, counts[1:]
    return torch.einsum("tmni,tmnj->mij", before, after)


def _as_measured(mechanism: Mechanism, emissions: Emissions) -> Mechanism | None:
    """The child as a measurement of its equation, with errors of several sizes; None if it is not.

    Of a linear mechanism it is the one with weight one and no constant.
    """
    key = measured(mechanism.parents, mechanism.support, emissions.place.equations)
    plain = isinstance(mechanism, LinearMechanism | MeasurementMechanism)
    if not key or not plain or not isinstance(mechanism, Additive):
        return None
    state = dict(mechanism.state)
    scale = torch.tensor(_SCALES, dtype=torch.float64).log().unsqueeze(-1)
    if isinstance(mechanism, LinearMechanism):
        if isinstance(mechanism.support, Fraction):
            return None
        first = 0
        for name, width in widths(mechanism.parents, scale=mechanism.scale).items():
            if name == key:
                break
            first += width
        weight = torch.zeros_like(state["weight"])
        weight[:, first] = state["spread"][0, 0, first]
        state["weight"] = weight
        state["constant"] = state["center"][0, 0, first].expand(STARTS, 1).clone()
    state["log_scale"] = state["log_scale"].expand(STARTS, 1) + scale
    return mechanism.with_state(state)


def _guessed(model: Model, emissions: Emissions) -> Tensor:
    """The law of states as a child's running mean suggests it, `[state, member, row]`."""
    count = model.law.levels.shape[-1]
    children = emissions.place.children
    parts = []
    for start, window in enumerate(_WINDOWS):
        node = children[start % len(children)]
        smooth = _smoothed(_residual(node.name, model, emissions), emissions, window)
        rank = (smooth.argsort().argsort() + 0.5) / len(smooth)
        if isinstance(model.chain.spec, AutoRegressive) and not is_given(model.chain):
            normal = torch.special.ndtri(rank)
            place = (normal.unsqueeze(-1) - model.law.levels[start]).abs().argmin(-1)
        else:
            place = (rank * count).long().clamp(max=count - 1)
        parts.append(torch.nn.functional.one_hot(place, count).to(torch.float64))
    return (0.9 * torch.stack(parts) + 0.1 / count).permute(2, 0, 1)


def _residual(name: str, model: Model, emissions: Emissions) -> Tensor:
    """What the known parents of a child leave of it, `[row]`."""
    mechanism, value = model.children[name], emissions.value(name)[:1]
    schema = emissions.scope.schema
    support = schema.supports[name]
    if support.size or not isinstance(support, Real | Positive | Fraction):
        return value.reshape(value.shape[1], -1)[:, 0].to(torch.float64)
    known = {k: v for k, v in mechanism.parents.items() if k in emissions.scope.known}
    given = {k: emissions.scope.known[k][:1] for k in known}
    plain = build(Linear(link=natural_link(support)), support, parents=known)
    ones = torch.ones(1, 1, value.shape[1], dtype=torch.float64)
    empty = torch.Generator().manual_seed(0)
    started = plain.start(expanded(plain, value, given, ones), generator=empty)
    fitted = refitted(started, value, given, ones)
    return fitted.pull(value, given)[0]


def _smoothed(values: Tensor, emissions: Emissions, window: int) -> Tensor:
    """Running means over a window of steps within each trace, `[row]`."""
    course = emissions.course
    live = course.live.to(values.dtype)
    grid = course.grid(values) * live
    total, count = (_window_sum(each, window) for each in (grid, live))
    return course.flat(total / count.clamp(min=1))


def _window_sum(grid: Tensor, window: int) -> Tensor:
    half = window // 2
    padded = torch.nn.functional.pad(grid.mT, (half + 1, half)).cumsum(-1)
    return (padded[:, window:] - padded[:, : padded.shape[1] - window]).mT
