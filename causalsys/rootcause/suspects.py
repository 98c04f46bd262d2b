"""Edges that the graph lacks: where a mechanism seems to change because it follows another.

Of two variables that both seem to have changed, and that the graph does not connect, one may follow
the other by an edge that nobody declared. "One changed, and there is an edge" is then weighed
against "both changed": by the incident, which the edge must explain as closely as a change of its
own would; and by the normal rows, where an edge shows as a correlation of what is unexplained, and
its absence speaks against it (Schwarz, "Estimating the dimension of a model", 1978, for the price
of a slope). An edge beforehand is as likely as a change. The variable farther from the target is
taken for the cause, for that is how calls go; the data alone cannot tell. Two that share a latent
need no edge to move together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch

from causalsys.rootcause.changes import component_of, seen_children
from causalsys.rootcause.evidence import Evidence, evidence_of
from causalsys.rootcause.window import Window, distances, with_edges
from causalsys.scm.order import reached

_MOST = 24
"""Variables that are looked at: those that changed most clearly."""


def suspects(window: Window, found: Evidence) -> tuple[tuple[int, int], ...]:
    """Edges from cause to effect, at most one into each variable."""
    if window.target is None:
        return ()
    factor = found.log_bayes_factor
    least = math.log(len(factor))
    some = [p for p in factor.argsort(descending=True, stable=True).tolist() if factor[p] > least]
    some = sorted(some[:_MOST])
    confounded = [set(children) for children in seen_children(window).values()]
    added: list[tuple[int, int]] = []
    left = set(some)
    while True:
        # An edge that was added brings its cause within reach of the target: that is asked next.
        known = distances(window, added)
        depth = {p: known.get(p, math.inf) for p in some}
        effects = _below(window, added)
        below = {p: effects(p) for p in some}
        near = [p for p in left if p in known]
        if not near:
            return tuple(added)
        effect = min(near, key=lambda p: (depth[p], window.names[p]))
        left.remove(effect)
        causes = [
            p
            for p in some
            if (-depth[p], p) < (-depth[effect], effect)
            and p not in window.cells[effect].parents
            and window.names[effect] not in below[p]
            and window.names[p] not in below[effect]
            and not any({p, effect} <= children for children in confounded)
            and component_of(window, window.names[p]) != component_of(window, window.names[effect])
        ]
        gains = {p: _gain(window, found, p, effect) for p in causes}
        best = max(causes, key=lambda p: (gains[p], -p), default=None)
        if best is not None and gains[best] > 0:
            added.append((best, effect))


def _gain(window: Window, found: Evidence, cause: int, effect: int) -> float:
    """The log odds of an edge against a change of the effect's own mechanism."""
    with_edge = with_edges(window, [(cause, effect)])
    place = with_edge.names.index(window.names[effect])
    kept = float(evidence_of(with_edge, [place]).log_kept[0])
    changed = float(found.log_bayes_factor[effect] + found.log_kept[effect])
    return kept - changed + _shown(window, cause, effect)


def _shown(window: Window, cause: int, effect: int) -> float:
    """What normal rows say of an edge, in nats."""
    left = window.usual[window.names[effect]].residual
    moved = window.usual[window.names[cause]].residual
    if len(left) != len(moved) or float(left.std()) == 0 or float(moved.std()) == 0:
        return 0.0
    ranks = torch.stack([each.argsort().argsort().double() for each in (left, moved)])
    together = float(torch.corrcoef(ranks)[0, 1])
    rows = len(left)
    return -0.5 * rows * math.log(max(1 - together**2, 1e-12)) - 0.5 * math.log(rows)


def _below(window: Window, added: Sequence[tuple[int, int]]) -> Callable[[int], set[str]]:
    """All effects of a variable, by their names."""
    names = window.names
    effects: dict[str, list[str]] = {name: [] for name in names}
    for cell in window.cells:
        for parent in cell.parents:
            effects[names[parent]].append(cell.name)
    for cause, effect in added:
        effects[names[cause]].append(names[effect])
    return lambda place: reached([names[place]], effects)


__all__ = ["suspects"]
