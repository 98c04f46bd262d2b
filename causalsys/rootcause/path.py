"""The way from a cause to the target, edge by edge, as far as the data support it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from causalsys.rootcause.contributions import Contributions, share_of
from causalsys.rootcause.window import Window

_CARRIES = 0.1
"""An edge is part of the path if it carries so much of what the cause gave to the target."""


def path_of(
    window: Window,
    found: Contributions,
    variables: Sequence[int],
    *,
    component: Callable[[str], str],
) -> tuple[tuple[str, str], ...]:
    """Edges between components over which the change of some variables reached the target.

    What left the cause is followed down with the mean slopes, and what arrives at the target is
    followed up; an edge carries the product.

    Args:
        window: The window.
        found: Slopes and residuals.
        variables: The places of the cause's variables.
        component: The component of a variable.
    """
    target = window.target
    if target is None or not variables:
        return ()
    slopes = [each.mean(0) for each in found.slopes]  # [parent, block]
    down = _arrived(window, found, slopes, variables)
    end = down[target]
    if end is None:
        return ()
    up: list[Tensor | None] = [None] * len(window.cells)
    up[target] = torch.ones_like(window.excess)
    carried: dict[tuple[str, str], float] = {}
    for place in range(len(window.cells) - 1, -1, -1):
        effect = up[place]
        if effect is None:
            continue
        for index, parent in enumerate(window.cells[place].parents):
            step = effect * slopes[place][index]
            before = up[parent]
            up[parent] = step if before is None else before + step
            start = down[parent]
            if start is None:
                continue
            edge = (component(window.names[parent]), component(window.names[place]))
            if edge[0] != edge[1]:
                carried[edge] = carried.get(edge, 0.0) + float(share_of(window, step * start))
    whole = abs(float(share_of(window, end)))
    kept = {edge for edge, part in carried.items() if abs(part) > _CARRIES * whole}
    return _ordered(kept, component(window.names[target]))


def _arrived(
    window: Window, found: Contributions, slopes: Sequence[Tensor], variables: Sequence[int]
) -> list[Tensor | None]:
    """What of the cause's change arrives at each variable, `[block]`; None where nothing can."""
    down: list[Tensor | None] = [None] * len(window.cells)
    for place, cell in enumerate(window.cells):
        arrived = found.own[:, place].mean(0) if place in variables else None
        for index, parent in enumerate(cell.parents):
            before = down[parent]
            if before is not None:
                step = slopes[place][index] * before
                arrived = step if arrived is None else arrived + step
        down[place] = arrived
    return down


def _ordered(edges: set[tuple[str, str]], target: str) -> tuple[tuple[str, str], ...]:
    """Edges that lead to the target, those farthest from it first, ties by name."""
    distance = {target: 0}
    open_ = [target]
    while open_:
        here = open_.pop(0)
        for start, end in sorted(edges):
            if end == here and start not in distance:
                distance[start] = distance[here] + 1
                open_.append(start)
    kept = [edge for edge in edges if edge[1] in distance]
    return tuple(sorted(kept, key=lambda edge: (-distance[edge[1]], edge)))


__all__ = ["path_of"]
