"""The grid of a chain: as declared, as the physics and the data imply, or by convention."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from causalsys.errors import FitError
from causalsys.fit.markov.emissions import Emissions
from causalsys.mechanisms.additive import Additive
from causalsys.mechanisms.base import Mechanism
from causalsys.mechanisms.chain import ChainMechanism
from causalsys.mechanisms.links import to_line
from causalsys.scm.specs import HiddenMarkov
from causalsys.scm.supports import Fraction, Positive, Support

_TRIED = 281
_ROWS = 2000
_UNUSED = 1e-3
"""The share of steps that may lie beyond either end of a grid, where it is drawn tighter."""
_BENDS = 0.05
"""Where a step of the latent moves what is measured by less than this share, it is not seen."""


def is_given(chain: ChainMechanism) -> bool:
    """Whether the user says where the values lie."""
    spec = chain.spec
    return bool(spec.between or (isinstance(spec, HiddenMarkov) and spec.levels))


def first_levels(
    chain: ChainMechanism, emissions: Emissions, children: Mapping[str, Mechanism]
) -> Tensor:
    """The states on the line to start from, `[1, state]`.

    Where equations give the latent's values a meaning, the grid covers what each row alone implies
    of it. Otherwise its scale is a convention, and the children's parameters follow.

    Raises:
        FitError: Equations read the latent, and no child tells its size.
    """
    started: Tensor = chain.state["levels"][:1]
    if is_given(chain) or not emissions.place.equations:
        return started
    implied = _implied(chain, emissions, children)
    if implied is None:
        raise FitError(
            emissions.place.chain.name,
            found="no range of its values that the data would imply",
            mend="Give it: between=(least, largest), or the levels.",
        )
    low, high = torch.quantile(implied, torch.tensor([0.005, 0.995], dtype=implied.dtype))
    margin = 0.15 * float(high - low) + 1e-3
    ends = (float(low) - margin, float(high) + margin)
    return torch.linspace(*ends, started.shape[-1], dtype=started.dtype).unsqueeze(0)


def measured(node_parents: Mapping[str, Support], support: Support, hidden: frozenset[str]) -> str:
    """The key of the equation over the latent that a child may be a measurement of; or nothing."""
    found = [k for k, kind in node_parents.items() if k in hidden and type(kind) is type(support)]
    return found[0] if len(found) == 1 and not support.size else ""


def _implied(
    chain: ChainMechanism, emissions: Emissions, children: Mapping[str, Mechanism]
) -> Tensor | None:
    """The values on the line that single rows imply, were there no noise."""
    rows = torch.arange(emissions.scope.rows)
    if len(rows) > _ROWS:
        rows = rows[:: len(rows) // _ROWS]
    some = emissions.take(rows)
    found = []
    for node in emissions.place.children:
        mechanism = children[node.name]
        key = measured(mechanism.parents, mechanism.support, emissions.place.equations)
        if not key or not isinstance(mechanism, Additive):
            continue
        line = mechanism.line(some.value(node.name))
        tried = _wide(chain.support, line)
        values = chain.with_state({"levels": tried}).values
        expected = some.parents(values)[node.name][key]
        offset = mechanism.state["offset"]
        there = to_line(expected, support=mechanism.support, offset=offset)
        nearest = (there - line).abs().argmin(0)[0]
        inside = nearest.clamp(1, tried.shape[1] - 2)
        one = there.select(1, 0)
        ahead = one.gather(0, (inside + 1).unsqueeze(0)) - one.gather(0, (inside - 1).unsqueeze(0))
        gap = tried[0, 2] - tried[0, 0]
        seen = (nearest == inside) & (ahead[0].abs() > _BENDS * gap)
        found.append(tried[0, nearest[seen]])
    implied = torch.cat(found) if found else torch.zeros(0)
    return implied if len(implied) >= 5 else None


def _wide(support: Support, line: Tensor) -> Tensor:
    """A wide grid on the line, `[1, state]`."""
    if isinstance(support, Positive):
        ends = (-14.0, 14.0)
    elif isinstance(support, Fraction):
        ends = (-8.0, 8.0)
    else:
        reach = 10 * float(line.std(unbiased=False)) + 1e-9
        ends = (float(line.mean()) - reach, float(line.mean()) + reach)
    return torch.linspace(*ends, _TRIED, dtype=torch.float64).unsqueeze(0)


def zoomed(levels: Tensor, share: Tensor) -> Tensor:
    """A grid of as many states over the part that is used, wider where its ends are.

    Args:
        levels: `[1, state]`.
        share: How often each state occurs, `[state]`.
    """
    line, above = levels[0], (share / share.sum()).cumsum(0)
    gap = float(line[1] - line[0])
    first = int((above > _UNUSED).nonzero()[0])
    last = int((above >= 1 - _UNUSED).nonzero()[0])
    wide = 0.25 * float(line[-1] - line[0])
    low = float(line[0]) - wide if first == 0 else float(line[first]) - 2 * gap
    high = float(line[-1]) + wide if last == len(line) - 1 else float(line[last]) + 2 * gap
    return torch.linspace(low, high, len(line), dtype=line.dtype).unsqueeze(0)
