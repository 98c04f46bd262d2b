"""Bounds against closed forms, against brute force, and against their own extreme models."""

from __future__ import annotations

from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from causalsys.errors import EvidenceError
from causalsys.identify.bounds import bounds, chance, member_bounds
from causalsys.identify.mixed import Mixed
from causalsys.identify.tasks import Bounds, Law
from causalsys.identify.unfold import Event
from causalsys.identify.unknowns import NotLinearError, TooLargeError
from tests.identify.systems import Function, System, random_events, random_graph, random_system

TWO = dict.fromkeys("abcdefgmxyzw", 2)
BOW = Mixed.of("xy", directed=["xy"], bidirected=["xy"])
IV = Mixed.of("zxy", directed=["zx", "xy"], bidirected=["xy"])
ARROW = Mixed.of("xy", directed=["xy"])
NEAR = 1e-6
"""The solver's own tolerance is 1e-7."""


def drawn(seed: int, *shape: int) -> NDArray[Any]:
    flat = np.random.default_rng(seed).dirichlet(np.ones(int(np.prod(shape))))
    return flat.reshape(shape)


def close(found: Bounds, low: float, high: float) -> None:
    assert found.low == pytest.approx(low, abs=NEAR)
    assert found.high == pytest.approx(high, abs=NEAR)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("levels", [(2, 2), (3, 4)])
def test_nothing_but_the_data(seed: int, levels: tuple[int, int]) -> None:
    """Manski, 1990: P(x, y) ≤ P(y_x) ≤ P(x, y) + 1 - P(x)."""
    joint = drawn(seed, *levels)
    cards = dict(zip("xy", levels, strict=True))
    found = bounds(BOW, cards, joint, asked=chance(Event("y", 1, {"x": 0})))
    close(found, joint[0, 1], joint[0, 1] + 1 - joint[0].sum())
    assert found.sharp


def balke_pearl(p: NDArray[Any]) -> tuple[float, float]:
    """The effect of x on y with an imperfect instrument; `p[y, x, z]` (Balke and Pearl, 1997)."""
    p00_0, p01_0, p10_0, p11_0 = p[0, 0, 0], p[0, 1, 0], p[1, 0, 0], p[1, 1, 0]
    p00_1, p01_1, p10_1, p11_1 = p[0, 0, 1], p[0, 1, 1], p[1, 0, 1], p[1, 1, 1]
    low = [
        p11_1 + p00_0 - 1,
        p11_0 + p00_1 - 1,
        p11_0 - p11_1 - p10_1 - p01_0 - p10_0,
        p11_1 - p11_0 - p10_0 - p01_1 - p10_1,
        -p01_1 - p10_1,
        -p01_0 - p10_0,
        p00_1 - p01_1 - p10_1 - p01_0 - p00_0,
        p00_0 - p01_0 - p10_0 - p01_1 - p00_1,
    ]
    high = [
        1 - p01_1 - p10_0,
        1 - p01_0 - p10_1,
        -p01_0 + p01_1 + p00_1 + p11_0 + p00_0,
        -p01_1 + p11_1 + p00_1 + p01_0 + p00_0,
        p11_1 + p00_1,
        p11_0 + p00_0,
        -p10_1 + p11_1 + p00_1 + p11_0 + p10_0,
        -p10_0 + p11_0 + p00_0 + p11_1 + p10_1,
    ]
    return max(low), min(high)


@pytest.mark.parametrize("seed", range(10))
def test_an_instrument(seed: int) -> None:
    system = random_system(np.random.default_rng(seed), IV, TWO, choices=12)
    joint = system.joint()
    given_z = joint / joint.sum((1, 2), keepdims=True)
    effect = [(1.0, [Event("y", 1, {"x": 1})]), (-1.0, [Event("y", 1, {"x": 0})])]
    close(bounds(IV, TWO, joint, asked=effect), *balke_pearl(given_z.transpose(2, 1, 0)))


@pytest.mark.parametrize("seed", range(5))
def test_necessary_and_sufficient(seed: int) -> None:
    """Tian and Pearl, 2000, theorem 1 and equations for PN and PS, after a trial."""
    joint = drawn(seed, 2, 2)
    y1 = joint[:, 1] / joint.sum(1)
    both = chance(Event("y", 1, {"x": 1}), Event("y", 0, {"x": 0}))
    pns = max(0, y1[1] - y1[0]), min(y1[1], 1 - y1[0])
    close(bounds(ARROW, TWO, joint, asked=both), *pns)
    necessary = bounds(
        ARROW,
        TWO,
        joint,
        asked=chance(Event("y", 0, {"x": 0})),
        given=[Event("x", 1), Event("y", 1)],
    )
    close(necessary, *(end / y1[1] for end in pns))
    rising = bounds(ARROW, TWO, drawn_rising(seed), asked=both, rising=[("x", "y")])
    y1 = drawn_rising(seed)[:, 1] / drawn_rising(seed).sum(1)
    close(rising, y1[1] - y1[0], y1[1] - y1[0])


def drawn_rising(seed: int) -> NDArray[Any]:
    low, high = np.sort(np.random.default_rng(seed).random(2))
    return np.array([[1 - low, low], [1 - high, high]]) / 2


def test_necessary_with_a_trial_that_is_confounded_elsewhere() -> None:
    """Tian and Pearl, 2000, equation for PNS without exogeneity, observational data only."""
    joint = drawn(3, 2, 2)
    both = chance(Event("y", 1, {"x": 1}), Event("y", 0, {"x": 0}))
    close(bounds(BOW, TWO, joint, asked=both), 0.0, joint[1, 1] + joint[0, 0])


def with_laws(system: System, laws: tuple[Law, ...]) -> System:
    """The system in which some districts follow other laws."""
    choices = dict(system.choices)
    for names in {law.types.variables for law in laws}:
        mine = [law for law in laws if law.types.variables == names]
        choices[frozenset(names)] = glued(system, names, mine)
    return System(system.graph, system.cards, choices)


Choices = list[tuple[float, dict[str, Function]]]


def glued(system: System, names: tuple[str, ...], laws: list[Law]) -> Choices:
    """One law from laws at some levels of some causes; at other levels the system's own.

    All levels follow one quantile, given the variables without causes.
    """
    fixed = sorted(laws[0].fixed)
    given = {tuple(law.fixed[c] for c in fixed): listed(system, law) for law in laws}
    settings = list(product(*(range(system.cards[cause]) for cause in fixed)))
    slices = [
        given.get(setting) or cut(system, names, dict(zip(fixed, setting, strict=True)))
        for setting in settings
    ]
    roots = [name for name in names if not system.graph.parents[name]]
    found: Choices = []
    for root in {tuple(f[n] for n in roots) for _, f in slices[0]}:
        kept = [[(p, f) for p, f in each if tuple(f[n] for n in roots) == root] for each in slices]
        ends = [np.cumsum([p for p, _ in each]) for each in kept]
        cuts = np.unique(np.concatenate([end / end[-1] for end in ends]))
        for low, high in pairwise([0.0, *cuts]):
            at = [int(np.searchsorted(end / end[-1], (low + high) / 2)) for end in ends]
            parts = [each[i][1] for each, i in zip(kept, at, strict=True)]
            whole = {
                n: woven(system, n, dict(zip(settings, parts, strict=True)), fixed) for n in names
            }
            found.append(((high - low) * float(ends[0][-1]), whole))
    return found


def listed(system: System, law: Law) -> Choices:
    return [
        (
            float(law.chances[tuple(index)]),
            {
                name: tuple(map(int, np.unravel_index(place, (system.cards[name],) * count)))
                for name, place, count in zip(
                    law.types.variables,
                    index,
                    (
                        int(np.prod([system.cards[c] for c in law.types.parents[n]], dtype=int))
                        for n in law.types.variables
                    ),
                    strict=True,
                )
            },
        )
        for index in np.argwhere(law.chances > 1e-12)
    ]


def cut(system: System, names: tuple[str, ...], fixed: dict[str, int]) -> Choices:
    """The system's own choices at some levels of some causes."""
    return [
        (chance, {n: tuple(sliced(system, n, functions[n], fixed)) for n in names})
        for chance, functions in system.choices[frozenset(names)]
    ]


def sliced(system: System, name: str, function: Function, fixed: dict[str, int]) -> list[int]:
    causes = sorted(system.graph.parents[name])
    every = product(*(range(system.cards[cause]) for cause in causes))
    return [
        level
        for levels, level in zip(every, function, strict=True)
        if all(fixed.get(c, v) == v for c, v in zip(causes, levels, strict=True))
    ]


def woven(
    system: System,
    name: str,
    parts: dict[tuple[int, ...], dict[str, Function]],
    fixed: list[str],
) -> Function:
    """A function from its slices."""
    causes = sorted(system.graph.parents[name])
    if not causes:
        return next(iter(parts.values()))[name]
    waiting = {setting: list(part[name]) for setting, part in parts.items()}
    found = []
    for levels in product(*(range(system.cards[cause]) for cause in causes)):
        at = dict(zip(causes, levels, strict=True))
        found.append(waiting[tuple(at[c] for c in fixed)].pop(0))
    return tuple(found)


@pytest.mark.parametrize("seed", range(60))
def test_the_truth_is_inside_and_the_ends_are_attained(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, size=int(rng.integers(2, 5)))
    cards = {name: int(rng.choice([2, 2, 2, 3])) for name in graph.nodes}
    system = random_system(rng, graph, cards)
    events = random_events(rng, graph, cards, worlds=int(rng.integers(1, 3)))
    joint, truth = system.joint(), system.probability(events)
    try:
        found = bounds(graph, cards, joint, asked=chance(*events))
    except (NotLinearError, TooLargeError):
        return
    assert found.low - NEAR <= truth <= found.high + NEAR
    assert found.misfit == 0
    assert found.sharp
    for end, laws in ((found.low, found.least), (found.high, found.most)):
        extreme = with_laws(system, laws)
        np.testing.assert_allclose(extreme.joint(), joint, atol=NEAR)
        assert extreme.probability(events) == pytest.approx(end, abs=NEAR)


@pytest.mark.parametrize("seed", range(30))
def test_rows(seed: int) -> None:
    """What a row would have been: the truth is inside, whatever of the row is known."""
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, size=3)
    system = random_system(rng, graph, TWO)
    joint = system.joint()
    row = np.argwhere(joint > 0)[rng.integers((joint > 0).sum())]
    known = rng.permutation(list(zip(graph.nodes, map(int, row), strict=True)))[
        : rng.integers(1, 4)
    ]
    given = [Event(str(name), int(level)) for name, level in known]
    events = random_events(rng, graph, TWO, worlds=1)
    truth = system.probability([*events, *given]) / system.probability(given)
    found = bounds(graph, TWO, joint, asked=chance(*events), given=given, relax=True)
    assert found.low - NEAR <= truth <= found.high + NEAR
    if found.sharp:
        extreme = with_laws(system, found.least)
        worst = extreme.probability([*events, *given]) / extreme.probability(given)
        assert worst == pytest.approx(found.low, abs=1e-5)


@pytest.mark.parametrize("seed", range(15))
def test_three_that_share_a_latent(seed: int) -> None:
    rng = np.random.default_rng(100 + seed)
    graph = random_graph(rng, size=3, largest=3)
    system = random_system(rng, graph, TWO)
    events = random_events(rng, graph, TWO, worlds=1)
    joint, truth = system.joint(), system.probability(events)
    found = bounds(graph, TWO, joint, asked=chance(*events), shared=graph.districts())
    assert found.low - NEAR <= truth <= found.high + NEAR
    for end, laws in ((found.low, found.least), (found.high, found.most)):
        extreme = with_laws(system, laws)
        np.testing.assert_allclose(extreme.joint(), joint, atol=NEAR)
        assert extreme.probability(events) == pytest.approx(end, abs=NEAR)


def test_three_are_sharp_only_if_one_latent_is_known_to_act_on_all() -> None:
    graph = Mixed.of("wxy", directed=["xy"], bidirected=["wx", "wy", "xy"])
    asked = chance(Event("y", 1, {"x": 1}))
    assert not bounds(graph, TWO, drawn(0, 2, 2, 2), asked=asked).sharp
    assert bounds(graph, TWO, drawn(0, 2, 2, 2), asked=asked, shared=["wxy"]).sharp


def test_a_proxy_in_the_district_narrows_what_an_instrument_leaves_open() -> None:
    """The sum over a proxy's levels of a maximum is at least the maximum of the sum."""
    graph = Mixed.of("zxyw", directed=["zx", "xy"], bidirected=["xy", "xw", "yw"])
    asked = chance(Event("y", 1, {"x": 1}))
    widths = []
    for seed in range(8):
        joint = random_system(np.random.default_rng(seed), graph, TWO, choices=9).joint()
        with_proxy = bounds(graph, TWO, joint, asked=asked, shared=["xyw"])
        without = bounds(IV, TWO, joint.sum(3), asked=asked)
        assert with_proxy.low >= without.low - NEAR
        assert with_proxy.high <= without.high + NEAR
        widths.append((without.high - without.low) - (with_proxy.high - with_proxy.low))
    assert max(widths) > 0.01


def test_what_is_identified_is_one_number() -> None:
    """The front door: x → m → y, x ↔ y."""
    graph = Mixed.of("xmy", directed=["xm", "my"], bidirected=["xy"])
    system = random_system(np.random.default_rng(0), graph, TWO, choices=9)
    events = [Event("y", 1, {"x": 1})]
    truth = system.probability(events)
    close(bounds(graph, TWO, system.joint(), asked=chance(*events)), truth, truth)


def test_a_product_of_unknowns_is_refused_and_can_be_relaxed() -> None:
    graph = Mixed.of("xmy", directed=["xm", "my"], bidirected=["xy"])
    system = random_system(np.random.default_rng(1), graph, TWO, choices=9)
    joint = system.joint()
    events = [Event("y", 1, {"x": 1}), Event("y", 0, {"x": 0}), Event("x", 1)]
    with pytest.raises(NotLinearError, match="x, y; m"):
        bounds(graph, TWO, joint, asked=chance(*events))
    found = bounds(graph, TWO, joint, asked=chance(*events), relax=True)
    assert found.low - NEAR <= system.probability(events) <= found.high + NEAR
    assert not found.sharp


def test_known_functions_have_one_answer() -> None:
    graph = Mixed.of("xmy", directed=["xm", "my"], bidirected=["xy"], known="m")
    rng = np.random.default_rng(2)
    system = random_system(rng, graph, TWO, choices=9)
    system = System(graph, TWO, {**system.choices, frozenset("m"): [(1.0, {"m": (1, 0)})]})
    events = [Event("y", 1, {"x": 1}), Event("y", 0, {"x": 0}), Event("x", 1)]
    found = bounds(graph, TWO, system.joint(), asked=chance(*events))
    assert found.low - NEAR <= system.probability(events) <= found.high + NEAR
    assert found.sharp


def test_data_that_no_model_of_the_graph_gives() -> None:
    """Pearl's instrumental inequality fails: y follows z although x never does."""
    joint = np.zeros((2, 2, 2))
    joint[0, 0, 0] = joint[1, 0, 1] = 0.5
    found = bounds(IV, TWO, joint, asked=chance(Event("y", 1, {"x": 0})))
    assert found.misfit == pytest.approx(0.5, abs=NEAR)
    close(found, 0.0, 1.0)


def test_a_small_misfit_moves_bounds_little() -> None:
    joint = np.array([[[0.45, 0.0], [0.0, 0.05]], [[0.44, 0.01], [0.0, 0.05]]])
    near = bounds(IV, TWO, joint / joint.sum(), asked=chance(Event("y", 1, {"x": 0})))
    assert near.misfit == 0
    joint = np.array([[[0.5, 0.0], [0.0, 0.0]], [[0.49, 0.01], [0.0, 0.0]]])
    found = bounds(IV, TWO, joint / joint.sum(), asked=chance(Event("y", 1, {"x": 0})))
    assert found.misfit == pytest.approx(0.01, abs=NEAR)
    close(found, 0.0, 0.02)


def test_rows_that_cannot_be() -> None:
    joint = np.array([[0.5, 0.0], [0.2, 0.3]])
    with pytest.raises(EvidenceError, match="never comes about"):
        bounds(
            BOW,
            TWO,
            joint,
            asked=chance(Event("y", 1, {"x": 1})),
            given=[Event("x", 0), Event("y", 1)],
        )


def test_too_many_types() -> None:
    cards = {"x": 10, "y": 10}
    with pytest.raises(TooLargeError, match="response types of x, y"):
        bounds(BOW, cards, drawn(0, 10, 10), asked=chance(Event("y", 1, {"x": 1})))


def test_a_variable_too_many_is_left_out() -> None:
    """With w the types are too many; without it bounds are valid, and not said to be sharp."""
    cards = {"x": 2, "y": 3, "w": 12}
    graph = Mixed.of("xyw", directed=["xy", "yw"], bidirected=["xy", "yw"])
    joint = drawn(0, 2, 3, 12)
    found = bounds(graph, cards, joint, asked=chance(Event("y", 1, {"x": 1})))
    close(found, joint[1, 1].sum(), joint[1, 1].sum() + joint[0].sum())
    assert not found.sharp


@pytest.mark.parametrize("seed", range(10))
def test_a_common_cause_that_is_seen(seed: int) -> None:
    """With 5 levels of c there are 3 ** 15 functions of y alone, and yet each level of c is a bow:
    Manski's bounds, level by level."""
    graph = Mixed.of("cxy", directed=["cx", "cy", "xy"], bidirected=["xy"])
    cards = {"c": 5, "x": 3, "y": 3}
    joint = drawn(seed, 5, 3, 3)
    found = bounds(graph, cards, joint, asked=chance(Event("y", 1, {"x": 0})))
    sure = joint[:, 0, 1].sum()
    close(found, sure, sure + 1 - joint[:, 0].sum())
    assert found.sharp


def test_each_member_has_its_own() -> None:
    joint = np.stack([drawn(seed, 2, 2) for seed in range(20)])
    asked = chance(Event("y", 1, {"x": 1}))
    found = member_bounds(BOW, TWO, joint, asked=asked)
    assert len(found) == 8
    assert found[0] == bounds(BOW, TWO, joint[0], asked=asked)
    assert found[-1] == bounds(BOW, TWO, joint[-1], asked=asked)
