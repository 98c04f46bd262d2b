"""The spread over models that fit as well: against what is known of linear and discrete bows."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch

import causalsys as cs
from causalsys.data.read import read
from causalsys.errors import QueryError, UnknownNameError
from causalsys.fit.fitted import Fitted
from causalsys.fit.rival_noise import LEAST_NOISE
from causalsys.fit.rival_search import TOLERANCE
from causalsys.query.likelihood import row_log_prob
from causalsys.query.rivals import rivals
from tests import models
from tests.truth import line_of


class Bow(cs.SCM):
    """`x` acts on `y`, and `u` on both: what `x` does is not identified."""

    u = cs.Latent(cs.Real())
    x = cs.Observed(cs.Real(), parents=[u], mechanism=cs.Linear())
    y = cs.Observed(cs.Real(), parents=[u, x], mechanism=cs.Linear())


def bow(seed: int, rows: int = 800) -> tuple[pd.DataFrame, float]:
    """Rows of a random bow, and the effect of `x` on `y`."""
    rng = np.random.default_rng(seed)
    a, b, effect = rng.uniform(-1.5, 1.5, 3)
    sx, sy = rng.uniform(0.3, 1.0, 2)
    u = rng.normal(size=rows)
    x = a * u + sx * rng.normal(size=rows)
    y = b * u + effect * x + sy * rng.normal(size=rows)
    return pd.DataFrame({"x": x, "y": y}), float(effect)


@cache
def fitted_bow(seed: int) -> cs.FittedSCM:
    return Bow.fit(bow(seed)[0], seed=seed, ensemble=2)


@cache
def rivals_of_bow(seed: int) -> tuple[Fitted, ...]:
    return rivals(fitted_bow(seed), do={"x": 1.0}, outcome="y", unit=True, seed=0)


def _slopes(found: tuple[Fitted, ...]) -> list[float]:
    return [line_of(model, "y").slopes["x"] for model in found]  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(3))
def test_a_linear_bow_has_the_spread_of_its_identified_set(seed: int) -> None:
    """With correlation r between the noises, the effect is the regression's slope plus
    `r / sqrt(1 - r²)` residuals of `y` over those of `x`; the search lets r² be at most
    `share² / (1 - (1 - share) share)`, share being what a latent may explain.

    The tolerance adds the slope's own standard error, here at most 5 % of the whole, and the
    search may end a little short.
    """
    data, effect = bow(seed)
    slope, constant = np.polyfit(data["x"], data["y"], 1)
    rest = (data["y"] - constant - slope * data["x"]).std() / data["x"].std()
    share = 1 - LEAST_NOISE
    square = share**2 / (1 - LEAST_NOISE * share)
    reach = np.sqrt(square / (1 - square)) * rest
    found = _slopes(rivals_of_bow(seed))
    assert min(found) == pytest.approx(slope - reach, abs=0.06 * reach)
    assert max(found) == pytest.approx(slope + reach, abs=0.06 * reach)
    assert min(found) < effect < max(found)


@pytest.mark.parametrize("seed", range(2))
def test_rivals_are_as_likely_on_the_data(seed: int) -> None:
    """Within the tolerance, and as much again as the fitted law's distance from the data gives."""
    table = read(fitted_bow(seed).schema, bow(seed)[0], purpose="fit")
    own, *others = [row_log_prob(model, table).sum() for model in rivals_of_bow(seed)]
    assert len(others) >= 2
    for other in others:
        assert other > own - 2 * TOLERANCE


@pytest.mark.parametrize("seed", range(2))
def test_rivals_are_as_likely_on_fresh_rows(seed: int) -> None:
    """Of 20,000 rows; the mean's own error, four standard errors of it, is allowed."""
    fitted = fitted_bow(seed)
    drawn = fitted.sample(20_000, samples=1, seed=1)
    frame = pd.DataFrame({name: drawn.draws(name).values[0] for name in ("x", "y")})
    table = read(fitted.schema, frame, purpose="fit")
    own, *others = [row_log_prob(model, table) for model in rivals_of_bow(seed)]
    for other in others:
        deficit = (own - other) * 800
        error = deficit.std() / np.sqrt(len(deficit))
        assert deficit.mean() < TOLERANCE + 4 * error


def test_where_the_effect_is_identified_the_spread_is_its_uncertainty() -> None:
    """With two proxies: about two standard errors to each side (Wilks, 1938)."""
    fitted = cs_confounded()
    found = _slopes(rivals(fitted, do={"x": 1.0}, outcome="y", unit=False, seed=0))
    error = np.std([line_of(fitted, "y", m).slopes["x"] for m in range(30)])
    assert 1.0 * error < max(found) - found[0] < 3.5 * error
    assert 1.0 * error < found[0] - min(found) < 3.5 * error


@cache
def cs_confounded() -> cs.FittedSCM:
    return models.Confounded.fit(models.confounded(1000), ensemble=30)


class Switch(cs.SCM):
    """A treatment and an outcome with a hidden common cause, all yes or no."""

    h = cs.Latent(cs.Boolean())
    t = cs.Decision(cs.Boolean(), parents=[h])
    y = cs.Observed(cs.Boolean(), parents=[h, t])


def switch(seed: int, rows: int = 1000) -> tuple[pd.DataFrame, float]:
    """Rows, and the chance of the outcome under treatment."""
    rng = np.random.default_rng(seed)
    share, treated, healed = rng.random(), rng.random(2), rng.uniform(0.05, 0.95, (2, 2))
    h = (rng.random(rows) < share).astype(int)
    t = (rng.random(rows) < treated[h]).astype(int)
    y = rng.random(rows) < healed[h, t]
    truth = (1 - share) * healed[0, 1] + share * healed[1, 1]
    return pd.DataFrame({"t": t == 1, "y": y}), float(truth)


@pytest.mark.parametrize("seed", range(2))
def test_a_bow_of_categories_has_the_bounds_of_manski(seed: int) -> None:
    """`P(y, t) ≤ P(y | do(t)) ≤ P(y, t) + P(not t)` (Manski, 1990), which are sharp.

    The tolerance adds the shares' own two standard errors, 0.03; the search ends within 0.02.
    """
    data, truth = switch(seed)
    fitted = Switch.fit(data, ensemble=2)
    found = [
        _chance(model) for model in rivals(fitted, do={"t": True}, outcome="y", unit=False, seed=0)
    ]
    both, other = (data["t"] & data["y"]).mean(), (~data["t"]).mean()
    assert both - 0.05 < min(found) < both + 0.02
    assert both + other - 0.02 < max(found) < both + other + 0.05
    assert min(found) < truth < max(found)


def _chance(model: Fitted) -> float:
    """`P(y | do(t = yes))` by enumeration."""
    total = 0.0
    for level in range(2):
        h, yes = torch.tensor([[level]]), torch.tensor([[1]])
        prior = model.mechanisms["h"].log_prob(h, {}).exp()[0, 0]
        total += float(prior * model.mechanisms["y"].log_prob(yes, {"h": h, "t": yes}).exp()[0, 0])
    return total


def test_the_fitted_model_comes_first_and_the_others_are_of_its_kind() -> None:
    first, *others = rivals_of_bow(0)
    assert first is fitted_bow(0)
    for other in others:
        assert type(other) is cs.FittedSCM
        assert other.members == first.members
        assert other.schema is first.schema


def test_what_does_not_reach_the_outcome_has_no_rivals() -> None:
    fitted = fitted_bow(0)
    assert rivals(fitted, do={"y": 1.0}, outcome="x", unit=True) == (fitted,)
    assert rivals(fitted, do={}, outcome="y", unit=True) == (fitted,)


def test_a_seed_gives_the_same_rivals() -> None:
    again = rivals(fitted_bow(0), do={"x": 1.0}, outcome="y", unit=True, seed=0)
    assert _slopes(again) == _slopes(rivals_of_bow(0))


def test_values_row_by_row_and_functions_may_be_done() -> None:
    """An effect of one on every row is the slope, whatever `x` was; the search is the same."""
    wide = np.ptp(_slopes(rivals_of_bow(0)))
    for done in (bow(0)[0]["x"] + 1.0, lambda x: x + 1.0):
        found = rivals(fitted_bow(0), do={"x": done}, outcome="y", unit=True)
        assert np.ptp(_slopes(found)) == pytest.approx(wide, rel=0.03)


class Below(cs.SCM):
    """A bow whose outcome acts on a flag, by way of an equation, and on a class."""

    u = cs.Latent(cs.Real())
    x = cs.Observed(cs.Real(), parents=[u], mechanism=cs.Linear())
    y = cs.Observed(cs.Real(), parents=[u, x], mechanism=cs.Linear())

    @cs.equation(cs.Real())
    def double(y):
        return 2 * y

    level = cs.Observed(cs.Categorical(3), parents=[double])
    z = cs.Observed(cs.Real(), parents=[level, x], mechanism=cs.Linear())


@cache
def fitted_below() -> cs.FittedSCM:
    data = bow(2)[0]
    rng = np.random.default_rng(0)
    level = (2 * data["y"].to_numpy() + rng.logistic(size=len(data)) > [[-1], [1]]).sum(0)
    z = level + data["x"] + rng.normal(size=len(data))
    return Below.fit(data.assign(level=level, z=z), ensemble=2)


@pytest.mark.slow
@pytest.mark.parametrize("outcome", ["level", "z"])
def test_the_path_may_lead_through_equations_and_categories(outcome: str) -> None:
    """Rivals move the chance of a class below the outcome, and what lies below that."""
    found = rivals(fitted_below(), do={"x": 2.0}, outcome=outcome, unit=False)
    assert len(found) > 2
    assert np.ptp(_slopes(found)) > 1.0


def test_what_cannot_be_searched_is_refused() -> None:
    with pytest.raises(QueryError, match="states, lags or traces"):
        rivals(models.fitted_line(), do={"work": 1.0}, outcome="cost", unit=True)
    with pytest.raises(QueryError, match="nested"):
        rivals(fitted_bow(0), do={"x": cs.under({"x": 0.0})}, outcome="y", unit=True)
    with pytest.raises(UnknownNameError, match="no such name"):
        rivals(fitted_bow(0), do={"x": 1.0}, outcome="w", unit=True)
    with pytest.raises(UnknownNameError, match="no such name"):
        rivals(fitted_bow(0), do={"w": 1.0}, outcome="y", unit=True)


class Curved(cs.SCM):
    """A bow whose outcome a network gives: searched over a grid of its latent."""

    u = cs.Latent(cs.Real())
    x = cs.Observed(cs.Real(), parents=[u], mechanism=cs.Linear())
    y = cs.Observed(
        cs.Real(), parents=[u, x], mechanism=cs.NeuralAdditive(hidden=(8,), noise="normal")
    )


@pytest.mark.slow
def test_a_curved_bow_is_spanned() -> None:
    """The mean under `do`, and the mean of each row, which the truth gives by quadrature."""
    rng = np.random.default_rng(1)
    u = rng.normal(size=1000)
    x = 0.8 * u + 0.6 * rng.normal(size=1000)

    def outcome(x: object, u: object) -> object:
        return np.tanh(x) + u + 0.4 * x * np.tanh(u)  # type: ignore[operator, arg-type, call-overload]

    y = outcome(x, u) + 0.5 * rng.normal(size=1000)
    data = pd.DataFrame({"x": x, "y": y})
    fitted = Curved.fit(data, ensemble=2, steps=800)
    answer = fitted.counterfactual(data, do={"x": 1.5}, outcome="y", allow="spread")
    grid = np.linspace(-5, 5, 201)[:, None]
    weight = np.exp(
        -0.5 * (grid**2 + ((x - 0.8 * grid) / 0.6) ** 2 + ((y - outcome(x, grid)) / 0.5) ** 2)
    )
    weight /= weight.sum(0)
    truth = y + (weight * (outcome(1.5, grid) - outcome(x, grid))).sum(0)
    low, high = answer.spread_of_average("y")
    assert low < truth.mean() < high
    ends = answer.spread("y")
    assert ((ends[:, 0] <= truth) & (truth <= ends[:, 1])).mean() > 0.9
