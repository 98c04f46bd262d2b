"""Priors on slopes in a model: refused where they mean nothing, saved, kept beside latents."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import causalsys as cs
from causalsys.errors import DeclarationError
from causalsys.mechanisms.linear import LinearMechanism

ROWS = 400


class Plain(cs.SCM):
    callee = cs.Observed(cs.Real())
    still = cs.Observed(cs.Real())
    caller = cs.Observed(
        cs.Real(),
        parents=[callee, still],
        mechanism=cs.Linear(prior={"callee": (1.0, 0.5), "still": (0.6, 0.2)}),
    )


class Hosts(cs.SCM):
    load = cs.Observed(cs.Real())
    still = cs.Observed(cs.Real())
    host = cs.Latent(cs.Real())
    a = cs.Observed(
        cs.Real(),
        parents=[load, still, host],
        mechanism=cs.Linear(prior={"load": (1.0, 0.5), "still": (0.7, 0.3)}),
    )
    b = cs.Observed(cs.Real(), parents=[a, host], mechanism=cs.Linear(prior={"a": (0.8, 0.001)}))
    c = cs.Observed(cs.Real(), parents=[host], mechanism=cs.Linear())


class Bent(cs.SCM):
    load = cs.Observed(cs.Real())
    still = cs.Observed(cs.Real())
    host = cs.Latent(cs.Real())
    a = cs.Observed(
        cs.Real(),
        parents=[load, still, host],
        mechanism=cs.Linear(prior={"still": (0.7, 0.3)}, noise="empirical"),
    )
    b = cs.Observed(cs.Real(), parents=[host], mechanism=cs.Linear())
    c = cs.Observed(cs.Real(), parents=[host], mechanism=cs.Linear())


def _plain() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    callee = rng.normal(20, 3, ROWS)
    still = np.full(ROWS, 5.0)
    return {"callee": callee, "still": still, "caller": callee + rng.normal(size=ROWS)}


def _hosts() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    load, host = rng.normal(0, 3, ROWS), rng.normal(size=ROWS)
    noise = 0.5 * rng.normal(size=(3, ROWS))
    a = 2 + 0.5 * load + host + noise[0]
    b = 1 + 0.8 * a + 0.5 * host + noise[1]
    still = np.full(ROWS, 4.0)
    return {"load": load, "still": still, "a": a, "b": b, "c": noise[2] - host}


def _slopes(fitted: cs.FittedSCM, name: str) -> dict[str, np.ndarray]:
    mechanism = fitted.mechanisms[name]
    assert isinstance(mechanism, LinearMechanism)
    natural = mechanism.state["weight"] / mechanism.state["spread"].reshape(-1)
    return dict(zip(mechanism.parents, natural.numpy().T, strict=True))


def test_a_prior_is_saved_and_loaded(tmp_path: Path) -> None:
    fitted = Plain.fit(_plain(), ensemble=4)
    fitted.save(tmp_path / "plain.causal")
    again = cs.load(tmp_path / "plain.causal", model=Plain)
    assert again.mechanisms["caller"].spec == fitted.mechanisms["caller"].spec
    for parent, slopes in _slopes(fitted, "caller").items():
        np.testing.assert_array_equal(_slopes(again, "caller")[parent], slopes)


def test_the_prior_is_part_of_the_model() -> None:
    other = cs.SCM.from_graph(
        [("x", "y")],
        variables={"y": cs.Observed(cs.Real(), mechanism=cs.Linear(prior={"x": (1, 2)}))},
    )
    assert other.declaration.nodes["y"].mechanism == cs.Linear(prior=(("x", 1.0, 2.0),))
    assert hash(cs.Linear(prior={"x": (1, 2)})) == hash(cs.Linear(prior=(("x", 1.0, 2.0),)))


def test_a_district_with_a_latent_keeps_its_priors() -> None:
    fitted = Hosts.fit(_hosts(), ensemble=100)
    slopes = _slopes(fitted, "a")
    # Nothing shows the slope of a constant: 99 draws know a deviation to 7 %.
    assert slopes["still"][0] == pytest.approx(0.7, abs=1e-3)
    assert slopes["still"][1:].std() == pytest.approx(0.3, rel=0.25)
    assert slopes["load"][0] == pytest.approx(0.5, abs=0.06)
    assert slopes["load"][1:].std() < 0.04
    tight = _slopes(fitted, "b")["a"]
    assert tight[0] == pytest.approx(0.8, abs=2e-3)
    assert tight[1:].std() == pytest.approx(0.001, rel=0.3)


def test_a_variational_district_keeps_its_priors() -> None:
    fitted = Bent.fit(_hosts(), steps=60, ensemble=8)
    assert fitted.diagnostics.districts[0].method == "variational"
    slopes = _slopes(fitted, "a")["still"]
    assert slopes[0] == pytest.approx(0.7, abs=0.15)
    assert 0.1 < slopes[1:].std() < 0.7


def _declared(mechanism: cs.Linear, parent: cs.Observed | cs.Latent) -> type[cs.SCM]:
    return cs.SCM.from_graph(
        [("x", "y"), ("x", "w")],
        variables={"x": parent, "y": cs.Observed(cs.Real(), mechanism=mechanism)},
    )


@pytest.mark.parametrize("deviation", [0.0, -1.0, float("nan"), "wide"])
def test_a_deviation_that_is_none_is_refused(deviation: float) -> None:
    with pytest.raises(DeclarationError, match="slope of x"):
        cs.Linear(prior={"x": (1.0, deviation)})


@pytest.mark.parametrize("prior", [3, {"x": 1.0}, {"x": (1.0,)}, {4: (1.0, 1.0)}, ["x"]])
def test_what_is_no_prior_is_refused(prior: object) -> None:
    with pytest.raises(DeclarationError, match="prior"):
        cs.Linear(prior=prior)  # type: ignore[arg-type]


def test_only_the_identity_link_has_natural_slopes() -> None:
    with pytest.raises(DeclarationError, match="identity"):
        cs.Linear(link="log", prior={"x": (1.0, 1.0)})


def test_only_numbers_that_are_parents_have_slopes() -> None:
    for name, parent, told in (
        ("z", cs.Observed(cs.Real()), "no parent"),
        ("x", cs.Observed(cs.Boolean()), "a category"),
        ("x", cs.Observed(cs.Real(size=2)), "a vector"),
        ("x", cs.Latent(cs.Real()), "a latent"),
    ):
        with pytest.raises(DeclarationError, match=told) as caught:
            _declared(cs.Linear(prior={name: (1.0, 1.0)}), parent)
        assert "y" in str(caught.value)
