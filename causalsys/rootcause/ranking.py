"""From draws to a finding: who gave most of the target's excess, how often."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from causalsys.rootcause.changes import Changes, component_of
from causalsys.rootcause.contributions import Contributions
from causalsys.rootcause.evidence import Evidence
from causalsys.rootcause.finding import Cause, Finding, Kind
from causalsys.rootcause.path import path_of
from causalsys.rootcause.periods import Periods
from causalsys.rootcause.readings import Restored, readings
from causalsys.rootcause.window import Window, distances
from causalsys.rootcause.words import assumptions

_SHOWS = 0.1
"""A change shows in the target if it gave so much of the excess."""
_HELP = 3.0
"""So many nats a change that shows speaks for an incident at most."""
_ACTS = 0.2
"""And acts together with others if it gave so much."""
_SHOWN = 3
_LIKELY = 0.05


def ranked(
    window: Window,
    periods: Periods,
    *,
    evidence: Evidence,
    changes: Changes,
    parts: Contributions,
    log_odds: float,
    suspects: tuple[tuple[str, str], ...] = (),
) -> Finding:
    """The finding of an incident that has a target.

    Args:
        window: The window.
        periods: Both periods.
        evidence: Of each variable.
        changes: Draws of what changed.
        parts: Draws of what the changes gave.
        log_odds: That the target moved at all, by itself.
        suspects: Edges that the data suggest.
    """
    share = parts.share * changes.changed
    shape = (len(share), len(changes.components))
    given = torch.zeros(shape, dtype=torch.float64).scatter_add(1, changes.blamed, share)
    winner = _winner(given)
    shows = float((winner >= 0).double().mean())
    moved = _moved(log_odds, evidence, share)
    found = [
        _cause(index, window, evidence, changes, parts, given=given, winner=winner)
        for index in range(len(changes.components))
    ]
    depth = _depths(window, changes)
    expected = dict(zip(changes.components, given.mean(0).tolist(), strict=True))
    ranking = sorted(
        (replace(cause, probability=moved * cause.probability) for cause in found),
        key=lambda c: (
            -c.probability,
            -round(expected[c.name], 6),
            -round(max(c.log_bayes_factor, 0.0), 6),
            -depth[c.name],
            c.name,
        ),
    )
    none = 1 - moved * shows
    together, chance = _together(given, winner, changes)
    if len(together) == 1:
        together, chance = (ranking[0].name,), ranking[0].probability / max(moved, 1e-300)
    if none >= 0.5:
        together, chance = (), 0.0
    kind = _kind(ranking, changes, none=none, moved=moved, together=together)
    return Finding(
        window.names[window.target] if window.target is not None else None,
        kind,
        tuple(ranking),
        none,
        moved,
        together,
        moved * chance,
        _readings(window, periods, parts, ranking, together=together) if none < 0.5 else (),
        _within(window, evidence, changes, parts, winner=winner),
        suspects,
        assumptions(window, periods, suspects=suspects, moved=moved >= 0.5),
    )


def _moved(log_odds: float, evidence: Evidence, share: Tensor) -> float:
    """The probability that the target moved.

    Even beforehand. A change that shows in the target speaks for it too, but not more than so
    much: what did not move the target is no incident of it.
    """
    shows = (share > _SHOWS).any(0)
    found = evidence.log_bayes_factor[shows]
    changed = float(found.logsumexp(0)) - math.log(share.shape[1]) if len(found) else 0.0
    return float(torch.sigmoid(torch.tensor(log_odds + min(max(changed, 0.0), _HELP))))


def _winner(given: Tensor) -> Tensor:
    """Which component gave most, `[draw]`; -1 where none gave enough to show."""
    best = given.max(1)
    return torch.where(best.values > _SHOWS, best.indices, -1)


def _cause(
    index: int,
    window: Window,
    evidence: Evidence,
    changes: Changes,
    parts: Contributions,
    *,
    given: Tensor,
    winner: Tensor,
) -> Cause:
    """One component, its probability being given that the target moved."""
    name = changes.components[index]
    members = torch.tensor(changes.members[index])
    mine = changes.changed[:, members] & (changes.blamed[:, members] == index)
    factors = evidence.log_bayes_factor[
        members[[component_of(window, window.names[p]) == name for p in members.tolist()]]
    ]
    factor = max(
        [
            *factors.tolist(),
            *(each.log_bayes_factor for each in changes.hidden if each.component == name),
        ],
        default=-math.inf,
    )
    when = mine.any(1)
    if not bool(when.any()):
        return Cause(name, (), (), 0.0, factor, 0.0, (0.0, 0.0))
    often = mine.double().mean(0)
    weight = (mine * parts.share[:, members]).mean(0)
    places = [
        int(members[at])
        for at in (-weight).argsort(stable=True).tolist()
        if often[at] > 0.5 * often.max()
    ]
    shares = given[when, index]
    low, high = shares.quantile(torch.tensor([0.05, 0.95], dtype=torch.float64)).tolist()
    others = sorted({o for place in places[:1] for o in changes.alike.get(place, ())} - {name})
    probability = float((winner == index).double().mean())
    path: tuple[tuple[str, str], ...] = ()
    if probability > _LIKELY:
        path = path_of(window, parts, places, component=partial(component_of, window))
    return Cause(
        name,
        tuple(others),
        tuple(window.names[place] for place in places),
        probability,
        factor,
        float(shares.mean()),
        (low, high),
        path,
    )


def _depths(window: Window, changes: Changes) -> dict[str, int]:
    """How far each component is from the target, by the longest of its variables' shortest ways."""
    distance = distances(window)
    found = dict.fromkeys(changes.components, 0)
    for place, name in enumerate(window.names):
        component = component_of(window, name)
        found[component] = max(found[component], distance.get(place, 0))
    return found


def _together(given: Tensor, winner: Tensor, changes: Changes) -> tuple[tuple[str, ...], float]:
    """The set of components that most often acted together, and how often."""
    sets = Counter(
        tuple((row > _ACTS).nonzero()[:, 0].tolist()) or (int(best),)
        for row, best in zip(given, winner, strict=True)
        if best >= 0
    )
    if not sets:
        return (), 0.0
    most = min(sets, key=lambda places: (-sets[places], places))
    return tuple(changes.components[place] for place in most), sets[most] / len(winner)


def _kind(
    ranking: Sequence[Cause],
    changes: Changes,
    *,
    none: float,
    moved: float,
    together: tuple[str, ...],
) -> Kind:
    if moved < 0.5:
        return "no incident"
    if none >= 0.5:
        return "none of these"
    if len(together) > 1:
        return "several"
    hidden = {each.component for each in changes.hidden}
    return "outside" if ranking[0].name in hidden else "one"


def _readings(
    window: Window,
    periods: Periods,
    parts: Contributions,
    ranking: Sequence[Cause],
    *,
    together: tuple[str, ...],
) -> tuple[Restored, ...]:
    """The first causes one by one; then together, where no single one suffices."""
    place = {name: index for index, name in enumerate(window.names)}
    likely = [c for c in ranking if c.probability > _LIKELY and c.variables][:_SHOWN]
    likely += [c for c in ranking if c.name in together and c.variables and c not in likely]
    sets: list[tuple[tuple[str, ...], list[int]]] = [
        ((cause.name,), [place[v] for v in cause.variables]) for cause in likely
    ]
    if len(likely) > 1:
        names = tuple(cause.name for cause in likely)
        sets.append((names, sorted({place[v] for c in likely for v in c.variables})))
    assert window.target is not None
    target = window.names[window.target]
    gone = periods.normal.missing.get(target)
    values = periods.normal.values[target][0].double()
    values = values if gone is None else values[~gone]
    ends = values.quantile(torch.tensor([0.01, 0.99], dtype=torch.float64)).tolist()
    return readings(window, parts, sets, usual=float(values.median()), limits=(ends[0], ends[1]))


def _within(
    window: Window,
    evidence: Evidence,
    changes: Changes,
    parts: Contributions,
    *,
    winner: Tensor,
) -> dict[str, tuple[Cause, ...]]:
    """One level down: of each component's variables, the one that gave most, where it is blamed."""
    found: dict[str, tuple[Cause, ...]] = {}
    share = parts.share * changes.changed
    for index, name in enumerate(changes.components):
        mine = list(changes.members[index])
        when = winner == index
        if len(mine) < 2 or not bool(when.any()):
            continue
        inside = share[when][:, mine] * (changes.blamed[when][:, mine] == index)
        best = inside.argmax(1)
        causes = [
            Cause(
                window.names[place],
                (),
                (window.names[place],),
                float((best == position).double().mean()),
                float(evidence.log_bayes_factor[place]),
                float(inside[:, position].mean()),
                tuple(
                    inside[:, position]
                    .quantile(torch.tensor([0.05, 0.95], dtype=torch.float64))
                    .tolist()
                ),
            )
            for position, place in enumerate(mine)
        ]
        found[name] = tuple(sorted(causes, key=lambda c: (-c.probability, -c.share, c.name)))
    return found


__all__ = ["ranked"]
