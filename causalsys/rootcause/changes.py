"""Which mechanisms changed: draws from the posterior, latents that many share among them.

Mechanisms change on their own (the principle of independent mechanisms; Peters, Janzing, Schölkopf,
"Elements of Causal Inference", 2017, section 2.1), one of all of them expected beforehand. So each
variable's chance follows from its own Bayes factor. A latent with several children is the
exception: when it changes, those of its children that feel it change together. Its evidence is
that of all of them under one prior, where each child is touched with even chance, against that of
as many changes by themselves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
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
        chance: Each variable's chance that it changed by itself, `[variable]`.
        hidden: The latents that may have.
        components: All that can be blamed, in order of their names.
        changed: `[draw, variable]`.
        blamed: The place in `components` of what a variable's change is blamed on,
            `[draw, variable]`.
    """

    chance: Tensor
    hidden: tuple[Hidden, ...]
    components: tuple[str, ...]
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
    prior = -math.log(max(len(factor), 2))
    chance = torch.sigmoid(factor + prior)
    hidden = _hidden(window, factor, prior=prior)
    own = [component_of(window, name) for name in window.names]
    components = tuple(sorted({*own, *(each.component for each in hidden)}))
    place = {name: index for index, name in enumerate(components)}
    shape = (draws, len(factor))
    changed = torch.rand(shape, generator=generator, dtype=torch.float64) < chance
    blamed = torch.tensor([place[name] for name in own]).expand(shape).clone()
    for each in hidden:
        on = torch.rand(draws, generator=generator, dtype=torch.float64) < torch.sigmoid(
            torch.tensor(each.log_bayes_factor + prior, dtype=torch.float64)
        )
        children = torch.tensor(each.children)
        touched = torch.sigmoid(factor[children])
        felt = torch.rand(draws, len(children), generator=generator, dtype=torch.float64) < touched
        changed[:, children] = torch.where(on[:, None], felt, changed[:, children])
        blamed[:, children] = torch.where(
            on[:, None] & felt, place[each.component], blamed[:, children]
        )
    return Changes(chance, hidden, components, changed, blamed)


def _hidden(window: Window, factor: Tensor, *, prior: float) -> tuple[Hidden, ...]:
    half = math.log(0.5)
    zero = torch.zeros_like(factor)
    touched = torch.logaddexp(factor + half, zero + half)
    alone = torch.logaddexp(factor + prior, zero + math.log1p(-math.exp(prior)))
    found = []
    for name, children in seen_children(window).items():
        if len(children) < 2:
            continue
        inside = list(children)
        value = float((touched[inside] - alone[inside]).sum())
        found.append(Hidden(name, component_of(window, name), children, value))
    return tuple(found)


def seen_children(window: Window) -> dict[str, tuple[int, ...]]:
    """The variables of the window that each latent reaches directly or by latents alone."""
    nodes = window.declaration.as_written.nodes
    place = {name: index for index, name in enumerate(window.names)}
    effects: dict[str, list[str]] = {name: [] for name in nodes}
    for name, node in nodes.items():
        for parent in node.parents:
            effects[parent.name].append(name)
    unseen = {
        name for name in nodes if name not in place or not bool(window.known[place[name]].any())
    }
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


def alike(window: Window) -> dict[int, Sequence[str]]:
    """For each variable, the components that were not seen and that only it would tell of."""
    found: dict[int, set[str]] = {}
    for name, children in seen_children(window).items():
        for child in children if len(children) == 1 else ():
            found.setdefault(child, set()).add(component_of(window, name))
    return {
        child: sorted(names - {component_of(window, window.names[child])})
        for child, names in found.items()
    }


__all__ = ["Changes", "Hidden", "alike", "component_of", "draw_changes", "seen_children"]
