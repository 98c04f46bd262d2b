"""A service deployed anew: what is fitted again, from where, and how well."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import causalsys as cs
from causalsys.errors import FitError, UnknownNameError
from causalsys.fit import resume

SERVICES = ("payment", "cart", "frontend")
Columns = dict[str, np.ndarray]


def _model(spec: cs.Linear | cs.NeuralAdditive) -> type[cs.SCM]:
    """payment → cart → frontend, and search → frontend; a latent in each."""
    variables: dict[str, cs.Observed | cs.Latent] = {"load": cs.Observed(cs.Real())}
    edges = []
    for name in ("payment", "search", "cart", "frontend"):
        variables[f"{name}/hidden"] = cs.Latent(cs.Real(), component=name)
        for kind in ("cpu", "queue", "latency"):
            variables[f"{name}/{kind}"] = cs.Observed(cs.Real(), mechanism=spec, component=name)
            edges += [("load", f"{name}/{kind}"), (f"{name}/hidden", f"{name}/{kind}")]
    calls = [("payment", "cart"), ("cart", "frontend"), ("search", "frontend")]
    edges += [(f"{callee}/latency", f"{caller}/latency") for callee, caller in calls]
    return cs.SCM.from_graph(edges, variables=variables, name="Shop")


def _rows(rows: int, *, seed: int, deployed: bool, bent: bool = False) -> Columns:
    rng = np.random.default_rng(seed)
    found: Columns = {"load": rng.gamma(20, 0.05, rows)}
    for name, callees in (
        ("payment", ()),
        ("search", ()),
        ("cart", ("payment",)),
        ("frontend", ("cart", "search")),
    ):
        hidden, noise = rng.normal(size=rows), 0.2 * rng.normal(size=(3, rows))
        load = found["load"] * (1.8 if deployed and name == "payment" else 1.0)
        own = np.log1p(np.exp(2 * load + hidden)) if bent else load + 0.6 * hidden
        waits = sum((0.7 * found[f"{callee}/latency"] for callee in callees), np.zeros(rows))
        found[f"{name}/cpu"] = 0.8 * load + 0.5 * hidden + noise[0]
        found[f"{name}/queue"] = 0.5 * load + 0.4 * hidden + noise[1]
        found[f"{name}/latency"] = own + waits + noise[2]
    return found


@cache
def _linear() -> cs.FittedSCM:
    return _model(cs.Linear()).fit(_rows(400, seed=0, deployed=False), ensemble=3)


def _touched(before: cs.FittedSCM, after: cs.FittedSCM) -> set[str]:
    same = {n for n, m in before.mechanisms.items() if after.mechanisms[n] is m}
    return set(before.mechanisms) - same


def _variables(*components: str) -> set[str]:
    kinds = ("cpu", "queue", "latency", "hidden")
    return {f"{name}/{kind}" for name in components for kind in kinds}


def test_what_changed_and_what_lies_below_is_refitted_and_nothing_else() -> None:
    fitted, new = _linear(), _rows(400, seed=1, deployed=True)
    again = fitted.refit(new, changed=["payment"])
    assert _touched(fitted, again) == _variables(*SERVICES)
    assert again.schema is fitted.schema
    # A variable's own district comes along, and what lies below any of them.
    some = fitted.refit(new, changed=["cart/latency"])
    assert _touched(fitted, some) == _variables("cart", "frontend")
    assert _touched(fitted, fitted.refit(new, only=["payment/cpu"])) == _variables("payment")


@pytest.mark.parametrize("seed", range(2))
def test_a_partial_refit_is_as_good_as_a_full_one(seed: int) -> None:
    fitted = _linear()
    new, held = (_rows(400, seed=10 + seed + s, deployed=True) for s in (0, 100))
    full = _model(cs.Linear()).fit(new, ensemble=3)
    partial = fitted.refit(new, changed=["payment"])
    only = fitted.refit(new, only=["payment/cpu", "payment/queue", "payment/latency"])
    # The districts that are refitted are those of the full refit, number for number.
    for name in _variables(*SERVICES):
        for key, value in full.mechanisms[name].state.items():
            assert (partial.mechanisms[name].state[key] == value).all(), (name, key)
    whole = full.log_prob(held).mean()
    # The others are fitted to old data as large: what differs is estimation noise of about one
    # parameter's half a nat in 400 rows each, here of 2 districts with 10 parameters.
    for again in (partial, only):
        assert abs(again.log_prob(held).mean() - whole) < 0.1
    assert fitted.log_prob(held).mean() < whole - 1


@cache
def _bent() -> cs.FittedSCM:
    class Service(cs.SCM):
        load = cs.Observed(cs.Real())
        hidden = cs.Latent(cs.Real(), component="payment")
        cpu = cs.Observed(
            cs.Real(), parents=[load, hidden], mechanism=cs.NeuralAdditive(hidden=(8,))
        )
        queue = cs.Observed(cs.Real(), parents=[load, hidden], mechanism=cs.Linear())
        latency = cs.Observed(
            cs.Real(), parents=[load, hidden], mechanism=cs.NeuralAdditive(hidden=(8,))
        )

    return Service.fit(_service(seed=0, deployed=False), ensemble=2, steps=600)


def _service(*, seed: int, deployed: bool) -> Columns:
    rows = _rows(500, seed=seed, deployed=deployed, bent=True)
    return {n.split("/")[-1]: c for n, c in rows.items() if n == "load" or "payment" in n}


@pytest.mark.slow
def test_a_district_goes_on_from_its_last_fit_and_follows_the_change() -> None:
    fitted = _bent()
    new, held = _service(seed=1, deployed=True), _service(seed=2, deployed=True)
    again = fitted.refit(new, changed=["payment"])
    assert _touched(fitted, again) == {"hidden", "cpu", "queue", "latency"}
    assert again.mechanisms["load"] is fitted.mechanisms["load"]
    assert again.diagnostics.districts[0].restarts == fitted.diagnostics.districts[0].restarts
    searched = fitted.refit(new, changed=["payment"], fresh=True)
    # 500 held-out rows know the difference of two fits' likelihoods to a few hundredths; before,
    # the old fit lies nats below.
    gap = again.log_prob(held).mean() - searched.log_prob(held).mean()
    assert gap > -0.1
    assert fitted.log_prob(held).mean() < searched.log_prob(held).mean() - 1


def test_going_on_is_deterministic_and_short(monkeypatch: pytest.MonkeyPatch) -> None:
    class Service(cs.SCM):
        hidden = cs.Latent(cs.Real())
        cpu = cs.Observed(
            cs.Real(), parents=[hidden], mechanism=cs.Linear(noise="empirical"), component="payment"
        )
        queue = cs.Observed(cs.Real(), parents=[hidden], mechanism=cs.Linear())
        latency = cs.Observed(cs.Real(), parents=[hidden], mechanism=cs.Linear())

    monkeypatch.setattr(resume, "_STEPS", 50)
    fitted = Service.fit(_service(seed=0, deployed=False), ensemble=2, steps=200)
    new = _service(seed=1, deployed=False)
    first, second = (fitted.refit(new, changed=["payment"]) for _ in range(2))
    np.testing.assert_array_equal(first.log_prob(new), second.log_prob(new))
    guides = zip(fitted.guides, first.guides, strict=True)
    # It starts from the old encoder, in the old encoder's units.
    assert all((old.state["center"] == now.state["center"]).all() for old, now in guides)


def test_bad_requests() -> None:
    fitted, new = _linear(), _rows(50, seed=1, deployed=True)
    with pytest.raises(FitError, match="one of them"):
        fitted.refit(new)
    with pytest.raises(FitError, match="one of them"):
        fitted.refit(new, only=["load"], changed=["payment"])
    with pytest.raises(FitError, match="list"):
        fitted.refit(new, changed="payment")
    with pytest.raises(FitError, match="list"):
        fitted.refit(new, changed=[])
    with pytest.raises(UnknownNameError, match="payment"):
        fitted.refit(new, changed=["paymnet"])
