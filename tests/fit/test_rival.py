"""The parts of a model as a search for rivals sees them: against what fits and answers know."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch

import causalsys as cs
from causalsys.data.read import read
from causalsys.fit.district import scope_nodes
from causalsys.fit.joint import Scope
from causalsys.fit.rival import Part
from causalsys.fit.rival_guide import follow
from causalsys.fit.rival_noise import LEAST_NOISE, least_log_scale
from causalsys.mechanisms.additive import Additive
from causalsys.query.intervention import as_intervention
from causalsys.query.likelihood import row_log_prob
from causalsys.query.smooth import Outcome
from causalsys.scm.blocks import blocks
from tests import models

FIRST = torch.zeros(1, dtype=torch.int64)


def part_of(fitted: cs.FittedSCM, data: pd.DataFrame) -> Part:
    """The one district of a model, over rows."""
    table = read(fitted.schema, data, purpose="fit")
    block = next(block for block in blocks(fitted.declaration) if block.latents)
    mechanisms = {name: m.members(FIRST) for name, m in fitted.mechanisms.items()}
    scope = Scope.of(table, mechanisms, nodes=scope_nodes(block, table))
    guide = fitted.guides[0].members(FIRST) if fitted.guides else None
    return Part.of(scope, guide)


def district(name: str) -> tuple[cs.FittedSCM, pd.DataFrame]:
    return {
        "linear": lambda: (models.fitted_confounded(), models.confounded()),
        "categories": lambda: (models.fitted_classes(), models.classes()),
        "curved": lambda: (models.fitted_bent(), models.bent()),
    }[name]()


@pytest.mark.parametrize("name", ["linear", "categories", "curved"])
def test_the_start_is_the_fitted_model(name: str) -> None:
    fitted, data = district(name)
    part = part_of(fitted, data)
    again = part.under(part.start)
    for variable, mechanism in again.items():
        for key, value in mechanism.state.items():
            wanted = fitted.mechanisms[variable].members(FIRST).state[key]
            np.testing.assert_allclose(value, wanted, rtol=1e-6, atol=1e-6, err_msg=key)


@pytest.mark.parametrize("name", ["linear", "categories"])
def test_the_likelihood_is_that_of_the_fit(name: str) -> None:
    fitted, data = district(name)
    part = part_of(fitted, data)
    found = part.posterior(part.scope.mechanisms)
    one = cs.FittedSCM(
        fitted.schema,
        {n: m.members(FIRST) for n, m in fitted.mechanisms.items()},
        (),
        1,
        0,
        fitted.diagnostics,
    )
    wanted = row_log_prob(one, part_table(fitted, data))
    np.testing.assert_allclose(found.log_likelihood[0], wanted, atol=1e-9)
    np.testing.assert_allclose(found.log_share.exp().sum(0), 1.0, atol=1e-9)


def part_table(fitted: cs.FittedSCM, data: pd.DataFrame) -> object:
    return read(fitted.schema, data, purpose="fit")


def test_a_grid_gives_the_likelihood_and_the_posterior() -> None:
    """Beside 2000 nodes: a row errs by 0.05 nats at most, their mean by 0.002."""
    part = part_of(*district("curved"))
    found = part.posterior(part.scope.mechanisms)
    grid = torch.linspace(-6, 6, 2000, dtype=torch.float64).reshape(-1, 1, 1)
    with torch.no_grad():
        _, joint = part.scope.sweep({"u": grid})
    joint = joint - 0.5 * grid**2 + math.log(12 / 1999) - 0.5 * math.log(2 * math.pi)
    fine = torch.logsumexp(joint, 0)
    np.testing.assert_allclose(found.log_likelihood, fine, atol=0.05)
    assert float(found.log_likelihood.mean()) == pytest.approx(float(fine.mean()), abs=2e-3)
    mean, scale = part.moments(part.scope.mechanisms)
    share = (joint - fine).exp()
    wanted = (share * grid).sum(0)
    np.testing.assert_allclose(mean[..., 0], wanted, atol=0.03)
    np.testing.assert_allclose(
        scale[..., 0], (share * (grid - wanted) ** 2).sum(0).sqrt(), atol=0.03
    )


def test_a_guide_follows_a_latent_that_turned_around() -> None:
    """The mirrored model has the mirrored posterior, and its guide must propose it."""
    part = part_of(*district("curved"))
    mirrored = {}
    for name, mechanism in part.scope.mechanisms.items():
        state = dict(mechanism.state)
        if "u" in mechanism.parents:
            key = "weight" if "weight" in state else "net.shortcut"
            rows = [-2] if key == "net.shortcut" else [-1]
            sign = torch.ones(state[key].shape[rows[0]], dtype=torch.float64)
            sign[list(mechanism.parents).index("u")] = -1.0
            state[key] = state[key] * (sign.unsqueeze(-1) if key == "net.shortcut" else sign)
            if "net.weight0" in state:
                state["net.weight0"] = state["net.weight0"] * sign.unsqueeze(-1)
        mirrored[name] = mechanism.with_state(state)
    before, _ = part.moments(part.scope.mechanisms)
    after, _ = part.moments(mirrored)
    np.testing.assert_allclose(after, -before, atol=0.05)
    guide = follow(part, mirrored)
    assert guide is not None
    inputs = {key: part.scope.known[key] for key in guide.inputs}
    mean, _ = guide.posterior(inputs)
    assert float((mean - after).square().mean().sqrt()) < 0.2


def test_no_parameter_takes_a_variable_its_own_noise() -> None:
    """Wherever a search goes, a noise keeps its share of what the observed causes leave."""
    fitted, data = district("linear")
    part = part_of(fitted, data)
    far = part.start - 10.0 * torch.ones_like(part.start)
    for name in ("x", "w1", "w2"):
        scale = float(part.under(far)[name].state["log_scale"].exp())
        own = float(fitted.mechanism(name).state["log_scale"][0].exp())
        least = math.sqrt(LEAST_NOISE) * data[name].std()
        assert scale == pytest.approx(min(least, own), rel=0.03)


@pytest.mark.parametrize("outcome", ["y", "k"])
def test_the_expected_outcome_is_what_draws_average_to(outcome: str) -> None:
    """Of 40,000 draws; the noises of 400 rows err by a twentieth of a standard deviation."""

    class Path(cs.SCM):
        x = cs.Observed(cs.Real(), mechanism=cs.Linear())
        level = cs.Observed(cs.Categorical(3), parents=[x])
        y = cs.Observed(cs.Real(), parents=[x, level], mechanism=cs.Linear())

        @cs.equation(cs.Real())
        def twice(y):
            return 2 * y

        k = cs.Observed(cs.Boolean(), parents=[twice])

    rng = np.random.default_rng(0)
    x = rng.normal(size=400)
    level = (x + rng.logistic(size=400) > [[-1], [1]]).sum(0)
    y = x + level + 0.5 * rng.normal(size=400)
    data = pd.DataFrame(
        {"x": x, "level": level, "y": y, "k": rng.random(400) < 0.3 + 0.4 * (y > 1)}
    )
    fitted = Path.fit(data, ensemble=1)
    table = read(fitted.schema, data, purpose="fit")
    done = as_intervention(
        1.5, name="x", support=cs.Real(), rows=400, supports=fitted.schema.supports
    )
    asked = Outcome.of(table, {"x": done}, outcome=outcome, unit=False)
    mean = float(asked.expected(fitted.mechanisms, []).mean())
    drawn = fitted.sample(40_000, do={"x": 1.5}).draws(outcome).values
    assert mean == pytest.approx(drawn.mean(), abs=0.1 * drawn.std())


def test_the_least_noise_of_a_variable_with_noise_scales_by_level_is_one_to_a_level() -> None:
    class Shops(cs.SCM):
        size = cs.Observed(cs.Categorical(["small", "large"]))
        sales = cs.Observed(cs.Real(), parents=[size], mechanism=cs.Linear(scale_by="size"))

    rng = np.random.default_rng(0)
    large = np.arange(200) % 2
    sales = np.where(large, 3.0, 0.01) * rng.normal(size=200)
    rows = {"size": np.array(["small", "large"])[large], "sales": sales}
    mechanism = Shops.fit(rows, ensemble=1).mechanism("sales")
    assert isinstance(mechanism, Additive)
    parents = {"size": torch.from_numpy(large)[None]}
    floor = least_log_scale(mechanism, torch.from_numpy(sales)[None], parents)
    assert floor.shape == mechanism.state["log_scale"].shape == (1, 2)
    # No fit is asked for more noise than it has; a quiet level has a floor of its own.
    assert bool((floor < mechanism.state["log_scale"]).all())
    assert float(floor[0, 0]) < float(floor[0, 1]) - 1
