"""Which mechanisms changed: draws from the posterior, latents that many share among them.

Components change on their own (the principle of independent mechanisms; Peters, Janzing, Schölkopf,
"Elements of Causal Inference", 2017, section 2.1), one of all of them expected beforehand, and a
change is expected to touch one of a component's variables. So each component's chance follows from
the Bayes factors of its own variables. A latent with children in several components is the
exception: when it changes, at least two of them change together, each with even chance. Its
evidence is against that of as many changes by themselves.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from causalsys.rootcause.evidence import Evidence
from causalsys.rootcause.window import Window


@dataclass(frozen=True)
class Hidden:
    """A latent with several children that were seen.

    Attributes:
        name: The latent.
        component: What it is blamed on.
        children: Their places in the window.
        log_bayes_factor: That it changed, against changes of its children by themselves.
    """

    name: str
    component: str
    children: tuple[int, ...]
    log_bayes_factor: float


@dataclass(frozen=True)
class Changes:
    """Draws of what changed.

    Attributes:
        hidden: The latents that may have.
        components: All that can be blamed, in order of their names.
        members: The variables that each may be blamed for.
        alike: For each variable, the components that were not seen and that only it tells of.
        changed: `[draw, variable]`.
        blamed: The place in `components` of what a variable's change is blamed on,
            `[draw, variable]`.
    """

    hidden: tuple[Hidden, ...]
    components: tuple[str, ...]
    members: tuple[tuple[int, ...], ...]
    alike: Mapping[int, tuple[str, ...]]
    changed: Tensor
    blamed: Tensor


def component_of(window: Window, name: str) -> str:
    """The component of a variable, or the variable itself where none is declared."""
    return window.declaration.as_written.nodes[name].component or name


def draw_changes(
    window: Window, evidence: Evidence, *, draws: int, generator: torch.Generator
) -> Changes:
    """Draw what changed, given each variable's evidence."""
    factor = evidence.log_bayes_factor
    own = [component_of(window, name) for name in window.names]
    members = _members(own)
    prior = -math.log(max(len(members), 2))
    unseen = seen_children(window)
    hidden = _hidden(window, factor, own, unseen, prior=prior)
    components = tuple(sorted({*members, *(each.component for each in hidden)}))
    place = {name: index for index, name in enumerate(components)}

    def chance(log_odds: Tensor, *shape: int) -> Tensor:
        drawn = torch.rand(draws, *shape, generator=generator, dtype=torch.float64)
        return drawn < torch.sigmoid(log_odds)

    changed = torch.zeros(draws, len(factor), dtype=torch.bool)
    blamed = torch.tensor([place[name] for name in own]).expand(draws, -1).clone()
    for inside in members.values():
        touch = math.log(1 / len(inside)) - math.log1p(-1 / len(inside)) if len(inside) > 1 else 0
        mine = factor[inside]
        on = chance(prior + _touched(mine, 1 / len(inside)))
        if len(inside) == 1:
            changed[:, inside[0]] = on
        else:
            changed[:, inside] = on[:, None] & chance(mine + touch, len(inside))
    for each in hidden:
        on = chance(torch.tensor(each.log_bayes_factor + prior, dtype=torch.float64))
        children = torch.tensor(each.children)
        felt = chance(factor[children], len(children))
        changed[:, children] = torch.where(on[:, None], felt, changed[:, children])
        to = torch.tensor(place[each.component])
        blamed[:, children] = torch.where(on[:, None] & felt, to, blamed[:, children])
    may: dict[str, set[int]] = {name: set(members.get(name, ())) for name in components}
    for each in hidden:
        may[each.component].update(each.children)
    return Changes(
        hidden,
        components,
        tuple(tuple(sorted(may[name])) for name in components),
        _alike(window, unseen),
        changed,
        blamed,
    )


def _members(own: Sequence[str]) -> dict[str, list[int]]:
    """The variables of each component."""
    found: dict[str, list[int]] = {}
    for index, name in enumerate(own):
        found.setdefault(name, []).append(index)
    return found


def _touched(factor: Tensor, often: float) -> Tensor:
    """The log Bayes factor of a change that touches each of some variables with a chance.

    Given that it touches at least one: `(prod(1 - q + q B) - (1 - q)^n) / (1 - (1 - q)^n)`.
    """
    count = len(factor)
    if often >= 1 or count == 1:
        return factor.sum()
    untouched = count * math.log1p(-often)
    zero = torch.zeros_like(factor)
    any_ = torch.logaddexp(factor + math.log(often), zero + math.log1p(-often)).sum()
    return _less(any_, untouched) - math.log1p(-math.exp(untouched))


def _less(log_whole: Tensor, log_part: Tensor | float) -> Tensor:
    """`log(exp(log_whole) - exp(log_part))`, the part being smaller."""
    gap = torch.as_tensor(log_part, dtype=torch.float64) - log_whole
    return log_whole + torch.log(-torch.expm1(gap.clamp(max=-1e-12)))


def _hidden(
    window: Window,
    factor: Tensor,
    own: Sequence[str],
    unseen: Mapping[str, tuple[int, ...]],
    *,
    prior: float,
) -> tuple[Hidden, ...]:
    """Latents with children in several components: one change of theirs against one of each.

    How often components change by themselves is told by those that the latent does not reach.
    """
    found = []
    whole = _members(own)
    alone = torch.stack([_touched(factor[inside], 1 / len(inside)) for inside in whole.values()])
    chance = dict(zip(whole, torch.sigmoid(alone + prior).tolist(), strict=True))
    for name, children in unseen.items():
        parts = _members([own[child] for child in children])
        if len(parts) < 2:
            continue
        each = torch.stack(
            [
                _touched(factor[[children[place] for place in inside]], 0.5)
                for inside in parts.values()
            ]
        )
        elsewhere = sum(chance[name] for name in chance if name not in parts)
        rate = min((1 + elsewhere) / (1 + len(chance) - len(parts)), 0.5)
        zero = torch.zeros_like(each)
        apart = torch.logaddexp(each + math.log(rate), zero + math.log1p(-rate)).sum()
        value = float(_two_at_least(each) - apart)
        found.append(Hidden(name, component_of(window, name), children, value))
    return tuple(found)


def _two_at_least(factor: Tensor) -> Tensor:
    """The log Bayes factor of a change that touches some of several parts, and at least two.

    Which share of them it touches is not known: the larger, the likelier, `p(f) = 2 f`, summed
    over a grid.
    """
    often = (torch.arange(8, dtype=torch.float64)[:, None] + 0.5) / 8
    zero = torch.zeros_like(factor)
    any_ = torch.logaddexp(factor + often.log(), zero + torch.log1p(-often)).sum(1)
    rest = len(factor) * torch.log1p(-often)
    one = (factor + often.log() - torch.log1p(-often) + rest).logsumexp(1)
    fewer = torch.logaddexp(one, rest[:, 0])
    prior = (often / often.sum())[:, 0].log()
    none = _two_at_least_chance(len(factor), often[:, 0])
    return (_less(any_, fewer) + prior).logsumexp(0) - (none.log() + prior).logsumexp(0)


def _two_at_least_chance(count: int, often: Tensor) -> Tensor:
    """The chance that two or more of some parts are touched."""
    return 1 - (1 - often) ** count - count * often * (1 - often) ** (count - 1)


def seen_children(window: Window) -> dict[str, tuple[int, ...]]:
    """The variables of the window that each latent reaches directly or by latents alone."""
    nodes = window.declaration.as_written.nodes
    place = {name: index for index, name in enumerate(window.names)}
    effects: dict[str, list[str]] = {name: [] for name in nodes}
    for name, node in nodes.items():
        for parent in node.parents:
            effects[parent.name].append(name)
    known = dict(zip(window.names, window.seen.any(1).tolist(), strict=True))
    unseen = {name for name in nodes if not known.get(name)}
    found: dict[str, tuple[int, ...]] = {}
    for name in sorted(unseen):
        reached: set[int] = set()
        open_: list[str] = [name]
        passed: set[str] = set()
        while open_:
            for effect in effects[open_.pop()]:
                if effect in unseen and effect not in passed:
                    passed.add(effect)
                    open_.append(effect)
                elif effect in place and effect not in unseen:
                    reached.add(place[effect])
        found[name] = tuple(sorted(reached))
    return found


def _alike(window: Window, unseen: Mapping[str, tuple[int, ...]]) -> dict[int, tuple[str, ...]]:
    """For each variable, the components that were not seen and that only it would tell of."""
    found: dict[int, set[str]] = {}
    for name, children in unseen.items():
        for child in children if len(children) == 1 else ():
            found.setdefault(child, set()).add(component_of(window, name))
    return {
        child: tuple(sorted(names - {component_of(window, window.names[child])}))
        for child, names in found.items()
    }


__all__ = ["Changes", "Hidden", "component_of", "draw_changes", "seen_children"]
