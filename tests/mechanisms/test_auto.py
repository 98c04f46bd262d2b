from __future__ import annotations

import numpy as np
import pytest
import torch

from causalsys.errors import FitError
from causalsys.mechanisms import Training
from causalsys.mechanisms.auto import choose, fit_mechanism
from causalsys.scm import specs
from causalsys.scm.supports import Boolean, Categorical, Count, Fraction, Positive, Real, Support
from tests.mechanisms.samples import column, sample_of

RNG = 18
ROWS = 1500


def _chosen(value: np.ndarray, x: np.ndarray, support: Support) -> tuple[specs.MechanismSpec, str]:
    sample = sample_of(value, {"x": x})
    spec, mechanism, reason, scores = choose(support, {"x": Real()}, sample, training=Training())
    assert not mechanism.state
    assert scores
    return spec, reason


def test_what_is_linear_gets_a_linear_mechanism() -> None:
    rng = np.random.default_rng(RNG)
    x, noise = rng.normal(size=(2, ROWS))
    spec, reason = _chosen(x + noise, x, Real())
    assert isinstance(spec, specs.Linear)
    assert reason.startswith("Linear: held-out log likelihood -1.")


def test_what_is_curved_gets_a_network_of_some_kind() -> None:
    rng = np.random.default_rng(RNG)
    x, noise = rng.normal(size=(2, ROWS))
    spec, _ = _chosen(np.sin(2 * x) + 0.3 * noise, x, Real())
    assert isinstance(spec, specs.NeuralAdditive | specs.SplineFlow)


def test_a_product_of_causes_gets_a_quadratic() -> None:
    rng = np.random.default_rng(RNG)
    x, near, noise = rng.normal(size=(3, 400))
    z, parents = 2 * np.tanh(2 * x) + 0.3 * near, {"x": Real(), "z": Real()}
    sample = sample_of(x * z / 2 + 0.5 * noise, {"x": x, "z": z})
    first = choose(Real(), parents, sample, training=Training())
    assert isinstance(first[0], specs.Quadratic)
    again = choose(Real(), parents, sample, training=Training())
    assert (again[0], again[2], again[3]) == (first[0], first[2], first[3])


def test_wild_values_leave_the_flow_what_most_rows_say() -> None:
    # 1 / (1.5 + x) has a pole: its rows have no variance, and their squares hide the others.
    rng = np.random.default_rng(RNG)
    x, noise = rng.normal(size=(2, 2 * ROWS))
    sample = sample_of(1 / (1.5 + x) + 0.1 * noise, {"x": x})
    fitted = fit_mechanism(specs.SplineFlow(), Real(), {"x": Real()}, sample, Training())
    seen = np.linspace(-0.5, 1.5, 9)
    with torch.no_grad():
        middle = fitted.mechanism.push(torch.zeros(1, 9), {"x": column(seen)})[0].numpy()
    # Three tenths of the noise, where most rows are.
    np.testing.assert_allclose(middle, 1 / (1.5 + seen), atol=0.03)


def test_a_spread_that_varies_gets_a_flow() -> None:
    rng = np.random.default_rng(RNG)
    x, noise = rng.normal(size=(2, ROWS))
    spec, reason = _chosen(np.exp(0.5 * x + np.exp(0.7 * x) * noise * 0.4), x, Positive())
    assert isinstance(spec, specs.SplineFlow)
    assert "more than" in reason


def test_levels_with_a_line_between_them_get_plain_logits() -> None:
    rng = np.random.default_rng(RNG)
    x, noise = rng.normal(size=(2, ROWS))
    line = (x + rng.logistic(size=ROWS) > 0).astype(int)
    assert _chosen(line, x, Boolean())[0] == specs.GumbelMax()
    ring = _chosen((x**2 + 0.2 * noise > 1).astype(int), x, Boolean())[0]
    assert ring == specs.GumbelMax(hidden=(32, 32))


def test_without_parents_the_marginal_is_taken() -> None:
    sample = sample_of(np.arange(50.0), {})
    kept = fit_mechanism(specs.Auto(), Real(), {}, sample, Training())
    assert kept.spec == specs.Linear(noise="empirical")
    assert "no parents" in kept.reason


@pytest.mark.parametrize(
    ("support", "expected"),
    [
        (Real(), specs.NeuralAdditive(noise="normal")),
        (Fraction(), specs.NeuralAdditive(link="logit", noise="normal")),
        (Count(), specs.CountRegression()),
        (Categorical(3), specs.GumbelMax()),
    ],
)
def test_a_latent_parent_leaves_the_choice_to_a_rule(
    support: Support, expected: specs.MechanismSpec
) -> None:
    sample = sample_of(np.zeros(80), {})
    spec, _, reason, scores = choose(support, {"u": Real()}, sample, training=Training())
    assert (spec, scores) == (expected, {})
    assert "latent" in reason
    with pytest.raises(FitError, match="u: a parent without values"):
        fit_mechanism(specs.Auto(), support, {"u": Real()}, sample, Training())


def test_a_declared_family_is_fitted_as_it_is() -> None:
    x = np.linspace(0, 1, 30)
    kept = fit_mechanism(
        specs.Linear(), Real(), {"x": Real()}, sample_of(x**2, {"x": x}), Training()
    )
    assert (kept.spec, kept.reason, kept.scores) == (specs.Linear(), "as declared", {})
