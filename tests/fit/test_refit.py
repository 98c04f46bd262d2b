"""Refitting: what is named, what shares a latent with it, and nothing else."""

from __future__ import annotations

import dataclasses

import pytest

import causalsys as cs
from tests import models
from tests.fit.test_checkpoint import Both, both
from tests.test_properties import digest
from tests.truth import Chain, chain, line_of


def test_every_other_mechanism_is_the_very_same() -> None:
    fitted = models.fitted_zoo()
    again = fitted.refit(models.zoo(80), only=["linear", "count"])
    for name, mechanism in fitted.mechanisms.items():
        same = again.mechanisms[name] is mechanism
        assert same != (name in ("linear", "count")), name
    assert again.schema is fitted.schema


def test_the_fitted_model_is_left_as_it_was() -> None:
    fitted = models.fitted_zoo()
    before = digest(fitted)
    fitted.refit(models.zoo(80), only=["linear"])
    assert digest(fitted) == before
    with pytest.raises(dataclasses.FrozenInstanceError):
        fitted.seed = 3


def test_what_shares_a_latent_is_refitted_with_it() -> None:
    fitted = Both.fit(both(), steps=20, ensemble=2)
    again = fitted.refit(both()[:60], only=["x"])
    changed = {n for n in fitted.mechanisms if again.mechanisms[n] is not fitted.mechanisms[n]}
    assert changed == {"u", "w1", "w2", "x", "y"}
    assert "refitted u, w1, w2, x, y" in again.diagnostics.notes


def test_a_refit_is_a_fit_to_the_new_data() -> None:
    fitted = Chain.fit(chain(300), ensemble=2)
    changed = chain(300, seed=4).assign(m=lambda d: -3 * d["x"] + d["m"] / 10)
    again = fitted.refit(changed, only=["m"])
    alone = Chain.fit(changed, ensemble=2)
    assert line_of(again, "m") == line_of(alone, "m")
    assert line_of(again, "y") == line_of(fitted, "y")
    assert again.diagnostics.variables["m"] == alone.diagnostics.variables["m"]


def test_levels_stay_those_of_the_first_fit() -> None:
    class Open(cs.SCM):
        k = cs.Observed(cs.Categorical())
        x = cs.Observed(cs.Real(), parents=[k], mechanism=cs.Linear())

    first = {"k": ["a", "b", "c", "a", "b", "c"], "x": [1.0, 2.0, 3.0, 1.5, 2.5, 3.5]}
    fitted = Open.fit(first, ensemble=1)
    again = fitted.refit({"k": ["c", "a"] * 4, "x": [9.0, 1.0] * 4}, only=["k"])
    assert again.schema.supports["k"].levels == ("a", "b", "c")


def test_a_seed_of_its_own() -> None:
    fitted = Chain.fit(chain(100), ensemble=4)
    same, other = (fitted.refit(chain(100), only=["m"], seed=seed) for seed in (None, 7))
    assert digest(same) == digest(fitted)
    assert digest(other) != digest(fitted)
    assert line_of(other, "m") == line_of(fitted, "m")
