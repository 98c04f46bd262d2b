"""Shares, paths and both readings against what the slopes of linear systems make of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import causalsys as cs
from causalsys.fitted import FittedSCM
from causalsys.rootcause.contributions import Contributions, contributions
from causalsys.rootcause.evidence import evidence
from causalsys.rootcause.periods import read_periods
from causalsys.rootcause.readings import readings
from causalsys.rootcause.window import Window, window_of
from tests.rootcause.incidents import CLEAN, DIAMOND, FAULTY, SHOP, System, known

SEEDS = (0, 1, 2)


def true_share(
    system: System, incident: pd.DataFrame, normal: pd.DataFrame, cause: str, target: str
) -> float:
    """What the cause's own part gave to the target's excess over the rows before the fault."""
    given = system.effect(cause, target) * system.unexplained(incident, cause)
    excess = (incident[target] - normal[target].median()).to_numpy()
    centred = excess - excess.mean()
    return float(given @ centred / (centred @ excess))


@pytest.mark.parametrize(
    "faults", [{"db": 6.0}, {"pay": 12.0}, {"load": 5.0}, {"db": 6.0, "pay": 15.0}]
)
def test_the_share_is_the_true_one_within_its_interval(faults: dict[str, float]) -> None:
    inside, gaps = [], []
    for seed in range(5):
        shop = known(SHOP, seed)
        for _ in range(4):
            incident = shop.system.incident(shop.rng, faults)
            found = shop.ask(incident, "page")
            for name in faults:
                cause, truth = found.of(name), true_share(SHOP, incident, shop.normal, name, "page")
                low, high = cause.interval
                assert low <= cause.share <= high
                inside.append(low <= truth <= high)
                gaps.append(cause.share - truth)
    # Intervals of .9; 20 windows of five fits have a standard error of .07.
    assert np.mean(inside) >= 0.75
    assert abs(np.mean(gaps)) < 0.04


def local(
    fitted: FittedSCM, incident: pd.DataFrame, normal: pd.DataFrame, target: str, *changed: str
) -> tuple[Window, Contributions]:
    """The window, and contributions as if just these had changed; by default all."""
    periods = read_periods(fitted, incident, normal=normal, target=target, seed=0)
    window = window_of(fitted, periods, target=target)
    which = torch.tensor([not changed or name in changed for name in window.names])
    generator = torch.Generator().manual_seed(0)
    return window, contributions(
        window, evidence(window), which.expand(50, -1), generator=generator
    )


@pytest.mark.parametrize("profile", [CLEAN, FAULTY], ids=["clean rows", "no clean rows"])
@pytest.mark.parametrize("seed", SEEDS)
def test_contributions_sum_to_the_deviation_in_every_draw(seed: int, profile: np.ndarray) -> None:
    shop = known(SHOP, seed)
    incident = shop.system.incident(shop.rng, {"db": 6.0, "pay": 5.0}, profile=profile)
    window, parts = local(shop.fitted, incident, shop.normal, "page")
    for total in parts.given.sum(1):
        np.testing.assert_allclose(total, window.excess, atol=1e-9)
    np.testing.assert_allclose(parts.share.sum(1), 1, atol=1e-9)
    # What lies neither at nor below a change is left out, and nothing else.
    _, some = local(shop.fitted, incident, shop.normal, "page", "db")
    left = [window.names.index(name) for name in ("load", "pay", "idle")]
    assert not bool(some.given[:, left].any())
    assert bool(some.given[:, window.names.index("cart")].any())


class Bent(cs.SCM):
    """Nothing here is linear."""

    x = cs.Observed(cs.Positive())
    flag = cs.Observed(cs.Boolean())
    y = cs.Observed(cs.Positive(), parents=[x, flag], mechanism=cs.Linear(link="log"))

    @cs.equation(cs.Positive())
    def z(x, y):  # type: ignore[no-untyped-def]
        return x * y


def test_contributions_sum_to_the_deviation_whatever_the_family() -> None:
    rng = np.random.default_rng(0)

    def rows(count: int, factor: float = 1.0) -> pd.DataFrame:
        x = np.exp(0.3 * rng.normal(size=count)) * factor
        flag = rng.random(count) < 0.3
        y = np.exp(0.5 * np.log(x) + flag + 0.1 * rng.normal(size=count))
        return pd.DataFrame({"x": x, "flag": flag, "y": y, "z": x * y})

    normal, incident = rows(300), rows(8, 4.0)
    window, parts = local(Bent.fit(normal), incident, normal, "z")
    for total in parts.given.sum(1):
        np.testing.assert_allclose(total, window.excess, atol=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_both_readings_are_the_analytic_ones(seed: int) -> None:
    """The database is at fault while the load, too, is high: the two readings differ by that.

    Slopes are as they were fitted, so that nothing but the readings is asked.
    """
    shop = known(SHOP, seed)
    incident = shop.system.incident(shop.rng, {"db": 9.0, "load": 9.0})
    usual = shop.normal.median()
    excess = incident["page"] - usual["page"]
    affected = excess.abs() >= 0.5 * excess.abs().max()
    effect = SHOP.effect("db", "page")
    held = (incident["page"] - effect * (incident["db"] - usual["db"]))[affected].mean()
    freed = (incident["page"] - effect * SHOP.unexplained(incident, "db"))[affected].mean()
    assert freed - held > 3.5
    window, drawn = local(shop.fitted, incident, shop.normal, "page")
    parts = replace(
        drawn,
        slopes=tuple(cell.slopes[None] for cell in window.cells),
        own=torch.stack([cell.residual for cell in window.cells]).expand(3, -1, -1),
    )
    limits = np.quantile(shop.normal["page"], [0.01, 0.99])
    db, both = readings(
        window,
        parts,
        [
            (("db",), [window.names.index("db")]),
            (("db", "load"), [window.names.index(name) for name in ("db", "load")]),
        ],
        usual=float(usual["page"]),
        limits=(float(limits[0]), float(limits[1])),
    )
    # Slopes from 400 rows have standard errors of .05, and the load is 9 away.
    assert db.interventional.value == pytest.approx(held, abs=1.6)
    assert db.counterfactual.value == pytest.approx(freed, abs=1.6)
    assert db.counterfactual.low <= db.counterfactual.value <= db.counterfactual.high
    # The database alone is not enough, and both are.
    assert db.counterfactual.met < 0.2
    assert both.counterfactual.met > 0.8
    assert both.interventional.met > 0.8
    assert both.counterfactual.value == pytest.approx(usual["page"], abs=1.0)


@pytest.mark.parametrize("seed", SEEDS)
def test_where_no_single_cause_suffices_both_are_restored(seed: int) -> None:
    shop = known(SHOP, seed)
    found = shop.ask(shop.system.incident(shop.rng, {"db": 8.0, "pay": 16.0}), "page")
    *single, both = found.readings
    assert {each.names for each in single} == {("db",), ("pay",)}
    assert set(both.names) == {"db", "pay"}
    assert both.counterfactual.met > 0.9
    for each in single:
        assert each.counterfactual.met < 0.1
        # Either is half of it.
        half = float(shop.normal["page"].median()) + 8
        assert each.counterfactual.value == pytest.approx(half, abs=1.6)


@pytest.mark.parametrize("seed", SEEDS)
def test_one_cause_that_suffices_meets_the_objective_in_both_readings(seed: int) -> None:
    shop = known(SHOP, seed)
    found = shop.ask(shop.system.incident(shop.rng, {"cart": 10.0}), "page")
    assert found.readings[0].names == ("cart",)
    for level in (found.readings[0].interventional, found.readings[0].counterfactual):
        assert level.met > 0.9
        assert level.value == pytest.approx(float(shop.normal["page"].median()), abs=1.0)


A_TO_E = (("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("d", "e"))
PATHS = {
    "a": set(A_TO_E),
    "b": {("b", "d"), ("d", "e")},
    "c": {("c", "d"), ("d", "e")},
    "aside": {("aside", "d"), ("d", "e")},
    "d": {("d", "e")},
    "e": set(),
}


@pytest.mark.parametrize("cause", PATHS)
@pytest.mark.parametrize("seed", SEEDS)
def test_the_path_is_that_of_the_change(cause: str, seed: int) -> None:
    made = known(DIAMOND, seed)
    size = 10 / DIAMOND.effect(cause, "e")
    found = made.ask(made.system.incident(made.rng, {cause: size}), "e")
    assert found.cause is not None
    assert found.cause.name == cause
    path = found.cause.path
    assert set(path) == PATHS[cause]
    # Those farthest from the target come first.
    assert not path or path[-1] == ("d", "e")


def test_an_edge_that_carries_nothing_is_not_on_the_path() -> None:
    """The graph has a second way to the target, and its slope is zero."""
    system = System({"a": {}, "b": {"a": 1.0}, "c": {"a": 1.0}, "d": {"b": 1.0, "c": 0.0}})
    for seed in SEEDS:
        made = known(system, seed)
        found = made.ask(made.system.incident(made.rng, {"a": 10.0}), "d")
        assert found.cause is not None
        assert found.cause.path == (("a", "b"), ("b", "d"))


def test_ways_that_cancel_are_both_on_the_path() -> None:
    system = System({"a": {}, "b": {"a": 2.0}, "c": {"a": -1.0}, "d": {"b": 1.0, "c": 1.0}})
    made = known(system, 0)
    found = made.ask(made.system.incident(made.rng, {"a": 10.0}), "d")
    assert found.cause is not None
    assert set(found.cause.path) == {("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")}
    assert found.cause.share == pytest.approx(1, abs=0.2)
