"""Instruments, proxies and views: textbook graphs, and definitions checked by networkx."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import networkx as nx
import numpy as np
import pytest

from causalsys.identify.mixed import Mixed
from causalsys.identify.witnesses import instrument, proxies, views

Parents = Mapping[str, frozenset[str]]


def graph(edges: str, ties: str = "") -> Mixed:
    """From "zx xy"; nodes in order of their first letters' appearance in an order of causes."""
    pairs = [(each[0], each[1]) for each in edges.split()]
    order = list(nx.lexicographical_topological_sort(nx.DiGraph(pairs)))
    hidden = [(each[0], each[1]) for each in ties.split()]
    order += sorted({name for pair in hidden for name in pair} - set(order))
    return Mixed.of(order, directed=pairs, bidirected=hidden)


def parents(edges: str) -> Parents:
    found: dict[str, set[str]] = {}
    for cause, effect in edges.split():
        found.setdefault(cause, set())
        found.setdefault(effect, set()).add(cause)
    return {name: frozenset(causes) for name, causes in found.items()}


@pytest.mark.parametrize(
    ("edges", "ties", "found"),
    [
        ("zx xy", "xy", ("z", ())),
        ("xy", "xy zx", ("z", ())),
        ("zx xy zy", "xy", None),
        ("zx xy", "xy zy", None),
        ("xy", "xy", None),
        ("wz wy zx xy", "xy", ("z", ("w",))),
        ("az bz ay by zx xy", "xy", ("z", ("a", "b"))),
        ("zx xm my", "xy", ("z", ())),
        ("zx xy xw", "xy wy", ("z", ())),
        ("ax zx xy", "xy", ("a", ())),
    ],
    ids=[
        "plain",
        "sharing a cause with the treatment",
        "acting on the outcome",
        "confounded with the outcome",
        "none",
        "conditional",
        "conditional on two",
        "by way of another",
        "beside a collider",
        "first by name",
    ],
)
def test_instruments(edges: str, ties: str, found: tuple[str, tuple[str, ...]] | None) -> None:
    assert instrument(graph(edges, ties), do="x", outcome="y") == found


def test_an_instrument_among_many_variables() -> None:
    """Fourteen common causes of instrument and outcome: too many to try all sets."""
    causes = "abcdefghijklmn"
    edges = " ".join(f"{c}z {c}y" for c in causes) + " zx xy"
    assert instrument(graph(edges, "xy"), do="x", outcome="y") == ("z", tuple(causes))


@pytest.mark.parametrize("seed", range(40))
def test_instruments_meet_the_definition(seed: int) -> None:
    """Brito and Pearl (2002), by d-separation with the latents drawn in; and where none is found,
    no set of at most two conditions makes one."""
    rng = np.random.default_rng(seed)
    names = "abcde"
    edges = [pair for pair in combinations(names, 2) if rng.random() < 0.4]
    ties = [pair for pair in combinations(names, 2) if rng.random() < 0.25]
    mixed = Mixed.of(names, directed=edges, bidirected=ties)
    whole: nx.DiGraph[str] = nx.DiGraph(edges)
    whole.add_nodes_from(names)
    for one, other in ties:
        whole.add_edges_from([(one + other, one), (one + other, other)])
    do, outcome = "d", "e"
    cut = whole.copy()
    cut.remove_edges_from(list(whole.out_edges(do)))
    below = {do, outcome} | nx.descendants(whole, do) | nx.descendants(whole, outcome)

    def is_one(name: str, given: tuple[str, ...]) -> bool:
        apart = nx.is_d_separator(cut, {name}, {outcome}, set(given))
        return apart and not nx.is_d_separator(whole, {name}, {do}, set(given))

    usable = sorted(set(names) - below)
    every = [
        (name, given)
        for size in range(3)
        for given in combinations(usable, size)
        for name in usable
        if name not in given and is_one(name, given)
    ]
    found = instrument(mixed, do=do, outcome=outcome)
    if every:
        assert found == every[0]
    else:
        assert found is None or is_one(*found)


@pytest.mark.parametrize(
    ("edges", "found"),
    [
        ("uz uw ux uy xy", ("u", "w", "z")),
        ("uz uw ux uy xy zx", ("u", "z", "w")),
        ("uz uw ux uy xy wy", ("u", "z", "w")),
        ("uz uw ux uy xy zw", None),
        ("uz ux uy xy", None),
        ("uz uw ux uy xy vx vy", None),
        ("uz uw ux uy xy cx cy cz", ("u", "w", "z")),
        ("uz uw ux uy xy cx cy cz cw", ("u", "w", "z")),
        ("uz uw ux uy xy xw zx wy", None),
    ],
    ids=[
        "two",
        "one acts on the treatment",
        "one acts on the outcome",
        "one acts on the other",
        "one",
        "another confounder",
        "an observed cause",
        "an observed cause of all",
        "the treatment acts on one",
    ],
)
def test_proxies(edges: str, found: tuple[str, str, str] | None) -> None:
    latents = frozenset("uv") & parents(edges).keys()
    assert proxies(parents(edges), latents=latents, do="x", outcome="y") == found


@pytest.mark.parametrize(
    ("edges", "found"),
    [
        ("up uq ur", (("p",), ("q",), ("r",))),
        ("up uq", None),
        ("up uq ur pq", None),
        ("up uq ur us rs", (("p",), ("q",), ("r", "s"))),
        ("up uq ur us", (("p", "s"), ("q",), ("r",))),
        ("up uq ur vp vq", None),
        ("up uq ur cp cq cr", (("p",), ("q",), ("r",))),
        ("cu up uq", (("c",), ("p",), ("q",))),
        ("up uq ur ar", (("p",), ("q",), ("r",))),
    ],
    ids=[
        "three",
        "two",
        "three of which two are tied",
        "four in three groups",
        "four",
        "another latent",
        "an observed cause of all",
        "a cause of the latent",
        "a view's own cause is none",
    ],
)
def test_views(edges: str, found: tuple[tuple[str, ...], ...] | None) -> None:
    latents = frozenset("uv") & parents(edges).keys()
    assert views(parents(edges), latents=latents, latent="u") == found
