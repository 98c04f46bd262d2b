"""Answers of linear Gaussian models against algebra, under the fitted parameters."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import causalsys as cs
from tests.truth import Chain, chain, line_of


@pytest.fixture(scope="module")
def fitted() -> cs.FittedSCM:
    return Chain.fit(chain(), ensemble=1)


def test_a_counterfactual_moves_by_the_total_effect(fitted: cs.FittedSCM) -> None:
    rows = chain()[:20]
    m, y = line_of(fitted, "m").slopes["x"], line_of(fitted, "y").slopes
    answer = fitted.counterfactual(rows, do={"x": 1.5})
    wanted = rows["y"] + (y["x"] + y["m"] * m) * (1.5 - rows["x"])
    np.testing.assert_allclose(answer.mean("y"), wanted, atol=1e-9)
    np.testing.assert_allclose(answer.contrast("y").mean(), wanted - rows["y"], atol=1e-9)
    np.testing.assert_allclose(answer.mean("m"), rows["m"] + m * (1.5 - rows["x"]), atol=1e-9)


def test_a_shift_of_a_mediator_leaves_its_cause(fitted: cs.FittedSCM) -> None:
    rows = chain()[:20]
    answer = fitted.counterfactual(rows, do={"m": lambda m: m + 1})
    assert set(answer.values) == {"m", "y"}
    slope = line_of(fitted, "y").slopes["m"]
    np.testing.assert_allclose(answer.mean("y"), rows["y"] + slope, atol=1e-9)
    np.testing.assert_array_equal(answer.observed("x").mean(), rows["x"])


def test_the_mean_under_an_intervention(fitted: cs.FittedSCM) -> None:
    m, y = line_of(fitted, "m"), line_of(fitted, "y")
    wanted = y.mean(x=2.0, m=m.mean(x=2.0))
    spread = np.hypot(y.scale, y.slopes["m"] * m.scale)
    found = fitted.sample(20_000, do={"x": 2.0}).draws("y").values
    # Four standard errors of a mean of 20,000 draws.
    assert found.mean() == pytest.approx(wanted, abs=4 * spread / np.sqrt(20_000))
    assert found.std() == pytest.approx(spread, rel=0.03)


def test_natural_effects_are_the_products_of_slopes(fitted: cs.FittedSCM) -> None:
    """Pearl, 2001: without interaction, direct is the slope, and indirect the path's product."""
    rows = chain()[:10]
    answer = fitted.counterfactual(
        rows,
        do=[
            {"x": 0.0},
            {"x": 1.0, "m": cs.under({"x": 0.0})},
            {"x": 0.0, "m": cs.under({"x": 1.0})},
            {"x": 1.0},
        ],
    )
    direct = answer.contrast("y", world=1, against=0).mean()
    indirect = answer.contrast("y", world=2, against=0).mean()
    total = answer.contrast("y", world=3, against=0).mean()
    m, y = line_of(fitted, "m").slopes["x"], line_of(fitted, "y").slopes
    np.testing.assert_allclose(direct, y["x"], atol=1e-9)
    np.testing.assert_allclose(indirect, y["m"] * m, atol=1e-9)
    np.testing.assert_allclose(total, direct + indirect, atol=1e-9)


class Interaction(cs.SCM):
    x = cs.Observed(cs.Real(), mechanism=cs.Linear())
    m = cs.Observed(cs.Real(), parents=[x], mechanism=cs.Linear())

    @cs.equation(cs.Real())
    def y(x, m):
        return x * m + m


def test_natural_effects_with_an_interaction() -> None:
    rows = chain()[["x", "m"]]
    fitted = Interaction.fit(rows, ensemble=1)
    some = rows[:10]
    answer = fitted.counterfactual(some, do=[{"x": 0.0}, {"x": 1.0, "m": cs.under({"x": 0.0})}])
    # y = x m + m, so the direct effect of x from 0 to 1 is m as it would be at x = 0.
    natural = some["m"] - line_of(fitted, "m").slopes["x"] * some["x"]
    direct = answer.contrast("y", world=1, against=0).mean()
    np.testing.assert_allclose(direct, natural, atol=1e-9)


def _posterior_of_m(fitted: cs.FittedSCM, x: float, y: float) -> tuple[float, float]:
    """Mean and standard deviation of `m` given its cause and its effect."""
    m, line = line_of(fitted, "m"), line_of(fitted, "y")
    precision = 1 / m.scale**2 + (line.slopes["m"] / line.scale) ** 2
    rest = y - line.constant - line.slopes["x"] * x
    mean = (m.mean(x=x) / m.scale**2 + line.slopes["m"] * rest / line.scale**2) / precision
    return mean, precision**-0.5


def test_a_missing_cell_has_its_closed_form_posterior(fitted: cs.FittedSCM) -> None:
    mean, deviation = _posterior_of_m(fitted, 1.0, 0.0)
    answer = fitted.counterfactual({"x": 1.0, "y": 0.0}, do={"x": 1.0}, samples=4000)
    found = answer.observed("m").values
    assert answer.inferred == ("m",)
    # The draws' own error is deviation / 63; the annealed chain's bias is allowed as much again.
    assert found.mean() == pytest.approx(mean, abs=0.08 * deviation)
    assert found.std() == pytest.approx(deviation, rel=0.08)


def test_what_is_missing_is_inferred_before_it_is_moved(fitted: cs.FittedSCM) -> None:
    """The inferred noise of `m` goes along into the other world."""
    answer = fitted.counterfactual({"x": 1.0, "y": 0.0}, do={"x": 3.0}, samples=4000)
    moved = answer.draws("m").values - answer.observed("m").values
    np.testing.assert_allclose(moved, 2.0 * line_of(fitted, "m").slopes["x"], atol=1e-9)


def test_conditional_sampling_has_the_closed_form(fitted: cs.FittedSCM) -> None:
    x, m, y = (line_of(fitted, name) for name in ("x", "m", "y"))
    total = y.slopes["x"] + y.slopes["m"] * m.slopes["x"]
    variance = total**2 * x.scale**2 + (y.slopes["m"] * m.scale) ** 2 + y.scale**2
    middle = y.mean(x=x.constant, m=m.mean(x=x.constant))
    gain = total * x.scale**2 / variance
    deviation = np.sqrt(x.scale**2 - gain * total * x.scale**2)
    found = fitted.sample(100, given={"y": 1.0}, samples=100).observed("x").values
    # Of 10,000 draws; the tolerance leaves room for the annealed chain's bias.
    assert found.mean() == pytest.approx(x.constant + gain * (1.0 - middle), abs=0.06 * deviation)
    assert found.std() == pytest.approx(deviation, rel=0.06)


def test_conditions_hold_before_an_intervention_on_something_else(fitted: cs.FittedSCM) -> None:
    answer = fitted.sample(50, do={"m": 0.0}, given={"x": 2.0}, samples=20)
    y = line_of(fitted, "y")
    assert (answer.observed("x").values == 2.0).all()
    found = answer.draws("y").values
    assert found.mean() == pytest.approx(y.mean(x=2.0, m=0.0), abs=4 * y.scale / np.sqrt(1000))


def test_the_likelihood_of_rows_is_the_normal_density(fitted: cs.FittedSCM) -> None:
    rows = chain()[:10]
    wanted = torch.zeros(10, dtype=torch.float64)
    for name in ("x", "m", "y"):
        line = line_of(fitted, name)
        mean = line.constant + sum(s * rows[k].to_numpy() for k, s in line.slopes.items())
        law = torch.distributions.Normal(torch.as_tensor(mean), line.scale)
        wanted += law.log_prob(torch.tensor(rows[name].to_numpy()))
    np.testing.assert_allclose(fitted.log_prob(rows), wanted, atol=1e-9)


def test_the_interval_covers_the_truth() -> None:
    """A 90 % interval of the total effect, -1, over 40 data sets of 100 rows.

    36 are expected, with a standard deviation of 1.9; fewer than 30 is worse than 1 in 500.
    """
    covered = 0
    for seed in range(40):
        fitted = Chain.fit(chain(100, seed=seed), ensemble=8, seed=seed)
        answer = fitted.counterfactual({"x": 0.0, "m": 0.0, "y": 0.0}, do={"x": 1.0})
        effect = answer.contrast("y").average()
        covered += effect.low <= -1.0 <= effect.high
    assert covered >= 30
