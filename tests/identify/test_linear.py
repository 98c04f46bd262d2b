"""What linear districts settle: known truths, and parameters found by search that fit as well."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import least_squares

from causalsys.identify.linear import (
    LinearBlock,
    coefficients,
    kernel,
    law,
    shares,
    structure,
    total,
)

Links = Mapping[str, Iterable[str]]


def block(variables: str, inside: Links, outside: Links, loadings: Links) -> LinearBlock:
    links = ({k: frozenset(v) for k, v in each.items()} for each in (inside, outside, loadings))
    return LinearBlock(tuple(variables), *links)


def tied(*pairs: str) -> dict[str, set[str]]:
    """One latent for each pair."""
    found: dict[str, set[str]] = {}
    for pair in pairs:
        for name in pair:
            found.setdefault(name, set()).add(pair)
    return found


BOW = block("xy", {"y": "x"}, {}, tied("xy"))
FACTOR = dict.fromkeys("abcdefxy", "u")


def test_a_bow_is_not_determined() -> None:
    assert coefficients(BOW) == frozenset()
    assert not total(BOW, do=frozenset("x"), outcome="y")
    assert not kernel(BOW, frozenset("y"))
    assert kernel(BOW, frozenset("x"))
    assert kernel(BOW, frozenset("xy"))
    assert not structure(BOW, frozenset("xy"))


@pytest.mark.parametrize(
    "helped",
    [
        block("xy", {"y": "x"}, {"x": "z"}, tied("xy")),
        block("zxy", {"x": "z", "y": "x"}, {}, tied("xy")),
    ],
    ids=["outside", "inside"],
)
def test_an_instrument(helped: LinearBlock) -> None:
    assert coefficients(helped) == {("z", "x"), ("x", "y")}
    assert kernel(helped, frozenset("y"))
    assert total(helped, do=frozenset("z"), outcome="y")


def test_an_instrument_that_acts_on_the_outcome_is_none() -> None:
    wrong = block("xy", {"y": "x"}, {"x": "z", "y": "z"}, tied("xy"))
    assert coefficients(wrong) == {("z", "x")}
    assert total(wrong, do=frozenset("z"), outcome="y")
    assert not total(wrong, do=frozenset("xz"), outcome="y")


def test_the_front_door() -> None:
    front = block("xmy", {"m": "x", "y": "m"}, {}, tied("xy"))
    assert coefficients(front) == {("x", "m"), ("m", "y")}
    assert total(front, do=frozenset("x"), outcome="y")


def test_two_instruments_for_two_causes() -> None:
    both = block("abxy", {"x": "ab", "y": "xa"}, {}, tied("xy"))
    assert ("x", "y") in coefficients(both)
    one = block("axy", {"x": "a", "y": "xa"}, {}, tied("xy"))
    assert coefficients(one) == {("a", "x")}


@pytest.mark.parametrize(("count", "known"), [(2, False), (3, True), (4, True)])
def test_indicators_of_one_factor(count: int, known: bool) -> None:
    """Three are needed (Anderson and Rubin, 1956)."""
    names = "abcd"[:count]
    assert shares(block(names, {}, {}, FACTOR), frozenset(names)) == known


@pytest.mark.parametrize(("count", "known"), [(4, False), (5, True), (6, True)])
def test_indicators_of_two_factors(count: int, known: bool) -> None:
    """Five are needed for the noises: 10 free loadings less one rotation, and 5, meet 15 moments;
    four would leave 7 + 4 against 10."""
    names = "abcdef"[:count]
    two = block(names, {}, {}, dict.fromkeys(names, ("u[0]", "u[1]")))
    ledermann = (2 * count + 1 - (8 * count + 1) ** 0.5) / 2 >= 2
    assert ledermann == known
    assert shares(two, frozenset(names)) == known


@pytest.mark.parametrize(("proxies", "known"), [("", False), ("a", False), ("ab", True)])
def test_proxies(proxies: str, known: bool) -> None:
    """Kuroki and Pearl (2014): one proxy of unknown quality is not enough, two are."""
    confounded = block(proxies + "xy", {"y": "x"}, {}, FACTOR)
    assert (("x", "y") in coefficients(confounded)) == known
    assert kernel(confounded, frozenset("y")) == known


def test_one_proxy_does_for_a_confounder_where_another_cause_helps() -> None:
    confounded = block("axy", {"y": "x"}, {"x": "z"}, FACTOR)
    assert ("x", "y") in coefficients(confounded)


@pytest.mark.parametrize("seed", range(25))
def test_graphs_without_bows(seed: int) -> None:
    """Brito and Pearl (2002): an arrow and a shared latent never join the same pair."""
    rng = np.random.default_rng(seed)
    inside: dict[str, set[str]] = {}
    ties = []
    for one, other in combinations("abcde", 2):
        kind = rng.integers(3)
        if kind == 1:
            inside.setdefault(other, set()).add(one)
        elif kind == 2:
            ties.append(one + other)
    free = block("abcde", inside, {}, tied(*ties))
    assert coefficients(free) == set(free.arrows)
    assert structure(free, frozenset("abcde"))


def test_a_law_needs_more_than_means() -> None:
    """Setting x, the effect on y is a regression's; how y then varies with w is not known."""
    mixed = block("wxy", {"x": "w", "y": "x"}, {}, {"w": "u", "y": "u"})
    assert law(mixed, do=frozenset("x"), outcomes=frozenset("wy"))
    assert not law(BOW, do=frozenset("x"), outcomes=frozenset("y"))
    assert law(BOW, do=frozenset("y"), outcomes=frozenset("x"))


def test_setting_what_causes_nothing() -> None:
    assert total(BOW, do=frozenset("y"), outcome="x")
    assert total(BOW, do=frozenset(["elsewhere"]), outcome="x")


def random_block(rng: np.random.Generator) -> LinearBlock:
    names = "abcd"[: rng.integers(2, 5)]
    return block(
        names,
        {v: [w for w in names[:i] if rng.random() < 0.5] for i, v in enumerate(names)},
        {v: [z for z in "zw" if rng.random() < 0.25] for v in names},
        {v: [u for u in "tu" if rng.random() < 0.5] for v in names},
    )


def rows_of(which: LinearBlock, point: NDArray[Any]) -> tuple[NDArray[Any], int]:
    """Each variable as a sum of outside causes, latents and noises, by substitution."""
    names, outside = which.variables, which.causes
    latents = sorted(frozenset[str]().union(*which.loadings.values()))
    places = [(u, v) for v in names for u in sorted(which.loadings[v])]
    keys = [*which.arrows, *places, *((f"noise {v}", v) for v in names)]
    value = dict(zip(keys, point, strict=True))
    basic = [*outside, *latents, *(f"noise {v}" for v in names)]
    rows: dict[str, NDArray[Any]] = {}
    for v in names:
        rows[v] = np.array([value.get((each, v), 0.0) for each in basic])
        for cause in which.inside[v]:
            rows[v] = rows[v] + value[cause, v] * rows[cause]
    return np.stack([rows[v] for v in names]), len(outside)


def seen(which: LinearBlock, point: NDArray[Any]) -> NDArray[Any]:
    rows, outside = rows_of(which, point)
    hidden = rows[:, outside:]
    lower = np.tril_indices(len(rows))
    return np.concatenate([rows[:, :outside].ravel(), (hidden @ hidden.T)[lower]])


@pytest.mark.parametrize("seed", range(40))
def test_against_a_search_for_parameters_that_fit_as_well(seed: int) -> None:
    """Least squares from random starts finds other exact fits; they move what is not determined
    by more than 1e-3, and agree on what is to 1e-4 (the search ends within 1e-6 of the moments)."""
    rng = np.random.default_rng(seed)
    which = random_block(rng)
    arrows = len(which.arrows)
    width = arrows + sum(map(len, which.loadings.values())) + len(which.variables)
    point = rng.uniform(0.5, 1.2, width) * rng.choice([-1, 1], width)
    wanted = seen(which, point)
    moved = np.zeros(arrows)
    for _ in range(6):
        start = point + rng.normal(size=width)
        found = least_squares(lambda p: seen(which, p) - wanted, start, xtol=1e-15, ftol=1e-15)
        if np.abs(found.fun).max() < 1e-6:
            moved = np.maximum(moved, np.abs(found.x - point)[:arrows])
    known = coefficients(which)
    for arrow, change in zip(which.arrows, moved, strict=True):
        assert change < 1e-4 if arrow in known else change > 1e-3, arrow


def test_does_not_depend_on_how_things_are_named() -> None:
    one = block("xy", {"y": "x"}, {"x": "z"}, tied("xy"))
    other = block("qp", {"p": "q"}, {"q": "a"}, {"q": "m", "p": "m"})
    assert len(coefficients(one)) == len(coefficients(other)) == 2
