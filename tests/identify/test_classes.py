"""What districts of categories settle: published truths, and an independent search."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import least_squares

from causalsys.identify.classes import TableBlock, kernel, parameters


def table(latents: str, parents: Mapping[str, str], **cards: int) -> TableBlock:
    """Two levels unless said otherwise; latents have no causes unless given."""
    every = {**dict.fromkeys(latents, ""), **parents}
    names = {*every, *"".join(every.values())}
    return TableBlock(
        {name: cards.get(name, 2) for name in sorted(names)},
        {name: tuple(causes) for name, causes in every.items()},
        tuple(latents),
    )


def indicators(count: int, **cards: int) -> TableBlock:
    return table("h", dict.fromkeys("pqrst"[:count], "h"), **cards)


@pytest.mark.parametrize(
    ("which", "known"),
    [
        (indicators(2), False),
        (indicators(3), True),
        (indicators(4), True),
        (indicators(3, h=3), False),
        (indicators(3, h=3, p=3, q=3), True),
        (indicators(3, h=3, p=3, q=3, r=3), True),
        (indicators(4, h=3), False),
        (indicators(5, h=3), True),
        (indicators(5, h=4), True),
        (indicators(2, p=4, q=4), False),
    ],
)
def test_latent_classes(which: TableBlock, known: bool) -> None:
    """Kruskal (1977); four binary tests of three classes are the known exception, although their
    14 parameters meet 15 moments (Goodman, 1974)."""
    assert parameters(which) == known


BOW = {"x": "u", "y": "ux"}
PROXIES = {"z": "u", "w": "u", "x": "u", "y": "ux"}


def test_a_bow() -> None:
    bow = table("u", BOW)
    assert kernel(bow, "x")
    assert kernel(bow, "xy")
    assert not kernel(bow, "y")
    assert not parameters(bow)


@pytest.mark.parametrize(
    ("cards", "known"),
    [({}, True), ({"u": 3}, False), ({"u": 3, "z": 3, "w": 3}, True), ({"u": 4, "z": 3}, False)],
)
def test_proxies_need_as_many_levels_as_the_latent(cards: dict[str, int], known: bool) -> None:
    """Miao, Geng and Tchetgen (2018)."""
    assert kernel(table("u", PROXIES, **cards), "y") == known


def test_the_front_door_needs_no_levels() -> None:
    front = table("u", {"x": "u", "y": "um"}, u=5)
    assert kernel(front, "xy")
    assert kernel(front, "y")
    assert not parameters(front)


def test_outside_causes_are_set() -> None:
    """A cause of three levels from outside settles what a two-level latent does; one of two
    levels does not."""
    assert not kernel(table("u", {"x": "uz", "y": "ux"}), "y")
    assert kernel(table("u", {"x": "uz", "y": "ux"}, z=3), "y")


def test_a_latent_may_have_causes() -> None:
    """An observed cause is a view as well as an effect is."""
    assert parameters(table("h", {"h": "c", "p": "h", "q": "h"}))
    assert not parameters(table("h", {"h": "c", "p": "h"}))


def test_what_is_too_large_is_not_determined() -> None:
    assert not parameters(indicators(5, p=6, q=6, r=6, s=6, t=6))
    assert not kernel(table("u", PROXIES, u=9, z=9, w=9, x=9, y=9), "y")


def joint(which: TableBlock, point: NDArray[Any]) -> NDArray[Any]:
    """All laws of the observed under each setting of outside causes, by plain loops."""
    given: dict[tuple[str, tuple[int, ...]], NDArray[Any]] = {}
    start = 0
    for name, causes in which.parents.items():
        for levels in product(*(range(which.cards[c]) for c in causes)):
            free = point[start : start + which.cards[name] - 1]
            start += which.cards[name] - 1
            weights = np.exp(np.append(free, 0.0))
            given[name, levels] = weights / weights.sum()
    outside = [name for name in which.cards if name not in which.parents]
    names = [*outside, *which.variables, *which.latents]
    found: dict[tuple[int, ...], float] = {}
    for levels in product(*(range(which.cards[name]) for name in names)):
        at = dict(zip(names, levels, strict=True))
        chance = 1.0
        for name, causes in which.parents.items():
            chance *= given[name, tuple(at[c] for c in causes)][at[name]]
        key = levels[: len(names) - len(which.latents)]
        found[key] = found.get(key, 0.0) + chance
    return np.array(list(found.values()))


def set_from_outside(which: TableBlock, point: NDArray[Any]) -> NDArray[Any]:
    """`Q[y]`: the chances of y under each setting of its observed causes."""
    alone = TableBlock(
        which.cards,
        {n: c for n, c in which.parents.items() if n in which.latents or n == "y"},
        which.latents,
    )
    start, kept = 0, []
    for name, causes in which.parents.items():
        width = (which.cards[name] - 1) * int(np.prod([which.cards[c] for c in causes], dtype=int))
        if name in alone.parents:
            kept.append(point[start : start + width])
        start += width
    used = {n: which.cards[n] for n in {*alone.parents, *sum(alone.parents.values(), ())}}
    ordered = {n: k for n, k in which.cards.items() if n in used}
    return joint(TableBlock(ordered, alone.parents, alone.latents), np.concatenate(kept))


@pytest.mark.parametrize(
    "which",
    [
        table("u", BOW),
        table("u", PROXIES),
        table("u", {"z": "u", "x": "u", "y": "ux"}),
        table("u", {"x": "uz", "y": "ux"}),
        table("u", {"x": "uz", "y": "ux"}, z=3),
        table("u", {"x": "u", "y": "um", "w": "u"}),
    ],
    ids=["bow", "proxies", "one proxy", "instrument", "wide instrument", "parent and proxy"],
)
def test_against_a_search_for_tables_that_fit_as_well(which: TableBlock) -> None:
    """Least squares from random starts; where y's kernel is determined every exact fit agrees on
    it to 1e-4, and else some differ by more than 1e-3."""
    rng = np.random.default_rng(0)
    width = sum(which.widths)
    point = rng.normal(size=width) * 1.5
    wanted, kernel_then = joint(which, point), set_from_outside(which, point)
    moved = 0.0
    for _ in range(8):
        start = point + rng.normal(size=width)
        found = least_squares(lambda p: joint(which, p) - wanted, start, xtol=1e-15, ftol=1e-15)
        if np.abs(found.fun).max() < 1e-8:
            moved = max(moved, np.abs(set_from_outside(which, found.x) - kernel_then).max())
    assert moved < 1e-4 if kernel(which, "y") else moved > 1e-3
