"""The probability that a mechanism gives less than a value: its noise, as a uniform number."""

from __future__ import annotations

import torch
from torch import Tensor

from causalsys.mechanisms.base import Mechanism, Parents
from causalsys.scm.supports import Categorical


def usable(mechanism: Mechanism) -> bool:
    """Whether `below` knows the mechanism's law: one number, or a category."""
    return isinstance(mechanism.support, Categorical) or not mechanism.noise_shape


def below(
    mechanism: Mechanism, value: Tensor, parents: Parents, *, place: Tensor, seed: int
) -> Tensor:
    """The chance of a value below this one, `[..., member, row]`.

    Args:
        mechanism: Of one number or of a category.
        value: `[..., 1 or member, row]`.
        parents: All of them.
        place: `[row]`, uniform: where within its step a category lies.
        seed: The same for a count.
    """
    if isinstance(mechanism.support, Categorical):
        return _category(mechanism, value, parents, place)
    if mechanism.bijective:
        return torch.special.ndtr(mechanism.pull(value, parents))
    return _count(mechanism, value, parents, seed)


def _category(mechanism: Mechanism, value: Tensor, parents: Parents, place: Tensor) -> Tensor:
    levels = range(mechanism.support.cardinality)  # type: ignore[attr-defined]
    chances = [mechanism.log_prob(torch.full_like(value, k), parents).exp() for k in levels]
    law = torch.stack(torch.broadcast_tensors(*chances), -1)
    law = law / law.sum(-1, keepdim=True)
    shape = torch.broadcast_shapes(law.shape[:-1], value.shape)
    code = value.long().expand(shape).unsqueeze(-1)
    law = law.expand(*shape, law.shape[-1])
    before = (law.cumsum(-1) - law).gather(-1, code).squeeze(-1)
    return before + place * law.gather(-1, code).squeeze(-1)


def _count(mechanism: Mechanism, value: Tensor, parents: Parents, seed: int) -> Tensor:
    """One place in the step for every member and configuration, or their mean is not uniform."""
    members = max((state.shape[0] for state in mechanism.state.values()), default=1)
    shape = torch.broadcast_shapes(value.shape, *(p.shape for p in parents.values()))
    rows, lead = shape[-1], shape[:-2]
    parts = []
    for member in range(members):
        own = mechanism.members(torch.tensor([member]))
        for at in range(max(1, int(torch.tensor(lead).prod()) if lead else 1)):
            here = {k: _at(p, lead, at, member) for k, p in parents.items()}
            generator = torch.Generator().manual_seed(seed)
            noise = own.pull(_at(value, lead, at, member), here, generator=generator)
            parts.append(torch.special.ndtr(noise).reshape(rows))
    found = torch.stack(parts).reshape(members, *lead, rows)
    return found.movedim(0, -2)


def _at(value: Tensor, lead: torch.Size | tuple[int, ...], at: int, member: int) -> Tensor:
    """One configuration and member of a value, `[1, row]`."""
    wide = value.expand(*lead, *value.shape[-2:]).reshape(-1, *value.shape[-2:])[at]
    return wide[min(member, wide.shape[0] - 1)].unsqueeze(0)


__all__ = ["below", "usable"]
