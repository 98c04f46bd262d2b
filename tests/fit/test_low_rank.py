"""Several lasting latents behind one value: likelihood, loadings, worlds and their intervals."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.distributions import MultivariateNormal

import causalsys as cs
from causalsys.errors import CausalSysError, DeclarationError, FitError
from causalsys.fit.state_space.draws import draws
from causalsys.fit.state_space.kalman import (
    covariances,
    innovations,
    log_densities,
    score,
    smoothed,
)
from causalsys.fit.state_space.series import Series, Shape, System
from tests.low_rank import NOISE, One, Two, World, log_of, world

SEEDS = (0, 1, 2)


@cache
def fitted(seed: int) -> cs.FittedSCM:
    return Two.fit(cs.Traces(log_of(world(seed), seed)), seed=0, ensemble=8)


def tiny(steps: int = 7, traces: int = 3, actions: int = 4) -> Series:
    """A few values with a gap, and a trace that ends early."""
    generator = torch.Generator().manual_seed(0)
    line = torch.randn((steps, traces), generator=generator, dtype=torch.float64)
    action = torch.randint(0, actions, (steps, traces), generator=generator)
    columns = torch.randn((steps, 1, traces), generator=generator, dtype=torch.float64)
    live = torch.ones_like(line)
    live[3, 1], live[5:, 2] = 0, 0
    return Series(line * live, action, columns * live.unsqueeze(1), live)


def points(shape: Shape, count: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return 0.7 * torch.randn((count, sum(shape._sizes)), generator=generator, dtype=torch.float64)


def dense(system: System, series: Series, member: int, trace: int) -> tuple[torch.Tensor, ...]:
    """Mean and covariance of all values of a trace, and their covariance with all states."""
    at = [t for t in range(len(series.line)) if series.live[t, trace]]
    action = series.action[at, trace]
    loading = system.loading[member][:, action]
    mean = system.constant[member, action] + series.columns[at, :, trace] @ system.weight[member]
    every = torch.arange(len(series.line))
    apart = (torch.tensor(at).unsqueeze(-1) - every).abs()
    keeps = system.keeps[member]
    shared = keeps[:, None, None] ** apart
    with_state = loading.unsqueeze(-1) * shared
    between = (with_state[..., at] * loading.unsqueeze(1)).sum(0)
    own = system.noise[member] * torch.eye(len(at), dtype=torch.float64)
    return series.line[at, trace] - mean, between + own, with_state


@pytest.mark.parametrize("alike", [False, True])
def test_the_filter_is_the_dense_normal_law(alike: bool) -> None:
    """Likelihood and its derivatives, by hand for traces of a few steps; equal to rounding."""
    series, shape = tiny(), Shape(4, 2, 1, alike)
    free = points(shape).requires_grad_(True)
    system = shape.system(free)
    weight = torch.rand((2, 3), generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    total = torch.zeros(2, dtype=torch.float64)
    for member in range(2):
        for trace in range(3):
            left, cover, _ = dense(system, series, member, trace)
            law = MultivariateNormal(torch.zeros_like(left), cover)
            total[member] = total[member] + weight[member, trace] * law.log_prob(left)
    (slope,) = torch.autograd.grad(total.sum(), free)
    with torch.no_grad():
        found, by_parameter = score(shape.system(free), series, weight)
        assert found.numpy() == pytest.approx(total.detach().numpy(), abs=1e-10)
        assert shape.slopes(free, by_parameter).numpy() == pytest.approx(slope.numpy(), abs=1e-10)


def test_smoothed_states_and_their_draws_follow_the_dense_law() -> None:
    """20,000 draws: a mean strays by under 4 / √20,000 of a deviation of 1."""
    series, shape = tiny(), Shape(4, 2, 1)
    system = shape.system(points(shape, 1))
    left, cover, with_state = dense(system, series, 0, 0)
    known = covariances(system, series)
    mean, surprise = innovations(known, system.errors(series))
    expected = torch.einsum("kat,a->tk", with_state, torch.linalg.solve(cover, left))
    found = smoothed(known, mean, surprise)[:, :, 0, 0]
    assert found.numpy() == pytest.approx(expected.numpy(), abs=1e-10)
    generator = torch.Generator().manual_seed(0)
    whose = torch.zeros(20_000, dtype=torch.int64)
    drawn = draws(system, series, whose=whose, generator=generator)[..., 0]
    assert drawn.mean(-1).numpy() == pytest.approx(expected.numpy(), abs=0.03)
    variance = 1 - torch.einsum("kat,kat->tk", with_state, torch.linalg.solve(cover, with_state))
    assert drawn.var(-1).numpy() == pytest.approx(variance.numpy(), abs=0.05)
    assert float(log_densities(known, surprise)[3, 0, 1]) == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_the_span_of_the_loadings_is_found(seed: int) -> None:
    """Cosines between the planes in the space of actions; 80 traces leave some percent."""
    state = fitted(seed).mechanism("speed").state
    mine, true = state["loading"][0].numpy(), world(seed).loading
    cosines = np.linalg.svd(np.linalg.qr(mine)[0].T @ np.linalg.qr(true)[0])[1]
    assert cosines.min() > 0.99
    assert mine @ mine.T == pytest.approx(true @ true.T, abs=0.2)
    # What hardly lasts is hard to tell from noise.
    assert float(state["log_scale"][0].exp()) == pytest.approx(NOISE, rel=0.15)
    keeps = fitted(seed).mechanism("path").state["persistence"][0].tolist()
    assert keeps == pytest.approx([0.97, 0.8], abs=0.04)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_world_is_recovered_better_than_with_one_latent(seed: int) -> None:
    """The mean under one action within 5 % (its standard error is 2 %); rows by far better."""
    rows = log_of(world(seed), seed)
    truth = log_of(world(seed), seed, force=2)["speed"].to_numpy()
    other = rows["rung"].to_numpy() != 2
    one = One.fit(cs.Traces(rows), seed=0, ensemble=4)
    errors = []
    for model in (fitted(seed), one):
        answer = model.counterfactual(
            cs.Traces(rows), do={"rung": 2}, outcome="speed", samples=32, seed=0
        )
        mean = np.asarray(answer.mean("speed"))
        errors.append(float(np.sqrt((np.log(mean / truth)[other] ** 2).mean())))
        if model is not one:
            assert answer.average("speed").value == pytest.approx(truth.mean(), rel=0.05)
            low, high = np.asarray(answer.interval("speed", 0.9)).T
            inside = (truth >= low) & (truth <= high)
            # Of 20 seeds .88 on average: few draws make quantiles narrow.
            assert 0.8 < inside[other].mean() < 0.95
            # Where the action was the same, nothing moves.
            assert mean[~other] == pytest.approx(truth[~other])
    assert errors[0] < 0.7 * errors[1]


def test_the_verdict_names_what_it_rests_on() -> None:
    rows = cs.Traces(log_of(world(0), 0, traces=20, steps=30))
    model = Two.fit(rows, seed=0, ensemble=2)
    answer = model.counterfactual(rows, do={"rung": 2}, outcome="speed", samples=2)
    assert answer.verdict.status == "identified under"
    names = {each.name for each in answer.verdict.assumptions}
    assert names == {"low rank and normal", "a stated rank", "sequential exogeneity"}
    assert "2 lasting latents" in str(answer.verdict)
    assert "is kept per step" in str(model.diagnostics)
    assert model.diagnostics.variables["speed"].calibration is not None


def test_a_saved_model_answers_the_same(tmp_path: Path) -> None:
    rows = cs.Traces(log_of(world(0), 0, traces=20, steps=30))
    model = Two.fit(rows, seed=0, ensemble=2)
    model.save(tmp_path / "m.causalsys")
    loaded = cs.load(tmp_path / "m.causalsys")
    ask = {"do": {"rung": 1}, "outcome": "speed", "samples": 4, "seed": 1}
    assert loaded.counterfactual(rows, **ask).mean("speed") == pytest.approx(
        model.counterfactual(rows, **ask).mean("speed")
    )


def test_policies_are_simulated_and_worlds_may_be_drawn() -> None:
    rows = log_of(world(0), 0, traces=20, steps=30)
    model = Two.fit(cs.Traces(rows), seed=0, ensemble=2)
    policies = {"last": lambda before=cs.past("speed", steps=1): (before > 1).long()}
    frame = cs.simulate(model, cs.Traces(rows), policies=policies, seed=0).frames["last"]
    assert len(frame) == len(rows)
    before = frame.groupby("trace")["speed"].shift(1, fill_value=0.0)
    assert (frame["rung"] == (before > 1)).all()
    drawn = model.sample(200, do={"rung": 0}, steps=20, outcome="speed", seed=0)
    paths = np.log(np.asarray(drawn.mean("speed"))).reshape(200, 20)
    # What lasts makes neighbours alike: their correlation is far from nought.
    assert np.corrcoef(paths[:, 10], paths[:, 11])[0, 1] > 0.5


def test_two_paces_of_one_latent_are_not_called_two_latents() -> None:
    """What fits best may still be of rank one over the actions, and the report says so."""
    true = world(0, rank=1)
    paced = World(true.constant, np.hstack([0.8 * true.loading, 0.6 * true.loading]))
    rows = cs.Traces(log_of(paced, 0, traces=60, steps=50))
    told = Two.fit(rows, seed=0, ensemble=1).diagnostics.variables["speed"]
    assert any("tell 1 of 2 latents apart" in warning for warning in told.warnings)
    assert not fitted(0).diagnostics.variables["speed"].warnings


def test_missing_values_say_nothing_and_are_filled_in() -> None:
    class Blind(Two):
        rung = cs.Decision(cs.Categorical(range(4)), parents=["arm"], mechanism=cs.Logged())

    rows = log_of(world(0), 0, traces=30, steps=40)
    gone = np.random.default_rng(0).random(len(rows)) < 0.1
    holes = rows.assign(speed=rows["speed"].mask(gone))
    model = Blind.fit(cs.Traces(holes), seed=0, ensemble=2)
    answer = model.counterfactual(
        cs.Traces(holes), do={"rung": rows["rung"].to_numpy()}, samples=32, seed=0
    )
    filled = np.log(np.asarray(answer.mean("speed"))[gone])
    truth = np.log(rows["speed"].to_numpy()[gone])
    # Neighbours tell most of a value: far nearer than its own spread.
    assert np.sqrt(((filled - truth) ** 2).mean()) < 0.7 * truth.std()


def _model(**attributes: object) -> type[cs.SCM]:
    return type("Made", (cs.SCM,), attributes)


@pytest.mark.parametrize(
    ("latent", "more", "found"),
    [
        (cs.Latent(cs.Positive()), {}, "that is positive"),
        (cs.Latent(cs.Real(), per="trace"), {}, "same step"),
        (
            cs.Latent(cs.Real()),
            {"seen": cs.Decision(cs.Boolean(), parents=["path"], mechanism=cs.Logged())},
            "also acts on seen",
        ),
    ],
)
def test_latents_that_are_not_its_own_are_refused(
    latent: cs.Latent, more: dict[str, object], found: str
) -> None:
    with pytest.raises(DeclarationError, match=found):
        _model(
            path=latent,
            rung=cs.Decision(cs.Categorical(2), mechanism=cs.Logged()),
            speed=cs.Observed(
                cs.Positive(), parents=["path", "rung"], mechanism=cs.LowRank(link="log")
            ),
            **more,
        )


def test_what_cannot_be_fitted_is_said() -> None:
    rows = log_of(world(0), 0, traces=20, steps=30)
    with pytest.raises(DeclarationError, match="without a latent"):
        _model(speed=cs.Observed(cs.Positive(), mechanism=cs.LowRank()))
    with pytest.raises(FitError, match="never taken: rung = 3"):
        Two.fit(cs.Traces(rows.assign(rung=rows["rung"].clip(upper=2))), seed=0)
    with pytest.raises(CausalSysError):
        Two.fit(rows.drop(columns=["trace", "step"]), seed=0)
