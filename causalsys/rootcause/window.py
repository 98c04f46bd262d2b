"""An incident's window as one local linear model: what everything else is computed from."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from causalsys.errors import EvidenceError
from causalsys.fit.fitted import Fitted
from causalsys.rootcause.deviations import Deviation, deviations
from causalsys.rootcause.ordinary import Ordinary, blocked, ordinary, windows
from causalsys.rootcause.periods import Periods
from causalsys.rootcause.usual import Model, Usual, usual_of
from causalsys.scm.declaration import Declaration, Node
from causalsys.scm.order import causal_order
from causalsys.scm.supports import Support

_BLOCKS = 12
"""Longer windows are averaged to so many blocks of rows: what changed lasts for more than one."""
_STILL = 1e-12
_FARTHEST = 1e12
"""Spreads that no value is away from another."""
_CONTRAST = 0.1
"""The share of the target's profile, in mean square, that must lie inside the window."""

_USUAL = 0.95
"""The share of normal windows in which the target moves less than in one with a contrast."""


@dataclass(frozen=True)
class Cell:
    """One variable in the window.

    Attributes:
        name: The variable.
        residual: What its parents do not explain, `[block]`, in its own unit.
        parents: The places of the parents that were seen, causes before effects.
        moved: Their deviations, `[parent, block]`.
        slopes: What its mechanism passes on of them, `[parent, block]`.
        doubt: The variance of each slope over the fitted members, `[parent]`.
        transport: The variance that a slope of one standard unit has, `[parent]`.
        declared: The same by the slopes' declared priors, about what was fitted, `[parent]`.
    """

    name: str
    residual: Tensor
    parents: tuple[int, ...]
    moved: Tensor
    slopes: Tensor
    doubt: Tensor
    transport: Tensor
    declared: Tensor


@dataclass(frozen=True)
class Window:
    """Everything that was seen, causes before effects.

    Attributes:
        declaration: The model's.
        cells: The variables, causes before effects.
        deviation: `[variable, block]`.
        seen: Where the variable was observed, `[variable, block]`.
        known: Where the residual is told, `[variable, block]`; see `_told`.
        ordinary: How the residuals ordinarily move.
        spread: The scale of each variable's deviations in normal rows, `[variable]`.
        excess: The target's deviation, or a step of one where there is no target, `[block]`.
        profile: The same with mean square 1.
        contrast: Whether the window has rows before the fault.
        target: The target's place; None where there is none.
        moved: How the target itself ordinarily moves; None where there is none.
        rows: How many rows the window has.
        usual: The variables in the normal period.
    """

    declaration: Declaration
    cells: tuple[Cell, ...]
    deviation: Tensor
    seen: Tensor
    known: Tensor
    ordinary: Ordinary
    spread: Tensor
    excess: Tensor
    profile: Tensor
    contrast: bool
    target: int | None
    moved: Ordinary | None
    rows: int
    usual: Mapping[str, Usual]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The variables, causes before effects."""
        return tuple(cell.name for cell in self.cells)


def window_of(fitted: Fitted, periods: Periods, *, target: str | None) -> Window:
    """Compute the window of one incident."""
    declaration = fitted.declaration
    usual = usual_of(fitted, periods.normal)
    names = tuple(name for name in declaration.nodes if name in usual)
    model = Model(fitted, {name: each.value for name, each in usual.items()})
    found = deviations(model, periods.incident, {name: usual[name] for name in names})
    rows = periods.incident.rows
    blocks = min(rows, _BLOCKS)
    least = resolution(usual, found, fitted.schema.supports)
    unit = ordinary(
        [usual[name].residual for name in names],
        [least[name] for name in names],
        rows=rows,
        blocks=blocks,
    )
    spread = torch.stack([_spread(usual[name].deviation, least[name]) for name in names])
    deviation = torch.stack([blocked(found[name].value, blocks) for name in names])
    _check_size(names, deviation, spread)
    place = {name: index for index, name in enumerate(names)}
    cells = [
        _cell(declaration.nodes[name], found, deviation, place, spread=spread, scale=unit.scale)
        for name in names
    ]
    excess = torch.ones(blocks, dtype=torch.float64)
    moved = None
    if target is not None:
        excess = deviation[place[target]]
        moved = ordinary([usual[target].deviation], [least[target]], rows=rows, blocks=blocks)
    profile = excess / (excess**2).mean().sqrt().clamp(min=_STILL)
    seen = torch.stack([blocked(found[name].known.double(), blocks) > 0.5 for name in names])
    known = _told(seen, cells)
    return Window(
        declaration,
        tuple(cells),
        deviation,
        seen,
        known,
        unit,
        spread,
        excess,
        profile,
        target is not None and _contrasted(excess, profile, usual[target].deviation, rows=rows),
        None if target is None else place[target],
        moved,
        rows,
        usual,
    )


def _check_size(names: Sequence[str], deviation: Tensor, spread: Tensor) -> None:
    """Refuse values that no measurement gives, before they drown all others in rounding."""
    far = (deviation.abs() > _FARTHEST * spread[:, None]).any(1)
    if bool(far.any()):
        place = int(far.nonzero()[0])
        raise EvidenceError(
            names[place],
            found=f"a value {float(deviation[place].abs().max()):.3g} from the usual one",
            mend="Mend the record, or leave the value missing.",
        )


def _told(seen: Tensor, cells: Sequence[Cell]) -> Tensor:
    """Where residuals are told: the variable is seen, and so are parents that are seen elsewhere.

    A metric that stops mid-incident must not leave its unseen deviation to its effects.
    """
    partly = seen.any(1) & ~seen.all(1)
    told = seen.clone()
    for place, cell in enumerate(cells):
        for parent in cell.parents:
            if partly[parent]:
                told[place] &= seen[parent]
    return told


def _contrasted(excess: Tensor, profile: Tensor, normal: Tensor, *, rows: int) -> bool:
    """Whether the target moves inside the window: enough of its profile, and more than is usual.

    Ordinary noise moves it too. A fault that lasts through the window must not pass for one with
    rows before it, or it would be taken for a drift.
    """
    if float(((profile - profile.mean()) ** 2).mean()) <= _CONTRAST:
        return False
    usual = windows(normal, rows=rows, blocks=len(excess))
    if not len(usual):
        return True
    moves = usual.var(1, correction=0).quantile(_USUAL)
    return bool(excess.var(correction=0) > moves)


def distances(window: Window, edges: Sequence[tuple[int, int]] = ()) -> dict[int, int]:
    """How many edges each variable is from the target, for those that a path leads from.

    Args:
        window: The window, which has a target.
        edges: Further edges, from cause to effect.
    """
    assert window.target is not None
    causes = [list(cell.parents) for cell in window.cells]
    for cause, effect in edges:
        causes[effect].append(cause)
    distance = {window.target: 0}
    open_ = deque(distance)
    while open_:
        here = open_.popleft()
        for cause in causes[here]:
            if cause not in distance:
                distance[cause] = distance[here] + 1
                open_.append(cause)
    return distance


def with_edges(window: Window, edges: Sequence[tuple[int, int]]) -> Window:
    """The window with edges that the graph lacks, from cause to effect, in a causal order again.

    Nothing is known of their slopes but that they are of the order of one standard unit.
    """
    cells = list(window.cells)
    for cause, effect in edges:
        cells[effect] = _with_parent(window, cells[effect], cause, effect)
    names = window.names
    order = causal_order(
        {name: [names[p] for p in cell.parents] for name, cell in zip(names, cells, strict=True)}
    )
    assert order is not None
    place = {name: index for index, name in enumerate(names)}
    old = torch.tensor([place[name] for name in order])
    new = {int(before): after for after, before in enumerate(old)}
    moved = [
        replace(cells[int(before)], parents=tuple(new[p] for p in cells[int(before)].parents))
        for before in old
    ]
    return replace(
        window,
        cells=tuple(moved),
        deviation=window.deviation[old],
        seen=window.seen[old],
        known=window.known[old],
        ordinary=window.ordinary.of(old),
        spread=window.spread[old],
        target=None if window.target is None else new[window.target],
    )


def _with_parent(window: Window, cell: Cell, cause: int, effect: int) -> Cell:
    unit = (window.ordinary.scale[effect] / window.spread[cause])[None] ** 2
    none = torch.zeros(1, window.deviation.shape[-1], dtype=torch.float64)
    return replace(
        cell,
        parents=(*cell.parents, cause),
        moved=torch.cat([cell.moved, window.deviation[cause][None]]),
        slopes=torch.cat([cell.slopes, none]),
        doubt=torch.cat([cell.doubt, unit]),
        transport=torch.cat([cell.transport, unit]),
        declared=torch.cat([cell.declared, 100 * unit]),
    )


def _cell(
    node: Node,
    found: Mapping[str, Deviation],
    deviation: Tensor,
    place: Mapping[str, int],
    *,
    spread: Tensor,
    scale: Tensor,
) -> Cell:
    here, mine = place[node.name], found[node.name]
    seen = [index for index, ref in enumerate(node.parents) if ref.name in place]
    parents = tuple(place[node.parents[index].name] for index in seen)
    moved = deviation[list(parents)]
    passed = blocked(mine.passed[seen], deviation.shape[-1])
    still = moved.abs() < _STILL
    slopes = torch.where(still, 0.0, passed / torch.where(still, 1.0, moved))
    transport = (scale[here] / spread[list(parents)]) ** 2
    priors = {key: (mean, sd) for key, mean, sd in getattr(node.mechanism, "prior", ())}
    declared = transport.clone()
    for position, index in enumerate(seen):
        if node.parents[index].key in priors:
            mean, sd = priors[node.parents[index].key]
            fitted = slopes[position][~still[position]]
            gap = mean - float(fitted.mean()) if len(fitted) else 0.0
            declared[position] = sd**2 + gap**2
    # What is written holds in every regime.
    open_ = 1.0 if node.learned else 0.0
    return Cell(
        node.name,
        deviation[here] - passed.sum(0),
        parents,
        moved,
        slopes,
        open_ * mine.doubt[seen] ** 2,
        open_ * transport,
        open_ * torch.maximum(declared, transport),
    )


def resolution(
    usual: Mapping[str, Usual], found: Mapping[str, Deviation], supports: Mapping[str, Support]
) -> dict[str, Tensor]:
    """The smallest step that variables of one unit are seen to take.

    A variable that never moved has no scale of its own, and none that is fixed would fit every
    unit. Its kind has one: a count moves by one, and so on.
    """
    groups: dict[object, list[str]] = {}
    for name in usual:
        unit = supports[name].unit
        groups.setdefault((type(supports[name]).__name__, unit) if unit else name, []).append(name)
    least: dict[str, Tensor] = {}
    for names in groups.values():
        normal = torch.cat([usual[name].deviation for name in names])
        seen = [found[name].value for name in names if name in found]
        step = _step(normal)
        if step is None and seen:
            step = _step(torch.cat(seen))
        for name in names:
            least[name] = torch.tensor(1.0, dtype=torch.float64) if step is None else step
    return least


def _step(values: Tensor) -> Tensor | None:
    """A small step among those that are not zero: their tenth part."""
    steps = values.abs()[values.abs() > _STILL]
    return steps.sort().values[len(steps) // 10] if len(steps) else None


def _spread(values: Tensor, least: Tensor) -> Tensor:
    return torch.maximum(1.4826 * (values - values.median()).abs().median(), least)


__all__ = ["Cell", "Window", "distances", "window_of", "with_edges"]
