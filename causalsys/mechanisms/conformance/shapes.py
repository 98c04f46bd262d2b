"""Checks of shapes, types, members, saving and seeds."""

from __future__ import annotations

import torch
from safetensors.torch import load, save
from torch import Tensor

from causalsys.mechanisms.base import Mechanism
from causalsys.mechanisms.conformance.case import Case
from causalsys.scm.supports import Categorical


def check_types(case: Case) -> None:
    """Codes are int64, all else double; the noise has the shape that is promised."""
    mechanism, sample = case.fitted, case.sample
    size = mechanism.support.size
    shape = (sample.members, sample.rows)
    drawn = case.draws(mechanism)
    whole = isinstance(mechanism.support, Categorical)
    wanted = torch.int64 if whole else torch.float64
    case.demand(drawn.dtype == wanted, f"push gives {drawn.dtype}, not {wanted}")
    value_shape = (*shape, size) if size else shape
    case.demand(drawn.shape == value_shape, f"push gives {tuple(drawn.shape)}, not {value_shape}")
    density = mechanism.log_prob(drawn, sample.parents)
    case.demand(density.shape == shape, f"log_prob gives {tuple(density.shape)}, not {shape}")
    case.demand(density.dtype == torch.float64, f"log_prob gives {density.dtype}")
    noise = mechanism.pull(drawn, sample.parents, generator=case.generator())
    noise_shape = (*shape, *mechanism.noise_shape)
    case.demand(noise.shape == noise_shape, f"pull gives {tuple(noise.shape)}, not {noise_shape}")
    outside = mechanism.support.outside(drawn.double().numpy()).any()
    case.demand(not outside, "push gives values outside the support")


def check_batches(case: Case) -> None:
    """A leading axis of worlds gives, in each world, what that world alone gives."""
    mechanism, sample = case.fitted, case.sample
    rolled = {key: value.roll(7, dims=1) for key, value in sample.parents.items()}
    worlds = {key: torch.stack([sample.parents[key], rolled[key]]) for key in rolled}
    drawn = case.draws(mechanism)
    shape = (sample.members, sample.rows)
    noise = mechanism.draw_noise(shape, generator=case.generator())
    # Values and noises of one world meet the parents of two, and the other way round.
    together = mechanism.push(noise, worlds), mechanism.log_prob(drawn, worlds)
    pair = torch.stack([drawn, drawn.roll(3, dims=1)])
    crossed = mechanism.log_prob(pair, sample.parents)
    for index, parents in enumerate((sample.parents, rolled)):
        alone = mechanism.push(noise, parents), mechanism.log_prob(drawn, parents)
        for name, whole, part in zip(("push", "log_prob"), together, alone, strict=True):
            # Without parents there is no axis of worlds.
            part_of = whole[index] if worlds else whole
            case.demand(_near(part_of, part), f"{name} differs in a batch of two worlds")
        own = mechanism.log_prob(pair[index], sample.parents)
        case.demand(_near(crossed[index], own), "log_prob differs in a batch of two values")
    pulled = mechanism.pull(pair, sample.parents, generator=case.generator())
    expected = (2, *shape, *mechanism.noise_shape)
    case.demand(
        pulled.shape == expected, f"pull gives {tuple(pulled.shape)} in a batch, not {expected}"
    )


def check_members(case: Case) -> None:
    """`members(index)` gives sample s the parameters of member `index[s]`."""
    mechanism, sample = case.fitted, case.sample
    for name, tensor in mechanism.state.items():
        first = tensor.shape[0] if tensor.dim() else 0
        case.demand(
            first in (1, sample.members),
            f"the first axis of {name!r} in the state is {first}, not the members'",
        )
    drawn = case.draws(mechanism)
    whole = mechanism.log_prob(drawn, sample.parents)
    index = torch.tensor([2, 0, 0, 1])
    picked = mechanism.members(index).log_prob(drawn[index], sample.parents)
    case.demand(_near(picked, whole[index]), "members() gives other members' parameters")
    single = mechanism.members(torch.tensor([1])).log_prob(drawn[1:2], sample.parents)
    case.demand(_near(single, whole[1:2]), "one member alone gives other numbers")


def check_saving(case: Case) -> None:
    """The state goes through a safetensors file and gives the same numbers, bit by bit."""
    mechanism, sample = case.fitted, case.sample
    owned = {name: tensor.contiguous().clone() for name, tensor in mechanism.state.items()}
    again = case.make().with_state(load(save(owned)))
    drawn = case.draws(mechanism)
    same = torch.equal(case.draws(again), drawn)
    case.demand(same, "push gives other values after saving: parameters are kept outside state")
    for_each = [m.log_prob(drawn, sample.parents) for m in (mechanism, again)]
    case.demand(torch.equal(*for_each), "log_prob gives other values after saving")
    noises = [m.pull(drawn, sample.parents, generator=case.generator()) for m in (mechanism, again)]
    case.demand(torch.equal(*noises), "pull gives other noise after saving")


def check_deterministic(case: Case) -> None:
    """A seed gives the same fit, whatever the global generator is at."""
    torch.rand(3)
    before = torch.get_rng_state()
    again = case.make().fit(case.sample, training=case.training)
    touched = not torch.equal(before, torch.get_rng_state())
    case.demand(not touched, "fitting draws from torch's global generator")
    case.demand(_same(case.fitted, again), "two fits with one seed differ")


def _same(one: Mechanism, other: Mechanism) -> bool:
    names = one.state.keys() == other.state.keys()
    return names and all(torch.equal(one.state[name], other.state[name]) for name in one.state)


def _near(one: Tensor, other: Tensor) -> bool:
    if not one.is_floating_point():
        return torch.equal(one, other)
    return torch.allclose(one, other, rtol=1e-9, atol=1e-9)
