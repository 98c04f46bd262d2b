"""Lasting noises, log-additive mechanisms: found from sequential moments, or from arms alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from causalsys.errors import FitError
from causalsys.fit.lasting.arms import fit_arms
from causalsys.fit.lasting.course import Course
from causalsys.fit.lasting.moments import fit_moments
from causalsys.fit.lasting.overidentification import j_test
from causalsys.mechanisms.base import Sample
from causalsys.mechanisms.linear import LinearMechanism
from causalsys.mechanisms.multiplicative import MultiplicativeMechanism
from causalsys.scm import specs
from causalsys.scm.supports import Categorical, Positive, Real

SLOWNESS = np.array([1.0, 2.0, 0.5, 3.0])
TRUE = torch.tensor(np.log(SLOWNESS[1:]))


@dataclass(frozen=True)
class Recording:
    server: np.ndarray
    work: np.ndarray
    arm: np.ndarray

    @property
    def course(self) -> Course:
        traces, steps = self.server.shape
        return Course(
            torch.arange(traces).repeat_interleave(steps),
            torch.arange(steps).repeat(traces),
            torch.tensor(self.arm),
        )

    def sample(self, members: int = 2) -> Sample:
        work = torch.tensor(self.work).reshape(1, -1)
        server = torch.tensor(self.server).reshape(1, -1)
        ones = torch.ones(1, dtype=torch.float64).expand(members, work.shape[1])
        return Sample(work, {"server": server}, ones)


def sizes(rng: np.random.Generator, traces: int, steps: int, *, redraw: float) -> np.ndarray:
    """Job sizes in regimes: their mean and their spread change together, now and then."""
    change = rng.random((traces, steps)) < redraw
    change[:, 0] = True
    regime = change.cumsum(1) - 1
    count = regime.max() + 1
    mean = np.take_along_axis(rng.normal(0, 1, (traces, count)), regime, 1)
    spread = np.take_along_axis(rng.uniform(0.1, 0.5, (traces, count)), regime, 1)
    return np.exp(mean + spread * rng.standard_normal((traces, steps)))


def recording(
    seed: int,
    *,
    traces: int = 120,
    steps: int = 150,
    policy: str = "random",
    redraw: float = 0.03,
    powers: np.ndarray | None = None,
) -> Recording:
    """Jobs on four servers. `queues` prefers a server by recent work, so by past noise;
    `peeks` by the size of the job at hand, differently in each arm."""
    rng = np.random.default_rng(seed)
    size = sizes(rng, traces, steps, redraw=redraw)
    arm = rng.integers(0, 6, traces)
    tilt = np.random.default_rng(1).dirichlet(np.ones(4), 6)
    server, work = np.zeros((traces, steps), int), np.zeros((traces, steps))
    recent = np.zeros(traces)
    for step in range(steps):
        chosen = (tilt[arm].cumsum(1) < rng.random((traces, 1))).sum(1).clip(max=3)
        if policy == "queues":
            busy = np.where(recent > 0.5, 2, np.where(recent < -0.5, 3, chosen))
            chosen = np.where(rng.random(traces) < 0.3, chosen, busy)
        elif policy == "peeks":
            chosen = np.where((size[:, step] > 1.5) & (rng.random(traces) < 0.8), arm % 4, chosen)
        now = size[:, step]
        server[:, step] = chosen
        if powers is None:
            work[:, step] = now * SLOWNESS[chosen]
        else:
            work[:, step] = SLOWNESS[chosen] * now ** powers[chosen]
        recent = 0.5 * recent + 0.5 * np.log(work[:, step])
    return Recording(server, work, arm)


def mechanism(levels: int = 4) -> MultiplicativeMechanism:
    return MultiplicativeMechanism(
        specs.Multiplicative(), Positive("ms"), {"server": Categorical(levels)}
    )


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def slopes(fitted: MultiplicativeMechanism) -> torch.Tensor:
    return fitted.state["weight"][..., 0]


@pytest.mark.parametrize("policy", ["random", "queues"])
def test_slowness_is_found_whatever_of_the_past_the_policy_reads(policy: str) -> None:
    # 18,000 jobs on four servers, a spread of .3 given the past: a standard error of .3 /
    # sqrt(4500 / 2), some .7 %, and more on a server that is seldom chosen. Rows as independent
    # err by 10 % and more: the noise of a regime's mean, or what the policy read of the past.
    errors, naive = [], []
    for seed in range(3):
        data = recording(seed, policy=policy)
        fitted = fit_moments(mechanism(), data.sample(), course=data.course, generator=seeded())
        errors.append((slopes(fitted)[0] - TRUE).abs())
        means = [np.log(data.work[data.server == each]).mean() for each in range(4)]
        naive.append(torch.tensor(means[1:]) - means[0] - TRUE)
    assert torch.stack(errors).mean() < 0.012
    assert torch.stack(errors).max() < 0.04
    assert torch.stack(naive).abs().max() > 0.1


def test_the_members_interval_covers() -> None:
    # 60 intervals of 90 %, by seeds of three slopes each: under .75 by chance once in 1,000.
    covered = []
    for seed in range(20):
        data = recording(seed, traces=60, steps=80, policy="queues")
        sample = data.sample(members=80)
        fitted = fit_moments(mechanism(), sample, course=data.course, generator=seeded(seed))
        found = slopes(fitted)
        covered.append((found[0] - TRUE).abs() < 1.645 * found[1:].std(0))
    assert 0.75 <= torch.stack(covered).double().mean() <= 1


def test_noise_is_standard_normal_over_all_rows_and_the_value_comes_back() -> None:
    data = recording(0)
    sample = data.sample(members=3)
    fitted = fit_moments(mechanism(), sample, course=data.course, generator=seeded())
    noise = fitted.pull(sample.value, sample.parents)
    assert noise.shape == (3, sample.rows)
    assert noise[0].mean().abs() < 1e-9
    assert noise[0].std() == pytest.approx(1, abs=1e-3)
    torch.testing.assert_close(fitted.push(noise, sample.parents)[0], sample.value[0])


def test_an_empirical_law_and_a_continuous_parent() -> None:
    rng = np.random.default_rng(0)
    data = recording(0, policy="queues")
    load = rng.standard_normal(data.work.size)
    wait = torch.tensor(np.log(data.work).reshape(-1) + 0.7 * load)
    sample = Sample(
        wait.unsqueeze(0),
        {"load": torch.tensor(load)[None], "server": torch.tensor(data.server).reshape(1, -1)},
        torch.ones(2, len(load), dtype=torch.float64),
    )
    start = LinearMechanism(
        specs.Linear(noise="empirical"), Real(), {"load": Real(), "server": Categorical(4)}
    )
    fitted = fit_moments(start, sample, course=data.course, generator=seeded())
    found = (fitted.state["weight"] / fitted.state["spread"][:, 0])[0]
    assert found[0] == pytest.approx(0.7, abs=0.01)
    assert (found[1:] - TRUE).abs().max() < 0.015
    noise = fitted.pull(sample.value, sample.parents)[0]
    assert (noise > 1.2816).double().mean() == pytest.approx(0.1, abs=0.01)


def test_traces_of_unequal_length_and_with_gaps() -> None:
    data, rng = recording(0, traces=150), np.random.default_rng(0)
    length = rng.integers(20, 150, 150)
    for gaps in (0.0, 0.1):
        kept = (np.arange(150) < length[:, None]) & (rng.random((150, 150)) >= gaps)
        rows = torch.tensor(kept.reshape(-1).nonzero()[0])
        course = Course(data.course.trace[rows], data.course.position[rows])
        sample = data.sample().take(rows)
        fitted = fit_moments(mechanism(), sample, course=course, generator=seeded())
        assert (slopes(fitted)[0] - TRUE).abs().max() < 0.02


def test_one_long_trace_has_an_interval_too() -> None:
    # 9 intervals of 90 %: under .6 by chance once in 100.
    covered = []
    for seed in range(3):
        data = recording(seed, traces=1, steps=1000)
        sample = data.sample(members=60)
        fitted = fit_moments(mechanism(), sample, course=data.course, generator=seeded(seed))
        found = slopes(fitted)
        covered.append((found[0] - TRUE).abs() < 1.645 * found[1:].std(0))
    assert torch.stack(covered).double().mean() >= 0.6


def test_without_parents_there_is_the_marginal_law() -> None:
    data = recording(0, traces=40, steps=40)
    sample = Sample(data.sample().value, {}, data.sample(4).weight)
    alone = MultiplicativeMechanism(specs.Multiplicative(), Positive(), {})
    fitted = fit_moments(alone, sample, course=data.course, generator=seeded())
    assert fitted.pull(sample.value, {})[0].mean().abs() < 1e-9


def test_known_propensities_need_nothing_of_the_history() -> None:
    # Chances that hang on nothing but the arm; the instrument is the draw less its chance.
    data = recording(0)
    tilt = torch.tensor(np.random.default_rng(1).dirichlet(np.ones(4), 6))
    chance = tilt[data.course.arm].repeat_interleave(150, 0)
    fitted = fit_moments(
        mechanism(), data.sample(), course=data.course, generator=seeded(), propensity=chance
    )
    assert (slopes(fitted)[0] - TRUE).abs().max() < 0.015


def test_arms_alone_where_the_policy_sees_the_job() -> None:
    # A policy that peeks breaks the sequential moments, whatever the number of traces. Arms hold
    # on, with the error that traces leave: a trace's mean has a spread of 1 / sqrt(20 regimes),
    # an arm's of 250 traces 1.5 %, before it is divided by how far the shares of arms differ.
    wrong, right = [], []
    for seed in range(3):
        data = recording(seed, traces=1500, steps=60, policy="peeks", redraw=0.4)
        for fit, into in ((fit_moments, wrong), (fit_arms, right)):
            fitted = fit(mechanism(), data.sample(40), course=data.course, generator=seeded())
            into.append((slopes(fitted)[0] - TRUE).abs())
            spread = slopes(fitted)[1:].std(0)
        assert ((slopes(fitted)[0] - TRUE).abs() < 4 * spread).all()
    assert torch.stack(right).mean() < 0.5 * torch.stack(wrong).mean()


def test_arms_that_do_not_identify_are_refused_by_name() -> None:
    data = recording(0, traces=200, steps=60)
    blind = Course(data.course.trace, data.course.position)
    with pytest.raises(FitError, match="traces without arms"):
        fit_arms(mechanism(), data.sample(), course=blind, generator=seeded())
    few = Course(data.course.trace, data.course.position, data.course.arm % 2)
    with pytest.raises(FitError, match="2 arms for 3 effects"):
        fit_arms(mechanism(), data.sample(), course=few, generator=seeded())
    # Servers 1 and 3 share by a coin what arms send to either.
    rng = np.random.default_rng(0)
    coin = np.where(rng.random(data.server.shape) < 0.5, 1, 3)
    mixed = Recording(np.where(data.server % 2, coin, data.server), data.work, data.arm)
    with pytest.raises(FitError, match="server=1 and server=3"):
        fit_arms(mechanism(), mixed.sample(), course=mixed.course, generator=seeded())


def test_an_action_never_taken_is_refused_by_name() -> None:
    data = recording(0, traces=30, steps=40)
    with pytest.raises(FitError, match="the effect of server=4"):
        fit_moments(mechanism(5), data.sample(), course=data.course, generator=seeded())


def test_other_families_are_refused() -> None:
    data = recording(0, traces=30, steps=40)
    two = MultiplicativeMechanism(
        specs.Multiplicative(rank=2), Positive(), {"server": Categorical(4)}
    )
    with pytest.raises(FitError, match=r"Use Linear or Multiplicative\(rank=1\)"):
        fit_moments(two, data.sample(), course=data.course, generator=seeded())


def test_the_j_test_holds_its_level_and_tells_a_wrong_shape() -> None:
    right, wrong = [], []
    powers = np.array([1.0, 0.8, 1.2, 1.0])
    for seed in range(16):
        data = recording(seed, traces=100, steps=60, policy="queues")
        test = j_test(mechanism(), data.sample(), course=data.course, generator=seeded())
        right.append(test.p)
        if seed < 3:
            data = recording(seed, traces=100, steps=80, policy="queues", powers=powers)
            test = j_test(mechanism(), data.sample(), course=data.course, generator=seeded())
            wrong.append(test.p)
    # At 5 %, five or more of sixteen would be a chance of .001.
    assert np.sum(np.array(right) < 0.05) <= 4
    assert max(wrong) < 1e-3


def test_the_same_seed_gives_the_same_numbers() -> None:
    data = recording(0, traces=40, steps=60)
    first, second = (
        fit_moments(mechanism(), data.sample(4), course=data.course, generator=seeded())
        for _ in range(2)
    )
    for name in first.state:
        assert torch.equal(first.state[name], second.state[name])
